#include "witness/witness.h"

#include "base/mem.h"

typedef enum request_state {
    REQUEST_OPEN,
    REQUEST_CLOSED,
} request_state;

typedef enum monitor_state {
    MONITOR_NONE,
    MONITOR_SET,
    MONITOR_DOUBTFUL, /* it is being taken back: an EXIT may come, or not */
} monitor_state;

typedef enum link_state {
    LINK_NONE,
    LINK_TRIED, /* one side is about to make it: nothing follows yet */
    LINK_SET,
    LINK_UNDONE, /* by one side, while the other may have renewed it: nothing follows */
} link_state;

typedef struct life {
    th_pid pid;
    bool is_gone;
    bool has_failed;
    th_err reason;
} life;

typedef struct pair {
    uint32_t sent, got;
    uint8_t monitor; /* monitor_state: the first monitors the second */
    uint8_t link;    /* link_state; in the pair whose first is the older */
    bool is_told;    /* the first heard that the second, linked, failed */
    bool is_sending; /* the last that was sent may be refused yet */
    bool was_late;   /* and the second was gone before that began */
} pair;

typedef struct request {
    uint32_t owner; /* index of a life */
    uint8_t state;  /* request_state */
} request;

#define SLOTS (TH_WITNESS_LIVES_MAX * 4)
#define NOBODY UINT32_MAX

struct th_witness {
    uint32_t lives_count, requests_count;
    bool is_traced;
    th_buf trace, wrong;
    life lives[TH_WITNESS_LIVES_MAX];
    uint32_t newest[SLOTS]; /* of each slot of the table: index of a life, plus 1 */
    request requests[TH_WITNESS_REQUESTS_MAX];
    pair pairs[TH_WITNESS_LIVES_MAX][TH_WITNESS_LIVES_MAX];
};

th_witness *th_witness_new(bool is_traced)
{
    th_witness *witness = th_calloc(1, sizeof *witness);

    if (witness != NULL) {
        witness->is_traced = is_traced;
    }
    return witness;
}

th_witness *th_witness_free(th_witness *witness)
{
    if (witness != NULL) {
        th_buf_deinit(&witness->trace);
        th_buf_deinit(&witness->wrong);
    }
    return th_free(witness);
}

const char *th_witness_wrong(const th_witness *witness)
{
    return th_buf_text(&witness->wrong);
}

th_slice th_witness_trace(const th_witness *witness)
{
    return th_buf_slice(&witness->trace);
}

static void note(th_witness *witness, const char *what, uint64_t a, uint64_t b,
                 uint64_t c)
{
    if (witness->is_traced) {
        th_buf_putf(&witness->trace, "%s %llx %llx %llu\n", what, (unsigned long long)a,
                    (unsigned long long)b, (unsigned long long)c);
    }
}

/* The first complaint counts: those after it may follow from it. */
static void hold(th_witness *witness, bool holds, const char *what, th_pid a, th_pid b,
                 uint64_t number)
{
    if (!holds && witness->wrong.bytes == 0) {
        th_buf_putf(&witness->wrong, "%s: %llx, %llx, %llu", what,
                    (unsigned long long)a.bits, (unsigned long long)b.bits,
                    (unsigned long long)number);
    }
}

/* --- Lives ------------------------------------------------------------------------ */

static uint32_t index_of(const th_witness *witness, th_pid pid)
{
    uint32_t slot = th_pid_slot(pid);
    uint32_t at = slot < SLOTS ? witness->newest[slot] : 0;

    if (at != 0 && th_pid_eq(witness->lives[at - 1].pid, pid)) {
        return at - 1;
    }
    for (at = witness->lives_count; at > 0; at--) { /* an older life of the slot */
        if (th_pid_eq(witness->lives[at - 1].pid, pid)) {
            return at - 1;
        }
    }
    return NOBODY;
}

/* Who must be known: the workload tells of each birth before anything else. */
static life *life_of(const th_witness *witness, th_pid pid)
{
    uint32_t at = index_of(witness, pid);

    th_assert(at != NOBODY);
    return (life *)&witness->lives[at];
}

static pair *pair_of(const th_witness *witness, th_pid a, th_pid b)
{
    uint32_t first = index_of(witness, a), second = index_of(witness, b);

    th_assert(first != NOBODY && second != NOBODY);
    return (pair *)&witness->pairs[first][second];
}

void th_witness_born(th_witness *witness, th_pid pid)
{
    th_assert(witness->lives_count < TH_WITNESS_LIVES_MAX);
    note(witness, "born", pid.bits, 0, 0);
    hold(witness, index_of(witness, pid) == NOBODY, "a pid was given twice", pid, pid,
         0);
    witness->lives[witness->lives_count++].pid = pid;
    if (th_pid_slot(pid) < SLOTS) {
        witness->newest[th_pid_slot(pid)] = witness->lives_count;
    }
}

void th_witness_gone(th_witness *witness, th_pid pid, const th_exit *how)
{
    life *one = life_of(witness, pid);

    note(witness, "gone", pid.bits, 0,
         how == NULL ? 0 : (uint64_t)(int64_t)how->reason);
    hold(witness, !one->is_gone, "a process ended twice", pid, pid, 0);
    one->is_gone = true;
    one->reason = how == NULL ? TH_OK : how->reason;
    one->has_failed =
        how != NULL && (how->end == TH_END_CRASH || how->end == TH_END_KILL);
    for (uint32_t i = 0; i < witness->requests_count; i++) {
        if (th_pid_eq(witness->lives[witness->requests[i].owner].pid, pid)) {
            witness->requests[i].state = REQUEST_CLOSED;
        }
    }
}

bool th_witness_is_gone(const th_witness *witness, th_pid pid)
{
    return life_of(witness, pid)->is_gone;
}

unsigned th_witness_lives(const th_witness *witness)
{
    return witness->lives_count;
}

th_pid th_witness_life(const th_witness *witness, unsigned index)
{
    th_assert(index < witness->lives_count);
    return witness->lives[index].pid;
}

/* --- Messages --------------------------------------------------------------------- */

uint32_t th_witness_next(const th_witness *witness, th_pid from, th_pid to)
{
    return pair_of(witness, from, to)->sent;
}

void th_witness_sent(th_witness *witness, th_pid from, th_pid to)
{
    pair *between = pair_of(witness, from, to);

    note(witness, "sent", from.bits, to.bits, between->sent);
    hold(witness, !th_witness_is_gone(witness, to),
         "a send to a dead process was taken", from, to, between->sent);
    between->sent++;
}

void th_witness_got(th_witness *witness, th_pid from, th_pid to, uint32_t number)
{
    pair *between = pair_of(witness, from, to);

    note(witness, "got", from.bits, to.bits, number);
    hold(witness, number == between->got, "a message is lost, doubled or out of order",
         from, to, number);
    hold(witness, number < between->sent, "a message was not sent", from, to, number);
    between->got = number + 1;
}

void th_witness_sending(th_witness *witness, th_pid from, th_pid to)
{
    pair *between = pair_of(witness, from, to);

    note(witness, "sending", from.bits, to.bits, between->sent);
    between->sent++;
    between->is_sending = true;
    between->was_late = th_witness_is_gone(witness, to);
}

void th_witness_did_send(th_witness *witness, th_pid from, th_pid to, bool is_taken)
{
    pair *between = pair_of(witness, from, to);

    note(witness, "did send", from.bits, to.bits, is_taken);
    hold(witness, between->is_sending, "a send ended that never began", from, to, 0);
    hold(witness, !is_taken || !between->was_late, "a send to a dead process was taken",
         from, to, between->sent - 1);
    between->is_sending = false;
    if (!is_taken) {
        between->sent--;
        hold(witness, between->got <= between->sent, "what was refused arrived", from,
             to, between->sent);
    }
}

/* --- Requests --------------------------------------------------------------------- */

uint32_t th_witness_ask(th_witness *witness, th_pid pid)
{
    uint32_t number = witness->requests_count++;

    th_assert(number < TH_WITNESS_REQUESTS_MAX);
    note(witness, "ask", pid.bits, 0, number);
    witness->requests[number] = (request){index_of(witness, pid), REQUEST_OPEN};
    return number;
}

void th_witness_unask(th_witness *witness, uint32_t number)
{
    note(witness, "unask", 0, 0, number);
    witness->requests[number].state = REQUEST_CLOSED;
}

void th_witness_reply(th_witness *witness, th_pid pid, uint32_t number, th_err reason,
                      uint32_t said)
{
    request *asked = &witness->requests[number];

    note(witness, "reply", pid.bits, (uint64_t)(int64_t)reason, number);
    hold(witness, number < witness->requests_count, "no such request", pid, pid,
         number);
    hold(witness, asked->owner == index_of(witness, pid),
         "a reply went to another process", pid, witness->lives[asked->owner].pid,
         number);
    hold(witness, asked->state == REQUEST_OPEN, "a request ended twice", pid, pid,
         number);
    hold(witness, reason != TH_OK || said == number, "a response to another request",
         pid, pid, number);
    asked->state = REQUEST_CLOSED;
}

/* --- Ties ------------------------------------------------------------------------- */

void th_witness_monitor(th_witness *witness, th_pid pid, th_pid target, th_err err)
{
    pair *tie = pair_of(witness, pid, target);

    note(witness, "monitor", pid.bits, target.bits, (uint64_t)err);
    hold(witness,
         (err == TH_NOT_FOUND) == th_witness_is_gone(witness, target) ||
             err == TH_QUOTA,
         "a monitor of a dead process, or none of a living one", pid, target, 0);
    hold(witness, err != TH_EXISTS || tie->monitor != MONITOR_NONE,
         "a monitor exists that nobody set", pid, target, 0);
    if (err == TH_OK) {
        hold(witness, tie->monitor != MONITOR_SET, "a second monitor", pid, target, 0);
        tie->monitor = MONITOR_SET;
    }
}

void th_witness_unmonitor(th_witness *witness, th_pid pid, th_pid target)
{
    note(witness, "unmonitor", pid.bits, target.bits, 0);
    if (!th_witness_is_gone(witness, target)) { /* else it comes too late */
        pair_of(witness, pid, target)->monitor = MONITOR_NONE;
    }
}

void th_witness_did_monitor(th_witness *witness, th_pid pid, th_pid target)
{
    pair *tie = pair_of(witness, pid, target);

    note(witness, "did monitor", pid.bits, target.bits, 0);
    hold(witness, tie->monitor != MONITOR_SET, "a second monitor", pid, target, 0);
    tie->monitor = MONITOR_SET;
}

void th_witness_unmonitoring(th_witness *witness, th_pid pid, th_pid target)
{
    note(witness, "unmonitoring", pid.bits, target.bits, 0);
    pair_of(witness, pid, target)->monitor = MONITOR_DOUBTFUL;
}

void th_witness_exit(th_witness *witness, th_pid pid, th_pid target, th_err reason)
{
    pair *tie = pair_of(witness, pid, target);
    const life *ended = life_of(witness, target);

    note(witness, "exit", pid.bits, target.bits, (uint64_t)(int64_t)reason);
    hold(witness, ended->is_gone, "an EXIT of a living process", pid, target, 0);
    hold(witness, tie->monitor != MONITOR_NONE,
         "an EXIT that nobody waits for, or a "
         "second one",
         pid, target, 0);
    hold(witness, ended->reason == reason, "an EXIT with another reason", pid, target,
         (uint64_t)(int64_t)reason);
    tie->monitor = MONITOR_NONE;
}

void th_witness_did_exit(th_witness *witness, th_pid pid, th_pid target,
                         bool has_failed)
{
    th_err reason = life_of(witness, target)->reason;

    hold(witness, (reason != TH_OK) == has_failed, "an EXIT with another reason", pid,
         target, has_failed);
    th_witness_exit(witness, pid, target, reason);
}

static pair *link_between(const th_witness *witness, th_pid a, th_pid b)
{
    bool is_older = index_of(witness, a) < index_of(witness, b);

    return is_older ? pair_of(witness, a, b) : pair_of(witness, b, a);
}

void th_witness_link(th_witness *witness, th_pid pid, th_pid target)
{
    pair *tie = link_between(witness, pid, target);

    note(witness, "link", pid.bits, target.bits, 0);
    if (tie->link == LINK_NONE || tie->link == LINK_TRIED) {
        tie->link = LINK_SET;
    }
}

void th_witness_linking(th_witness *witness, th_pid pid, th_pid target)
{
    pair *tie = link_between(witness, pid, target);

    note(witness, "linking", pid.bits, target.bits, 0);
    if (tie->link == LINK_NONE) {
        tie->link = LINK_TRIED;
    }
}

void th_witness_unlink(th_witness *witness, th_pid pid, th_pid target)
{
    pair *tie = link_between(witness, pid, target);

    note(witness, "unlink", pid.bits, target.bits, 0);
    if (tie->link != LINK_NONE) {
        tie->link = LINK_UNDONE;
    }
}

void th_witness_down(th_witness *witness, th_pid pid, th_pid target)
{
    const life *ended = life_of(witness, target);
    pair *own = pair_of(witness, pid, target);

    note(witness, "down", pid.bits, target.bits, 0);
    hold(witness, ended->has_failed, "a LINK_DOWN of a process that did not fail", pid,
         target, 0);
    hold(witness, link_between(witness, pid, target)->link != LINK_NONE,
         "a LINK_DOWN without a link", pid, target, 0);
    hold(witness, !own->is_told, "a second LINK_DOWN", pid, target, 0);
    own->is_told = true;
}

/* --- Names ------------------------------------------------------------------------ */

void th_witness_named(th_witness *witness, th_pid pid)
{
    note(witness, "named", pid.bits, 0, 0);
    hold(witness, !th_witness_is_gone(witness, pid), "a name of a dead process", pid,
         pid, 0);
}

/* --- The end ---------------------------------------------------------------------- */

static void settle_link(th_witness *witness, uint32_t older, uint32_t newer)
{
    const life *a = &witness->lives[older], *b = &witness->lives[newer];

    if (witness->pairs[older][newer].link != LINK_SET) {
        return;
    }
    hold(witness,
         !(a->is_gone && a->has_failed) || b->is_gone ||
             witness->pairs[newer][older].is_told,
         "a linked process failed, and the other knows nothing", a->pid, b->pid, 0);
    hold(witness,
         !(b->is_gone && b->has_failed) || a->is_gone ||
             witness->pairs[older][newer].is_told,
         "a linked process failed, and the other knows nothing", b->pid, a->pid, 0);
}

static void settle_pair(th_witness *witness, uint32_t first, uint32_t second)
{
    const life *a = &witness->lives[first], *b = &witness->lives[second];
    const pair *between = &witness->pairs[first][second];

    hold(witness,
         b->is_gone || between->got == between->sent ||
             (between->is_sending && between->got + 1 == between->sent),
         "messages never arrived", a->pid, b->pid, between->sent - between->got);
    hold(witness, a->is_gone || !b->is_gone || between->monitor != MONITOR_SET,
         "a monitored process ended, and no EXIT came", a->pid, b->pid, 0);
    if (first < second) {
        settle_link(witness, first, second);
    }
}

void th_witness_settle(th_witness *witness)
{
    for (uint32_t i = 0; i < witness->requests_count; i++) {
        th_pid owner = witness->lives[witness->requests[i].owner].pid;

        hold(witness, witness->requests[i].state == REQUEST_CLOSED,
             "a request never ended", owner, owner, i);
    }
    for (uint32_t a = 0; a < witness->lives_count; a++) {
        for (uint32_t b = 0; b < witness->lives_count; b++) {
            settle_pair(witness, a, b);
        }
    }
}
