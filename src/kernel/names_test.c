#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

#include <stdio.h>

/*
 * Names: who may have which, and what a text means.
 */

static th_stage stage;
static th_puppet a_cast, b_cast;
static th_process *a, *b;

static void set(void)
{
    th_stage_set(&stage, 1, 2);
    a = th_stage_doll(&stage, &a_cast, "test:a");
    b = th_stage_doll(&stage, &b_cast, "test.sub:b");
    th_stage_enter(&stage, 0);
}

static void strike(void)
{
    th_stage_leave(&stage);
    th_stage_strike(&stage);
}

static th_err resolve(const char *text, th_pid *out)
{
    th_id_error error;

    return th_process_resolve(a, th_slice_str(text), out, &error);
}

TEST(names, what_reads_as_an_id_is_refused_as_a_name)
{
    static const char *const rows[] = {
        "", "{n@h|a:b|c}", "{h|a:b|c}", "n@a:b:c", "a:b:c", "our@a:b:c",
    };
    char longest[257];

    set();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        T_EQ(th_process_register(a, th_slice_str(rows[i]), a->ident.pid), TH_INVALID);
    }
    memset(longest, 'x', sizeof longest);
    T_EQ(th_process_register(a, th_slice_of(longest, 256), a->ident.pid), TH_INVALID);
    T_EQ(th_process_register(a, th_slice_of(longest, 255), a->ident.pid), TH_OK);
    T_EQ(th_process_register(a, TH_SLICE("A name, with \xff and all"), a->ident.pid),
         TH_OK);
    T_EQ(th_process_register(a, TH_SLICE("{not a pid"), a->ident.pid), TH_OK);
    strike();
}

TEST(names, a_name_has_one_owner_whom_alone_or_its_registrar_may_undo_it)
{
    th_pid found;

    set();
    T_EQ(th_process_register(a, TH_SLICE("x"), b->ident.pid), TH_OK);
    T_EQ(th_process_register(b, TH_SLICE("x"), b->ident.pid), TH_OK);
    T_EQ(th_process_register(a, TH_SLICE("x"), a->ident.pid), TH_EXISTS);
    T_EQ(th_process_register(a, TH_SLICE("y"), TH_PID_NONE), TH_NOT_FOUND);
    T_EQ(th_process_unregister(a, TH_SLICE("x")), TH_OK);
    T_EQ(th_process_unregister(a, TH_SLICE("x")), TH_NOT_FOUND);
    T_EQ(th_process_register(b, TH_SLICE("x"), b->ident.pid), TH_OK);
    T_EQ(th_process_unregister(a, TH_SLICE("x")), TH_DENIED);
    T_EQ(resolve("x", &found), TH_OK);
    T_TRUE(th_pid_eq(found, b->ident.pid));
    strike();
}

TEST(names, a_process_has_so_many_names_and_its_end_frees_them)
{
    char text[8];
    th_pid found;

    set();
    a_cast.entry.limits.names_max = 3;
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "n%d", i);
        T_EQ(th_process_register(a, th_slice_str(text), a->ident.pid), TH_OK);
    }
    T_EQ(th_process_register(b, TH_SLICE("n3"), a->ident.pid), TH_QUOTA);
    T_EQ(th_process_unregister(a, TH_SLICE("n1")), TH_OK);
    T_EQ(th_process_register(b, TH_SLICE("n3"), a->ident.pid), TH_OK);
    th_stage_end(&stage, a, TH_OK);
    a = b;
    T_EQ(resolve("n0", &found), TH_NOT_FOUND);
    T_EQ(th_process_register(b, TH_SLICE("n0"), b->ident.pid), TH_OK);
    strike();
}

TEST(names, a_process_that_is_ending_gets_no_name_any_more)
{
    set();
    th_names_release(b); /* as its end begins, and it is found still */
    T_EQ(th_process_register(a, TH_SLICE("late"), b->ident.pid), TH_NOT_FOUND);
    T_EQ(atomic_load(&b->names_count), 0);
    T_EQ(th_process_register(a, TH_SLICE("late"), a->ident.pid), TH_OK);
    strike();
}

TEST(names, many_names_are_all_found)
{
    enum { MANY = 20000 };
    char text[16];

    set();
    a_cast.entry.limits.names_max = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "name-%d", i);
        T_EQ(th_process_register(a, th_slice_str(text), a->ident.pid), TH_OK);
    }
    for (int i = 0; i < MANY; i += 7) {
        th_pid found;

        snprintf(text, sizeof text, "name-%d", i);
        T_EQ(resolve(text, &found), TH_OK);
    }
    strike();
}

typedef struct text_row {
    const char *text;
    th_err err;
} text_row;

TEST(names, a_text_means_a_process_or_says_why_not)
{
    static const text_row rows[] = {
        {"", TH_NOT_FOUND},
        {"nobody", TH_NOT_FOUND},
        {"a:b", TH_NOT_FOUND},
        {"{local@system:processes|test:a|1-1-1}", TH_OK},
        {"{our@system:processes|test:a|1-1-1}", TH_OK},
        {"{system:processes|test:a|1-1-1}", TH_OK},
        {"{system:processes|test:a|2-1-1}", TH_NOT_FOUND},     /* another boot */
        {"{system:processes|test:a|1-1-2}", TH_NOT_FOUND},     /* another life */
        {"{system:processes|test.sub:b|1-1-1}", TH_NOT_FOUND}, /* another entry */
        {"{system:other|test:a|1-1-1}", TH_NOT_FOUND},         /* another host */
        {"{system:processes|no:entry|x}", TH_NOT_FOUND},
        {"{there@system:processes|test:a|1-1-1}", TH_OFFLINE},
        {"{system:processes|test:a}", TH_INVALID},
        {"local@1-1-1:test:local", TH_OK},
        {"1-1-1:test:local", TH_OK},
        {"1-1-1:test:other", TH_NOT_FOUND},
        {"1-1-1:other:local", TH_NOT_FOUND},
        {"there@1-1-1:test:local", TH_OFFLINE},
        {"n@a", TH_INVALID},
        {"a:b:C", TH_INVALID},
    };

    set();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_pid found = TH_PID_NONE;
        th_err err = resolve(rows[i].text, &found);

        if (err != rows[i].err) {
            fail_msg("%s: %d", rows[i].text, (int)err);
        }
        T_TRUE(th_pid_is_none(found) || th_pid_eq(found, a->ident.pid));
    }
    strike();
}

TEST(names, a_spawn_with_names_is_whole_or_not_at_all_when_memory_runs_out)
{
    th_spawn spec = {.host = &stage.host,
                     .name = TH_SLICE("chosen"),
                     .args = TH_SLICE("args"),
                     .registered = TH_SLICE("registered"),
                     .monitored = true,
                     .linked = true};
    int64_t charged;

    set();
    spec.entry = &b_cast.entry;
    charged = th_budget_bytes(stage.kernel);
    for (uint64_t n = 0;; n++) {
        th_auto_buf why = TH_BUF_INIT;
        th_ident child;
        th_err err;

        th_mem_fail_after(n);
        err = th_process_spawn(a, &spec, &child, &why);
        th_mem_fail_never();
        if (err == TH_OK) {
            T_TRUE(n > 5);
            th_blob_unref(child.name);
            break;
        }
        T_EQ(err, TH_QUOTA);
        T_EQ(th_budget_bytes(stage.kernel), charged);
        T_EQ(th_kernel_count(stage.kernel), 2);
        T_EQ(stage.host.processes, 2);
        T_EQ(a->ties_count, 0);
    }
    strike();
}
