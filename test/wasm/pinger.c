/*
 * The first message's body is "COUNT ADDRESS": calls that one so often, one call after
 * the other, and answers the first message when it has. For the bench.
 */
#include <thole.h>

static size_t take_number(th_slice text, uint64_t *out)
{
    const char *at = text.ptr;
    size_t n = 0;

    *out = 0;
    for (; n < text.len && at[n] >= '0' && at[n] <= '9'; n++) {
        *out = *out * 10 + (uint64_t)(at[n] - '0');
    }
    return n;
}

void th_main(th_slice our)
{
    (void)our;
    for (;;) {
        th_message first = th_receive();
        uint64_t count;
        size_t digits = take_number(first.body, &count);
        th_slice rest = {(const char *)first.body.ptr + digits + 1,
                         first.body.len - digits - 1};
        th_address target;

        if (digits + 1 >= first.body.len || !th_address_parse(rest, &target)) {
            th_trap();
        }
        for (uint64_t i = 0; i < count; i++) {
            th_message answer = th_call(&target, &(th_request){.body = th_str("ping"),
                                                               .expects_response = true,
                                                               .timeout_s = 60});

            if (answer.kind != TH_RESPONSE) {
                th_trap();
            }
            th_message_free(&answer);
        }
        th_respond(&(th_response){.body = th_str("done")});
        th_message_free(&first);
    }
}
