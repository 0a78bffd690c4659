#include "guest/lua/image.h"

#include "base/mem.h"
#include "guest/lua/image_work.h"
#include "kernel/checkpoint.h"

#include <lfunc.h> /* these five: to walk all objects of a state */
#include <lgc.h>
#include <lobject.h>
#include <lstate.h>
#include <ltable.h>

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TH_IMAGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TH_IMAGE_SANITIZED 1
#endif
#endif
#ifndef TH_IMAGE_SANITIZED
#define TH_IMAGE_SANITIZED 0
#endif

/*
 * The comparison is only as good as what it sees. Before it, everything that is dead
 * is zeroed: free blocks, stacks above their tops, spare call records, the values of
 * nil and booleans (which carry whatever a C stack held). While building, every new
 * block is zeroed. The two states lie at a distance that is no multiple of 256, so
 * that a pointer with one byte written over it betrays itself.
 */
#define STACK_BYTES ((size_t)1 << 20) /* gsub in gsub takes 425 KB of it */
#define GUARD_BYTES ((size_t)64 << 10)
#define DISTANCE_ODD 48
#define POINTER_MIN UINT64_C(0x10000)        /* less is a small number */
#define POINTER_MAX UINT64_C(0xffffffffffff) /* more is no address */
#define SEGMENTS_MAX 256

/* One of the two states. */
typedef struct build {
    const th_lua_plan *plan;
    uint32_t hash_seed;
    uint64_t checks_left;
    char *memory;
    char *stack; /* with the guard below */
    ucontext_t home;
    ucontext_t work;
    th_arena *arena;
    lua_State *L;
    unsigned id_max; /* the number of the last object that our setup made */
    size_t bytes;    /* in use, from the base on */
    bool *is_free;   /* of each unit of them */
    th_err err;
    th_buf *why;
} build;

static __thread build *building;

/* --- Hooks -------------------------------------------------------------------- */

bool th_image_is_building(void)
{
    return building != NULL;
}

static _Noreturn void leave(th_err err)
{
    building->err = err;
    (void)setcontext(&building->home);
    th_assert_failed("setcontext returned", __FILE__, __LINE__);
}

/* In the place of th_preempt: the flag stays up, so that each check counts. */
static void spend_check(void)
{
    __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
    if (building->checks_left == 0) {
        th_buf_puts(building->why, "its preparation takes too long");
        leave(TH_TIMED_OUT);
    }
    building->checks_left--;
}

void th_image_abandon(const char *what)
{
    th_assert(building != NULL);
    th_buf_putf(building->why, "its preparation calls %s, which needs a process", what);
    leave(TH_UNSUPPORTED);
}

/* --- What is dead is zeroed --------------------------------------------------- */

/* Nil and booleans have no value; what stands there came from a C stack. */
static void scrub_value(TValue *value)
{
    if (ttisnil(value) || ttisboolean(value)) {
        value->value_.gc = NULL;
    }
}

static void scrub_table(Table *table)
{
    unsigned int n = luaH_realasize(table);

    for (unsigned int i = 0; i < n; i++) {
        scrub_value(&table->array[i]);
    }
    if (table->lastfree == NULL) { /* the node that all empty tables share */
        return;
    }
    for (int i = 0; i < sizenode(table); i++) {
        Node *node = gnode(table, i);

        scrub_value(gval(node));
        if (keytt(node) == LUA_TNIL || keytt(node) == LUA_VFALSE ||
            keytt(node) == LUA_VTRUE || keytt(node) == LUA_TDEADKEY) {
            keyval(node).gc = NULL;
        }
    }
}

static void scrub_thread(lua_State *L)
{
    for (StkId slot = L->stack.p; slot < L->top.p; slot++) {
        scrub_value(s2v(slot));
    }
    memset(L->top.p, 0,
           (size_t)((char *)(L->stack_last.p + EXTRA_STACK) - (char *)L->top.p));
    for (CallInfo *spare = L->ci->next; spare != NULL; spare = spare->next) {
        CallInfo *previous = spare->previous;
        CallInfo *next = spare->next;

        memset(spare, 0, sizeof *spare);
        spare->previous = previous;
        spare->next = next;
    }
}

static void scrub_object(GCObject *object)
{
    switch (object->tt) {
    case LUA_VTABLE:
        scrub_table(gco2t(object));
        break;
    case LUA_VPROTO:
        for (int i = 0; i < gco2p(object)->sizek; i++) {
            scrub_value(&gco2p(object)->k[i]);
        }
        break;
    case LUA_VUPVAL:
        if (!upisopen(gco2upv(object))) {
            scrub_value(&gco2upv(object)->u.value);
        }
        break;
    case LUA_VCCL:
        for (int i = 0; i < gco2ccl(object)->nupvalues; i++) {
            scrub_value(&gco2ccl(object)->upvalue[i]);
        }
        break;
    case LUA_VUSERDATA:
        for (int i = 0; i < gco2u(object)->nuvalue; i++) {
            scrub_value(&gco2u(object)->uv[i].uv);
        }
        break;
    case LUA_VTHREAD:
        scrub_thread(gco2th(object));
        break;
    default: /* strings and functions of Lua hold no values of their own */
        break;
    }
}

/* Call @each for every object but the strings that are never collected. */
void th_image_each(lua_State *L, void (*each)(GCObject *object, void *context),
                   void *context)
{
    GCObject *lists[] = {G(L)->allgc, G(L)->finobj, G(L)->tobefnz};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (GCObject *object = lists[i]; object != NULL; object = object->next) {
            each(object, context);
        }
    }
}

static void scrub_each(GCObject *object, void *context)
{
    (void)context;
    scrub_object(object);
}

/* --- Building one half -------------------------------------------------------- */

/*
 * Numbers that were drawn would be the same in all copies. Nor can it be told
 * whether some were when the state they came from is gone.
 */
static bool has_drawn(th_arena *arena)
{
    th_arena_seeds *seeds = th_arena_seeds_of(arena);
    uint64_t dice = 0;

    if (seeds->dice_used > 0) {
        return true;
    }
    for (int i = 0; i < 4 && seeds->is_open; i++) {
        if (seeds->random[i] != th_arena_dice(&dice)) {
            return true;
        }
    }
    return false;
}

static th_err make_state(build *half)
{
    th_lua_birth birth = {.owner = NULL, .dice = 0, .hash_seed = half->hash_seed};
    th_err err;

    half->arena = th_arena_init_fixed(half->memory, TH_IMAGE_BYTES_MAX);
    err = th_lua_state_new(&half->L, half->arena, half->plan, &birth);
    if (err == TH_OK) {
        half->id_max = G(half->L)->lastid;
        err = th_lua_state_prepare(half->L, half->plan);
        if (err == TH_FAILED) {
            th_buf_puts(half->why, th_lua_state_text(half->L, -1));
            return err;
        }
    }
    if (err == TH_OK && has_drawn(half->arena)) {
        th_buf_puts(half->why, "its preparation draws random numbers");
        return TH_UNSUPPORTED;
    }
    if (err != TH_OK) {
        th_buf_puts(half->why,
                    err == TH_QUOTA ? "it is too large" : "its setup failed");
        return err;
    }
    lua_setallocf(half->L, th_arena_alloc, half->arena);
    th_image_each(half->L, scrub_each, NULL);
    half->bytes = th_arena_seal(half->arena, half->is_free);
    return TH_OK;
}

/* The first frame of the stack; returning from it goes home. */
static void work_main(void)
{
    building->err = make_state(building);
}

static th_err half_run(build *half)
{
    void (*hook)(void) = th_preempt_hook;

    th_assert(building == NULL);
    if (getcontext(&half->work) != 0) {
        return th_fault(TH_NOMEM, "the context of an image");
    }
    half->work.uc_stack.ss_sp = half->stack + GUARD_BYTES;
    half->work.uc_stack.ss_size = STACK_BYTES;
    half->work.uc_link = &half->home;
    makecontext(&half->work, work_main, 0);
    building = half;
    th_preempt_hook = spend_check;
    __atomic_store_n(&th_flag, 1, __ATOMIC_RELAXED);
    (void)swapcontext(&half->home, &half->work);
    /* The flag stays up: a look in vain is better than a tick that is lost. */
    th_preempt_hook = hook;
    building = NULL;
    return half->err;
}

/* --- Comparing the two -------------------------------------------------------- */

typedef struct segments {
    size_t n;
    uintptr_t from[SEGMENTS_MAX];
    uintptr_t to[SEGMENTS_MAX];
} segments;

static int segments_add(struct dl_phdr_info *object, size_t bytes, void *context)
{
    segments *all = context;

    (void)bytes;
    for (size_t i = 0; i < object->dlpi_phnum && all->n < SEGMENTS_MAX; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];

        if (header->p_type == PT_LOAD) {
            all->from[all->n] = object->dlpi_addr + header->p_vaddr;
            all->to[all->n] = all->from[all->n] + header->p_memsz;
            all->n++;
        }
    }
    return 0;
}

/* Whether memory is mapped at @word that is not the program's own or a library's. */
static bool is_outside(const segments *program, uint64_t word)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char ignored;

    if (word < POINTER_MIN || word > POINTER_MAX) {
        return false;
    }
    for (size_t i = 0; i < program->n; i++) {
        if (word >= program->from[i] && word < program->to[i]) {
            return false;
        }
    }
    return mincore((void *)(uintptr_t)(word & ~(uint64_t)(page - 1)), 1, &ignored) ==
               0 ||
           errno != ENOMEM;
}

/* What is known to be text or code cannot be a pointer, whatever it looks like. */
typedef struct plain {
    const char *base;
    bool is_plain[TH_IMAGE_WORDS_MAX];
} plain;

static void plain_add(plain *all, const void *at, size_t bytes)
{
    size_t first = (size_t)((const char *)at - all->base) / sizeof(uint64_t);
    size_t words = (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);

    memset(&all->is_plain[first], true, words);
}

static void plain_each(GCObject *object, void *context)
{
    if (object->tt == LUA_VSHRSTR || object->tt == LUA_VLNGSTR) {
        plain_add(context, getstr(gco2ts(object)), tsslen(gco2ts(object)) + 1);
    } else if (object->tt == LUA_VPROTO) {
        const Proto *proto = gco2p(object);

        plain_add(context, proto->code, (size_t)proto->sizecode * sizeof *proto->code);
        plain_add(context, proto->lineinfo, (size_t)proto->sizelineinfo);
    }
}

typedef struct comparison {
    segments program;
    plain plain;
    bool is_free[2][TH_IMAGE_UNITS_MAX]; /* of the two states: alike */
    th_image_packing packing;            /* of the first */
} comparison;

static th_err compare(comparison *all, const build *a, const build *b)
{
    const uint64_t *words_a = (const uint64_t *)(const void *)a->memory;
    const uint64_t *words_b = (const uint64_t *)(const void *)b->memory;
    uint64_t base = (uint64_t)(uintptr_t)a->memory;
    uint64_t distance = (uint64_t)(uintptr_t)b->memory - base;

    if (a->bytes != b->bytes ||
        memcmp(a->is_free, b->is_free, TH_IMAGE_UNITS_MAX) != 0) {
        th_buf_puts(a->why, "two preparations of it differ in size");
        return TH_UNSUPPORTED;
    }
    for (size_t i = 0; i < a->bytes / sizeof *words_a; i++) {
        uint64_t word = words_a[i];

        if (words_b[i] == word) {
            if (!all->plain.is_plain[i] && is_outside(&all->program, word)) {
                th_buf_putf(a->why, "it holds a pointer to elsewhere (word %zu)", i);
                return TH_UNSUPPORTED;
            }
        } else if (words_b[i] - word == distance && word - base <= a->bytes) {
            all->packing.moves[all->packing.n_moves++] = (uint16_t)i;
        } else {
            th_buf_putf(a->why, "two preparations of it differ (word %zu)", i);
            return TH_UNSUPPORTED;
        }
    }
    return TH_OK;
}

/* --- The image ---------------------------------------------------------------- */

th_image *th_image_free(th_image *image)
{
    if (image == NULL) {
        return NULL;
    }
    image->words = th_free(image->words);
    image->moves = th_free(image->moves);
    image->owners = th_free(image->owners);
    image->commons = th_commons_free(image->commons);
    return th_free(image);
}

/* Everything a build borrows from the machine, in one mapping. */
typedef struct site {
    char *memory[2];
    char *stack[2];
    comparison *comparison;
    char *mapped;
    size_t mapped_bytes;
} site;

static void site_close(site *place)
{
    if (place->mapped != NULL) {
        (void)munmap(place->mapped, place->mapped_bytes);
        place->mapped = NULL;
    }
}

/* The pages are zeroed by the system when they are first touched. */
static th_err site_open(site *place)
{
    size_t stack = GUARD_BYTES + STACK_BYTES;
    size_t memory = TH_IMAGE_BYTES_MAX + GUARD_BYTES;
    char *at;

    place->mapped_bytes = 2 * stack + 2 * memory + sizeof *place->comparison;
    at = mmap(NULL, place->mapped_bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return th_fault(TH_NOMEM, "memory to build an image");
    }
    place->mapped = at;
    place->stack[0] = at;
    place->stack[1] = at + stack;
    place->memory[0] = at + 2 * stack;
    place->memory[1] = place->memory[0] + memory + DISTANCE_ODD;
    place->comparison = (comparison *)(void *)(at + 2 * stack + 2 * memory);
    if (mprotect(place->stack[0], GUARD_BYTES, PROT_NONE) != 0 ||
        mprotect(place->stack[1], GUARD_BYTES, PROT_NONE) != 0) {
        site_close(place);
        return th_fault(TH_NOMEM, "guards of the stacks of an image");
    }
    return TH_OK;
}

static th_err build_both(th_image **out, build halves[2], comparison *all)
{
    th_err err = half_run(&halves[0]);

    if (err == TH_OK) {
        err = half_run(&halves[1]);
    }
    if (err != TH_OK) {
        return err;
    }
    all->plain.base = halves[0].memory;
    th_image_each(halves[0].L, plain_each, &all->plain);
    (void)dl_iterate_phdr(segments_add, &all->program);
    err = compare(all, &halves[0], &halves[1]);
    if (err != TH_OK) {
        return err;
    }
    all->packing.L = halves[0].L;
    all->packing.memory = halves[0].memory;
    all->packing.bytes = halves[0].bytes;
    all->packing.id_max = halves[0].id_max;
    all->packing.is_free = halves[0].is_free;
    all->packing.why = halves[0].why;
    return th_image_pack(out, &all->packing);
}

th_err th_image_build(th_image **out, const th_lua_plan *plan, uint32_t hash_seed,
                      uint64_t checks_max, th_buf *why)
{
    build halves[2];
    site place = {.mapped = NULL};
    th_err err;

    if (TH_IMAGE_SANITIZED) {
        th_buf_puts(why, "the program runs under a sanitizer");
        return TH_UNSUPPORTED;
    }
    err = site_open(&place);
    if (err != TH_OK) {
        return err;
    }
    for (int i = 0; i < 2; i++) {
        halves[i] = (build){.plan = plan,
                            .hash_seed = hash_seed,
                            .checks_left = checks_max,
                            .memory = place.memory[i],
                            .stack = place.stack[i],
                            .is_free = place.comparison->is_free[i],
                            .why = why};
    }
    err = build_both(out, halves, place.comparison);
    site_close(&place);
    return err;
}

th_err th_image_clone(th_arena **arena, lua_State **state, const th_image *image,
                      const th_lua_birth *birth, size_t bytes_max)
{
    th_arena *copy = NULL;
    th_arena_seeds *seeds;
    th_err err = th_arena_new_copy(&copy, &image->print, bytes_max);

    if (err != TH_OK) {
        return err;
    }
    seeds = th_arena_seeds_of(copy);
    seeds->dice = birth->dice;
    for (int i = 0; i < 4 && seeds->is_open; i++) {
        seeds->random[i] = th_arena_dice(&seeds->dice);
    }
    for (size_t i = 0; i < image->n_owners; i++) {
        ((th_lua **)(void *)copy)[image->owners[i]] = birth->owner;
    }
    *arena = copy;
    *state = (lua_State *)(void *)((char *)copy + image->state_at);
    return TH_OK;
}

size_t th_image_bytes(const th_image *image)
{
    return image->print.n_words * sizeof *image->words;
}

size_t th_image_moves(const th_image *image)
{
    return image->print.n_moves;
}
