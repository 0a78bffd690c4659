#include "svc/command.h"

#include "base/test.h"

#include <stdlib.h>

#define CAP "{\"issuer\":\"n@a:b:c\",\"params\":\"\\\"messaging\\\"\"}"
#define INITIALIZE                                                                     \
    "{\"InitializeProcess\":{\"id\":\"p:k:s\",\"wasm_bytes_handle\":\"/k:s/pkg/"       \
    "p.wasm\",\"wit_version\":1,\"on_exit\":{\"Requests\":[[\"p:k:s\",{\"inherit\":"   \
    "false,\"body\":[1],\"capabilities\":[]},null]]},\"initial_capabilities\":[" CAP   \
    ",[" CAP ",[1,2]]],\"public\":true}}"

static void expect_read(th_kernel_command *out, const char *text, bool has_right)
{
    th_auto_buf why = TH_BUF_INIT;

    if (th_kernel_command_decode(out, th_slice_str(text), has_right, &why) != TH_OK) {
        print_error("%s: %s\n", text, th_buf_text(&why));
        fail();
    }
    T_EQ(why.bytes, 0);
}

/* --- Each command ------------------------------------------------------------------- */

TEST(command, initialize_process_has_all_that_a_process_begins_with)
{
    th_kernel_command read;

    expect_read(&read, INITIALIZE, true);
    T_EQ(read.kind, TH_KC_INITIALIZE);
    T_TRUE(th_slice_is(read.id, "p:k:s"));
    T_TRUE(th_slice_is(read.address.process, "p"));
    T_TRUE(th_slice_is(read.address.package, "k"));
    T_TRUE(th_slice_is(read.address.publisher, "s"));
    T_TRUE(th_slice_is(read.handle, "/k:s/pkg/p.wasm"));
    T_TRUE(read.has_wit_version);
    T_EQ(read.wit_version, 1);
    T_TRUE(read.is_public);
    T_EQ(th_on_exit_draft_kind(read.on_exit), TH_ON_EXIT_REQUESTS);
    T_EQ(read.caps_count, 2);
    T_TRUE(th_slice_is(read.caps[1].id, "a:b:c"));
    th_kernel_command_deinit(&read);
}

TEST(command, initialize_process_may_leave_out_the_wit_version)
{
    th_kernel_command read;

    expect_read(&read,
                "{\"InitializeProcess\":{\"id\":\"p:k:s\",\"wasm_bytes_handle\":\"\","
                "\"on_exit\":\"Restart\",\"initial_capabilities\":[],"
                "\"public\":false}}",
                true);
    T_FALSE(read.has_wit_version);
    T_FALSE(read.is_public);
    T_EQ(th_on_exit_draft_kind(read.on_exit), TH_ON_EXIT_RESTART);
    T_EQ(read.caps_count, 0);
    th_kernel_command_deinit(&read);
}

static void expect_caps(const char *text, th_kernel_command_kind kind)
{
    th_kernel_command read;

    expect_read(&read, text, true);
    T_EQ(read.kind, kind);
    T_TRUE(th_slice_is(read.id, "p:k:s"));
    T_EQ(read.caps_count, 1);
    T_TRUE(th_slice_is(read.caps[0].params, "\"messaging\""));
    T_TRUE(th_slice_is(read.caps[0].issuer.node, "n"));
    th_kernel_command_deinit(&read);
}

TEST(command, grant_and_drop_capabilities_have_a_target_and_claims)
{
    expect_caps("{\"GrantCapabilities\":{\"target\":\"p:k:s\",\"capabilities\":[" CAP
                "]}}",
                TH_KC_GRANT);
    expect_caps("{\"DropCapabilities\":{\"capabilities\":[" CAP
                "],\"target\":\"p:k:s\"}}",
                TH_KC_DROP);
}

TEST(command, set_on_exit_has_a_target_and_what_is_to_be_done)
{
    th_kernel_command read;

    expect_read(&read, "{\"SetOnExit\":{\"target\":\"p:k:s\",\"on_exit\":\"None\"}}",
                true);
    T_EQ(read.kind, TH_KC_SET_ON_EXIT);
    T_TRUE(th_slice_is(read.id, "p:k:s"));
    T_EQ(th_on_exit_draft_kind(read.on_exit), TH_ON_EXIT_NONE);
    th_kernel_command_deinit(&read);
}

static void expect_id(const char *text, bool has_right, th_kernel_command_kind kind,
                      const char *id)
{
    th_kernel_command read;

    expect_read(&read, text, has_right);
    T_EQ(read.kind, kind);
    T_TRUE(th_slice_is(read.id, id));
    th_kernel_command_deinit(&read);
}

TEST(command, run_kill_and_debug_process_have_an_id)
{
    expect_id("{\"RunProcess\":\"p:k:s\"}", true, TH_KC_RUN, "p:k:s");
    expect_id("{\"KillProcess\":\"p_1:k.x:s.os\"}", true, TH_KC_KILL, "p_1:k.x:s.os");
    expect_id("{\"Debug\":{\"Process\":\"p:k:s\"}}", true, TH_KC_DEBUG_PROCESS,
              "p:k:s");
}

TEST(command, shutdown_and_debug_process_map_have_nothing)
{
    expect_id("\"Shutdown\"", true, TH_KC_SHUTDOWN, "");
    expect_id(" {\"Debug\" : \"ProcessMap\"}", true, TH_KC_DEBUG_MAP, "");
}

TEST(command, debug_has_cap_has_an_id_and_one_claim)
{
    expect_caps("{\"Debug\":{\"HasCap\":{\"on\":\"p:k:s\",\"cap\":" CAP "}}}",
                TH_KC_DEBUG_HAS_CAP);
}

TEST(command, notify_stop_is_asked_for_and_taken_back_by_anybody)
{
    th_kernel_command read;

    expect_read(&read, "{\"NotifyStop\":true}", false);
    T_EQ(read.kind, TH_KC_NOTIFY_STOP);
    T_TRUE(read.on);
    th_kernel_command_deinit(&read);
    expect_read(&read, "{\"NotifyStop\":false}", true);
    T_FALSE(read.on);
    th_kernel_command_deinit(&read);
}

TEST(command, anybody_may_monitor_and_link_by_address_and_by_pid)
{
    th_kernel_command read;

    expect_id("{\"Monitor\":\"n@p:k:s\"}", false, TH_KC_MONITOR, "n@p:k:s");
    expect_id("{\"Unmonitor\":\"p:k:s\"}", false, TH_KC_UNMONITOR, "p:k:s");
    expect_id("{\"Link\":\"our@p:k:s\"}", false, TH_KC_LINK, "our@p:k:s");
    expect_read(&read, "{\"Unlink\":\"{n@h|a:b|1-2-3}\"}", false);
    T_EQ(read.kind, TH_KC_UNLINK);
    T_TRUE(read.is_pid);
    T_TRUE(th_slice_is(read.id, "{n@h|a:b|1-2-3}"));
    th_kernel_command_deinit(&read);
}

/* --- Rights ------------------------------------------------------------------------- */

TEST(command, without_the_right_only_tholes_own_are_read)
{
    static const char *const texts[TH_KC_COUNT] = {
        [TH_KC_INITIALIZE] = "{\"InitializeProcess\":{}}",
        [TH_KC_GRANT] = "{\"GrantCapabilities\":{}}",
        [TH_KC_DROP] = "{\"DropCapabilities\":{}}",
        [TH_KC_SET_ON_EXIT] = "{\"SetOnExit\":{}}",
        [TH_KC_RUN] = "{\"RunProcess\":\"p:k:s\"}",
        [TH_KC_KILL] = "{\"KillProcess\":\"p:k:s\"}",
        [TH_KC_SHUTDOWN] = "\"Shutdown\"",
        [TH_KC_DEBUG_MAP] = "{\"Debug\":\"ProcessMap\"}",
        [TH_KC_DEBUG_PROCESS] = "{\"Debug\":{\"Process\":\"p:k:s\"}}",
        [TH_KC_DEBUG_HAS_CAP] = "{\"Debug\":{\"HasCap\":{}}}",
        [TH_KC_NOTIFY_STOP] = "{\"NotifyStop\":true}",
        [TH_KC_MONITOR] = "{\"Monitor\":\"p:k:s\"}",
        [TH_KC_UNMONITOR] = "{\"Unmonitor\":\"p:k:s\"}",
        [TH_KC_LINK] = "{\"Link\":\"p:k:s\"}",
        [TH_KC_UNLINK] = "{\"Unlink\":\"p:k:s\"}",
    };

    for (int kind = 0; kind < TH_KC_COUNT; kind++) {
        th_kernel_command read = {0};
        th_auto_buf why = TH_BUF_INIT;
        bool is_open = kind >= TH_KC_NOTIFY_STOP;

        T_EQ(th_kernel_command_is_open((th_kernel_command_kind)kind), is_open);
        T_EQ(th_kernel_command_decode(&read, th_slice_str(texts[kind]), false, &why),
             is_open ? TH_OK : TH_DENIED);
        T_EQ(why.bytes == 0, is_open);
        th_kernel_command_deinit(&read);
    }
}

TEST(command, a_refusal_for_want_of_the_right_says_where_to_get_it)
{
    th_kernel_command read;
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_kernel_command_decode(&read, TH_SLICE("\"Shutdown\""), false, &why),
         TH_DENIED);
    T_STR(th_buf_text(&why),
          "Shutdown needs messaging on kernel:distro:sys: the manifest's "
          "request_capabilities can ask for it");
}

TEST(command, without_the_right_only_short_bodies_are_read)
{
    th_auto_buf text = TH_BUF_INIT;

    for (size_t over = 0; over < 2; over++) {
        th_kernel_command read = {0};
        th_auto_buf why = TH_BUF_INIT;

        th_buf_clear(&text);
        th_buf_puts(&text, "{\"NotifyStop\":true}");
        while (text.bytes < TH_KERNEL_COMMAND_OPEN_BYTES_MAX + over) {
            th_buf_putc(&text, ' ');
        }
        T_EQ(th_kernel_command_decode(&read, th_buf_slice(&text), false, &why),
             over == 0 ? TH_OK : TH_QUOTA);
        th_kernel_command_deinit(&read);
        T_EQ(th_kernel_command_decode(&read, th_buf_slice(&text), true, &why), TH_OK);
        th_kernel_command_deinit(&read);
    }
}

/* --- What is wrong ------------------------------------------------------------------ */

#define FORM "a command is \"NAME\" or {\"NAME\":WHAT IT TAKES}"
#define NAMES                                                                          \
    "InitializeProcess GrantCapabilities DropCapabilities SetOnExit RunProcess "       \
    "KillProcess Shutdown Debug NotifyStop Monitor Unmonitor Link Unlink"
#define WITH(fields)                                                                   \
    "{\"InitializeProcess\":{\"id\":\"p:k:s\",\"wasm_bytes_handle\":\"/p\"," fields "}}"

TEST(command, what_is_wrong_is_refused_with_a_sentence)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"null", FORM},
        {"[]", FORM},
        {"{}", FORM},
        {"{\"RunProcess\":\"p:k:s\",\"KillProcess\":\"p:k:s\"}", FORM},
        {"{\"Debug\":7}", FORM},
        {"\"Booted\"", "there is no command \"Booted\"; there are " NAMES},
        {"\"shutdown\"", "there is no command \"shutdown\"; there are " NAMES},
        {"\"Debug\"", "there is no command \"Debug\"; there are " NAMES},
        {"{\"Debug\":\"X\"}",
         "there is no Debug \"X\"; there are ProcessMap Process HasCap"},
        {"{\"Shutdown\":null}", "Shutdown: it takes nothing"},
        {"{\"Debug\":{\"ProcessMap\":1}}", "Debug ProcessMap: it takes nothing"},
        {"\"RunProcess\"", "RunProcess: it takes something"},
        {"{\"RunProcess\":7}",
         "RunProcess: what it takes is a process's id, in quotes: "
         "\"PROCESS:PACKAGE:PUBLISHER\""},
        {"{\"RunProcess\":\"p:k\"}",
         "RunProcess: what it takes is no process's id: byte 3: an address is "
         "NODE@PROCESS:PACKAGE:PUBLISHER"},
        {"{\"KillProcess\":\"n@p:k:s\"}",
         "KillProcess: what it takes has a node; the kernel commands its own processes "
         "alone: leave out \"n@\""},
        {"{\"GrantCapabilities\":[]}", "GrantCapabilities: it takes an object with the "
                                       "fields \"target\", \"capabilities\""},
        {"{\"GrantCapabilities\":{\"target\":\"p:k:s\"}}",
         "GrantCapabilities: \"capabilities\" is an array of capabilities"},
        {"{\"GrantCapabilities\":{\"target\":\"p:k:s\",\"capabilities\":[1]}}",
         "GrantCapabilities: \"capabilities\" 1: a capability is "
         "{\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"{\"DropCapabilities\":{\"target\":\"p:k:s\",\"capabilities\":[],\"x\":1}}",
         "DropCapabilities: it has no field \"x\""},
        {"{\"SetOnExit\":{\"target\":\"p:k:s\"}}",
         "SetOnExit: on_exit is \"None\", \"Restart\" or "
         "{\"Requests\":[[ADDRESS,REQUEST,BLOB or null],...]}"},
        {"{\"InitializeProcess\":{\"id\":\"p:k:s\"}}",
         "InitializeProcess: \"wasm_bytes_handle\" is the path of its code: a text of "
         "at most 1024 bytes"},
        {"{\"InitializeProcess\":{\"id\":\"p:k:s\",\"wasm_bytes_handle\":\"a\\u0000\"}"
         "}",
         "InitializeProcess: \"wasm_bytes_handle\" is the path of its code: a text of "
         "at most 1024 bytes"},
        {WITH("\"wit_version\":-1"),
         "InitializeProcess: \"wit_version\" is null or a number from 0 to 4294967295"},
        {WITH("\"wit_version\":4294967296"),
         "InitializeProcess: \"wit_version\" is null or a number from 0 to 4294967295"},
        {WITH("\"wit_version\":null"),
         "InitializeProcess: \"public\" is true or false"},
        {WITH("\"public\":true,\"on_exit\":\"Restart\""),
         "InitializeProcess: \"initial_capabilities\" is an array of capabilities"},
        {"{\"Debug\":{\"HasCap\":{\"on\":\"p:k:s\"}}}",
         "Debug HasCap: a capability is {\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"{\"NotifyStop\":1}",
         "NotifyStop: it takes true (tell me when the node stops) or false"},
        {"{\"Link\":null}", "Link: it takes an address or a PID, in quotes"},
        {"{\"Link\":\"{x}\"}",
         "Link: it takes an address NODE@PROCESS:PACKAGE:PUBLISHER or a PID "
         "{NODE@HOST|NAMESPACE:NAME|UNIQUE}: byte 2: a PID is "
         "{NODE@HOST|NAMESPACE:NAME|UNIQUE}"},
        {"{\"Monitor\":\"p:k:S\"}",
         "Monitor: it takes an address NODE@PROCESS:PACKAGE:PUBLISHER or a PID "
         "{NODE@HOST|NAMESPACE:NAME|UNIQUE}: byte 4: names have lower-case letters, "
         "digits, '-' and '_'"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_kernel_command read = {.kind = TH_KC_COUNT};
        th_auto_buf why = TH_BUF_INIT;

        T_EQ(th_kernel_command_decode(&read, th_slice_str(rows[i].text), true, &why),
             TH_INVALID);
        T_STR(th_buf_text(&why), rows[i].why);
        T_EQ(read.kind, TH_KC_COUNT); /* as it was */
    }
}

TEST(command, what_is_no_json_is_refused)
{
    static const th_slice bodies[] = {
        {"", 0},
        {NULL, 0},
        {"run", 3},
        {"\0", 1},
        {"\"Shutdown\"\0", 11},
        {"\"\xff\"", 3},
        {"{\"RunProcess\":\"p:k:s\"", 21},
    };

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        th_kernel_command read;
        th_auto_buf why = TH_BUF_INIT;

        T_EQ(th_kernel_command_decode(&read, bodies[i], true, &why), TH_INVALID);
        T_TRUE(th_slice_starts(th_buf_slice(&why), "a command is JSON: byte "));
    }
}

TEST(command, a_long_name_is_not_repeated_whole)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_kernel_command read;

    th_buf_putc(&text, '"');
    for (size_t i = 0; i < 100000; i++) {
        th_buf_putc(&text, 'x');
    }
    th_buf_putc(&text, '"');
    T_EQ(th_kernel_command_decode(&read, th_buf_slice(&text), true, &why), TH_INVALID);
    T_TRUE(why.bytes < 400);
}

TEST(command, bodies_and_capabilities_have_bounds)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_kernel_command read;

    th_buf_puts(&text, "{\"GrantCapabilities\":{\"target\":\"p:k:s\","
                       "\"capabilities\":[0");
    for (size_t i = 0; i < TH_KERNEL_COMMAND_CAPS_MAX; i++) {
        th_buf_puts(&text, ",0");
    }
    th_buf_puts(&text, "]}}");
    T_EQ(th_kernel_command_decode(&read, th_buf_slice(&text), true, &why), TH_QUOTA);
    T_STR(th_buf_text(&why), "GrantCapabilities: \"capabilities\" has 1025 "
                             "capabilities; 1024 are the most in one command");
    th_buf_clear(&text);
    th_buf_clear(&why);
    th_buf_puts(&text, "\"Shutdown\"");
    while (text.bytes <= TH_KERNEL_COMMAND_BYTES_MAX) {
        th_buf_puts(&text, "                                ");
    }
    T_EQ(th_kernel_command_decode(&read, th_buf_slice(&text), true, &why), TH_QUOTA);
}

TEST(command, a_body_that_nests_deeply_is_refused)
{
    th_auto_buf text = TH_BUF_INIT;

    for (size_t i = 0; i < 100000; i++) {
        th_buf_puts(&text, i % 2 == 0 ? "{\"Debug\":" : "[");
    }
    {
        th_kernel_command read;
        th_auto_buf why = TH_BUF_INIT;

        T_EQ(th_kernel_command_decode(&read, th_buf_slice(&text), true, &why),
             TH_INVALID);
    }
}

TEST(command, everything_is_given_back_when_memory_runs_out)
{
    for (size_t n = 0;; n++) {
        th_kernel_command read = {0};
        th_auto_buf why = TH_BUF_INIT;
        th_err err;

        th_mem_fail_after(n);
        err = th_kernel_command_decode(&read, th_slice_str(INITIALIZE), true, &why);
        th_mem_fail_never();
        th_kernel_command_deinit(&read);
        if (err == TH_OK) {
            break;
        }
        T_EQ(err, TH_QUOTA);
    }
}

/* --- Hostile bodies ------------------------------------------------------------------- */

static uint64_t roll(uint64_t *dice)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return *dice >> 33;
}

static const char *const seeds[] = {
    INITIALIZE,
    "{\"GrantCapabilities\":{\"target\":\"p:k:s\",\"capabilities\":[" CAP "]}}",
    "{\"SetOnExit\":{\"target\":\"p:k:s\",\"on_exit\":\"Restart\"}}",
    "{\"Debug\":{\"HasCap\":{\"on\":\"p:k:s\",\"cap\":" CAP "}}}",
    "{\"Debug\":\"ProcessMap\"}",
    "{\"NotifyStop\":true}",
    "{\"Link\":\"{n@h|a:b|1-2-3}\"}",
};

/* A few bytes of @text are changed, left out, or repeated. */
static size_t spoil(char *text, size_t bytes, uint64_t *dice)
{
    static const char marks[] = "{}[]\",:0\\u\0\xff n";

    for (uint64_t left = 1 + roll(dice) % 4; left > 0 && bytes > 1; left--) {
        size_t at = roll(dice) % bytes;

        switch (roll(dice) % 4) {
        case 0:
            text[at] = (char)roll(dice);
            break;
        case 1:
            text[at] = marks[roll(dice) % sizeof marks];
            break;
        case 2:
            memmove(text + at, text + at + 1, --bytes - at);
            break;
        default:
            bytes = at + 1;
        }
    }
    return bytes;
}

TEST(command, a_spoiled_body_is_a_command_or_is_refused_with_a_sentence)
{
    uint64_t dice = 7;

    for (int i = 0; i < 30000; i++) {
        const char *seed = seeds[roll(&dice) % (sizeof seeds / sizeof seeds[0])];
        bool has_right = roll(&dice) % 4 != 0;
        size_t bytes = strlen(seed);
        th_kernel_command read = {0};
        th_auto_buf why = TH_BUF_INIT;
        char *text = malloc(bytes); /* of its size, for the sanitizers */
        th_err err;

        memcpy(text, seed, bytes);
        bytes = spoil(text, bytes, &dice);
        err =
            th_kernel_command_decode(&read, th_slice_of(text, bytes), has_right, &why);
        T_EQ(why.bytes == 0, err == TH_OK);
        T_TRUE(err >= TH_OK);
        T_TRUE(err != TH_OK || has_right || th_kernel_command_is_open(read.kind));
        th_kernel_command_deinit(&read);
        free(text);
    }
}

/* --- Answers -------------------------------------------------------------------------- */

static void expect_answer(th_kernel_command_kind kind, th_err err, const char *text)
{
    th_auto_buf out = TH_BUF_INIT;

    th_kernel_command_put_answer(&out, kind, TH_SLICE("p:k:s"), err, TH_SLICE("why"));
    T_STR(th_buf_text(&out), text);
}

#define ERR "{\"Err\":{\"reason\":\"not_found\",\"message\":\"why\"}}"

TEST(command, kinodes_answers_have_kinodes_form)
{
    expect_answer(TH_KC_INITIALIZE, TH_OK, "\"InitializedProcess\"");
    expect_answer(TH_KC_INITIALIZE, TH_EXISTS, "\"InitializeProcessError\"");
    expect_answer(TH_KC_RUN, TH_OK, "\"StartedProcess\"");
    expect_answer(TH_KC_RUN, TH_NOT_FOUND, "\"RunProcessError\"");
    expect_answer(TH_KC_KILL, TH_OK, "{\"KilledProcess\":\"p:k:s\"}");
}

TEST(command, all_others_are_answered_too_and_so_is_a_kill_of_nobody)
{
    static const th_kernel_command_kind kinds[] = {TH_KC_GRANT,       TH_KC_DROP,
                                                   TH_KC_SET_ON_EXIT, TH_KC_SHUTDOWN,
                                                   TH_KC_NOTIFY_STOP, TH_KC_MONITOR,
                                                   TH_KC_UNMONITOR,   TH_KC_LINK,
                                                   TH_KC_UNLINK};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        expect_answer(kinds[i], TH_OK, "\"Ok\"");
        expect_answer(kinds[i], TH_NOT_FOUND, ERR);
    }
    expect_answer(TH_KC_KILL, TH_NOT_FOUND, ERR);
    expect_answer(TH_KC_DEBUG_PROCESS, TH_NOT_FOUND, ERR);
}

TEST(command, an_error_without_a_message_has_its_reasons_sentence)
{
    th_auto_buf out = TH_BUF_INIT;

    th_kernel_command_put_error(&out, TH_QUOTA, TH_SLICE(""));
    T_STR(out.at,
          "{\"Err\":{\"reason\":\"overloaded\",\"message\":\"a limit is reached\"}}");
    th_buf_clear(&out);
    th_kernel_command_put_reason(&out, TH_DENIED, TH_SLICE("\"no\"\n"));
    T_STR(out.at, "{\"reason\":\"not_permitted\",\"message\":\"\\\"no\\\"\\n\"}");
}

TEST(command, debug_tells_what_is_known_of_processes)
{
    th_auto(th_issuer) issuer = th_issuer_new(TH_SLICE("a:b:c"));
    th_auto(th_cap) one = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_auto(th_cap) two = th_cap_issue(issuer, TH_SLICE("2"));
    th_kernel_command_process process = {.id = TH_SLICE("p:k:s"),
                                         .handle = TH_SLICE("/k:s/pkg/p.wasm"),
                                         .has_wit_version = true,
                                         .wit_version = 1,
                                         .on_exit = th_on_exit_plain(TH_ON_EXIT_NONE)};
    th_auto_buf out = TH_BUF_INIT;
    th_capset caps;

#define KNOWN                                                                          \
    "{\"wasm_bytes_handle\":\"/k:s/pkg/p.wasm\",\"wit_version\":1,"                    \
    "\"on_exit\":\"None\",\"capabilities\":["                                          \
    "{\"issuer\":\"n@a:b:c\",\"params\":\"\\\"messaging\\\"\"},"                       \
    "{\"issuer\":\"n@a:b:c\",\"params\":\"2\"}],\"public\":false}"
#define BARE                                                                           \
    "{\"wasm_bytes_handle\":\"\",\"wit_version\":null,\"on_exit\":\"Restart\","        \
    "\"capabilities\":[],\"public\":true}"

    th_capset_init(&caps);
    T_EQ(th_capset_add(&caps, one), TH_OK);
    T_EQ(th_capset_add(&caps, two), TH_OK);
    process.caps = &caps;
    th_kernel_command_put_process(&out, TH_SLICE("n"), &process);
    T_STR(out.at, "{\"Debug\":{\"Process\":" KNOWN "}}");
    th_buf_clear(&out);
    th_kernel_command_put_process(&out, TH_SLICE("n"), NULL);
    T_STR(out.at, "{\"Debug\":{\"Process\":null}}");
    th_buf_clear(&out);

    th_kernel_command_map_begin(&out);
    th_kernel_command_map_put(&out, TH_SLICE("n"), &process);
    th_capset_deinit(&caps);
    process =
        (th_kernel_command_process){.id = TH_SLICE("x:k:s"),
                                    .on_exit = th_on_exit_plain(TH_ON_EXIT_RESTART),
                                    .caps = &caps,
                                    .is_public = true};
    th_kernel_command_map_put(&out, TH_SLICE("n"), &process);
    th_kernel_command_map_end(&out);
    T_STR(out.at,
          "{\"Debug\":{\"ProcessMap\":{\"p:k:s\":" KNOWN ",\"x:k:s\":" BARE "}}}");
}

TEST(command, debug_tells_whether_a_process_has_a_capability)
{
    static const char *const texts[] = {
        [TH_HAS_CAP_NO] = "{\"Debug\":{\"HasCap\":false}}",
        [TH_HAS_CAP_YES] = "{\"Debug\":{\"HasCap\":true}}",
        [TH_HAS_CAP_NOBODY] = "{\"Debug\":{\"HasCap\":null}}"};

    for (int has = TH_HAS_CAP_NO; has <= TH_HAS_CAP_NOBODY; has++) {
        th_auto_buf out = TH_BUF_INIT;

        th_kernel_command_put_has_cap(&out, (th_has_cap)has);
        T_STR(out.at, texts[has]);
    }
}
