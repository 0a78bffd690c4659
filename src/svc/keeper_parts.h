/*
 * What the files of the keeper share: keeper.c boots and restarts, keeper_stop.c is the
 * end, keeper_command.c reads the commands, keeper_do.c carries out those that wait.
 */
#ifndef TH_SVC_KEEPER_PARTS_H
#define TH_SVC_KEEPER_PARTS_H

#include "guest/native/native.h"
#include "svc/command.h"
#include "svc/keeper.h"

#include <stdatomic.h>

/* Who is still to be told that the node stops: oldest first, told from the end. */
typedef struct keeper_stop {
    struct keeper_told *told; /* owned */
    size_t count, room;
    bool began;
    bool is_waiting; /* for the end of `current` */
    th_pid current;
    th_mono end;     /* of all of it */
    th_alarm *alarm; /* of `current` */
} keeper_stop;

struct th_keeper {
    /* Fixed when it was made. */
    th_keeper_spec spec;
    th_native program;
    th_entry entry;
    th_pid pid;
    th_buf main_id; /* of a main process that is durable, else empty */

    /* Thread: any. */
    _Atomic bool stop;
    _Atomic bool is_stopped;
    _Atomic bool is_up;        /* all that live were started; owner writes */
    _Atomic bool is_settled;   /* somebody writes what is below */
    _Atomic bool is_over;      /* it is there to be read */
    _Atomic uint64_t main_pid; /* 0: it does not run */

    /* Thread: that which says that it is over, before that. */
    th_exit *exit;
    th_err refused; /* it could not even start */
    th_buf why;

    /* Thread: owner. */
    bool main_began; /* or it will never */
    th_list later;   /* th_life.todo: whose requests wait until it is up */
    th_list started; /* th_life.todo: at boot, all at once, in their order */
    keeper_stop stopping;
    th_list kills; /* of keeper_do.c: who waits for the end of a process */
};

/* keeper.c */
/* The first call says how it was; any thread. */
void th_keeper_finish_main(th_keeper *keeper, th_err err, const th_exit *exit,
                           const char *why);

/* keeper_stop.c; owner. */
void th_keeper_stop_some(th_keeper *keeper, th_process *self);
void th_keeper_stop_deinit(th_keeper *keeper, th_process *self);

/* keeper_command.c; owner. Takes @msg. */
void th_keeper_command(th_keeper *keeper, th_process *self, th_msg *msg);

/* Answer @question with what @err says of @kind; takes @question. */
void th_keeper_answer(th_process *self, th_msg *question, th_kernel_command_kind kind,
                      th_slice id, th_err err, th_slice message);

/* keeper_do.c; owner. Each takes @question, and answers it, perhaps later. */
void th_keeper_initialize(th_keeper *keeper, th_process *self, th_msg *question,
                          const th_kernel_command *command);
void th_keeper_update(th_keeper *keeper, th_process *self, th_msg *question,
                      const th_kernel_command *command, th_pid pid);
void th_keeper_kill(th_keeper *keeper, th_process *self, th_msg *question,
                    const th_kernel_command *command);
/* It never was: it could not be kept. */
void th_keeper_undo_main(th_keeper *keeper, th_pid pid, th_err err);
th_err th_keeper_save_main(th_keeper *keeper, th_process *self, th_pid pid);
void th_keeper_did_job(th_keeper *keeper, th_process *self, th_job *job);
void th_keeper_did_exit(th_keeper *keeper, th_process *self, th_pid pid);
void th_keeper_do_deinit(th_keeper *keeper);

#endif
