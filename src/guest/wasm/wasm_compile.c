#include "guest/wasm/wasm_compile.h"

#include <stdatomic.h>
#include <stdlib.h>

/*
 * Of two sides: who asked, and the thread, which writes the result and then says that
 * it is done. (Its memory is malloc's own: a job that is left to itself may stay until
 * the program ends.)
 */
typedef struct th_wasm_job {
    struct th_wasm_job *next; /* of the strays */
    th_world *world;
    const th_engine *engine;
    th_parker *parker; /* of who asked */
    th_thread *thread;
    uint8_t *component; /* a copy */
    size_t bytes;
    th_wbuf code, error;
    bool ok;
    _Atomic bool is_done;
} job;

static void job_free(job *of)
{
    if (of->thread != NULL) {
        th_world_thread_join(of->world, of->thread);
    }
    if (of->parker != NULL) {
        th_world_parker_free(of->world, of->parker);
    }
    free(of->component);
    free(of->code.ptr);
    free(of->error.ptr);
    free(of);
}

static job *job_new(const th_wasm_compiler *compiler, th_slice component)
{
    job *made = calloc(1, sizeof *made);
    uint8_t *copy = malloc(component.bytes + 1);

    if (made == NULL || copy == NULL) {
        free(made);
        free(copy);
        return NULL;
    }
    if (component.bytes > 0) {
        memcpy(copy, component.at, component.bytes);
    }
    made->world = compiler->world;
    made->engine = compiler->engine;
    made->component = copy;
    made->bytes = component.bytes;
    return made;
}

static void work(void *context)
{
    job *of = context;

    of->ok = th_compile(of->engine, of->component, of->bytes, &of->code, &of->error);
    atomic_store(&of->is_done, true);
    if (of->parker != NULL) {
        th_world_unpark(of->world, of->parker);
    }
}

static th_err begin(job *of)
{
    th_err err;

    if (of->world->is_simulated) {
        work(of);
        return TH_OK;
    }
    err = th_world_parker_new(of->world, &of->parker);
    return err == TH_OK ? th_world_thread_start(of->world, &of->thread, "thole-compile",
                                                work, of)
                        : err;
}

static bool wait(job *of, int64_t ns_max)
{
    th_mono due = {th_world_mono(of->world).ns + ns_max};

    while (!atomic_load(&of->is_done) && th_world_mono(of->world).ns < due.ns) {
        th_world_park(of->world, of->parker, due);
    }
    return atomic_load(&of->is_done);
}

static th_err give_up(th_wasm_compiler *compiler, job *of, th_buf *why)
{
    of->next = compiler->strays;
    compiler->strays = of;
    th_buf_putf(why,
                "to compile it takes more than the %g s that it may; its functions are "
                "too large: split them, and build it anew",
                (double)compiler->ns_max / (double)TH_S);
    return TH_INVALID;
}

th_err th_wasm_compile(th_wasm_compiler *compiler, th_slice component, th_wbuf *code,
                       th_buf *why)
{
    job *of = job_new(compiler, component);
    th_err err = of == NULL ? TH_QUOTA : begin(of);

    if (err == TH_OK && !wait(of, compiler->ns_max)) {
        return give_up(compiler, of, why);
    }
    if (err != TH_OK) {
        th_buf_puts(why, "there is not enough memory to compile it");
    } else if (of->ok) {
        *code = of->code;
        of->code.ptr = NULL;
    } else {
        th_buf_put(why, of->error.ptr, of->error.len);
        err = TH_INVALID;
    }
    if (of != NULL) {
        job_free(of);
    }
    return err;
}

bool th_wasm_compiler_is_busy(const th_wasm_compiler *compiler)
{
    for (const job *of = compiler->strays; of != NULL; of = of->next) {
        if (!atomic_load(&of->is_done)) {
            return true;
        }
    }
    return false;
}

bool th_wasm_compiler_deinit(th_wasm_compiler *compiler)
{
    bool is_idle = !th_wasm_compiler_is_busy(compiler);

    while (is_idle && compiler->strays != NULL) {
        job *of = compiler->strays;

        compiler->strays = of->next;
        job_free(of);
    }
    return is_idle;
}
