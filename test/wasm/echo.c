/* Answers each request with its body, and with its blob if it has one. */
#include <thole.h>

void th_main(th_slice our)
{
    (void)our;
    for (;;) {
        th_message message = th_receive();

        if (message.kind == TH_REQUEST) {
            th_blob blob = {0};
            bool has_blob = th_get_blob(&blob);

            th_respond(
                &(th_response){.body = message.body, .blob = has_blob ? &blob : NULL});
            th_blob_free(&blob);
        }
        th_message_free(&message);
    }
}
