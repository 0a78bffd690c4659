#include "cli/ask.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The table of `thole ps`: columns as wide as what stands in them, numbers to the
 * right.
 */
enum column {
    ADDRESS,
    ENTRY,
    HOST,
    STATE,
    MAILBOX,
    MEMORY,
    UPTIME,
    COLUMNS,
};

#define CELL_BYTES TH_ASK_CELL_BYTES /* of those that are made here */

typedef struct ps_row {
    th_slice cells[COLUMNS];
    char made[3][CELL_BYTES];
    char state[64];

    /* With --tree. */
    th_slice pid, parent_pid;
    unsigned depth;
    struct ps_row *parent, *oldest, *newest, *next; /* children, and the next of them */
} ps_row;

#define DEPTH_MAX 20 /* deeper ones stand as deep */

void th_ask_put_size(char out[CELL_BYTES], uint64_t bytes)
{
    static const char units[] = "BKMGT";
    unsigned unit = 0;
    double n = (double)bytes;

    while (n >= 1024 && unit < sizeof units - 2) {
        n /= 1024;
        unit++;
    }
    snprintf(out, CELL_BYTES, unit == 0 || n >= 100 ? "%.0f%c" : "%.1f%c", n,
             units[unit]);
}

void th_ask_put_time(char out[CELL_BYTES], uint64_t ms)
{
    unsigned long long s = ms / 1000;

    if (s < 60) {
        snprintf(out, CELL_BYTES, "%llu.%llus", s, (unsigned long long)ms % 1000 / 100);
    } else if (s < 3600) {
        snprintf(out, CELL_BYTES, "%llum%02llus", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(out, CELL_BYTES, "%lluh%02llum", s / 3600, s % 3600 / 60);
    } else {
        snprintf(out, CELL_BYTES, "%llud%02lluh", s / 86400, s % 86400 / 3600);
    }
}

static uint64_t number(const th_json *process, const char *key)
{
    uint64_t n = 0;

    th_json_u64(th_json_get(process, key), &n);
    return n;
}

/* "waiting", "waiting, 3 restarts", "backing off, next in 3 s" */
static void fill_state(ps_row *out, const th_json *process)
{
    uint64_t restarts = number(process, "restarts");
    th_slice state = out->cells[STATE];

    if (th_json_get(process, "next_ms") != NULL) {
        snprintf(out->state, sizeof out->state, "%.*s, next in %llu s",
                 state.bytes > 20 ? 20 : (int)state.bytes, state.at,
                 (unsigned long long)(number(process, "next_ms") + 999) / 1000);
    } else if (restarts > 0) {
        snprintf(out->state, sizeof out->state, "%.*s, %llu restart%s",
                 state.bytes > 20 ? 20 : (int)state.bytes, state.at,
                 (unsigned long long)restarts, restarts == 1 ? "" : "s");
    } else {
        return;
    }
    out->cells[STATE] = th_slice_str(out->state);
}

static void fill_row(ps_row *out, const th_json *process)
{
    static const char *const keys[] = {"address", "entry", "host", "state"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        out->cells[i] = TH_SLICE("?");
        th_json_text(th_json_get(process, keys[i]), &out->cells[i]);
    }
    fill_state(out, process);
    snprintf(out->made[0], CELL_BYTES, "%llu",
             (unsigned long long)number(process, "mailbox_count"));
    th_ask_put_size(out->made[1], number(process, "memory_bytes"));
    th_ask_put_time(out->made[2], number(process, "uptime_ms"));
    out->pid = out->parent_pid = TH_SLICE("");
    th_json_text(th_json_get(process, "pid"), &out->pid);
    th_json_text(th_json_get(process, "parent"), &out->parent_pid);
}

static void put_row(th_buf *out, const ps_row *row, const size_t widths[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        int width = (int)widths[i];

        if (i == ADDRESS && row->depth > 0) {
            th_buf_putf(out, "%*s", 2 * (int)row->depth, "");
            width -= 2 * (int)row->depth;
        }
        if (i >= MAILBOX) {
            th_buf_putf(out, "%*.*s", width, TH_FMT(row->cells[i]));
        } else {
            th_buf_putf(out, "%-*.*s", width, TH_FMT(row->cells[i]));
        }
        th_buf_puts(out, i + 1 == COLUMNS ? "" : "  ");
    }
}

/* --- The tree ----------------------------------------------------------------------- */

static int compare_pids(const void *a, const void *b)
{
    th_slice x = (*(const ps_row *const *)a)->pid, y = (*(const ps_row *const *)b)->pid;
    int order = memcmp(x.at, y.at, x.bytes < y.bytes ? x.bytes : y.bytes);

    return order != 0 ? order : (x.bytes > y.bytes) - (x.bytes < y.bytes);
}

static ps_row *find_pid(ps_row **sorted, size_t count, th_slice pid)
{
    ps_row key = {.pid = pid};
    const ps_row *at = &key;
    ps_row **found =
        pid.bytes == 0 ? NULL : bsearch(&at, sorted, count, sizeof at, compare_pids);

    return found == NULL ? NULL : *found;
}

/* Below each those that it spawned, in the listing's order. @root has the others. */
static void make_tree(ps_row *root, ps_row *rows, ps_row **sorted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &rows[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_pids);
    for (size_t i = 0; i < count; i++) {
        ps_row *parent = find_pid(sorted, count, rows[i].parent_pid);

        parent = parent == NULL || parent == &rows[i] ? root : parent;
        rows[i].parent = parent;
        *(parent->newest == NULL ? &parent->oldest : &parent->newest->next) = &rows[i];
        parent->newest = &rows[i];
    }
}

/* The row that stands behind @row in the tree of @root; NULL: it is the last. */
static ps_row *next_of(const ps_row *root, ps_row *row)
{
    if (row->oldest != NULL) {
        return row->oldest;
    }
    while (row != root && row->next == NULL) {
        row = row->parent;
    }
    return row == root ? NULL : row->next;
}

/* Put the rows behind the first into the order of the tree. False: memory ran out. */
static bool order_by_tree(ps_row *rows, size_t count)
{
    ps_row *copies = th_calloc(count + 1, sizeof *copies);
    ps_row **sorted = th_calloc(count + 1, sizeof(ps_row *));
    ps_row root = {0};
    bool is_done = copies != NULL && sorted != NULL;
    size_t n = 1;

    if (is_done) {
        memcpy(copies, &rows[1], count * sizeof *copies);
        make_tree(&root, copies, sorted, count);
        for (ps_row *row = root.oldest; row != NULL; row = next_of(&root, row)) {
            if (row->parent != &root) {
                row->depth = row->parent->depth + (row->parent->depth < DEPTH_MAX);
            }
            rows[n++] = *row;
        }
    }
    th_free(copies);
    th_free(sorted);
    return is_done;
}

/* A row's texts that were made stand in the row, which may have been moved. */
static void point_to_made(ps_row *row)
{
    for (size_t i = 0; i < 3; i++) {
        row->cells[MAILBOX + i] = th_slice_str(row->made[i]);
    }
}

void th_ask_put_table(th_buf *out, const th_json *answer, bool has_colour, bool is_tree)
{
    const th_json *processes = th_json_get(answer, "processes");
    size_t count = th_json_count(processes);
    ps_row *rows = th_calloc(count + 1, sizeof *rows);
    static const char *const heads[COLUMNS] = {"ADDRESS", "ENTRY",  "HOST",  "STATE",
                                               "MAILBOX", "MEMORY", "UPTIME"};
    size_t widths[COLUMNS] = {0};

    if (rows == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        rows[0].cells[i] = th_slice_str(heads[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fill_row(&rows[i + 1], th_json_at(processes, i));
    }
    if (is_tree && !order_by_tree(rows, count)) {
        out->failed = true;
    }
    for (size_t i = 1; i <= count; i++) {
        point_to_made(&rows[i]);
    }
    for (size_t i = 0; i < (count + 1) * COLUMNS; i++) {
        size_t bytes = rows[i / COLUMNS].cells[i % COLUMNS].bytes;

        bytes += i % COLUMNS == ADDRESS ? 2 * rows[i / COLUMNS].depth : 0;
        widths[i % COLUMNS] = bytes > widths[i % COLUMNS] ? bytes : widths[i % COLUMNS];
    }
    for (size_t i = 0; i <= count; i++) {
        bool is_bold = i == 0 && has_colour;

        th_buf_puts(out, is_bold ? "\033[1m" : "");
        put_row(out, &rows[i], widths);
        th_buf_puts(out, is_bold ? "\033[0m\n" : "\n");
    }
    th_free(rows);
}
