/*
 * Client: the command line's end of the control protocol (node/control.h).
 *
 * Thread: main.
 */
#ifndef TH_CLI_CLIENT_H
#define TH_CLI_CLIENT_H

#include "codec/json_doc.h"
#include "world/world.h"

/* How long a node may take to say hello, and to answer beyond a call's own time. */
#define TH_CLIENT_PATIENCE_MS 10000

typedef struct th_question {
    th_world *world;
    const char *home;
    th_slice request;    /* a line without its end, of id 1 */
    uint64_t timeout_ms; /* that the node itself may take */
} th_question;

/* What came back; to be deinitialised in any case. */
typedef struct th_answer {
    th_json *document;
    const th_json *ok; /* in there: what was asked for */
    th_buf why;        /* of an error */
    size_t at;         /* the byte of the address that is wrong, or SIZE_MAX */
} th_answer;

/*
 * Ask the node on @home one thing.
 *
 * Refuses: OFFLINE without a text, no node is up there; what the node says;
 *          TIMED_OUT, it says nothing.
 */
th_err th_client_ask(const th_question *question, th_answer *out);

void th_answer_deinit(th_answer *answer);

#endif
