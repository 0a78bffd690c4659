/* Ends in a trap, three calls deep. */
#include <thole.h>

__attribute__((noinline)) static void innermost(void)
{
    th_trap();
}

__attribute__((noinline)) static void middle(void)
{
    innermost();
}

void th_main(th_slice our)
{
    (void)our;
    middle();
}
