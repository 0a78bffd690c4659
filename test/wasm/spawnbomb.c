/* Spawns the file in the first message's body until that is refused. */
#include <thole.h>

void th_main(th_slice our)
{
    th_message first = th_receive();
    uint64_t n = 0;
    th_process_id id;

    (void)our;
    while (th_spawn(&(th_spawn_options){.path = first.body}, &id) == TH_SPAWNED) {
        th_process_id_free(&id);
        n++;
    }
    th_respond(&(th_response){.body = th_decimal(n)});
}
