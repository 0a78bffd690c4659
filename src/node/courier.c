#include "node/courier.h"

#include "base/mem.h"
#include "guest/native/native.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct th_couriers {
    th_kernel *kernel;
    const th_host *host;
    th_native program;
    th_entry entry; /* not in the kernel's list: no guest can start one */
};

/* Held by the connection and by the process. */
struct th_courier {
    _Atomic uint32_t refs;
    th_kernel *kernel;
    th_pid pid;
    pthread_mutex_t lock;

    /* Under the lock. */
    th_list fresh; /* th_errand.link, not begun */
    unsigned open; /* fresh and asked */
    bool ended;    /* the connection is gone, or the process is */

    /* Thread: owner. */
    th_list asked; /* th_errand.link: their requests are open */
};

static void unref(th_courier *courier)
{
    if (atomic_fetch_sub(&courier->refs, 1) == 1) {
        pthread_mutex_destroy(&courier->lock);
        th_free(courier);
    }
}

/* --- Errands ---------------------------------------------------------------------- */

static void finish(th_courier *courier, th_errand *errand, th_err err,
                   const th_msg *answer)
{
    th_list *node;

    while ((node = th_list_pop(&errand->msgs)) != NULL) {
        th_msg_unref(th_msg_of(th_container_of(node, th_item, link)));
    }
    pthread_mutex_lock(&courier->lock);
    courier->open--;
    pthread_mutex_unlock(&courier->lock);
    errand->done(errand, err, answer);
}

static th_msg *next_msg(th_errand *errand)
{
    th_list *node = th_list_pop(&errand->msgs);

    return node == NULL ? NULL : th_msg_of(th_container_of(node, th_item, link));
}

static void ask(th_process *self, th_courier *courier, th_errand *errand)
{
    th_ask ask = {.to = errand->to, .timeout_ns = errand->timeout_ns, .tag = errand};
    th_msg *msg = next_msg(errand);
    th_request *request;
    th_err err = th_process_request(self, &ask, msg, &request);

    if (err != TH_OK) {
        th_msg_unref(msg);
        finish(courier, errand, err, NULL);
        return;
    }
    th_list_push(&courier->asked, &errand->link);
}

static void send(th_process *self, th_courier *courier, th_errand *errand)
{
    th_err err = TH_OK;
    th_msg *msg;

    while (err == TH_OK && (msg = next_msg(errand)) != NULL) {
        err = th_process_send(self, errand->to, msg);
        if (err != TH_OK) {
            th_msg_unref(msg);
        }
    }
    finish(courier, errand, err, NULL);
}

static th_errand *next_fresh(th_courier *courier)
{
    th_list *node;

    pthread_mutex_lock(&courier->lock);
    node = th_list_pop(&courier->fresh);
    pthread_mutex_unlock(&courier->lock);
    return node == NULL ? NULL : th_container_of(node, th_errand, link);
}

/* --- The process ------------------------------------------------------------------ */

/* Its argument is the courier's address: only the node itself can spawn this. */
static th_courier *courier_of(th_process *self)
{
    th_slice args = th_process_args(self);
    th_courier *courier;

    th_assert(args.bytes == sizeof courier);
    memcpy(&courier, args.at, sizeof courier);
    return courier;
}

static th_err begin(th_process *self, void *context, void **state, th_buf *why)
{
    (void)context;
    (void)why;
    *state = courier_of(self);
    return TH_OK;
}

static void woken(th_process *self, void *state)
{
    th_courier *courier = state;
    th_errand *errand;
    bool ended;

    while ((errand = next_fresh(courier)) != NULL) {
        if (errand->timeout_ns > 0) {
            ask(self, courier, errand);
        } else {
            send(self, courier, errand);
        }
    }
    pthread_mutex_lock(&courier->lock);
    ended = courier->ended;
    pthread_mutex_unlock(&courier->lock);
    if (ended) {
        th_native_return(self);
    }
}

static void deliver(th_process *self, void *state, const th_delivery *what)
{
    th_courier *courier = state;
    th_errand *errand;

    if (what->type != TH_ITEM_REPLY) {
        th_native_discard(self, what);
        return;
    }
    errand = th_request_tag(what->request);
    th_list_remove(&errand->link);
    finish(courier, errand, th_request_reason(what->request),
           th_request_response(what->request));
    th_request_free(self, what->request);
}

static void drop(th_process *self, void *state)
{
    th_courier *courier = courier_of(self);
    th_list *node;
    th_errand *errand;

    (void)state; /* it may end before it began */
    pthread_mutex_lock(&courier->lock);
    courier->ended = true;
    pthread_mutex_unlock(&courier->lock);
    while ((errand = next_fresh(courier)) != NULL) {
        finish(courier, errand, TH_CANCELED, NULL);
    }
    while ((node = th_list_pop(&courier->asked)) != NULL) {
        finish(courier, th_container_of(node, th_errand, link), TH_CANCELED, NULL);
    }
    unref(courier);
}

/* --- From outside ----------------------------------------------------------------- */

th_err th_couriers_new(th_couriers **out, th_kernel *kernel, const th_host *host)
{
    th_couriers *couriers = th_calloc(1, sizeof *couriers);

    if (couriers == NULL) {
        return TH_NOMEM;
    }
    couriers->kernel = kernel;
    couriers->host = host;
    couriers->program =
        (th_native){.init = begin, .deliver = deliver, .woken = woken, .drop = drop};
    couriers->entry = (th_entry){.id = TH_SLICE("system:control"),
                                 .is_public = true,
                                 .package = TH_SLICE("distro"),
                                 .publisher = TH_SLICE("sys"),
                                 .limits = th_limits_default,
                                 .guest = &th_guest_native,
                                 .program = &couriers->program};
    *out = couriers;
    return TH_OK;
}

th_couriers *th_couriers_free(th_couriers *couriers)
{
    return th_free(couriers);
}

static th_courier *make_courier(th_kernel *kernel)
{
    th_courier *courier = th_calloc(1, sizeof *courier);

    if (courier != NULL) {
        atomic_init(&courier->refs, 2);
        courier->kernel = kernel;
        pthread_mutex_init(&courier->lock, NULL);
        th_list_init(&courier->fresh);
        th_list_init(&courier->asked);
    }
    return courier;
}

th_err th_courier_start(th_couriers *couriers, th_courier **out, th_buf *why)
{
    th_courier *courier = make_courier(couriers->kernel);
    th_spawn spawn = {.entry = &couriers->entry,
                      .host = couriers->host,
                      .args = th_slice_of(&courier, sizeof courier)};
    th_ident ident;
    th_err err;

    if (courier == NULL) {
        th_buf_puts(why, "memory ran out");
        return TH_QUOTA;
    }
    err = th_kernel_spawn(couriers->kernel, &spawn, &ident, why);
    if (err != TH_OK) {
        unref(courier);
        unref(courier);
        return err;
    }
    courier->pid = ident.pid;
    th_blob_unref(ident.name);
    *out = courier;
    return TH_OK;
}

th_err th_courier_run(th_courier *courier, th_errand *errand)
{
    th_err err = TH_OK;

    pthread_mutex_lock(&courier->lock);
    if (courier->ended) {
        err = TH_CANCELED;
    } else if (courier->open == TH_COURIER_ERRANDS_MAX) {
        err = TH_QUOTA;
    } else {
        courier->open++;
        th_list_push(&courier->fresh, &errand->link);
    }
    pthread_mutex_unlock(&courier->lock);
    if (err == TH_OK) {
        th_kernel_poke(courier->kernel, courier->pid);
    }
    return err;
}

void th_courier_end(th_courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    courier->ended = true;
    pthread_mutex_unlock(&courier->lock);
    th_kernel_poke(courier->kernel, courier->pid);
    unref(courier);
}
