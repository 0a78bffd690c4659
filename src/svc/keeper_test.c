#include "svc/keeper_house.h"

#include <stdio.h>

/*
 * Who comes again and who does not, row by row: what text 002 and DESIGN 4.6 say, from
 * outside, through the kernel, the store and the keeper.
 */

static house home;

static void set(void)
{
    th_world *world = NULL;

    memset(&home, 0, sizeof home);
    T_EQ(th_world_sim_new(&world, 7), TH_OK);
    house_open(&home, world);
    T_STR(house_seen(&home), "");
}

static void strike(void)
{
    th_world_sim_free(house_close(&home));
}

/* The node crashes at this moment, and another boots on what is left. */
static void crash(void)
{
    th_world *left = NULL;

    T_EQ(th_world_sim_crash(home.stage.world, 1, &left), TH_OK);
    strike();
    house_open(&home, left);
}

/* It ends in good order, and is started again. */
static void reboot(void)
{
    house_open(&home, house_close(&home));
}

static void spawn(const char *name, const char *on_exit)
{
    char what[64];

    snprintf(what, sizeof what, "spawn %s %s", name, on_exit);
    T_EQ(house_tell(&home, "listener", what), TH_OK);
    house_run(&home);
}

/* --- A running node ----------------------------------------------------------------- */

TEST(keeper, none_is_over_however_it_ends_and_has_no_record)
{
    static const char *const ends[] = {"return", "crash"};

    set();
    for (int i = 0; i < 2; i++) {
        spawn("a", "none");
        T_STR(house_seen(&home), "start:a");
        T_FALSE(house_has_record(&home, "a"));
        T_EQ(house_tell(&home, "a", ends[i]), TH_OK);
        house_wait(&home, 100000);
        T_STR(house_seen(&home), "");
        T_FALSE(house_runs(&home, "a"));
    }
    strike();
}

TEST(keeper, restart_starts_again_after_a_return_and_a_crash)
{
    static const char *const ends[] = {"return", "crash"};

    for (int i = 0; i < 2; i++) {
        set();
        spawn("a", "restart");
        T_STR(house_seen(&home), "spawned:a start:a");
        T_TRUE(house_has_record(&home, "a"));
        T_EQ(house_tell(&home, "a", ends[i]), TH_OK);
        house_run(&home);
        T_STR(house_seen(&home), "start:a");
        T_TRUE(house_runs(&home, "a"));
        strike();
    }
}

TEST(keeper, restart_is_over_after_a_kill_and_that_is_durable_when_it_is_answered)
{
    set();
    spawn("a", "restart");
    house_seen(&home);
    house_ask(&home, "{\"KillProcess\":\"a:test:local\"}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:{\"KilledProcess\":\"a:test:local\"}");
    T_FALSE(house_runs(&home, "a"));
    T_FALSE(house_has_record(&home, "a"));
    crash();
    T_STR(house_seen(&home), "");
    strike();
}

TEST(keeper, requests_are_sent_once_however_it_ends_and_it_does_not_start)
{
    static const char *const ends[] = {"return", "crash", "kill"};

    for (int i = 0; i < 3; i++) {
        set();
        spawn("a", "requests");
        T_STR(house_seen(&home), "spawned:a start:a");
        if (i == 2) {
            T_EQ(th_kernel_count(home.stage.kernel), 4);
            house_ask(&home, "{\"KillProcess\":\"a:test:local\"}");
        } else {
            T_EQ(house_tell(&home, "a", ends[i]), TH_OK);
        }
        house_run(&home);
        T_STR(house_seen(&home),
              i == 2 ? "got:bye:a answer:{\"KilledProcess\":\"a:test:local\"}"
                     : "got:bye:a");
        T_FALSE(house_has_record(&home, "a"));
        crash();
        T_STR(house_seen(&home), "");
        strike();
    }
}

TEST(keeper, a_restart_waits_ever_longer_and_a_healthy_run_forgets_that)
{
    static const uint64_t waits_ms[] = {0, 1000, 2000, 4000, 8000};

    set();
    spawn("a", "restart");
    house_seen(&home);
    for (int i = 0; i < 5; i++) {
        T_EQ(house_tell(&home, "a", "crash"), TH_OK);
        if (waits_ms[i] > 0) {
            house_wait(&home, waits_ms[i] - 10);
            T_STR(house_seen(&home), "");
            T_EQ(house_tell(&home, "a", "return"), TH_DIED);
        }
        house_wait(&home, 20);
        T_STR(house_seen(&home), "start:a");
    }
    house_wait(&home, 8000 * 5);
    T_EQ(house_tell(&home, "a", "crash"), TH_OK);
    house_run(&home);
    T_STR(house_seen(&home), "start:a");
    strike();
}

TEST(keeper, the_back_off_goes_on_after_a_reboot)
{
    set();
    spawn("a", "restart");
    for (int i = 0; i < 3; i++) {
        T_EQ(house_tell(&home, "a", "crash"), TH_OK);
        house_wait(&home, i < 2 ? 2000 : 0); /* the third is waiting for its 2 s */
    }
    crash();
    T_STR(house_seen(&home), "start:a");
    T_EQ(house_tell(&home, "a", "crash"), TH_OK);
    house_wait(&home, 3900);
    T_STR(house_seen(&home), "");
    house_wait(&home, 200);
    T_STR(house_seen(&home), "start:a");
    strike();
}

TEST(keeper, a_kill_while_it_backs_off_is_final_and_durable)
{
    set();
    spawn("a", "restart");
    for (int i = 0; i < 2; i++) {
        T_EQ(house_tell(&home, "a", "crash"), TH_OK);
        house_run(&home);
    }
    house_seen(&home);
    house_ask(&home, "{\"KillProcess\":\"a:test:local\"}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:{\"KilledProcess\":\"a:test:local\"}");
    house_wait(&home, 100000);
    T_STR(house_seen(&home), "");
    spawn("a", "none"); /* its name is free */
    T_STR(house_seen(&home), "start:a");
    crash();
    T_STR(house_seen(&home), "");
    strike();
}

TEST(keeper, a_name_that_is_to_come_again_is_taken)
{
    set();
    spawn("a", "restart");
    for (int i = 0; i < 2; i++) {
        T_EQ(house_tell(&home, "a", "crash"), TH_OK);
        house_run(&home);
    }
    house_seen(&home);
    spawn("a", "restart");
    T_STR(house_seen(&home), "refused:a:already_exists");
    strike();
}

/* --- The node ends ------------------------------------------------------------------- */

TEST(keeper, after_a_crash_of_the_node_each_comes_as_its_on_exit_says)
{
    set();
    spawn("one", "restart");
    spawn("two", "none");
    spawn("three", "requests");
    spawn("four", "restart");
    house_seen(&home);
    crash();
    T_STR(house_seen(&home), "start:one start:four got:bye:three");
    T_FALSE(house_has_record(&home, "three"));
    crash();
    T_STR(house_seen(&home), "start:one start:four");
    strike();
}

TEST(keeper, after_a_stop_of_the_node_each_comes_as_its_on_exit_says)
{
    set();
    spawn("one", "restart");
    spawn("two", "none");
    spawn("three", "requests");
    spawn("four", "restart");
    reboot();
    T_STR(house_seen(&home), "start:one start:four got:bye:three");
    strike();
}

TEST(keeper, a_restarted_process_has_its_arguments_and_its_state)
{
    set();
    spawn("a", "restart");
    T_EQ(house_tell(&home, "a", "state 17"), TH_OK);
    house_run(&home);
    T_STR(house_seen(&home), "spawned:a start:a saved:17");
    crash();
    T_STR(house_seen(&home), "start:a");
    T_EQ(house_tell(&home, "a", "load"), TH_OK);
    house_run(&home);
    T_STR(house_seen(&home), "args:args loaded:17");
    strike();
}

TEST(keeper, what_is_missing_is_set_aside_and_all_else_starts)
{
    set();
    spawn("a", "restart");
    T_EQ(house_tell(&home, "listener", "main b restart"), TH_OK);
    house_run(&home);
    house_seen(&home);
    home.lacks_actor = true;
    crash();
    T_STR(house_seen(&home), "start:b");
    T_NOT_NULL(strstr(th_buf_text(&home.notes),
                      "`a:test:local` is set aside until its code is back: there is no "
                      "entry `test:actor`"));
    home.lacks_actor = false;
    reboot();
    T_STR(house_seen(&home), "start:a start:b");
    T_STR(th_buf_text(&home.notes), "");
    strike();
}

TEST(keeper, who_has_the_name_of_one_set_aside_does_nothing_to_its_record)
{
    set();
    spawn("a", "restart");
    house_seen(&home);
    home.lacks_actor = true;
    crash();
    T_EQ(house_tell(&home, "listener", "main a none"), TH_OK);
    house_run(&home);
    house_seen(&home);
    house_ask(&home, "{\"GrantCapabilities\":{\"target\":\"a:test:local\","
                     "\"capabilities\":[{\"issuer\":\"local@listener:test:local\","
                     "\"params\":\"1\"}]}}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"Ok\"");
    home.lacks_actor = false;
    crash();
    T_STR(house_seen(&home), "start:a");
    strike();
}

TEST(keeper, a_record_that_cannot_be_read_harms_nobody)
{
    static const char *const records[] = {
        "",
        "{",
        "{}",
        "{\"version\":2}",
        "{\"version\":1,\"entry\":\"test:actor\",\"host\":\"system:processes\","
        "\"args\":\"?\",\"public\":false,\"on_exit\":\"Restart\",\"capabilities\":[],"
        "\"restarts\":0,\"backoff\":{\"restarts\":0,\"delay_ms\":0},\"order\":1,"
        "\"state\":\"alive\"}",
    };
    th_auto_buf why = TH_BUF_INIT;
    th_life_doc doc;

    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        T_NE(th_life_record_decode(&doc, th_slice_str(records[i]), &why), TH_OK);
        T_TRUE(why.bytes > 0);
        th_buf_clear(&why);
    }
}

/* --- The stop -------------------------------------------------------------------------- */

TEST(keeper, who_hears_of_the_stop_is_told_and_ended_the_newest_first)
{
    set();
    spawn("a", "none");
    house_wait(&home, 1);
    spawn("b", "none");
    house_wait(&home, 1);
    spawn("c", "restart");
    T_EQ(house_tell(&home, "a", "hear"), TH_OK);
    T_EQ(house_tell(&home, "c", "hear"), TH_OK);
    house_run(&home);
    house_seen(&home);
    th_keeper_stop(home.keeper);
    house_run(&home);
    T_TRUE(th_keeper_is_stopped(home.keeper));
    T_STR(house_seen(&home), "told:c told:a");
    T_TRUE(house_runs(&home, "b"));
    reboot();
    T_STR(house_seen(&home), "start:c");
    strike();
}

TEST(keeper, who_does_not_heed_the_stop_is_ended_in_time_and_that_is_no_kill)
{
    set();
    spawn("a", "none");
    house_wait(&home, 1);
    spawn("b", "restart");
    T_EQ(house_tell(&home, "a", "hear"), TH_OK);
    T_EQ(house_tell(&home, "b", "deaf"), TH_OK);
    house_run(&home);
    house_seen(&home);
    th_keeper_stop(home.keeper);
    house_wait(&home, TH_KEEPER_STOP_EACH_MS - 10);
    T_STR(house_seen(&home), "told:b");
    house_wait(&home, 20);
    T_STR(house_seen(&home), "told:a");
    T_TRUE(th_keeper_is_stopped(home.keeper));
    reboot();
    T_STR(house_seen(&home), "start:b");
    strike();
}

TEST(keeper, the_stop_is_over_in_time_however_many_do_not_heed_it)
{
    char name[8];

    set();
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "a%d", i);
        spawn(name, "none");
        T_EQ(house_tell(&home, name, "deaf"), TH_OK);
    }
    house_run(&home);
    house_seen(&home);
    th_keeper_stop(home.keeper);
    house_wait(&home, TH_KEEPER_STOP_ALL_MS + 10);
    T_TRUE(th_keeper_is_stopped(home.keeper));
    T_STR(house_seen(&home), "told:a4 told:a3 told:a2");
    strike();
}

/* --- Commands ---------------------------------------------------------------------------- */

TEST(keeper, a_process_is_initialized_and_runs_when_it_is_told_to)
{
    set();
    house_ask(&home, "{\"InitializeProcess\":{\"id\":\"x:test:local\","
                     "\"wasm_bytes_handle\":\"/test:local/pkg/actor.lua\","
                     "\"wit_version\":1,\"on_exit\":\"Restart\","
                     "\"initial_capabilities\":[],\"public\":false}}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"InitializedProcess\"");
    T_TRUE(house_has_record(&home, "x"));
    house_ask(&home, "{\"RunProcess\":\"x:test:local\"}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"StartedProcess\" start:x");
    crash();
    T_STR(house_seen(&home), "start:x");
    strike();
}

TEST(keeper, unknown_ids_and_bodies_are_answered_too)
{
    set();
    house_ask(&home, "{\"RunProcess\":\"x:test:local\"}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"RunProcessError\"");
    house_ask(&home, "{\"KillProcess\":\"x:test:local\"}");
    house_run(&home);
    T_NOT_NULL(strstr(house_seen(&home), "\"reason\":\"not_found\""));
    house_ask(&home, "what?");
    house_run(&home);
    T_NOT_NULL(strstr(house_seen(&home), "\"reason\":\"invalid\""));
    house_ask(&home, "{\"InitializeProcess\":{\"id\":\"x:test:local\","
                     "\"wasm_bytes_handle\":\"/test:local/pkg/nothing\","
                     "\"wit_version\":1,\"on_exit\":\"Restart\","
                     "\"initial_capabilities\":[],\"public\":false}}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"InitializeProcessError\"");
    T_FALSE(house_has_record(&home, "x"));
    strike();
}

TEST(keeper, an_on_exit_that_is_set_is_durable_when_it_is_answered)
{
    set();
    spawn("a", "none");
    house_ask(&home,
              "{\"SetOnExit\":{\"target\":\"a:test:local\",\"on_exit\":\"Restart\"}}");
    house_run(&home);
    T_STR(house_seen(&home), "start:a answer:\"Ok\"");
    crash();
    T_STR(house_seen(&home), "start:a");
    house_ask(&home,
              "{\"SetOnExit\":{\"target\":\"a:test:local\",\"on_exit\":\"None\"}}");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"Ok\"");
    crash();
    T_STR(house_seen(&home), "");
    strike();
}

TEST(keeper, capabilities_that_are_granted_are_kept_and_dropped_ones_are_not)
{
    static const char cap[] = "{\"issuer\":\"local@b:test:local\",\"params\":\"1\"}";
    char text[256];

    set();
    spawn("a", "restart");
    spawn("b", "restart");
    house_seen(&home);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text,
                 "{\"%sCapabilities\":{\"target\":\"a:test:local\","
                 "\"capabilities\":[%s]}}",
                 i == 0 ? "Grant" : "Drop", cap);
        house_ask(&home, text);
        house_run(&home);
        T_STR(house_seen(&home), "answer:\"Ok\"");
        crash();
        house_seen(&home);
        snprintf(text, sizeof text,
                 "{\"Debug\":{\"HasCap\":{\"on\":\"a:test:local\",\"cap\":%s}}}", cap);
        house_ask(&home, text);
        house_run(&home);
        T_STR(house_seen(&home), i == 0 ? "answer:{\"Debug\":{\"HasCap\":true}}"
                                        : "answer:{\"Debug\":{\"HasCap\":false}}");
    }
    strike();
}

TEST(keeper, a_capability_of_who_does_not_come_again_is_void)
{
    static const char cap[] = "{\"issuer\":\"local@b:test:local\",\"params\":\"1\"}";
    char text[256];

    set();
    spawn("a", "restart");
    spawn("b", "none");
    snprintf(text, sizeof text,
             "{\"GrantCapabilities\":{\"target\":\"a:test:local\","
             "\"capabilities\":[%s]}}",
             cap);
    house_ask(&home, text);
    house_run(&home);
    crash();
    spawn("b", "none");
    house_seen(&home);
    snprintf(text, sizeof text,
             "{\"Debug\":{\"HasCap\":{\"on\":\"a:test:local\",\"cap\":%s}}}", cap);
    house_ask(&home, text);
    house_run(&home);
    T_STR(house_seen(&home), "answer:{\"Debug\":{\"HasCap\":false}}");
    strike();
}

static void check(bool has)
{
    house_seen(&home);
    house_ask(&home, "{\"Debug\":{\"HasCap\":{\"on\":\"a:test:local\",\"cap\":"
                     "{\"issuer\":\"local@b:test:local\",\"params\":\"1\"}}}}");
    house_run(&home);
    T_STR(house_seen(&home), has ? "answer:{\"Debug\":{\"HasCap\":true}}"
                                 : "answer:{\"Debug\":{\"HasCap\":false}}");
}

/* "a" may not do "1" of "b", after another boot. */
static void check_void(void)
{
    crash();
    check(false);
    strike();
}

static void grant(void)
{
    house_ask(&home, "{\"GrantCapabilities\":{\"target\":\"a:test:local\","
                     "\"capabilities\":[{\"issuer\":\"local@b:test:local\","
                     "\"params\":\"1\"}]}}");
    house_run(&home);
}

TEST(keeper, a_void_capability_stays_void_when_its_issuers_name_comes_back_later)
{
    set();
    spawn("a", "restart");
    spawn("b", "none");
    grant();
    crash();
    spawn("b", "restart");
    check_void();
}

TEST(keeper, a_void_capability_stays_void_when_its_issuers_name_comes_back_at_once)
{
    set();
    spawn("a", "restart");
    spawn("b", "restart");
    grant();
    house_ask(&home, "{\"KillProcess\":\"b:test:local\"}");
    house_run(&home);
    spawn("b", "restart");
    check_void();
}

TEST(keeper, a_kill_with_no_revoke_leaves_what_was_issued_for_the_next_of_its_name)
{
    for (int i = 0; i < 4; i++) {
        const char *on_exit = i / 2 == 0 ? "restart" : "none";

        set();
        spawn("a", "restart");
        spawn("b", on_exit);
        grant();
        house_ask_with(&home, "{\"KillProcess\":\"b:test:local\"}",
                       i % 2 == 0 ? "no-revoke" : "no");
        house_run(&home);
        spawn("b", "restart");
        check(i % 2 == 0);
        crash();
        check(i % 2 == 0);
        strike();
    }
}

TEST(keeper, a_kill_with_no_revoke_during_a_back_off_leaves_what_was_issued)
{
    set();
    spawn("a", "restart");
    spawn("b", "restart");
    grant();
    for (int i = 0; i < 2; i++) {
        T_EQ(house_tell(&home, "b", "crash"), TH_OK);
        house_run(&home);
    }
    T_EQ(house_runs(&home, "b"), false);
    house_ask_with(&home, "{\"KillProcess\":\"b:test:local\"}", "no-revoke");
    house_run(&home);
    T_EQ(house_has_record(&home, "b"), false);
    spawn("b", "restart");
    check(true);
    strike();
}

TEST(keeper, a_void_capability_stays_void_when_its_issuer_never_was_durable)
{
    set();
    spawn("a", "restart");
    spawn("b", "none");
    grant();
    house_ask(&home, "{\"KillProcess\":\"b:test:local\"}");
    house_run(&home);
    spawn("b", "restart");
    check_void();
}

TEST(keeper, shutdown_asks_the_node_to_stop)
{
    set();
    house_ask(&home, "\"Shutdown\"");
    house_run(&home);
    T_STR(house_seen(&home), "answer:\"Ok\"");
    house_wait(&home, TH_KEEPER_SHUTDOWN_MS + 10);
    T_EQ(home.shutdowns, 1);
    strike();
}

/* --- The main process ----------------------------------------------------------------------- */

static void set_main(th_on_exit_kind on_exit)
{
    th_world *world = NULL;

    memset(&home, 0, sizeof home);
    home.main = th_on_exit_plain(on_exit);
    T_EQ(th_world_sim_new(&world, 7), TH_OK);
    house_open(&home, world);
}

static bool end_main(void *context, const th_process_info *info)
{
    (void)context;
    if (th_slice_is(info->ident.entry->id, "test:main")) {
        (void)th_kernel_kill(home.stage.kernel, info->ident.pid, TH_SLICE("so"));
    }
    return true;
}

TEST(keeper, the_main_process_is_over_when_it_ended)
{
    th_auto_buf why = TH_BUF_INIT;
    th_end end;

    set_main(TH_ON_EXIT_NONE);
    T_STR(house_seen(&home), "start:");
    T_FALSE(th_keeper_is_over(home.keeper));
    th_kernel_each(home.stage.kernel, end_main, NULL);
    house_run(&home);
    T_TRUE(th_keeper_is_over(home.keeper));
    T_EQ(th_keeper_outcome(home.keeper, &end, &why), TH_KILLED);
    T_EQ(end, TH_END_KILL);
    T_STR(th_buf_text(&why), "so");
    strike();
}

TEST(keeper, a_main_process_that_restarts_has_its_entrys_name_and_is_not_started_twice)
{
    set_main(TH_ON_EXIT_RESTART);
    T_STR(house_seen(&home), "start:main");
    T_EQ(house_tell(&home, "main", "crash"), TH_OK);
    house_run(&home);
    T_STR(house_seen(&home), "start:main");
    T_FALSE(th_keeper_is_over(home.keeper));
    crash();
    T_STR(house_seen(&home), "start:main");
    house_ask(&home, "{\"KillProcess\":\"main:test:local\"}");
    house_run(&home);
    T_TRUE(th_keeper_is_over(home.keeper));
    strike();
}
