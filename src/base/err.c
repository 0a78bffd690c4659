#include "base/err.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const th_reason reasons[] = {
    {TH_OK, "ok", "", TH_WIT_TIMEOUT, 0, "it went well"},
#define TH_REASON(name, number, json, lua, wit, exit, text)                            \
    {TH_##name, json, lua, TH_WIT_##wit, exit, text},
#include "base/reasons.def"
#undef TH_REASON
};

#define REASONS (sizeof reasons / sizeof reasons[0])

const th_reason *th_reason_of(th_err err)
{
    for (size_t i = 0; i < REASONS; i++) {
        if (reasons[i].err == err) {
            return &reasons[i];
        }
    }
    th_assert_failed("a reason without a row", __FILE__, __LINE__);
}

const th_reason *th_reason_find(const char *name)
{
    for (size_t i = 0; i < REASONS; i++) {
        if (strcmp(reasons[i].name, name) == 0) {
            return &reasons[i];
        }
    }
    return NULL;
}

th_err th_fault(th_err err, const char *format, ...)
{
    char text[512];
    va_list args;

    th_assert(err < 0);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    th_log(ERROR, "fault", "reason=%s what=\"%s\"", th_reason_of(err)->name, text);
    return err;
}

_Noreturn void th_assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr,
            "thole: a bug stopped the node: %s does not hold at %s:%d\n"
            "thole: acknowledged data is safe on disk; please report this line\n",
            what, file, line);
    abort();
}
