#include "driver.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

const th_engine *engine;
const char *tmp_dir;

const th_wlimits limits = {
    .memory_bytes_max = 64 * MIB,
    .table_elements_max = 20000,
    .message_bytes_max = 16 * MIB,
    .slice_fuel = 100000,
};

static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE};
static struct sigaction engine_actions[3];

void signals_get(void)
{
    for (int i = 0; i < 3; i++) {
        sigaction(trap_signals[i], NULL, &engine_actions[i]);
    }
}

void signals_set(void)
{
    for (int i = 0; i < 3; i++) {
        sigaction(trap_signals[i], &engine_actions[i], NULL);
    }
}

th_wbuf read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    th_wbuf buf = {malloc(MIB), 0};

    if (file == NULL) {
        fail_msg("no file %s", path);
    }
    buf.len = fread(buf.ptr, 1, MIB, file);
    fclose(file);
    return buf;
}

th_wbuf guest(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", getenv("THOLE_GUESTS"), name);
    return read_file(path);
}

const char *text_of(th_wbuf *buf)
{
    buf->ptr = realloc(buf->ptr, buf->len + 1);
    buf->ptr[buf->len] = 0;
    return (const char *)buf->ptr;
}

void assert_has(th_wbuf *buf, const char *part)
{
    if (strstr(text_of(buf), part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, text_of(buf));
    }
}

th_program *program_of(const th_engine *of, const char *name)
{
    th_wbuf wasm = guest(name);
    th_wbuf compiled = {0};
    th_wbuf error = {0};
    th_program *program;

    if (!th_compile(of, wasm.ptr, wasm.len, &compiled, &error)) {
        fail_msg("%s: %s", name, text_of(&error));
    }
    program = th_program_new(of, compiled.ptr, compiled.len, &error);
    if (program == NULL) {
        fail_msg("%s: %s", name, text_of(&error));
    }
    fake_buf_free(&wasm);
    fake_buf_free(&compiled);
    return program;
}

th_instance *instance_of(const th_program *program, uint64_t pid, const th_wlimits *of)
{
    static const char *const vars[] = {"COLOUR=green", "EMPTY=", NULL};
    th_instance_options options = {
        .our = "near.os@self:pack:pub.os",
        .pid = pid,
        .host = &fake_host_table,
        .limits = *of,
        .tmp_dir = tmp_dir,
        .env = vars,
    };
    th_wbuf error = {0};
    th_instance *instance = th_instance_new(program, &options, &error);

    if (instance == NULL) {
        fail_msg("%s", text_of(&error));
    }
    return instance;
}

th_instance *start(const char *name, uint64_t pid)
{
    th_program *program = program_of(engine, name);
    th_instance *instance = instance_of(program, pid, &limits);

    th_program_free(program);
    return instance;
}

int run(th_instance *instance, uint64_t pid, fake_host *host, th_wend *end)
{
    for (;;) {
        unsigned wakes = fake_host_wakes(pid);
        int status = th_instance_poll(instance, host, end);

        if (status != TH_W_BLOCKED) {
            return status;
        }
        if (host->polls_left == 0 && wakes == fake_host_wakes(pid)) {
            return TH_W_BLOCKED;
        }
    }
}

th_wend run_whole(const char *name, fake_host *host, int status)
{
    th_instance *instance = start(name, 1);
    th_wend end = {0};

    assert_int_equal(run(instance, 1, host, &end), status);
    th_instance_free(instance);
    return end;
}

int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(void)
{
    th_wbuf error = {0};
    int n_failed;

    engine = th_engine_new(&(th_engine_options){0}, &error);
    signals_get();
    n_failed = conversation_tests() + process_tests() + program_tests() + wasi_tests();
    th_engine_free(engine);
    return n_failed;
}
