#include "node/attach_parts.h"

#include "base/log.h"
#include "base/mem.h"

/*
 * Whose process it is: entries for packages that have processes outside.
 *
 * The entry of package P of publisher S is `P.S:outside`, so that its PID says what it
 * is. The kernel has it in its list, since that is how a PID text with a chosen name is
 * understood; that no guest can start it, attach.c sees to.
 */

#define ENTRY_NAME ":outside"

typedef struct named_entry {
    th_list link;
    th_buf text; /* the id, behind which package and publisher stand again */
    th_entry entry;
} named_entry;

static named_entry *find(th_attaches *attaches, th_slice package, th_slice publisher)
{
    TH_LIST_EACH(node, &attaches->entries)
    {
        named_entry *one = th_container_of(node, named_entry, link);

        if (th_slice_eq(one->entry.package, package) &&
            th_slice_eq(one->entry.publisher, publisher)) {
            return one;
        }
    }
    return NULL;
}

static named_entry *make(th_attaches *attaches, th_slice package, th_slice publisher)
{
    const th_attaches_spec *spec = &attaches->spec;
    bool is_program =
        th_slice_eq(package, spec->package) && th_slice_is(publisher, "local");
    named_entry *made = th_calloc(1, sizeof *made);
    size_t id_bytes = package.bytes + 1 + publisher.bytes + sizeof ENTRY_NAME - 1;

    if (made == NULL) {
        return NULL;
    }
    th_buf_putf(&made->text, "%.*s.%.*s" ENTRY_NAME "%.*s%.*s", TH_FMT(package),
                TH_FMT(publisher), TH_FMT(package), TH_FMT(publisher));
    if (made->text.failed) {
        th_buf_deinit(&made->text);
        return th_free(made);
    }
    made->entry =
        (th_entry){.id = th_slice_of(made->text.at, id_bytes),
                   .package = th_slice_of(made->text.at + id_bytes, package.bytes),
                   .publisher = th_slice_of(made->text.at + id_bytes + package.bytes,
                                            publisher.bytes),
                   .package_number = is_program
                                         ? spec->package_number
                                         : spec->next_number + attaches->entries_count,
                   .limits = th_limits_default,
                   .guest = &attaches->guest,
                   .program = &attaches->program};
    return made;
}

static void free_entry(named_entry *one)
{
    th_buf_deinit(&one->text);
    th_free(one);
}

/* Under the lock. */
static th_err add(th_attaches *attaches, th_slice package, th_slice publisher,
                  const th_entry **out, th_buf *why)
{
    named_entry *made;

    if (attaches->entries_count == TH_ATTACH_PACKAGES_MAX) {
        th_buf_putf(why, "processes of %d packages were outside already",
                    TH_ATTACH_PACKAGES_MAX);
        return TH_QUOTA;
    }
    made = make(attaches, package, publisher);
    if (made == NULL) {
        return TH_QUOTA;
    }
    if (th_kernel_add_entry(attaches->spec.kernel, &made->entry) != TH_OK) {
        th_buf_putf(why, "the program has an entry `%.*s` of its own",
                    TH_FMT(made->entry.id));
        free_entry(made);
        return TH_EXISTS;
    }
    th_list_push(&attaches->entries, &made->link);
    attaches->entries_count++;
    *out = &made->entry;
    return TH_OK;
}

static th_err find_or_add(th_attaches *attaches, th_slice package, th_slice publisher,
                          const th_entry **out, th_buf *why)
{
    named_entry *one;
    th_err err = TH_OK;

    pthread_mutex_lock(&attaches->lock);
    one = find(attaches, package, publisher);
    if (one == NULL) {
        err = add(attaches, package, publisher, out, why);
    } else {
        *out = &one->entry;
    }
    pthread_mutex_unlock(&attaches->lock);
    return err;
}

static bool has_colon(th_slice text)
{
    return th_slice_find(text, ':') < text.bytes;
}

/* Its three parts, where it names a package. */
static th_err decode(th_slice name, th_address *out, th_buf *why)
{
    th_id_error error = {0};
    th_err err = th_address_decode(out, name, true, &error);

    if (err == TH_OK && out->node.bytes > 0) {
        err = TH_INVALID;
        error = (th_id_error){0, "it has no node: that is this one"};
    }
    if (err == TH_OK &&
        out->package.bytes + 1 + out->publisher.bytes > TH_NAME_BYTES_MAX) {
        err = TH_INVALID;
        error = (th_id_error){0, "package and publisher are too long together"};
    }
    if (err != TH_OK) {
        th_buf_putf(why, "`%.*s` is no process id (PROCESS:PACKAGE:PUBLISHER): %s",
                    TH_FMT(name), error.what);
    }
    return err;
}

th_err th_attach_name(th_attaches *attaches, th_slice name, const th_entry **entry,
                      th_slice *process, th_buf *why)
{
    th_address parts = {.process = name,
                        .package = TH_SLICE(TH_ATTACH_PACKAGE),
                        .publisher = TH_SLICE("local")};
    th_err err = TH_OK;

    if (has_colon(name)) {
        err = decode(name, &parts, why);
    } else if (name.bytes > 0 && !th_name_is_valid(name, TH_NAME_PLAIN)) {
        th_buf_putf(why,
                    "`%.*s` is no name of a process: names have lower-case letters, "
                    "digits, '-' and '_'",
                    TH_FMT(name));
        err = TH_INVALID;
    }
    if (err != TH_OK) {
        return err;
    }
    if (th_slice_is(parts.package, "distro") && th_slice_is(parts.publisher, "sys")) {
        th_buf_puts(why, "the package `distro:sys` is the node's own");
        return TH_DENIED;
    }
    *process = parts.process;
    return find_or_add(attaches, parts.package, parts.publisher, entry, why);
}

void th_attaches_know(th_attaches *attaches, th_slice id)
{
    th_auto_buf why = TH_BUF_INIT;
    const th_entry *entry;
    th_slice process;

    if (th_attach_name(attaches, id, &entry, &process, &why) != TH_OK) {
        th_log(WARN, "attach.unknown", "id=%.*s %s", TH_FMT(id), th_buf_text(&why));
    }
}

void th_attach_names_deinit(th_attaches *attaches)
{
    th_list *node;

    while ((node = th_list_pop(&attaches->entries)) != NULL) {
        free_entry(th_container_of(node, named_entry, link));
    }
}
