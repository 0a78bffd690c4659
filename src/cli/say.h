/*
 * Say: what the command line tells people.
 *
 * Errors go to standard error, each line behind "thole: ". Colour and progress are
 * for terminals only, and NO_COLOR switches colour off. What comes from elsewhere
 * is cleaned: no control character reaches a terminal through here.
 *
 * Thread: main.
 */
#ifndef TH_CLI_SAY_H
#define TH_CLI_SAY_H

#include "base/bytes.h"

#include <stdbool.h>

/* Print the lines of @text, and return the exit code of @err. */
int th_say_error(th_err err, th_slice text);
int th_say_errorf(th_err err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line that is no error. */
void th_say_note(th_slice text);

/*
 * What was asked for, as it is. The exit code: 0, or 1 if it cannot be written; then an
 * error says why, unless its reader just went away.
 */
int th_say_out(th_slice text);

/* May standard output be coloured; is it a terminal? */
bool th_say_has_colour(void);
bool th_say_is_terminal(void);

#endif
