/*
 * Sends 5,000 requests at one go to the address in the first message's body, then
 * answers.
 */
#include <thole.h>

#define N 5000

void th_main(th_slice our)
{
    th_outgoing *all = th_alloc(N * sizeof *all);
    th_message first = th_receive();
    th_address target;

    (void)our;
    if (!th_address_parse(first.body, &target)) {
        th_trap();
    }
    for (int i = 0; i < N; i++) {
        all[i] = (th_outgoing){.target = target,
                               .request = {.body = th_decimal((uint64_t)i)}};
    }
    th_send_all(all, N);
    th_respond(&(th_response){.body = th_str("sent")});
}
