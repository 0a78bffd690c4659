/*
 * The second half of making an image: what can be common goes to the commons, what is
 * idle nowhere, and the rest is what each copy gets.
 */
#include "guest/lua/image_work.h"

#include "base/mem.h"
#include "guest/lua/freeze.h"

#include <lstate.h> /* to find the ends of tables, and the owners */

/* --- Packing ------------------------------------------------------------------ */

/*
 * Half of what a preparation used may be idle: leave that out, for each copy pays, and
 * what is common.
 */
static void plan_packing(th_image_packing *to)
{
    size_t units = to->bytes / TH_ARENA_UNIT, copy = 0, common = 0;

    for (size_t i = 0; i < units; i++) {
        bool is_common = to->unit[i] == TH_UNIT_COMMON;

        to->packed[i] = (uint16_t)(is_common ? common : copy);
        common += is_common;
        copy += to->unit[i] == TH_UNIT_COPY;
    }
    to->unit[units] = TH_UNIT_COPY;
    to->packed[units] = (uint16_t)copy;
    to->copy_bytes = copy * TH_ARENA_UNIT;
    to->common_bytes = common * TH_ARENA_UNIT;
}

static bool is_common_at(const th_image_packing *to, size_t at)
{
    return to->unit[at / TH_ARENA_UNIT] == TH_UNIT_COMMON;
}

/* Where what stands @at, from the base of the half, comes to stand. */
static size_t packed_at(const th_image_packing *to, size_t at)
{
    return to->packed[at / TH_ARENA_UNIT] * TH_ARENA_UNIT + at % TH_ARENA_UNIT;
}

static char *placed_at(const th_image_packing *to, size_t at)
{
    char *base =
        is_common_at(to, at) ? to->image->commons->objects : (char *)to->image->words;

    return base + packed_at(to, at);
}

static size_t offset_of(const th_image_packing *to, const void *at)
{
    return (size_t)((const char *)at - to->memory);
}

static bool is_idle(const th_image_packing *to, size_t at)
{
    uint8_t unit = to->unit[at / TH_ARENA_UNIT];

    return at < to->bytes && (unit == TH_UNIT_FREE || unit == TH_UNIT_LEFT);
}

/*
 * A pointer to an end may stand where something idle begins: what was left of it
 * counts.
 */
static bool may_point_to(const th_image_packing *to, size_t at)
{
    return !is_idle(to, at) || (at % TH_ARENA_UNIT == 0 && at > 0 &&
                                !is_idle(to, at - 1) && !is_common_at(to, at - 1));
}

/* A pointer in a copy, counted from its base. */
static void pack_move(th_image_packing *to, uint64_t *placed, size_t target)
{
    size_t n = to->image->print.n_moves++;

    *placed = target;
    to->image->moves[n] = (uint16_t)(placed - to->image->words);
}

/* The pointer @word, by its place in the half; pointers of copies count from the base. */
static th_err pack_pointer(th_image_packing *to, size_t word)
{
    const uint64_t *words = (const uint64_t *)(const void *)to->memory;
    uint64_t *placed = (uint64_t *)(void *)placed_at(to, word * sizeof *words);
    size_t target = (size_t)(words[word] - (uint64_t)(uintptr_t)to->memory);

    if (words[word] == 0) {
        return TH_OK; /* what was common was taken out of a list */
    }
    if (!may_point_to(to, target)) {
        th_buf_putf(to->why, "it points to what is free (word %zu)", word);
        return TH_UNSUPPORTED;
    }
    if (is_common_at(to, target)) {
        *placed = (uint64_t)(uintptr_t)placed_at(to, target);
        return TH_OK;
    }
    th_assert(!is_common_at(to, word * sizeof *words)); /* or freeze.c chose wrongly */
    pack_move(to, placed, packed_at(to, target));
    return TH_OK;
}

static th_err pack_words(th_image_packing *to)
{
    const uint64_t *words = (const uint64_t *)(const void *)to->memory;

    for (size_t i = 0; i < to->bytes / sizeof *words; i++) {
        if (!is_idle(to, i * sizeof *words)) {
            *(uint64_t *)(void *)placed_at(to, i * sizeof *words) = words[i];
        }
    }
    for (size_t i = 0; i < to->n_moves; i++) {
        if (!is_idle(to, to->moves[i] * sizeof *words) && !to->is_end[to->moves[i]]) {
            th_err err = pack_pointer(to, to->moves[i]);

            if (err != TH_OK) {
                return err;
            }
        }
    }
    return TH_OK;
}

/* Where a table's free nodes end may be behind them, at another block's begin. */
static void find_end(GCObject *object, void *context)
{
    th_image_packing *to = context;

    if (object->tt == LUA_VTABLE && gco2t(object)->lastfree != NULL) {
        size_t at = offset_of(to, &gco2t(object)->lastfree);

        to->is_end[at / sizeof(uint64_t)] = true;
    }
}

static void pack_end(GCObject *object, void *context)
{
    th_image_packing *to = context;
    const Table *table = gco2t(object);
    size_t node, free_bytes;
    uint64_t *placed;

    if (object->tt != LUA_VTABLE || table->lastfree == NULL) {
        return;
    }
    node = offset_of(to, table->node);
    free_bytes = (size_t)((char *)table->lastfree - (char *)table->node);
    placed = (uint64_t *)(void *)placed_at(to, offset_of(to, &table->lastfree));
    if (is_common_at(to, node)) {
        *placed = (uint64_t)(uintptr_t)(placed_at(to, node) + free_bytes);
    } else {
        pack_move(to, placed, packed_at(to, node) + free_bytes);
    }
}

static void each_table(th_image_packing *to, const th_frozen *frozen,
                       void (*each)(GCObject *object, void *context))
{
    th_image_each(to->L, each, to);
    for (unsigned i = 0; i < frozen->tables_count; i++) {
        each(obj2gco(frozen->tables[i]), to);
    }
}

static void fill_commons(th_image_packing *to, const th_frozen *frozen)
{
    th_commons *commons = to->image->commons;

    for (unsigned i = 0; i < frozen->tables_count; i++) {
        th_commons_add_table(
            commons, (Table *)(void *)placed_at(to, offset_of(to, frozen->tables[i])));
    }
    for (size_t i = 0; i < frozen->strings_count; i++) {
        th_commons_add_string(commons, (TString *)(void *)placed_at(
                                           to, offset_of(to, frozen->strings[i])));
    }
    th_commons_close(commons);
}

/* --- The image ---------------------------------------------------------------- */

typedef struct owner_list {
    const th_image_packing *to;
    uint32_t *words; /* NULL while they are counted */
    size_t n;
} owner_list;

static void owner_each(GCObject *object, void *context)
{
    owner_list *list = context;

    if (object->tt == LUA_VTHREAD) {
        size_t at = offset_of(list->to, lua_getextraspace(gco2th(object)));

        if (list->words != NULL) {
            list->words[list->n] = (uint32_t)(packed_at(list->to, at) / 8);
        }
        list->n++;
    }
}

/* Everything an image is, with the packing planned. */
static th_err make_room(th_image_packing *to, const th_frozen *frozen)
{
    th_image *image = to->image;
    owner_list owners = {.to = to};

    th_image_each(to->L, owner_each, &owners);
    image->n_owners = owners.n;
    image->words = th_malloc(to->copy_bytes);
    image->moves = th_malloc(to->n_moves * sizeof *image->moves);
    image->owners = th_malloc(owners.n * sizeof *image->owners);
    if (image->words == NULL || image->moves == NULL || image->owners == NULL) {
        return th_fault(TH_NOMEM, "an image of %zu bytes", to->copy_bytes);
    }
    owners = (owner_list){.to = to, .words = image->owners};
    th_image_each(to->L, owner_each, &owners);
    return th_commons_new(&image->commons, to->common_bytes, frozen->strings_count);
}

static th_err fill(th_image_packing *to, const th_frozen *frozen)
{
    th_image *image = to->image;
    th_err err;

    G(to->L)->commons = image->commons;
    each_table(to, frozen, find_end);
    err = pack_words(to);
    if (err != TH_OK) {
        return err;
    }
    each_table(to, frozen, pack_end);
    fill_commons(to, frozen);
    image->state_at = packed_at(to, offset_of(to, to->L));
    image->print.words = image->words;
    image->print.moves = image->moves;
    image->print.n_words = to->copy_bytes / sizeof *image->words;
    return TH_OK;
}

th_err th_image_pack(th_image **out, th_image_packing *to)
{
    th_auto(th_image) image = th_calloc(1, sizeof *image);
    th_frozen frozen = {.tables_count = 0};
    th_err err;

    if (image == NULL) {
        return th_fault(TH_NOMEM, "an image");
    }
    to->image = image;
    for (size_t i = 0; i < to->bytes / TH_ARENA_UNIT; i++) {
        to->unit[i] = to->is_free[i] ? TH_UNIT_FREE : TH_UNIT_COPY;
    }
    err = th_freeze(&frozen, to->L, to->id_max, to->unit);
    if (err == TH_OK) {
        plan_packing(to);
        err = make_room(to, &frozen);
    }
    if (err == TH_OK) {
        err = fill(to, &frozen);
    }
    th_frozen_deinit(&frozen);
    if (err == TH_OK) {
        *out = th_take(&image);
    }
    return err;
}
