/*
 * Checkpoints: where a guest that runs on the shard's stack may be left.
 *
 * th_flag is a word of the thread, raised by the tick and by whoever wants the
 * running process to look up. Every loop in C that a guest can make long reads it:
 * no measurable cost. The patched Lua reads the same word.
 */
#ifndef TH_KERNEL_CHECKPOINT_H
#define TH_KERNEL_CHECKPOINT_H

extern __thread int th_flag __attribute__((tls_model("local-exec")));

/* Leave the C stack with the running process, if somebody waits; may not return. */
void th_preempt(void);

/*
 * Called instead while it is set: for guest code that runs outside any process (the
 * preparation of an image).
 */
extern __thread void (*th_preempt_hook)(void);

#ifndef th_checkpoint
#define th_checkpoint()                                                                \
    ((void)(__builtin_expect(__atomic_load_n(&th_flag, __ATOMIC_RELAXED), 0) &&        \
            (th_preempt(), 0)))
#endif

#endif
