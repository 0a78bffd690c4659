/* Never waits. */
#include <thole.h>

void th_main(th_slice our)
{
    (void)our;
    for (;;) {
        __asm__ volatile("");
    }
}
