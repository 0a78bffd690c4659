/* Sends each request's body back to its source as a message on the topic "told". */
#include <thole.h>

void th_main(th_slice our)
{
    (void)our;
    for (;;) {
        th_message message = th_receive();

        th_send(&message.peer,
                &(th_request){.body = message.body, .metadata = message.metadata});
        th_message_free(&message);
    }
}
