/*
 * Entry and host: what can be run, and the policy under which it runs.
 *
 * An entry says where the code is, which guest runs it and with which limits; its
 * id is `namespace:name`. A namespace belongs to exactly one package. A host is a
 * named policy. Both live as long as the node, so that a process's texts can be
 * printed after its end.
 *
 * Thread: any; immutable once the kernel has them.
 */
#ifndef TH_CORE_ENTRY_H
#define TH_CORE_ENTRY_H

#include "base/bytes.h"
#include "base/list.h"
#include "core/on_exit.h"

struct th_guest;

/* Bounds of one process; each has a default that is generous (entry.c). */
typedef struct th_limits {
    size_t memory_bytes_max; /* of the guest's own memory */
    size_t mailbox_bytes_max;
    uint32_t mailbox_count_max;
    uint32_t requests_max; /* open ones at a time */
    uint32_t ties_max;     /* links and monitors that it made */
    uint32_t timers_max;
    uint32_t names_max;
    uint32_t log_bytes_max; /* of what it printed, the newest */
} th_limits;

extern const th_limits th_limits_default;

/* A capability in a manifest: who issues it, or who is given it, and its params. */
typedef struct th_grant {
    th_slice process; /* "process:package:publisher" */
    th_slice params;
} th_grant;

typedef struct th_entry th_entry;
typedef struct th_host th_host;

struct th_entry {
    th_list link;     /* in the kernel's list */
    th_slice id;      /* "namespace:name" */
    th_slice package; /* "package" of its namespace */
    th_slice publisher;
    th_slice file; /* of its code, relative to the package's folder; or empty */
    uint32_t package_number; /* small, unique in a node: who is charged; 0: the node */
    bool is_public;          /* all of this node may send to it */
    bool is_open;   /* likewise, and it looks at each sender's right by itself */
    bool is_strict; /* nothing is free to it within its package */
    bool is_networking;
    th_on_exit *on_exit;      /* of its processes; NULL: none */
    const th_grant *requests; /* what its processes hold */
    const th_grant *grants;   /* what others hold of them */
    size_t requests_count, grants_count;
    th_limits limits;
    const struct th_guest *guest; /* what runs it */
    void *program;                /* the guest's own, e.g. a compiled component */
};

/* Which shard a process of this host may run on. */
#define TH_SHARD_ANY (-1)

struct th_host {
    th_list link;
    th_slice id; /* "namespace:name" */
    int shard;   /* TH_SHARD_ANY, or the only one it uses */
    uint32_t processes_max;
    _Atomic uint32_t processes; /* alive now */
};

#endif
