#include "guest/lua/source.h"

#include "base/mem.h"
#include "base/slab.h"
#include "guest/lua/owner.h"

#define WEAK_MIN 64 /* weak holdings before the first look */

/* --- Holdings ----------------------------------------------------------------- */

void th_holding_add(th_lua *lua, th_holding *holding,
                    void (*release)(th_lua *lua, th_holding *holding))
{
    holding->number = ++lua->numbers;
    holding->is_weak = false;
    holding->release = release;
    th_list_push(&lua->holdings, &holding->link);
}

void th_holding_drop(th_lua *lua, th_holding *holding)
{
    if (holding->is_weak) {
        lua->weak_count--;
    }
    if (holding->number == lua->numbers) { /* small numbers are found fast */
        lua->numbers--;
    }
    th_list_remove(&holding->link);
    holding->release(lua, holding);
}

void th_holding_anchor(lua_State *L, th_holding *holding, bool weak)
{
    th_slot_table(L, weak ? TH_SLOT_WEAK : TH_SLOT_HELD, weak ? "v" : NULL);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, holding->number);
    lua_pop(L, 1);
}

void th_holding_push(lua_State *L, const th_holding *holding)
{
    th_slot_table(L, holding->is_weak ? TH_SLOT_WEAK : TH_SLOT_HELD,
                  holding->is_weak ? "v" : NULL);
    lua_rawgeti(L, -1, holding->number);
    lua_remove(L, -2);
}

static void count_weak(lua_State *L, th_lua *lua, th_holding *holding)
{
    if (!holding->is_weak) {
        holding->is_weak = true;
        lua->weak_count++;
    }
    if (lua->weak_count > (lua->weak_max == 0 ? WEAK_MIN : lua->weak_max)) {
        th_holding_collect(L, lua);
    }
}

void th_holding_anchor_weak(lua_State *L, th_lua *lua, th_holding *holding)
{
    th_holding_anchor(L, holding, true);
    count_weak(L, lua, holding);
}

void th_holding_collect(lua_State *L, th_lua *lua)
{
    TH_LIST_EACH(node, &lua->holdings)
    {
        th_holding *holding = th_container_of(node, th_holding, link);

        if (holding->is_weak) {
            bool is_garbage;

            th_holding_push(L, holding);
            is_garbage = lua_isnil(L, -1);
            lua_pop(L, 1);
            if (is_garbage) {
                th_holding_drop(lua, holding);
            }
        }
    }
    lua->weak_max = lua->weak_count < WEAK_MIN ? WEAK_MIN * 2 : lua->weak_count * 2;
}

void th_holding_weaken(lua_State *L, th_lua *lua, th_holding *holding)
{
    th_holding_push(L, holding);
    th_holding_anchor(L, holding, true);
    th_slot_table(L, TH_SLOT_HELD, NULL);
    lua_pushnil(L);
    lua_rawseti(L, -2, holding->number);
    lua_pop(L, 2);
    count_weak(L, lua, holding);
}

/* --- Letters ------------------------------------------------------------------ */

void th_letter_init(th_lua *lua, th_letter *letter, th_letter_kind kind)
{
    letter->kind = kind;
    letter->topic = NULL;
    letter->is_embedded = letter->is_charged = false;
    letter->msg = NULL; /* the first of what can be in it, or all of it */
    th_list_init(&letter->queue);
    th_list_init(&letter->order);
    th_list_push(&lua->letters, &letter->held);
}

th_letter *th_letter_new(th_lua *lua, th_letter_kind kind)
{
    th_letter *letter = th_slab_new(sizeof *letter);

    if (letter != NULL) {
        th_letter_init(lua, letter, kind);
    }
    return letter;
}

void th_letter_free(th_lua *lua, th_letter *letter)
{
    if (letter == NULL) {
        return;
    }
    th_letter_discharge(lua, letter);
    th_list_remove(&letter->held);
    th_list_remove(&letter->queue);
    th_list_remove(&letter->order);
    switch (letter->kind) {
    case TH_LETTER_MSG:
        letter->msg = th_msg_unref(letter->msg);
        break;
    case TH_LETTER_EVENT:
        th_blob_unref(letter->event.from.name);
        th_exit_unref((th_exit *)letter->event.exit);
        th_free((char *)letter->event.text.at);
        break;
    case TH_LETTER_REPLY:
        if (letter->request != NULL) {
            th_request_free(lua->process, letter->request);
            letter->request = NULL;
        }
        break;
    case TH_LETTER_TIME:
        break;
    }
    if (!letter->is_embedded) {
        th_slab_free(letter, sizeof *letter);
    }
}

void th_letter_charge(th_lua *lua, th_letter *letter)
{
    if (letter->kind == TH_LETTER_MSG && !letter->is_charged) {
        letter->is_charged = true;
        th_process_keep(lua->process, letter->msg);
    }
}

void th_letter_discharge(th_lua *lua, th_letter *letter)
{
    if (letter->is_charged) {
        letter->is_charged = false;
        th_process_unkeep(lua->process, letter->msg);
    }
}

void th_letter_hold(th_lua *lua, th_letter *letter)
{
    th_letter *before = lua->in_hand;

    lua->in_hand = letter;
    if (before != letter) {
        th_letter_free(lua, before);
    }
}

/* --- Sources ------------------------------------------------------------------ */

void th_source_init(th_source *source, th_source_kind kind)
{
    memset(source, 0, sizeof *source);
    source->kind = kind;
    th_list_init(&source->letters);
    th_list_init(&source->waiters);
}

static th_waiter *oldest_waiter(th_source *source)
{
    return th_container_of(source->waiters.next, th_waiter, link);
}

void th_source_hand(th_lua *lua, th_source *source, th_msg *msg)
{
    th_waiter *waiter = oldest_waiter(source);

    waiter->task->msg = msg;
    th_task_serve(lua, waiter, true);
}

void th_source_put(th_lua *lua, th_source *source, th_letter *letter)
{
    if (!th_list_is_empty(&source->waiters)) {
        th_waiter *waiter = oldest_waiter(source);

        th_letter_discharge(lua, letter);
        waiter->task->letter = letter;
        th_task_serve(lua, waiter, true);
        return;
    }
    th_letter_charge(lua, letter);
    th_list_push(&source->letters, &letter->queue);
}

bool th_source_has_some(const th_lua *lua, const th_source *source)
{
    return !th_list_is_empty(&source->letters) ||
           (source->kind == TH_SOURCE_INBOX && !th_list_is_empty(&lua->unclaimed));
}

th_letter *th_source_take(th_lua *lua, th_source *source)
{
    th_list *node = th_list_pop(&source->letters);
    th_letter *letter;

    if (node != NULL) {
        letter = th_container_of(node, th_letter, queue);
    } else if (source->kind == TH_SOURCE_INBOX &&
               (node = th_list_pop(&lua->unclaimed)) != NULL) {
        letter = th_container_of(node, th_letter, order);
        th_list_remove(&letter->queue);
        th_mail_tidy(lua, letter->topic);
        letter->topic = NULL;
    } else {
        return NULL;
    }
    th_letter_discharge(lua, letter);
    return letter;
}

void th_source_close(th_lua *lua, th_source *source)
{
    source->is_closed = true;
    while (!th_list_is_empty(&source->waiters)) {
        th_task_serve(lua, oldest_waiter(source), false);
    }
}
