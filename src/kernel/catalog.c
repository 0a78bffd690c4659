#include "kernel/internal.h"

/*
 * The catalog: entries and hosts by their ids.
 *
 * Both stay as long as the node does, so a chain of a bucket only ever grows at its
 * head: looking up takes no lock and holds nothing. A chain is linked by `link.next`
 * and ends in NULL; `link.prev` is not used.
 */

#define REQUESTS_MAX (1u << TH_REQUEST_INDEX_BITS)
#define MAILBOX_COUNT_MAX ((1u << (64 - TH_MAIL_BYTES_BITS - 1)) - 1)
#define MAILBOX_BYTES_MAX (TH_MAIL_ONE / 2)

static _Atomic(th_list *) *bucket_of(th_catalog *catalog, th_slice id)
{
    return &catalog->buckets[th_slice_hash(id, 0) % TH_CATALOG_BUCKETS];
}

/* The id of an entry, or of a host: both begin alike. */
static th_slice id_of(const th_list *link)
{
    return th_container_of(link, th_entry, link)->id;
}

_Static_assert(offsetof(th_entry, link) == offsetof(th_host, link) &&
                   offsetof(th_entry, id) == offsetof(th_host, id),
               "one catalog keeps both");

static th_list *find(th_catalog *catalog, th_slice id)
{
    th_list *link = atomic_load_explicit(bucket_of(catalog, id), memory_order_acquire);

    while (link != NULL && !th_slice_eq(id_of(link), id)) {
        link = link->next;
    }
    return link;
}

static th_err add(th_catalog *catalog, th_list *link)
{
    _Atomic(th_list *) *bucket = bucket_of(catalog, id_of(link));
    th_err err = TH_EXISTS;

    th_spin_lock(&catalog->lock);
    if (find(catalog, id_of(link)) == NULL) {
        link->next = atomic_load_explicit(bucket, memory_order_relaxed);
        atomic_store_explicit(bucket, link, memory_order_release);
        err = TH_OK;
    }
    th_spin_unlock(&catalog->lock);
    return err;
}

th_err th_kernel_add_entry(th_kernel *kernel, th_entry *entry)
{
    const th_limits *limits = &entry->limits;

    if (limits->requests_max > REQUESTS_MAX ||
        limits->mailbox_count_max > MAILBOX_COUNT_MAX ||
        limits->mailbox_bytes_max > MAILBOX_BYTES_MAX) {
        return TH_INVALID;
    }
    return add(&kernel->entries, &entry->link);
}

th_err th_kernel_add_host(th_kernel *kernel, th_host *host)
{
    return add(&kernel->hosts, &host->link);
}

const th_entry *th_kernel_find_entry(th_kernel *kernel, th_slice id)
{
    th_list *link = find(&kernel->entries, id);

    return link == NULL ? NULL : th_container_of(link, th_entry, link);
}

const th_entry *th_kernel_find_file(th_kernel *kernel, const th_entry *of,
                                    th_slice file)
{
    for (size_t i = 0; i < TH_CATALOG_BUCKETS && file.bytes > 0; i++) {
        th_list *link =
            atomic_load_explicit(&kernel->entries.buckets[i], memory_order_acquire);

        for (; link != NULL; link = link->next) {
            const th_entry *entry = th_container_of(link, th_entry, link);

            if (th_slice_eq(entry->file, file) &&
                th_slice_eq(entry->package, of->package) &&
                th_slice_eq(entry->publisher, of->publisher)) {
                return entry;
            }
        }
    }
    return NULL;
}

/* Of "namespace:name", given as its two parts. */
static const th_host *find_host(th_kernel *kernel, th_slice ns, th_slice name)
{
    char id[TH_NAME_BYTES_MAX * 2 + 1];
    th_list *link;

    if (ns.bytes > TH_NAME_BYTES_MAX || name.bytes > TH_NAME_BYTES_MAX) {
        return NULL;
    }
    memcpy(mempcpy(mempcpy(id, ns.at, ns.bytes), ":", 1), name.at, name.bytes);
    link = find(&kernel->hosts, th_slice_of(id, ns.bytes + 1 + name.bytes));
    return link == NULL ? NULL : th_container_of(link, th_host, link);
}

const th_host *th_kernel_find_host(th_kernel *kernel, th_slice ns, th_slice id)
{
    size_t colon = th_slice_find(id, ':');
    const th_host *host;

    if (colon < id.bytes) {
        return find_host(kernel, th_slice_of(id.at, colon),
                         th_slice_from(id, colon + 1));
    }
    host = find_host(kernel, ns, id);
    return host != NULL ? host : find_host(kernel, TH_SLICE("system"), id);
}
