#include "core/exit.h"

#include "base/test.h"

TEST(exit, an_exit_keeps_how_why_and_with_what)
{
    th_auto(th_exit) end = th_exit_new(TH_END_CRASH, TH_FAILED, TH_SLICE("it broke"),
                                       TH_FORMAT_TERM, TH_SLICE("value"));

    T_EQ(end->end, TH_END_CRASH);
    T_EQ(end->reason, TH_FAILED);
    T_EQ(end->format, TH_FORMAT_TERM);
    T_TRUE(th_slice_is(th_exit_error(end), "it broke"));
    T_TRUE(th_slice_is(th_exit_value(end), "value"));
    T_TRUE(th_exit_ref(end) == end);
    T_NULL(th_exit_unref(end));
    T_NULL(th_exit_ref(NULL));
    T_NULL(th_exit_unref(NULL));
}

TEST(exit, an_exit_may_say_nothing)
{
    th_auto(th_exit) end =
        th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""), TH_FORMAT_BYTES, TH_SLICE(""));

    T_EQ(th_exit_error(end).bytes, 0);
    T_EQ(th_exit_value(end).bytes, 0);
}

TEST(exit, none_is_made_when_memory_runs_out)
{
    th_mem_fail_after(0);
    T_NULL(th_exit_new(TH_END_RETURN, TH_OK, TH_SLICE(""), TH_FORMAT_BYTES,
                       TH_SLICE("value")));
    th_mem_fail_never();
}
