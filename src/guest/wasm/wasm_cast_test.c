#include "guest/wasm/wasm_cast.h"

#include "base/test.h"

#include <stdio.h>

/* The bodies of wasm_cast.h. In a test's file, for only test programs have cmocka. */

th_wasm_cast cast;

/* --- Who asks, who tells, who is sent to ------------------------------------------------- */

static struct {
    const char *to;
    th_slice body;
    const char *blob; /* or NULL */
} next;

/* A moment later all is done that can be done by then; the deadlines are further on. */
static bool is_settled;

static void settle_soon(th_process *self)
{
    th_alarm *alarm;

    is_settled = false;
    T_EQ(th_alarm_set(self, (th_mono){th_process_now(self).ns + TH_S}, NULL, &alarm),
         TH_OK);
}

/* Is that all that came? */
static bool has_settled(th_process *self, th_delivery *in)
{
    if (in->type != TH_ITEM_TIMER) {
        return false;
    }
    th_alarm_drop(self, in->alarm);
    return is_settled = true;
}

static th_msg *make_next(void)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST, .body = next.body};
    th_msg *made;

    if (next.blob != NULL) {
        parts.blob = th_blob_new(th_slice_str(next.blob), th_slice_of(NULL, 0));
    }
    made = th_msg_new(&parts);
    th_blob_unref(parts.blob);
    return made;
}

static th_pid find(th_process *self, const char *name)
{
    th_id_error error;
    char text[128];
    th_pid pid;

    snprintf(text, sizeof text, "%s:test:local", name);
    T_EQ(th_process_resolve(self, th_slice_str(text), &pid, &error), TH_OK);
    return pid;
}

static void tell_it(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    if (in == NULL) {
        if (next.to != NULL) {
            T_EQ(th_process_send(self, find(self, next.to), make_next()), TH_OK);
        }
        settle_soon(self);
    } else {
        actor->is_over = has_settled(self, in);
    }
}

static void hear(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    const th_msg *answer = th_request_response(in->request);

    if (answer == NULL) {
        th_wasm_actor_say(actor, "asker: %s\n",
                          th_reason_of(th_request_reason(in->request))->name);
    } else {
        th_wasm_actor_say(actor, "asker: answer %.*s, blob %.*s, %zu capabilities\n",
                          TH_FMT(th_msg_body(answer)),
                          TH_FMT(th_blob_slice(answer->blob)),
                          th_caps_count(answer->caps));
    }
    th_request_free(self, in->request);
}

static void ask_it(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    th_ask ask = {.timeout_ns = 60 * (uint64_t)TH_S};
    th_request *request;
    th_msg *msg;

    if (in != NULL) {
        if (!has_settled(self, in)) {
            hear(self, actor, in);
        }
        return;
    }
    ask.to = find(self, next.to);
    msg = th_msg_ref(make_next());
    T_EQ(th_process_request(self, &ask, msg, &request), TH_OK);
    cast.lineage = msg->lineage;
    cast.request = msg->request;
    cast.asker = th_process_ident(self)->pid;
    th_msg_unref(msg);
    settle_soon(self);
}

/* Answers what it can. */
static void witness(th_process *self, th_wasm_actor *actor, th_delivery *in)
{
    th_msg_parts parts = {.kind = TH_MSG_RESPONSE, .body = TH_SLICE("answered")};
    th_msg *msg;

    if (in == NULL) {
        return;
    }
    msg = in->msg;
    cast.seen.was_sent = true;
    cast.seen.is_answerable = !th_pid_is_none(msg->requester);
    cast.seen.is_of_asker =
        cast.seen.is_answerable && th_pid_eq(msg->requester, cast.asker);
    cast.seen.has_lineage = cast.lineage != 0 && msg->lineage == cast.lineage;
    cast.seen.has_id = cast.seen.is_of_asker && msg->request == cast.request;
    th_wasm_actor_say(actor, "witness: %.*s, blob %.*s, %zu capabilities\n",
                      TH_FMT(th_msg_body(msg)), TH_FMT(th_blob_slice(msg->blob)),
                      th_caps_count(msg->caps));
    if (cast.seen.is_answerable) {
        T_EQ(th_process_respond(self, msg, th_msg_new(&parts)), TH_OK);
    }
    th_msg_unref(msg);
}

static void pass_time(const th_entry *how)
{
    ((th_wasm_actor *)how->program)->is_over = false;
    is_settled = false;
    th_wasm_stage_spawn(&cast.stage, how, NULL);
    for (uint64_t i = 0; i < cast.stage.steps_max && !is_settled; i++) {
        T_TRUE(th_kernel_step(cast.stage.kernel));
    }
    T_TRUE(is_settled);
}

static void say(const th_entry *how, const char *to, const char *body, const char *blob)
{
    next.to = to;
    next.body = th_slice_str(body);
    next.blob = blob;
    pass_time(how);
}

void th_wasm_tell(const char *to, const char *body, const char *blob)
{
    say(cast.tells, to, body, blob);
}

void th_wasm_ask(const char *to, const char *body, const char *blob)
{
    say(cast.asks, to, body, blob);
}

void th_wasm_pause(void)
{
    say(cast.tells, NULL, "", NULL);
}

/* --- The cast ------------------------------------------------------------------------------ */

th_pid th_wasm_cast_add(const char *name)
{
    return th_wasm_stage_spawn(&cast.stage, cast.play, name);
}

void th_wasm_cast_open_to_all(void)
{
    ((th_entry *)cast.play)->is_public = true;
}

void th_wasm_cast_open(uint32_t package_number)
{
    memset(&cast, 0, sizeof cast);
    th_wasm_stage_open(&cast.stage, 1, 1);
    cast.stage.package_number = package_number;
    cast.play = th_wasm_stage_guest(&cast.stage, "play");
    cast.asks = th_wasm_stage_actor(&cast.stage, "asks", ask_it);
    cast.tells = th_wasm_stage_actor(&cast.stage, "tells", tell_it);
    cast.witness =
        th_wasm_stage_spawn(&cast.stage,
                            th_wasm_stage_actor(&cast.stage, "witness", witness),
                            "witness");
    th_wasm_cast_add("b");
}

void th_wasm_cast_close(void)
{
    th_wasm_stage_close(&cast.stage);
}

bool th_wasm_cast_saw(const char *text)
{
    return th_wasm_stage_count(&cast.stage, text) > 0;
}
