#include "cli/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_colour_wanted(int fd)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fd) && (no == NULL || *no == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

bool th_say_has_colour(void)
{
    return is_colour_wanted(STDOUT_FILENO);
}

bool th_say_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

static bool write_all(int fd, th_slice text)
{
    while (text.bytes > 0) {
        ssize_t n = write(fd, text.at, text.bytes);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        text = th_slice_from(text, n < 0 ? 0 : (size_t)n);
    }
    return true;
}

int th_say_out(th_slice text)
{
    if (write_all(STDOUT_FILENO, text)) {
        return 0;
    }
    if (errno != EPIPE) {
        th_say_errorf(TH_FAILED, "standard output cannot be written: %s",
                      strerror(errno));
    }
    return 1;
}

static void put_line(th_buf *out, th_slice line, const char *colour)
{
    th_buf_putf(out, "%sthole:%s ", colour, *colour == '\0' ? "" : "\033[0m");
    for (size_t i = 0; i < line.bytes; i++) {
        unsigned char c = (unsigned char)line.at[i];

        th_buf_putc(out, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c);
    }
    th_buf_putc(out, '\n');
}

static void say(th_slice text, const char *colour)
{
    th_auto_buf out = TH_BUF_INIT;

    do {
        size_t line = th_slice_find(text, '\n');

        put_line(&out, th_slice_of(text.at, line), colour);
        text = th_slice_from(text, line + (line < text.bytes));
    } while (text.bytes > 0);
    (void)write_all(STDERR_FILENO, th_buf_slice(&out));
}

int th_say_error(th_err err, th_slice text)
{
    say(text.bytes == 0 ? th_slice_str(th_reason_of(err)->text) : text,
        is_colour_wanted(STDERR_FILENO) ? "\033[1;31m" : "");
    return th_reason_of(err)->exit_code;
}

int th_say_errorf(th_err err, const char *format, ...)
{
    th_auto_buf text = TH_BUF_INIT;
    va_list args;

    va_start(args, format);
    th_buf_putv(&text, format, args);
    va_end(args);
    return th_say_error(err, th_buf_slice(&text));
}

void th_say_note(th_slice text)
{
    say(text, "");
}
