/* Calls itself until the stack ends. */
#include <thole.h>

__attribute__((noinline)) static int deeper(volatile int *depth)
{
    if (++*depth < 0) {
        return 0;
    }
    return deeper(depth) + *depth;
}

void th_main(th_slice our)
{
    volatile int depth = 0;

    (void)our;
    th_print(0, th_decimal((uint64_t)deeper(&depth)));
}
