#include "base/test.h"

#include "cli/ask.h"
#include "cli/commands.h"

#include <stdio.h>

#define WORDS_MAX 16

/* Decode a line of words between blanks. */
static th_err decode(th_words *out, const char **words, char *line, th_buf *why)
{
    int count = 0;

    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        T_TRUE(count < WORDS_MAX);
        words[count++] = word;
    }
    return th_words_decode(out, count, words, why);
}

static void expect_error(const char *text, const char *error)
{
    th_auto_buf why = TH_BUF_INIT;
    const char *words[WORDS_MAX];
    th_words out;
    char line[200];

    snprintf(line, sizeof line, "%s", text);
    T_EQ(decode(&out, words, line, &why), TH_INVALID);
    T_STR(th_buf_text(&why), error);
}

/* What was understood, as one text. */
static void expect(const char *text, const char *understood)
{
    th_auto_buf why = TH_BUF_INIT;
    th_auto_buf got = TH_BUF_INIT;
    const char *words[WORDS_MAX];
    th_words out;
    char line[200];

    snprintf(line, sizeof line, "%s", text);
    T_EQ(decode(&out, words, line, &why), TH_OK);
    th_buf_puts(&got, th_command_name(out.command));
    for (size_t i = 0; i < out.rest_count; i++) {
        th_buf_putf(&got, " %s", out.rest[i]);
    }
    th_buf_puts(&got, out.json ? " json" : "");
    th_buf_puts(&got, out.wants_help ? " help" : "");
    th_buf_putf(&got, "%s%s",
                out.home == NULL ? "" : " home=", out.home == NULL ? "" : out.home);
    th_buf_putf(&got, "%s%s",
                out.entry == NULL ? "" : " entry=", out.entry == NULL ? "" : out.entry);
    if (out.has_timeout) {
        th_buf_putf(&got, " ms=%llu", (unsigned long long)out.timeout_ms);
    }
    T_STR(th_buf_text(&got), understood);
}

TEST(commands, words_are_understood)
{
    expect("run x.lua", "run x.lua");
    expect("run x.lua a b", "run x.lua a b");
    expect("run x -x ns:e a", "run x a entry=ns:e");
    expect("run -x ns:e x a", "run x a entry=ns:e");
    expect("run --entry=ns:e x a", "run x a entry=ns:e");
    expect("run x a -x b --json -h", "run x a -x b --json -h");
    expect("run x a --home h b", "run x a b home=h");
    expect("run x a -- --home h", "run x a --home h");
    expect("--home h run x", "run x home=h");
    expect("run x --home=h", "run x home=h");
    expect("up", "up");
    expect("ps --json", "ps json");
    expect("ps --home h --json", "ps json home=h");
    expect("send a t 1 -2 3", "send a t 1 -2 3");
    expect("call a b --timeout 300ms", "call a b ms=300");
    expect("call --timeout=2m a b", "call a b ms=120000");
    expect("call a -- -b", "call a -b");
    expect("help run", "help run");
    expect("run --help", "run help");
    expect("--version", "version");
}

TEST(commands, errors_say_what_is_wrong_and_what_next)
{
    expect_error("", "there is no command; `thole help` lists those there are");
    expect_error("rnu x",
                 "there is no command `rnu`; `thole help` lists those there are");
    expect_error("run", "something is missing: thole run PATH [ARG...]");
    expect_error("call a", "something is missing: thole call ADDRESS BODY");
    expect_error("ps x", "there is too much: thole ps");
    expect_error("ps --jsn",
                 "there is no option `--jsn`; `--help` lists those there are");
    expect_error("ps --timeout 5s",
                 "there is no option `--timeout`; `--help` lists those there are");
    expect_error("run x --home", "`--home` needs a value: --home DIR");
    expect_error("call a b --timeout 5",
                 "this is no time: `5`; write it as 5s, 300ms or 2m");
    expect_error("call a b --timeout 0s",
                 "this is no time: `0s`; write it as 5s, 300ms or 2m");
    expect_error("call a b --timeout 999999999h",
                 "this is no time: `999999999h`; write it as 5s, 300ms or 2m");
    expect_error("send a t 1 --bytes x",
                 "there are --bytes and JSON values; send one or the other");
}

TEST(commands, help_fits_a_screen)
{
    for (int i = -1; i < TH_COMMANDS_COUNT; i++) {
        th_auto_buf help = TH_BUF_INIT;
        th_slice left;
        size_t lines = 0;

        if (i < 0) {
            th_commands_help(&help);
        } else {
            th_command_help((th_command)i, &help);
        }
        for (left = th_buf_slice(&help); left.bytes > 0; lines++) {
            size_t line = th_slice_find(left, '\n');

            T_TRUE(line <= 88);
            left = th_slice_from(left, line + 1);
        }
        T_TRUE(lines <= 24);
    }
}

TEST(commands, an_address_that_does_not_parse_is_marked)
{
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_ask_check_address("files", &why), TH_OK);
    T_EQ(th_ask_check_address("our@files:distro:sys", &why), TH_OK);
    T_EQ(th_ask_check_address("files:distro:sys", &why), TH_OK);
    T_EQ(th_ask_check_address("{local@system:processes|a:b|1-2-3}", &why), TH_OK);
    T_EQ(th_ask_check_address("", &why), TH_INVALID);
    th_buf_clear(&why);
    T_EQ(th_ask_check_address("our@fi les:distro:sys", &why), TH_INVALID);
    T_NOT_NULL(strstr(th_buf_text(&why), "\n    our@fi les:distro:sys\n          ^"));
}
