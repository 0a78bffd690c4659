#include "cli/ask.h"

#include "base/mem.h"

#include <stdio.h>

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

#define CELL_BYTES 24 /* of those that are made here */

typedef struct ps_row {
    th_slice cells[COLUMNS];
    char made[3][CELL_BYTES];
} ps_row;

static void put_size(char out[CELL_BYTES], uint64_t bytes)
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

static void put_time(char out[CELL_BYTES], uint64_t ms)
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

static void fill_row(ps_row *out, const th_json *process)
{
    static const char *const keys[] = {"address", "entry", "host", "state"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        out->cells[i] = TH_SLICE("?");
        th_json_text(th_json_get(process, keys[i]), &out->cells[i]);
    }
    snprintf(out->made[0], CELL_BYTES, "%llu",
             (unsigned long long)number(process, "mailbox_count"));
    put_size(out->made[1], number(process, "memory_bytes"));
    put_time(out->made[2], number(process, "uptime_ms"));
    for (size_t i = 0; i < 3; i++) {
        out->cells[MAILBOX + i] = th_slice_str(out->made[i]);
    }
}

static void put_row(th_buf *out, const ps_row *row, const size_t widths[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        int width = (int)widths[i];

        if (i >= MAILBOX) {
            th_buf_putf(out, "%*.*s", width, TH_FMT(row->cells[i]));
        } else {
            th_buf_putf(out, "%-*.*s", width, TH_FMT(row->cells[i]));
        }
        th_buf_puts(out, i + 1 == COLUMNS ? "" : "  ");
    }
}

void th_ask_put_table(th_buf *out, const th_json *answer, bool has_colour)
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
    for (size_t i = 0; i < (count + 1) * COLUMNS; i++) {
        size_t bytes = rows[i / COLUMNS].cells[i % COLUMNS].bytes;

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
