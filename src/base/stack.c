#define _GNU_SOURCE

#include "base/stack.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define STACK_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define STACK_ASAN 1
#endif

#ifdef STACK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef STACK_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(STACK_ASAN) || defined(STACK_TSAN)
#define STACK_BYTES ((size_t)4 << 20)
#else
#define STACK_BYTES ((size_t)1 << 20)
#endif
#define GUARD_BYTES ((size_t)4096)

/* Two mappings each, of the 65,530 that Linux grants a program as it comes. */
#define STACKS_MAX 24000

/* Save the registers that a call keeps and the stack pointer, and load others. */
void th_stack_swap(void **save, void *load);

#if defined(__x86_64__)
__asm__(".text\n.globl th_stack_swap\n.hidden th_stack_swap\n"
        ".type th_stack_swap,@function\n"
        "th_stack_swap:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size th_stack_swap,.-th_stack_swap\n");
#define FRAME_WORDS 8 /* six registers, the entry, and 0 as the end of the calls */
#define FRAME_ENTRY 6
#elif defined(__aarch64__)
__asm__(".text\n.globl th_stack_swap\n.hidden th_stack_swap\n"
        ".type th_stack_swap,%function\n"
        "th_stack_swap:\n"
        "sub sp,sp,#160\n"
        "stp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\n"
        "stp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
        "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\n"
        "stp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
        "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
        "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\n"
        "ldp x25,x26,[sp,#48]\nldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
        "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\n"
        "ldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
        "add sp,sp,#160\nret\n"
        ".size th_stack_swap,.-th_stack_swap\n");
#define FRAME_WORDS 20
#define FRAME_ENTRY 11
#else
#error "stack.c: write the switch for this processor"
#endif

/* The sanitizers want to know the bounds of the stack that is left first. */
static void find_home(th_stack *home)
{
    memset(home, 0, sizeof *home);
#ifdef STACK_ASAN
    pthread_attr_t attributes;
    void *low;

    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &home->bytes);
    pthread_attr_destroy(&attributes);
    home->low = low;
#endif
#ifdef STACK_TSAN
    home->fiber = __tsan_get_current_fiber();
#endif
}

void th_stacks_init(th_stacks *stacks, void (*entry)(void))
{
    memset(stacks, 0, sizeof *stacks);
    find_home(&stacks->home);
    stacks->current = &stacks->home;
    stacks->entry = entry;
    stacks->made_max = STACKS_MAX;
}

static void unmake(th_stacks *stacks, th_stack *stack)
{
    munmap(stack->low - GUARD_BYTES, stack->bytes + GUARD_BYTES);
    th_free(stack);
    stacks->made--;
}

void th_stacks_deinit(th_stacks *stacks)
{
    th_assert(stacks->current == NULL || stacks->current == &stacks->home);
    while (stacks->pool != NULL) {
        th_stack *stack = stacks->pool;

        stacks->pool = stack->next;
        unmake(stacks, stack);
    }
    stacks->pooled = 0;
}

static th_stack *make(th_stacks *stacks)
{
    th_stack *stack;
    char *map;

    if (stacks->made == stacks->made_max) {
        return NULL;
    }
    stack = th_calloc(1, sizeof *stack);
    if (stack == NULL) {
        return NULL;
    }
    map = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return th_free(stack);
    }
    if (mprotect(map, GUARD_BYTES, PROT_NONE) != 0) {
        munmap(map, STACK_BYTES + GUARD_BYTES);
        return th_free(stack);
    }
    stack->low = map + GUARD_BYTES;
    stack->bytes = STACK_BYTES;
    stacks->made++;
    return stack;
}

th_stack *th_stack_get(th_stacks *stacks)
{
    th_stack *stack = stacks->pool;
    void **frame;

    if (stack != NULL) {
        stacks->pool = stack->next;
        stacks->pooled--;
    } else {
        stack = make(stacks);
        if (stack == NULL) {
            return NULL;
        }
    }
    frame = (void **)(void *)(stack->low + stack->bytes) - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[FRAME_ENTRY] = (void *)(uintptr_t)stacks->entry;
    stack->sp = frame;
#ifdef STACK_TSAN
    stack->fiber = __tsan_create_fiber(0);
#endif
    return stack;
}

void th_stack_put(th_stacks *stacks, th_stack *stack)
{
#ifdef STACK_ASAN
    __asan_unpoison_memory_region(stack->low, stack->bytes);
    stack->fake = NULL;
#endif
#ifdef STACK_TSAN
    __tsan_destroy_fiber(stack->fiber);
#endif
    if (stacks->pooled == TH_STACKS_POOLED_MAX) {
        unmake(stacks, stack);
        return;
    }
    stack->next = stacks->pool;
    stacks->pool = stack;
    stacks->pooled++;
}

void th_stack_arrived(th_stacks *stacks)
{
#ifdef STACK_ASAN
    __sanitizer_finish_switch_fiber(stacks->current->fake, NULL, NULL);
#endif
    if (stacks->leaving != NULL) {
        th_stack_put(stacks, stacks->leaving);
        stacks->leaving = NULL;
    }
}

void th_stack_switch(th_stacks *stacks, th_stack *to, bool for_ever)
{
    th_stack *from = stacks->current;

    stacks->current = to;
    if (for_ever) {
        th_assert(from != &stacks->home);
        stacks->leaving = from;
    }
#ifdef STACK_ASAN
    __sanitizer_start_switch_fiber(for_ever ? NULL : &from->fake, to->low, to->bytes);
#endif
#ifdef STACK_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    th_stack_swap(&from->sp, to->sp);
    th_stack_arrived(stacks);
}
