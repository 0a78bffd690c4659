/*
 * Sends "ping" to the address in the first message's body and waits for the answer,
 * for ever.
 */
#include <thole.h>

void th_main(th_slice our)
{
    th_message first = th_receive();
    th_address target;

    (void)our;
    if (!th_address_parse(first.body, &target)) {
        th_trap();
    }
    for (;;) {
        th_message answer = th_call(&target, &(th_request){.body = th_str("ping"),
                                                           .expects_response = true,
                                                           .timeout_s = 5});

        th_message_free(&answer);
    }
}
