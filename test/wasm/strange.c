/* Imports what no node has; built without the SDK. */
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

IMPORT("acme:thing/one@1.0.0", "a") void one_a(void);
IMPORT("acme:thing/one@1.0.0", "b") void one_b(unsigned x, void *);
IMPORT("acme:thing/two@1.0.0", "c") void two_c(void);
IMPORT("$root", "lonely") void lonely(void);
IMPORT("kinode:process/standard@2.0.0", "our") void our(void *);

static char heap[1024];

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old,
                                                                unsigned old_bytes,
                                                                unsigned align,
                                                                unsigned bytes)
{
    (void)old, (void)old_bytes, (void)align, (void)bytes;
    return heap;
}

__attribute__((export_name("init"))) void init(const void *text, unsigned len)
{
    (void)text, (void)len;
    one_a();
    one_b(1, heap);
    two_c();
    lonely();
    our(heap);
}
