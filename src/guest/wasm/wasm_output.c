#include "guest/wasm/wasm_owner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * What a process prints, on its way to its log and the terminal.
 */

#define PIECE_BYTES_MAX ((size_t)64 << 10) /* of one print */
#define LINE_BYTES_MAX 4096                /* of standard output and error */
#define WORDS_BYTES_MAX 1024               /* of our own words */

void th_wasm_print(th_wasm_process *self, th_output kind, th_slice text)
{
    while (text.bytes > PIECE_BYTES_MAX) {
        size_t end = PIECE_BYTES_MAX;

        while (end > 0 && text.at[end - 1] != '\n') {
            end--;
        }
        end = end == 0 ? PIECE_BYTES_MAX : end;
        th_process_output(self->process, kind, th_slice_of(text.at, end));
        text = th_slice_from(text, end);
    }
    th_process_output(self->process, kind, text);
}

static void flush(th_wasm_process *self, th_buf *line)
{
    th_process_output(self->process, TH_OUTPUT_LOG, th_buf_slice(line));
    th_buf_clear(line);
}

/* Whole lines go out; what is longer than one may be does in pieces. */
void th_wasm_print_raw(void *env, int fd, const uint8_t *text, size_t bytes)
{
    th_wasm_process *self = env;
    th_buf *line = &self->lines[fd == 2];
    th_slice rest = th_slice_of(text, bytes);

    while (rest.bytes > 0) {
        size_t end = th_slice_find(rest, '\n');
        size_t room = LINE_BYTES_MAX - line->bytes;
        size_t n = end < room ? end : room;

        th_buf_put(line, rest.at, n);
        if (end <= room && end < rest.bytes) {
            flush(self, line);
            n++;
        } else if (line->bytes == LINE_BYTES_MAX) {
            flush(self, line);
        }
        if (line->failed) {
            th_buf_clear(line); /* no memory for it: the line is lost */
        }
        rest = th_slice_from(rest, n);
    }
}

void th_wasm_print_rest(th_wasm_process *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->lines[i].bytes > 0) {
            flush(self, &self->lines[i]);
        }
    }
}

void th_wasm_logf(th_wasm_process *self, const char *format, ...)
{
    char words[WORDS_BYTES_MAX];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (n > 0) {
        size_t bytes = (size_t)n < sizeof words ? (size_t)n : sizeof words - 1;

        th_process_output(self->process, TH_OUTPUT_LOG, th_slice_of(words, bytes));
    }
}

int th_wasm_trap(th_wbuf *trap, const char *format, ...)
{
    char words[WORDS_BYTES_MAX];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(words, sizeof words, format, args);
    va_end(args);
    trap->len = n < 0 ? 0 : (size_t)n < sizeof words ? (size_t)n : sizeof words - 1;
    trap->ptr = malloc(trap->len + 1);
    if (trap->ptr == NULL) {
        trap->len = 0;
    } else {
        memcpy(trap->ptr, words, trap->len);
    }
    return TH_W_TRAP;
}
