#include "guest/lua/duration.h"

#include <stdio.h>

typedef struct unit {
    const char *name;
    int64_t ns;
} unit;

/* Longer names before those that they begin with. */
static const unit units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000},
    {"\xce\xbcs", 1000},
    {"ms", 1000000},
    {"s", INT64_C(1000000000)},
    {"m", INT64_C(60000000000)},
    {"h", INT64_C(3600000000000)},
};

static const unit *read_unit(th_slice *text)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (th_slice_starts(*text, units[i].name)) {
            *text = th_slice_from(*text, strlen(units[i].name));
            return &units[i];
        }
    }
    return NULL;
}

static bool is_digit(th_slice text)
{
    return text.bytes > 0 && text.at[0] >= '0' && text.at[0] <= '9';
}

/* One number with its unit; adds it to *sum. */
static bool read_part(int64_t *sum, th_slice *text)
{
    int64_t whole = 0, fraction = 0, scale = 1, part;
    bool any = false;
    const unit *one;

    for (; is_digit(*text); *text = th_slice_from(*text, 1), any = true) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, text->at[0] - '0', &whole)) {
            return false;
        }
    }
    if (text->bytes > 0 && text->at[0] == '.') {
        *text = th_slice_from(*text, 1);
        for (; is_digit(*text); *text = th_slice_from(*text, 1), any = true) {
            if (scale < INT64_C(1000000000000)) { /* what is finer has no effect */
                fraction = fraction * 10 + (text->at[0] - '0');
                scale *= 10;
            }
        }
    }
    one = read_unit(text);
    if (!any || one == NULL || __builtin_mul_overflow(whole, one->ns, &part)) {
        return false;
    }
    part += (int64_t)((double)fraction / (double)scale * (double)one->ns + 0.5);
    return part >= 0 && !__builtin_add_overflow(*sum, part, sum);
}

th_err th_duration_decode(int64_t *ns, th_slice text)
{
    bool is_negative = text.bytes > 0 && text.at[0] == '-';
    int64_t sum = 0;

    if (is_negative || (text.bytes > 0 && text.at[0] == '+')) {
        text = th_slice_from(text, 1);
    }
    if (text.bytes == 0) {
        return TH_INVALID;
    }
    while (text.bytes > 0 && !th_slice_is(text, "0")) {
        if (!read_part(&sum, &text)) {
            return TH_INVALID;
        }
    }
    *ns = is_negative ? -sum : sum;
    return TH_OK;
}

/* @n units of @ns as a decimal number without needless zeros. */
static size_t put_decimal(char *out, size_t room, uint64_t n, uint64_t ns,
                          const char *name)
{
    char digits[TH_DURATION_BYTES];
    int bytes = snprintf(digits, sizeof digits, "%.9f", (double)n / (double)ns);

    while (digits[bytes - 1] == '0') {
        bytes--;
    }
    if (digits[bytes - 1] == '.') {
        bytes--;
    }
    return (size_t)snprintf(out, room, "%.*s%s", bytes, digits, name);
}

size_t th_duration_encode(char out[TH_DURATION_BYTES], int64_t ns)
{
    uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    uint64_t hours = left / 3600000000000u, minutes = left / 60000000000u % 60;
    size_t n = 0;

    if (ns < 0) {
        out[n++] = '-';
    }
    if (left == 0) {
        return n + (size_t)snprintf(out + n, TH_DURATION_BYTES - n, "0s");
    }
    if (left < 1000) {
        return n + put_decimal(out + n, TH_DURATION_BYTES - n, left, 1, "ns");
    }
    if (left < 1000000) {
        return n + put_decimal(out + n, TH_DURATION_BYTES - n, left, 1000, "\xc2\xb5s");
    }
    if (left < 1000000000) {
        return n + put_decimal(out + n, TH_DURATION_BYTES - n, left, 1000000, "ms");
    }
    if (hours > 0) {
        n += (size_t)snprintf(out + n, TH_DURATION_BYTES - n, "%lluh",
                              (unsigned long long)hours);
    }
    if (hours > 0 || minutes > 0) {
        n += (size_t)snprintf(out + n, TH_DURATION_BYTES - n, "%llum",
                              (unsigned long long)minutes);
    }
    return n + put_decimal(out + n, TH_DURATION_BYTES - n, left % 60000000000u,
                           1000000000u, "s");
}
