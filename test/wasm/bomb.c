/* Takes memory until there is none, says how many MiB it got, and takes one more. */
#include <thole.h>

void th_main(th_slice our)
{
    uint64_t n_mib = 0;

    (void)our;
    while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) {
        n_mib++;
    }
    th_print(0, th_decimal(n_mib));
    for (;;) {
        th_alloc(1 << 20);
    }
}
