/*
 * A host for tests of the engine: it writes down each operation, and answers from
 * lists that the test filled.
 *
 * Each operation that may wait can be made to wait for a number of polls.
 *
 * Thread: one, but wakes are counted from any.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include <stdio.h>

#include "th_engine.h"

enum { FAKE_QUEUE_MAX = 16 };

typedef struct {
    /* What happened, one line for each operation; ends in a zero byte. */
    FILE *log;
    char *text;
    size_t text_bytes;

    /* What RECEIVE answers, in order; then it waits for ever. */
    th_wmsg inbox[FAKE_QUEUE_MAX];
    size_t inbox_len;
    size_t inbox_at;

    /* What AWAIT answers, in order. */
    th_wmsg answers[FAKE_QUEUE_MAX];
    size_t answers_len;
    size_t answers_at;

    /* The last SEND_RESPONSE, and how many there were. */
    th_wmsg response;
    uint64_t n_responses;

    uint64_t n_sent;
    uint64_t n_spawned;
    uint64_t spawn_max; /* beyond, there is no such file */
    th_wmsg blob;       /* of GET_BLOB and LAST_BLOB, if has_blob */
    bool is_quiet;      /* keep no log */

    unsigned wait_polls; /* what may wait waits this long */
    unsigned polls_left;
    uint32_t waiting_op;

    bool has_trap_op;
    uint32_t trap_op; /* ends the guest instead */

    /* What SET_STATE, SET_ON_EXIT and SAVE_CAPS left. */
    bool has_state;
    th_wbuf state;
    uint8_t on_exit;
    th_wmsgs on_exit_requests;
    th_wcaps caps;

    int64_t mono_ns;
    int64_t wall_ns;
} fake_host;

extern const th_whost fake_host_table;

/* Wakes of process @pid so far; pids are below 16. */
unsigned fake_host_wakes(uint64_t pid);

void fake_host_init(fake_host *host);
void fake_host_deinit(fake_host *host);

/* The log so far. */
const char *fake_host_text(fake_host *host);

/* Fresh copies of malloc's. */
th_wbuf fake_buf(const char *text);
th_wbuf fake_bytes(size_t bytes, uint8_t fill);

/* A request with body @body from a fixed peer, which expects a response. */
th_wmsg fake_request(th_wbuf body);

void fake_host_receives(fake_host *host, th_wmsg message);
void fake_host_answers(fake_host *host, th_wmsg message);

void fake_buf_free(th_wbuf *buf);
void fake_msg_free(th_wmsg *message);

#endif
