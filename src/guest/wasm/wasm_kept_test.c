#include "base/test.h"
#include "guest/wasm/wasm_cast.h"

/*
 * What survives a Wasm process: its state, its last words, its children's lives; and that
 * a disk which fails or is slow does no more than it must.
 */

static th_pid b;

static void set(void)
{
    th_id_error error;

    th_wasm_cast_open(0);
    T_EQ(th_kernel_resolve(cast.stage.kernel, TH_SLICE("b:test:local"), &b, &error),
         TH_OK);
}

static bool is_alive(const char *id)
{
    th_id_error error;
    th_pid pid;

    return th_kernel_resolve(cast.stage.kernel, th_slice_str(id), &pid, &error) ==
           TH_OK;
}

/* --- State ---------------------------------------------------------------------------------- */

TEST(wasm_kept, state_is_found_by_the_next_life_of_its_address)
{
    set();
    th_wasm_tell("b", "do\nstate first\nstate second\ntrap", NULL);
    th_wasm_cast_add("b");
    th_wasm_tell("b", "do\nstate\nclear\nstate\nend", NULL);
    th_wasm_stage_saw(&cast.stage, "play: state second\nplay: state none\n");
    th_wasm_cast_add("b");
    th_wasm_tell("b", "do\nstate", NULL);
    T_EQ(th_wasm_stage_count(&cast.stage, "state none"), 2);
    th_wasm_cast_close();
}

TEST(wasm_kept, a_disk_that_fails_ends_who_saves_with_a_text_and_nobody_else)
{
    static const char *const all[][2] = {
        {"do\nstate x", "set-state: it could not be made durable"},
        {"do\nclear", "clear-state: it could not be made durable"},
        {"do\nstate", "get-state: it could not be made durable"},
        {"do\nexit-restart", "set-on-exit: it could not be made durable"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        set();
        th_wasm_cast_add("c");
        cast.stage.keeping_fails = i % 2 == 0 ? TH_IO : TH_QUOTA;
        th_wasm_tell("b", all[i][0], NULL);
        th_wasm_stage_saw(&cast.stage, "play ended failed ");
        th_wasm_stage_saw(&cast.stage, all[i][1]);
        T_FALSE(is_alive("b:test:local"));
        cast.stage.keeping_fails = TH_OK;
        th_wasm_tell("c", "do\nstate y\nstate", NULL);
        th_wasm_stage_saw(&cast.stage, "state y\n");
        th_wasm_cast_close();
    }
}

TEST(wasm_kept, where_nothing_is_kept_there_is_no_state)
{
    set();
    cast.stage.keeps_nothing = true;
    th_wasm_tell("b", "do\nclear\nstate", NULL);
    th_wasm_stage_saw(&cast.stage, "play: state none\n");
    th_wasm_cast_close();
}

TEST(wasm_kept, what_arrives_while_it_saves_waits_in_its_order)
{
    set();
    cast.stage.keeps_slowly = true;
    th_wasm_tell("b", "do\nstate x", "blob");
    th_wasm_tell("b", "first", NULL);
    th_wasm_tell("b", "second", NULL);
    T_FALSE(th_wasm_cast_saw("saved x"));
    T_FALSE(th_wasm_cast_saw("first"));
    th_wasm_stage_keep(&cast.stage);
    th_wasm_pause();
    th_wasm_stage_saw(&cast.stage, "play: saved x\n"
                                   "play: got request first from 1-4-1 no blob\n"
                                   "play: got request second from");
    th_wasm_cast_close();
}

TEST(wasm_kept, who_is_killed_while_it_saves_leaves_nothing_behind)
{
    static const char *const all[] = {"do\nstate x", "do\nstate", "do\nexit-restart",
                                      "do\nspawn kid play.wasm restart"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        set();
        cast.stage.keeps_slowly = true;
        th_wasm_tell("b", all[i], NULL);
        T_EQ(th_kernel_kill(cast.stage.kernel, b, TH_SLICE("enough")), TH_OK);
        th_wasm_pause();
        th_wasm_stage_saw(&cast.stage, "play ended killed enough\n");
        if (i % 2 == 0) {
            th_wasm_stage_keep(&cast.stage);
            th_wasm_pause();
        }
        th_wasm_cast_close();
    }
}

/* --- Lives that go on ------------------------------------------------------------------------ */

TEST(wasm_kept, a_durable_child_runs_when_its_record_is_kept_and_not_before)
{
    set();
    cast.stage.keeps_slowly = true;
    th_wasm_tell("b", "do\nspawn kid play.wasm restart", NULL);
    th_wasm_tell("kid", "hello", NULL); /* it takes messages */
    T_FALSE(th_wasm_cast_saw("spawned"));
    T_FALSE(th_wasm_cast_saw("hello"));
    th_wasm_stage_keep(&cast.stage);
    th_wasm_pause();
    th_wasm_stage_saw(&cast.stage, "(kid:test:local is kept: restart");
    th_wasm_stage_saw(&cast.stage, "play: spawned");
    th_wasm_stage_saw(&cast.stage, "got request hello");
    th_wasm_cast_close();
}

TEST(wasm_kept, a_child_whose_record_cannot_be_kept_was_never_there)
{
    set();
    cast.stage.keeping_fails = TH_IO;
    th_wasm_tell("b", "do\nspawn kid play.wasm restart", NULL);
    th_wasm_stage_saw(&cast.stage, "play: no-file-at-path");
    th_wasm_stage_saw(&cast.stage, "its record could not be made durable");
    T_FALSE(is_alive("kid:test:local"));
    T_TRUE(is_alive("b:test:local"));
    cast.stage.keeping_fails = TH_OK;
    cast.stage.keeps_nothing = true;
    th_wasm_tell("b", "do\nspawn kid play.wasm restart", NULL);
    T_FALSE(is_alive("kid:test:local"));
    th_wasm_cast_close();
}

TEST(wasm_kept, a_durable_child_lives_though_its_spawner_ended_meanwhile)
{
    set();
    cast.stage.keeps_slowly = true;
    th_wasm_tell("b", "do\nspawn kid play.wasm restart", NULL);
    T_EQ(th_kernel_kill(cast.stage.kernel, b, TH_SLICE("enough")), TH_OK);
    th_wasm_pause();
    th_wasm_stage_keep(&cast.stage);
    th_wasm_tell("kid", "are you there", NULL);
    th_wasm_stage_saw(&cast.stage, "got request are you there");
    th_wasm_cast_close();
}

TEST(wasm_kept, a_change_of_what_a_durable_process_holds_is_kept)
{
    set();
    th_wasm_tell("b", "do\nclaim save our@b:test:local \"a\"", NULL);
    T_FALSE(th_wasm_cast_saw("is kept"));
    th_wasm_tell("b", "do\nexit-restart\nclaim save our@b:test:local \"b\"", NULL);
    th_wasm_stage_saw(&cast.stage, "(b:test:local is kept: restart, 2 capabilities)\n");
    th_wasm_stage_saw(&cast.stage, "(b:test:local is kept: restart, 3 capabilities)\n");
    th_wasm_tell("b", "do\nclaim drop our@b:test:local \"a\"\nexit-none", NULL);
    th_wasm_stage_saw(&cast.stage, "(b:test:local is kept: none, 2 capabilities)\n");
    th_wasm_cast_close();
}

TEST(wasm_kept, who_has_no_chosen_name_cannot_come_again)
{
    th_auto_buf address = TH_BUF_INIT;
    th_ident who;

    set();
    T_EQ(th_kernel_ident(cast.stage.kernel, th_wasm_cast_add(NULL), &who), TH_OK);
    th_kernel_address_text(cast.stage.kernel, &who, &address);
    *strchr(address.at, ':') = '\0'; /* local@UNIQUE */
    th_wasm_tell(strchr(address.at, '@') + 1, "do\nexit-none\nexit-restart", NULL);
    th_wasm_stage_saw(&cast.stage, "play: on-exit is set\n");
    th_wasm_stage_saw(&cast.stage, "set-on-exit: it has no chosen name by which");
    T_EQ(th_wasm_stage_count(&cast.stage, "on-exit is set"), 1);
    th_wasm_cast_close();
}

/* --- Last words --------------------------------------------------------------------------------- */

static void check_words(const char *line)
{
    set();
    th_wasm_tell("b", "do\nexit-words our@witness:test:local farewell", NULL);
    T_FALSE(th_wasm_cast_saw("farewell"));
    if (line != NULL) {
        th_wasm_tell("b", line, NULL);
    } else {
        T_EQ(th_kernel_kill(cast.stage.kernel, b, TH_SLICE("enough")), TH_OK);
        th_wasm_pause();
    }
    th_wasm_stage_saw(&cast.stage, "witness: farewell, blob own, 1 capabilities\n");
    T_EQ(th_wasm_stage_count(&cast.stage, "farewell"), 1);
    th_wasm_cast_close();
}

TEST(wasm_kept, last_words_are_sent_after_a_return)
{
    check_words("do\nend");
}

TEST(wasm_kept, last_words_are_sent_after_a_crash)
{
    check_words("do\ntrap");
}

TEST(wasm_kept, last_words_are_sent_after_a_kill)
{
    check_words(NULL);
}

TEST(wasm_kept, last_words_to_nobody_are_dropped)
{
    set();
    th_wasm_tell("b", "do\nexit-words our@nobody:test:local farewell\nend", NULL);
    th_wasm_stage_saw(&cast.stage, "play ended ok");
    th_wasm_cast_close();
}
