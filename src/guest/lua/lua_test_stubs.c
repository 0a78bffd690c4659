/*
 * What the patched Lua asks of the kernel, for test programs without a kernel: the
 * tick does nothing but call the hook, if a test or an image has set one.
 */
#include "kernel/checkpoint.h"

#include <stddef.h>

__thread int th_flag __attribute__((tls_model("local-exec")));
__thread void (*th_preempt_hook)(void);

void th_preempt(void)
{
    if (th_preempt_hook != NULL) {
        th_preempt_hook();
        return;
    }
    __atomic_store_n(&th_flag, 0, __ATOMIC_RELAXED);
}
