#include "kernel/checkpoint.h"
#include "kernel/internal.h"

/*
 * The scheduler's loop, and how a guest is left in the midst of a slice.
 *
 * The loop runs on a pooled stack and calls the guest straight: a process that
 * waits or ends within its slice costs no switch. th_preempt, called somewhere
 * deep in a guest, leaves the stack with the process and goes on upon another: the
 * stack of a process that was left likewise, or a fresh one whose first frame is
 * the loop. When a process that was left ends its slice, the guest returns into the
 * loop that began it, which goes on as the scheduler. So the loop keeps nothing in
 * its frame but the process that it called.
 *
 * A process is never ended on its own stack: `shard->ending` is ended by whoever
 * runs next.
 */

__thread int th_flag __attribute__((tls_model("local-exec")));
__thread void (*th_preempt_hook)(void);

#define MEMORY_EVERY 16 /* slices */

static void enter_slice(th_shard *shard, th_process *process)
{
    uint64_t n = atomic_load_explicit(&process->slices, memory_order_relaxed) + 1;

    atomic_store_explicit(&process->slices, n, memory_order_relaxed);
    atomic_store_explicit(&process->phase, TH_PHASE_RUNNING, memory_order_relaxed);
    shard->current = process;
    shard->ran = process->ident.pid;
}

static void leave_slice(th_shard *shard, th_process *process)
{
    uint64_t n = atomic_load_explicit(&process->slices, memory_order_relaxed);

    shard->current = NULL;
    if ((n < 4 || n % MEMORY_EVERY == 0) && process->guest->memory != NULL) {
        uint64_t before =
            atomic_load_explicit(&process->memory_bytes, memory_order_relaxed);
        uint64_t bytes = process->guest->memory(process);

        atomic_store_explicit(&process->memory_bytes, bytes, memory_order_relaxed);
        th_budget_add(process->kernel, (int64_t)(bytes - before));
    }
}

/* End what another stack left for it. */
static void end_the_left(th_shard *shard)
{
    th_process *process = shard->ending;

    if (process != NULL) {
        shard->ending = NULL;
        th_process_finish(process);
    }
}

static bool begin(th_process *process)
{
    th_auto_buf why = TH_BUF_INIT;
    th_err err;

    if (process->began) {
        return true;
    }
    process->began = true;
    err = process->guest->start(process, &why);
    if (err == TH_OK) {
        return true;
    }
    th_process_end(process, th_exit_new(TH_END_CRASH, err, th_buf_slice(&why),
                                        TH_FORMAT_BYTES, TH_SLICE("")));
    return false;
}

/* It has nothing to do: let it wait, unless something came meanwhile. */
static void settle(th_shard *shard, th_process *process, bool wants_items)
{
    if (wants_items && process->queue != NULL) {
        th_shard_requeue(shard, process);
        return;
    }
    atomic_store(&process->phase, TH_PHASE_WAITING);
    if ((wants_items && th_inbox_has_some(&process->inbox)) ||
        atomic_load(&process->asked) != 0) {
        th_process_wake(process);
    }
}

static void run_slice(th_shard *shard, th_process *process)
{
    th_run result = TH_RUN_ENDED;

    enter_slice(shard, process);
    if ((atomic_fetch_and(&process->asked, TH_ASKED_KILL) & TH_ASKED_SWEEP) != 0) {
        th_held_sweep(process, shard->now_ns);
    }
    if (begin(process)) {
        result = process->guest->run(process);
    }
    leave_slice(shard, process);
    if (result == TH_RUN_ENDED || th_process_must_end(process)) {
        th_process_finish(process);
    } else if (result == TH_RUN_YIELDED) {
        th_shard_requeue(shard, process);
    } else {
        settle(shard, process, result == TH_RUN_BLOCKED);
    }
}

static void go_on_upon(th_shard *shard, th_process *process, bool for_ever)
{
    th_stack *stack = process->stack;

    process->stack = NULL;
    enter_slice(shard, process);
    th_stack_switch(&shard->stacks, stack, for_ever);
}

static void loop(void)
{
    for (;;) {
        th_shard *shard = th_shard_self;
        th_process *process;

        end_the_left(shard);
        process = shard->start;
        shard->start = NULL;
        if (process == NULL) {
            process = th_shard_pick(shard);
        }
        if (process == NULL) {
            th_stack_switch(&shard->stacks, &shard->stacks.home, true);
        } else if (process->stack != NULL) {
            go_on_upon(shard, process, true);
        } else {
            run_slice(shard, process);
        }
    }
}

void th_loop_entry(void)
{
    th_stack_arrived(&th_shard_self->stacks);
    loop();
}

void th_loop_run(th_shard *shard)
{
    th_process *process = th_shard_pick(shard);
    th_stack *stack;

    if (process == NULL) {
        return;
    }
    stack = th_stack_get(&shard->stacks);
    if (stack == NULL) { /* no memory for one: whoever has a stack may go on */
        if (process->stack == NULL) {
            th_shard_requeue(shard, process);
            return;
        }
        go_on_upon(shard, process, false);
    } else {
        shard->start = process;
        th_stack_switch(&shard->stacks, stack, false);
    }
    end_the_left(shard);
}

/* --- Preemption ------------------------------------------------------------------- */

/* False: in simulation the slice is not over yet. */
static bool slice_is_over(th_shard *shard)
{
    if (th_kernel_is_simulated(shard->kernel)) {
        if (shard->checks > 1) {
            shard->checks--;
            return false;
        }
        return true;
    }
    __atomic_store_n(&th_flag, 0, __ATOMIC_RELAXED);
    return true;
}

/* Leave the running process's stack for ever; it is ended by who comes. */
static void leave_dead(th_shard *shard, th_process *process)
{
    th_stack *stack = th_stack_get(&shard->stacks);
    th_process *next;

    leave_slice(shard, process);
    shard->ending = process;
    if (stack != NULL) {
        th_stack_switch(&shard->stacks, stack, true);
    }
    next = th_shard_pick(shard); /* no stack is left: one that was parked goes on */
    if (next != NULL && next->stack != NULL) {
        go_on_upon(shard, next, true);
    }
    if (next != NULL) {
        th_shard_requeue(shard, next);
    }
    th_stack_switch(&shard->stacks, &shard->stacks.home, true);
}

/* Leave the stack with the running process and come back when it is its turn. */
static void leave_parked(th_shard *shard, th_process *process)
{
    th_stack *fresh = th_stack_get(&shard->stacks);
    th_stack *stack = shard->stacks.current;

    if (fresh == NULL) { /* no ground for anybody else, for ever: this one ends */
        th_process_kill(process,
                        th_exit_new(TH_END_CRASH, TH_QUOTA,
                                    TH_SLICE("it ran on while as many processes as the "
                                             "node has stacks for were preempted in "
                                             "their midst: run fewer busy ones"),
                                    TH_FORMAT_BYTES, TH_SLICE("")));
        leave_dead(shard, process);
    }
    leave_slice(shard, process);
    process->stack = stack;
    th_shard_requeue(shard, process);
    th_stack_switch(&shard->stacks, fresh, false);
    end_the_left(shard);
}

void th_preempt(void)
{
    th_shard *shard = th_shard_self;
    th_process *process;

    if (th_preempt_hook != NULL) {
        th_preempt_hook();
        return;
    }
    if (shard == NULL) {
        __atomic_store_n(&th_flag, 0, __ATOMIC_RELAXED);
        return;
    }
    if (!slice_is_over(shard)) {
        return;
    }
    process = shard->current;
    if (process == NULL || !process->guest->parks) {
        shard->yield = true;
        return;
    }
    shard->yield = false;
    th_shard_end_chain(shard);
    if (th_process_must_end(process)) {
        leave_dead(shard, process);
    } else if (th_shard_has_own_work(shard) || th_kernel_is_simulated(shard->kernel)) {
        leave_parked(shard, process);
    }
}

void th_process_yield(th_process *self)
{
    th_shard *shard = th_shard_self;

    if (self->guest->parks && !th_kernel_is_simulated(self->kernel)) {
        __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
    } else if (self->guest->parks) {
        shard->checks = 1;
    } else {
        shard->yield = true;
    }
}

bool th_process_should_yield(const th_process *self)
{
    th_shard *shard = th_shard_self;

    return shard->yield || th_process_must_end((th_process *)self) ||
           (!th_kernel_is_simulated(self->kernel) &&
            __atomic_load_n(&th_flag, __ATOMIC_RELAXED) != 0);
}
