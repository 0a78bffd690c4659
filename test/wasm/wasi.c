/*
 * Uses WASI by hand, as the first message's body says: exit, words (to standard error,
 * then a trap), clocks, dice, sleep, vars, folders.
 */
#include <thole.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

IMPORT("wasi:cli/exit@0.2.0", "exit") void wasi_exit(uint32_t is_error);
IMPORT("wasi:cli/stderr@0.2.0", "get-stderr") uint32_t wasi_stderr(void);
IMPORT("wasi:cli/environment@0.2.0", "get-environment") void wasi_vars(void *);
IMPORT("wasi:io/streams@0.2.0", "[method]output-stream.blocking-write-and-flush")
void wasi_write(uint32_t stream, const void *, size_t, void *result);
IMPORT("wasi:clocks/monotonic-clock@0.2.0", "now") uint64_t wasi_mono(void);
IMPORT("wasi:clocks/monotonic-clock@0.2.0", "subscribe-duration")
uint32_t wasi_after(uint64_t ns);
IMPORT("wasi:clocks/wall-clock@0.2.0", "now") void wasi_wall(void *);
IMPORT("wasi:io/poll@0.2.0", "[method]pollable.block")
void wasi_block(uint32_t pollable);
IMPORT("wasi:random/random@0.2.0", "get-random-u64") uint64_t wasi_dice(void);

IMPORT("wasi:filesystem/preopens@0.2.0", "get-directories") void wasi_folders(void *);
IMPORT("wasi:filesystem/types@0.2.0", "[method]descriptor.create-directory-at")
void wasi_make_folder(uint32_t folder, const void *, size_t, void *result);

static void words(void)
{
    uint32_t stream = wasi_stderr();
    uint32_t result[3];

    for (uint64_t i = 0; i < 1000; i++) {
        th_slice line =
            th_concat((th_slice[]){th_str("line "), th_decimal(i), th_str("\n")}, 3);

        wasi_write(stream, line.ptr, line.len, result);
        th_slice_free(&line);
    }
    th_trap();
}

static void vars(void)
{
    struct {
        struct {
            th_slice name;
            th_slice value;
        } * ptr;
        size_t len;
    } list;

    wasi_vars(&list);
    for (size_t i = 0; i < list.len; i++) {
        th_print(0, list.ptr[i].name);
        th_print(0, list.ptr[i].value);
    }
}

static void folders(void)
{
    static const char *const names[] = {"made", "../escaped"};
    struct {
        struct {
            uint32_t folder;
            th_slice name;
        } * ptr;
        size_t len;
    } list;

    wasi_folders(&list);
    th_print(0, th_decimal(list.len));
    for (size_t i = 0; i < 2 && list.len > 0; i++) {
        th_slice name = th_str(names[i]);
        uint8_t result[2];

        wasi_make_folder(list.ptr[0].folder, name.ptr, name.len, result);
        th_print(0, list.ptr[0].name);
        th_print(0, result[0] == 0 ? th_str("made it") : th_str("refused"));
    }
}

static void clocks(void)
{
    struct {
        uint64_t seconds;
        uint32_t ns;
    } wall;

    th_print(0, th_decimal(wasi_mono()));
    wasi_wall(&wall);
    th_print(0, th_decimal(wall.seconds));
    th_print(0, th_decimal(wall.ns));
}

void th_main(th_slice our)
{
    th_message first = th_receive();

    (void)our;
    if (th_equal(first.body, th_str("exit"))) {
        wasi_exit(1);
    } else if (th_equal(first.body, th_str("words"))) {
        words();
    } else if (th_equal(first.body, th_str("clocks"))) {
        clocks();
    } else if (th_equal(first.body, th_str("dice"))) {
        th_print(0, th_decimal(wasi_dice()));
    } else if (th_equal(first.body, th_str("sleep"))) {
        wasi_block(wasi_after(50000000));
    } else if (th_equal(first.body, th_str("vars"))) {
        vars();
    } else if (th_equal(first.body, th_str("folders"))) {
        folders();
    }
}
