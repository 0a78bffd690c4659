#include "base/test.h"
#include "kernel/internal.h"
#include "svc/both_sim.h"

#include <stdio.h>
#include <string.h>

/*
 * What the people of the simulation tell: lines become facts for the witness.
 */

both_sim both;

void both_wrong(const char *what, th_pid a, th_pid b, uint32_t number)
{
    if (both.wrong[0] == '\0') {
        snprintf(both.wrong, sizeof both.wrong, "%s: %llx, %llx, %u", what,
                 (unsigned long long)a.bits, (unsigned long long)b.bits, number);
    }
}

/* --- Texts ------------------------------------------------------------------------ */

th_slice both_word(th_slice *text)
{
    size_t bytes = th_slice_find(*text, ' ');
    th_slice word = th_slice_of(text->at, bytes);

    *text = th_slice_from(*text, bytes + (bytes < text->bytes));
    return word;
}

uint32_t both_number(th_slice text)
{
    uint32_t n = 0;

    for (size_t i = 0; i < text.bytes && text.at[i] >= '0' && text.at[i] <= '9'; i++) {
        n = n * 10 + (uint32_t)(text.at[i] - '0');
    }
    return n;
}

uint32_t both_said(th_slice text, uint32_t number)
{
    uint32_t first = both_number(text);

    while (text.bytes > 0) {
        size_t bytes = th_slice_find(text, '/');

        if (both_number(text) == number) {
            return number;
        }
        text = th_slice_from(text, bytes + (bytes < text.bytes));
    }
    return first;
}

/* --- People ----------------------------------------------------------------------- */

static unsigned search(th_pid pid)
{
    unsigned i = both.people_count;

    while (i > 0 && !th_pid_eq(both.people[i - 1].pid, pid)) {
        i--;
    }
    return i;
}

unsigned both_index(th_pid pid)
{
    unsigned i = search(pid);

    T_TRUE(i > 0);
    return i - 1;
}

static both_kind kind_of(const th_entry *entry)
{
    return (both_kind)(entry - both.entries);
}

unsigned both_know(const th_ident *who)
{
    unsigned i = search(who->pid);
    th_auto_buf text = TH_BUF_INIT;
    th_inspection seen;
    both_person *person;

    if (i > 0) {
        return i - 1;
    }
    th_witness_born(both.witness, who->pid);
    both.alive++;
    person = &both.people[both.people_count++];
    *person = (both_person){.pid = who->pid, .kind = kind_of(who->entry)};
    both.puppets += person->kind <= BOTH_YIELDS;
    if (th_kernel_inspect(both.kernel, who->pid, &seen) == TH_OK) {
        person->parent = seen.info.parent.pid;
        th_inspection_deinit(&seen);
    }
    th_kernel_address_text(both.kernel, who, &text);
    snprintf(person->address, sizeof person->address, "%s", th_buf_text(&text));
    return both.people_count - 1;
}

/* The unique part: {node@host|entry|UNIQUE} or node@UNIQUE:package:publisher. */
static th_slice unique_of(th_slice text)
{
    bool is_pid = text.bytes > 0 && text.at[0] == '{';
    size_t begin = 0, end;

    for (size_t i = 0; i < text.bytes; i++) {
        begin = text.at[i] == (is_pid ? '|' : '@') ? i + 1 : begin;
    }
    text = th_slice_from(text, begin);
    end = th_slice_find(text, is_pid ? '}' : ':');
    return th_slice_of(text.at, end);
}

bool both_find(th_slice text, unsigned *index)
{
    th_process *process;
    uint64_t boot;
    unsigned i;
    th_pid pid;

    if (th_unique_decode(&boot, &pid, unique_of(text)) != TH_OK) {
        both_wrong("no such text of a process", TH_PID_NONE, TH_PID_NONE, 0);
        return false;
    }
    i = search(pid);
    if (i > 0) {
        *index = i - 1;
        return true;
    }
    process = th_table_find(both.kernel, pid);
    if (process == NULL) { /* whoever ended is known */
        both_wrong("a process that nobody knows", pid, pid, 0);
        return false;
    }
    *index = both_know(&process->ident);
    return true;
}

/* --- Messages --------------------------------------------------------------------- */

/* Lua is not public, and Wasm, which is strict, of its package; puppets are free. */
bool both_may_send(unsigned from, unsigned to)
{
    const both_person *one = &both.people[from], *other = &both.people[to];

    return other->kind != BOTH_LUA || one->kind <= BOTH_YIELDS ||
           one->kind == BOTH_LUA || th_pid_eq(one->parent, other->pid) ||
           th_pid_eq(other->parent, one->pid);
}

void both_got(th_pid self, th_pid from, th_slice number)
{
    both_way *way = &both.ways[both_index(from)][both_index(self)];
    uint32_t n;

    if (!both_may_send(both_index(from), both_index(self))) {
        both_wrong("a message came without a right", from, self, 0);
    }
    if (number.bytes == 0 || number.at[0] != 'w') {
        th_witness_got(both.witness, from, self, both_number(number));
        return;
    }
    n = both_number(th_slice_from(number, 1));
    if (n < way->numbered) {
        both_wrong("a message is doubled or out of order", from, self, n);
    }
    way->numbered = n + 1;
}

/* Each way over one relay to one receiver is in order; another receiver begins anew. */
void both_relayed(th_pid self, th_pid by, th_slice rest)
{
    th_slice origin = both_word(&rest);
    uint32_t m = both_number(rest);
    both_way *way;
    unsigned from;

    if (!both_find(origin, &from)) {
        return;
    }
    way = &both.ways[from][both_index(by)];
    if (way->relayed_to == both_index(self) + 1 && m < way->relayed) {
        both_wrong("what was relayed is out of order", both.people[from].pid, self, m);
    }
    way->relayed_to = both_index(self) + 1;
    way->relayed = m + 1;
}

/* --- Lines ------------------------------------------------------------------------ */

typedef void teller(th_pid self, th_pid other, th_slice rest);

static void tell_got(th_pid self, th_pid other, th_slice rest)
{
    both_got(self, other, rest);
}

static void tell_relayed(th_pid self, th_pid other, th_slice rest)
{
    both_relayed(self, other, rest);
}

static void tell_sending(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_sending(both.witness, self, other);
}

static void tell_sent(th_pid self, th_pid other, th_slice rest)
{
    th_witness_did_send(both.witness, self, other, th_slice_is(rest, "1"));
}

/* A monitor that was made at birth comes before the child may have ended. */
static void tell_born(th_pid self, th_pid other, th_slice rest)
{
    for (size_t i = 0; i < rest.bytes; i++) {
        if (rest.at[i] == 'm') {
            th_witness_did_monitor(both.witness, self, other);
        } else if (rest.at[i] == 'l') {
            th_witness_link(both.witness, self, other);
        }
    }
}

static void tell_monitor(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_did_monitor(both.witness, self, other);
}

static void tell_unmonitoring(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_unmonitoring(both.witness, self, other);
}

static void tell_unmonitored(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_unmonitor(both.witness, self, other);
}

static void tell_linking(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_linking(both.witness, self, other);
}

static void tell_link(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_link(both.witness, self, other);
}

static void tell_unlinking(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_unlink(both.witness, self, other);
}

static void tell_exit(th_pid self, th_pid other, th_slice rest)
{
    th_witness_did_exit(both.witness, self, other, th_slice_is(rest, "1"));
}

static void tell_down(th_pid self, th_pid other, th_slice rest)
{
    (void)rest;
    th_witness_down(both.witness, self, other);
}

static const struct {
    const char *word;
    teller *tell;
} tellers[] = {
    {"got", tell_got},
    {"relayed", tell_relayed},
    {"sending", tell_sending},
    {"sent", tell_sent},
    {"born", tell_born},
    {"monitor", tell_monitor},
    {"unmonitoring", tell_unmonitoring},
    {"unmonitored", tell_unmonitored},
    {"linking", tell_linking},
    {"link", tell_link},
    {"unlinking", tell_unlinking},
    {"exit", tell_exit},
    {"down", tell_down},
};

/* "QUESTION 0|1 SAID": its end, that of the request which a command gave it. */
static void tell_reply(th_pid self, th_slice rest)
{
    uint32_t number = both_number(both_word(&rest));
    th_err reason = th_slice_is(both_word(&rest), "1") ? TH_OK : TH_TIMED_OUT;

    if (number != 999999) {
        th_witness_reply(both.witness, self, number, reason, both_said(rest, number));
    }
}

static void take_line(th_pid self, th_slice line)
{
    th_slice rest = th_slice_from(line, 1), word = both_word(&rest);
    unsigned other;

    if (th_slice_is(word, "show")) {
        return;
    }
    if (th_slice_is(word, "reply")) {
        tell_reply(self, rest);
        return;
    }
    if (th_slice_is(word, "unask")) {
        th_witness_unask(both.witness, both_number(rest));
        return;
    }
    for (size_t i = 0; i < sizeof tellers / sizeof *tellers; i++) {
        if (th_slice_is(word, tellers[i].word)) {
            if (both_find(both_word(&rest), &other)) {
                while (rest.bytes > 0 && rest.at[rest.bytes - 1] == ' ') {
                    rest.bytes--;
                }
                tellers[i].tell(self, both.people[other].pid, rest);
            }
            return;
        }
    }
    both_wrong("a process says that something is wrong", self, TH_PID_NONE, 0);
}

static void trace(const char *what, const th_ident *who, th_slice text)
{
    if (both.is_traced) {
        th_buf_putf(&both.trace, "%s %llx %.*s\n", what,
                    (unsigned long long)who->pid.bits, TH_FMT(text));
    }
}

void both_output(void *context, const th_ident *from, th_output kind, th_slice text)
{
    unsigned self = both_know(from);

    (void)context;
    trace(kind == TH_OUTPUT_PRINT ? "prints" : "logs", from, text);
    if (kind != TH_OUTPUT_PRINT) {
        return;
    }
    both.told[both.people[self].kind]++;
    while (text.bytes > 0) {
        size_t bytes = th_slice_find(text, '\n');

        if (text.at[0] == '@') {
            take_line(from->pid, th_slice_of(text.at, bytes));
        }
        text = th_slice_from(text, bytes + (bytes < text.bytes));
    }
}

void both_ended(void *context, const th_ended *what)
{
    th_slice error =
        what->exit == NULL ? TH_SLICE("no memory") : th_exit_error(what->exit);
    const th_ident *who = what->who;
    unsigned self = both_know(who);

    (void)context;
    trace("ends", who, error);
    both.alive--;
    both.puppets -= both.people[self].kind <= BOTH_YIELDS;
    th_witness_gone(both.witness, who->pid, what->exit);
}

/* --- The books -------------------------------------------------------------------- */

/* It pays for what its dead requests and replies hold until it collects them. */
static bool is_lua(const th_process *process)
{
    return strcmp(process->guest->name, "lua") == 0;
}

static bool check_books(void *context, const th_process_info *info)
{
    th_process *process = th_table_find(both.kernel, info->ident.pid);
    uint64_t held = 0;

    (void)context;
    TH_LIST_EACH(link, &process->held)
    {
        held++;
    }
    if (info->mailbox_count != held || process->requests_count != 0 ||
        (process->kept != 0 && !is_lua(process))) {
        both_wrong("a mailbox or a ledger is not empty", info->ident.pid, TH_PID_NONE,
                   0);
    }
    th_held_sweep(process, INT64_MAX);
    for (int i = 0; i < TH_SHARES; i++) {
        if (atomic_load(&process->mail) != (uint64_t)process->kept ||
            atomic_load(&process->shares[i]) != 0) {
            both_wrong("a mailbox is charged for nothing", info->ident.pid, TH_PID_NONE,
                       0);
        }
    }
    return true;
}

void both_check_books(void)
{
    th_kernel_each(both.kernel, check_books, NULL);
}
