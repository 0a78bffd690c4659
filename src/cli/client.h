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

    /* Each line behind the answer, for so long; NULL: nobody wants them. False: enough. */
    bool (*hear)(void *context, th_slice line);
    void *context;
    uint64_t hear_ms; /* 0: for ever */
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

/* --- For those who speak the protocol themselves ------------------------------------ */

/* Is @line the hello of a node that we understand? Refuses: INVALID, UNSUPPORTED. */
th_err th_client_check_hello(th_slice line, th_buf *why);

/* What an `error` of an answer says, and its text; never TH_OK. */
th_err th_client_read_error(const th_json *error, th_buf *why);

/* Why the node on @home cannot be reached, unless it is that none is up. */
void th_client_put_unreachable(const char *home, th_err err, th_buf *why);

#endif
