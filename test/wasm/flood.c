/* Sends one-way requests for ever to the address in the first message's body. */
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
        th_send(&target, &(th_request){.body = th_str("flood")});
    }
}
