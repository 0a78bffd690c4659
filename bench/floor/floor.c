/*
 * thole-floor: what the Wasm engine alone takes, without a kernel.
 *
 *     thole-floor spawn COUNT       COUNT guests to their first receive, and one call each
 *     thole-floor pingpong COUNT    COUNT calls from one guest to another
 *
 * The guests are those that thole-bench runs, from the folder that THOLE_GUESTS names.
 * It prints figures as thole-bench does.
 */
#include <th_engine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One instance, and what was put before it. */
typedef struct side {
    th_instance *instance;
    struct side *peer; /* who is called, and who is answered */
    th_wbuf request, response;
    bool has_request, has_response;
    bool waits_for_response;
    bool is_answered; /* it answered with nobody to be told */
} side;

static _Noreturn void fail(const char *what, th_wbuf *why)
{
    fprintf(stderr, "thole-floor: %s%s%.*s\n", what, why == NULL ? "" : ": ",
            why == NULL ? 0 : (int)why->len, why == NULL ? "" : (const char *)why->ptr);
    exit(1);
}

static th_wbuf text(const char *from)
{
    return (th_wbuf){(uint8_t *)strdup(from), strlen(from)};
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static unsigned long long resident_bytes(void)
{
    unsigned long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%llu %llu", &all, &resident) != 2) {
        fail("/proc/self/statm cannot be read", NULL);
    }
    fclose(file);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

/* --- The host ------------------------------------------------------------------- */

/* Hand a message to the guest, if there is one. */
static int hand_over(side *me, th_wcall *reply)
{
    bool *has = me->waits_for_response ? &me->has_response : &me->has_request;
    th_wbuf *body = me->waits_for_response ? &me->response : &me->request;
    th_wmsg *message;

    if (!*has) {
        return TH_W_PENDING;
    }
    message = calloc(1, sizeof *message);
    message->kind = me->waits_for_response ? TH_W_RESPONSE : TH_W_REQUEST;
    message->has_expects = !me->waits_for_response;
    message->expects_s = 60;
    message->peer =
        (th_waddr){text("local"), text("1-2-3"), text("bench"), text("local")};
    message->body = *body;
    *body = (th_wbuf){NULL, 0};
    *has = false;
    reply->messages = (th_wmsgs){message, 1};
    return TH_W_READY;
}

static void put(bool *has, th_wbuf *to, th_wbuf *body)
{
    free(to->ptr);
    *to = *body;
    *body = (th_wbuf){NULL, 0};
    *has = true;
}

static int call(void *env, uint32_t op, th_wcall *args, th_wcall *reply, th_wbuf *trap)
{
    side *me = env;

    (void)trap;
    switch (op) {
    case TH_W_RECEIVE:
        me->waits_for_response = false;
        return hand_over(me, reply);
    case TH_W_AWAIT:
        put(&me->peer->has_request, &me->peer->request, &args->messages.ptr[0].body);
        me->waits_for_response = true;
        return TH_W_PENDING;
    case TH_W_SEND_RESPONSE:
        if (me->peer == NULL || !me->peer->waits_for_response) {
            me->is_answered = true;
        } else {
            put(&me->peer->has_response, &me->peer->response,
                &args->messages.ptr[0].body);
        }
        return TH_W_READY;
    default: /* no blob */
        return TH_W_READY;
    }
}

static int resume(void *env, th_wcall *reply, th_wbuf *trap)
{
    (void)trap;
    return hand_over(env, reply);
}

static void wake(uint64_t pid)
{
    (void)pid;
}

static void print(void *env, int fd, const uint8_t *bytes, size_t n)
{
    (void)env;
    fprintf(stderr, "%.*s", fd == 0 ? 0 : (int)n, (const char *)bytes);
}

static int64_t now_of(void *env)
{
    (void)env;
    return now_ns();
}

static void no_chance(void *env, uint8_t *out, size_t bytes)
{
    (void)env;
    memset(out, 4, bytes);
}

static const th_whost host = {.call = call,
                              .resume = resume,
                              .wake = wake,
                              .print = print,
                              .now_mono_ns = now_of,
                              .now_wall_ns = now_of,
                              .random = no_chance};

/* --- Guests ------------------------------------------------------------------------ */

static th_program *program_of(const th_engine *engine, const char *name)
{
    const char *folder = getenv("THOLE_GUESTS");
    th_wbuf code = {0}, error = {0};
    static uint8_t wasm[1 << 20];
    th_program *program;
    char path[1024];
    size_t bytes;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.wasm", folder == NULL ? "." : folder, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        fail("no guests: THOLE_GUESTS is to name the folder they were built in", NULL);
    }
    bytes = fread(wasm, 1, sizeof wasm, file);
    fclose(file);
    if (!th_compile(engine, wasm, bytes, &code, &error)) {
        fail(path, &error);
    }
    program = th_program_new(engine, code.ptr, code.len, &error);
    if (program == NULL) {
        fail(path, &error);
    }
    free(code.ptr);
    return program;
}

static void poll(side *one)
{
    th_wend end = {0};

    if (th_instance_poll(one->instance, one, &end) != TH_W_BLOCKED) {
        fail("a guest ended", &end.text);
    }
}

/* A guest at its first receive. */
static void start(side *one, const th_program *program)
{
    th_instance_options options = {.our = "local@1-2-3:bench:local",
                                   .host = &host,
                                   .limits = {.memory_bytes_max = 64 << 20,
                                              .table_elements_max = 20000,
                                              .message_bytes_max = 16 << 20}};
    th_wbuf error = {0};

    one->instance = th_instance_new(program, &options, &error);
    if (one->instance == NULL) {
        fail("a guest does not start", &error);
    }
    poll(one);
}

static void ask(side *one, const char *body)
{
    th_wbuf request = text(body);

    put(&one->has_request, &one->request, &request);
    poll(one);
}

/* --- What is measured ----------------------------------------------------------------- */

static void spawn(const th_engine *engine, size_t count)
{
    th_program *program = program_of(engine, "echo");
    side first = {0}, *all = calloc(count, sizeof *all);
    unsigned long long before;
    int64_t began;

    start(&first, program);
    before = resident_bytes();
    began = now_ns();
    for (size_t i = 0; i < count; i++) {
        start(&all[i], program);
    }
    for (size_t i = 0; i < count; i++) {
        ask(&all[i], "x");
        if (!all[i].is_answered) {
            fail("a guest does not answer", NULL);
        }
    }
    printf("value %.1f\n", (double)(now_ns() - began) / (double)count);
    printf("before %llu\nafter %llu\ncount %zu\n", before, resident_bytes(), count);
}

static void play(side *pinger, side *echo, size_t count)
{
    char body[100];

    snprintf(body, sizeof body, "%zu local@1-2-3:bench:local", count);
    pinger->is_answered = false;
    ask(pinger, body);
    while (!pinger->is_answered) {
        poll(echo);
        poll(pinger);
    }
}

static void pingpong(const th_engine *engine, size_t count)
{
    side pinger = {0}, echo = {.peer = &pinger};
    int64_t began;

    pinger.peer = &echo;
    start(&pinger, program_of(engine, "pinger"));
    start(&echo, program_of(engine, "echo"));
    play(&pinger, &echo, count / 10 + 1);
    began = now_ns();
    play(&pinger, &echo, count);
    printf("value %.1f\n", (double)(now_ns() - began) / (double)count);
}

int main(int argc, char **argv)
{
    size_t count = argc < 3 ? 0 : strtoul(argv[2], NULL, 10);
    th_wbuf error = {0};
    const th_engine *engine;

    if (count == 0 ||
        (strcmp(argv[1], "spawn") != 0 && strcmp(argv[1], "pingpong") != 0)) {
        fprintf(stderr, "usage: thole-floor spawn|pingpong COUNT\n");
        return 2;
    }
    engine = th_engine_new(&(th_engine_options){0}, &error);
    if (engine == NULL) {
        fail("no engine", &error);
    }
    (strcmp(argv[1], "spawn") == 0 ? spawn : pingpong)(engine, count);
    fflush(stdout);
    _exit(0); /* what is still there needs no tidying */
}
