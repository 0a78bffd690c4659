/*
 * Witness: hears what processes do and what happens to them, and says what must not
 * have been. For tests.
 *
 * A workload tells it of each birth, end, message, request, monitor and link, in the
 * order in which they happen on the one thread of a simulation; who the processes are,
 * puppets or Lua or Wasm, is all the same to it. The first thing that is wrong is kept
 * as a sentence. What it hears is also its trace: of two runs with one seed, equal.
 *
 * What it holds to:
 *  - between two processes messages arrive in order, none lost or doubled, while the
 *    receiver lives;
 *  - a request ends once: answered, failed, given up, or with its requester;
 *  - a monitor speaks once, with the true reason, and only after the end;
 *  - a failed link is told once or ends the other side;
 *  - no name means a process that has ended.
 *
 * A process that may be preempted between what it does and what it tells (a script)
 * tells in halves: before, what it is about to do, and afterwards what came of it.
 * What happens in between is then in doubt, and only what is certain is held against
 * the kernel.
 *
 * Thread: one.
 */
#ifndef TH_WITNESS_WITNESS_H
#define TH_WITNESS_WITNESS_H

#include "base/own.h"
#include "core/exit.h"
#include "core/id.h"

#define TH_WITNESS_LIVES_MAX 512
#define TH_WITNESS_REQUESTS_MAX 32768

typedef struct th_witness th_witness;

/* NULL when memory runs out. With @is_traced it keeps its trace. */
th_witness *th_witness_new(bool is_traced);
th_witness *th_witness_free(th_witness *witness);

/* The first thing that was wrong, or "". */
const char *th_witness_wrong(const th_witness *witness);

th_slice th_witness_trace(const th_witness *witness);

/* --- Lives ------------------------------------------------------------------------ */

void th_witness_born(th_witness *witness, th_pid pid);
void th_witness_gone(th_witness *witness, th_pid pid, const th_exit *how);
bool th_witness_is_gone(const th_witness *witness, th_pid pid);

/* Those that were born, in their order, the ended ones too. */
unsigned th_witness_lives(const th_witness *witness);
th_pid th_witness_life(const th_witness *witness, unsigned index);

/* --- Messages --------------------------------------------------------------------- */

/* The number that the next message of this pair is to carry. */
uint32_t th_witness_next(const th_witness *witness, th_pid from, th_pid to);
void th_witness_sent(th_witness *witness, th_pid from, th_pid to); /* it was taken */
void th_witness_got(th_witness *witness, th_pid from, th_pid to, uint32_t number);

/* --- Requests --------------------------------------------------------------------- */

/* @pid is about to ask: the number that its request is to carry. */
uint32_t th_witness_ask(th_witness *witness, th_pid pid);

/* It was refused, or given up: nothing may come for it. */
void th_witness_unask(th_witness *witness, uint32_t number);

/* Request @number came back; the response carried @said, when @reason is TH_OK. */
void th_witness_reply(th_witness *witness, th_pid pid, uint32_t number, th_err reason,
                      uint32_t said);

/* --- Ties ------------------------------------------------------------------------- */

/* What th_process_monitor answered; monitored at birth is TH_OK. */
void th_witness_monitor(th_witness *witness, th_pid pid, th_pid target, th_err err);
void th_witness_unmonitor(th_witness *witness, th_pid pid, th_pid target);
void th_witness_exit(th_witness *witness, th_pid pid, th_pid target, th_err reason);
void th_witness_link(th_witness *witness, th_pid pid, th_pid target);
void th_witness_unlink(th_witness *witness, th_pid pid, th_pid target);
void th_witness_down(th_witness *witness, th_pid pid, th_pid target);

/* --- Told in halves ----------------------------------------------------------------- */

/* It is about to send; it was taken, or refused. */
void th_witness_sending(th_witness *witness, th_pid from, th_pid to);
void th_witness_did_send(th_witness *witness, th_pid from, th_pid to, bool is_taken);

/* Afterwards only: whether the target lived then cannot be told. */
void th_witness_did_monitor(th_witness *witness, th_pid pid, th_pid target);

/* Before; afterwards it tells th_witness_unmonitor as well. */
void th_witness_unmonitoring(th_witness *witness, th_pid pid, th_pid target);

/* Before; where it was done it tells th_witness_link as well. */
void th_witness_linking(th_witness *witness, th_pid pid, th_pid target);

/* As th_witness_exit, by one who sees only whether it failed. */
void th_witness_did_exit(th_witness *witness, th_pid pid, th_pid target,
                         bool has_failed);

/* --- Names ------------------------------------------------------------------------ */

/* A name was looked up and means @pid. */
void th_witness_named(th_witness *witness, th_pid pid);

/* --- The end ---------------------------------------------------------------------- */

/* Nothing is left to happen, and every process alive reads all that it gets. */
void th_witness_settle(th_witness *witness);

TH_AUTO_FREE(th_witness, th_witness_free)

#endif
