#include "base/err.h"

#include "base/test.h"

#define TH_REASON(name, number, json, lua, wit, exit, text) TH_##name,
static const th_err all[] = {
#include "base/reasons.def"
};
#undef TH_REASON

#define ALL (sizeof all / sizeof all[0])

TEST(err, each_reason_has_a_complete_row)
{
    for (size_t i = 0; i < ALL; i++) {
        const th_reason *row = th_reason_of(all[i]);

        T_EQ(row->err, all[i]);
        T_NE(row->err, TH_OK);
        T_TRUE(row->name[0] != '\0');
        T_TRUE(row->lua_kind[0] >= 'A' && row->lua_kind[0] <= 'Z');
        T_TRUE(row->wit_kind == TH_WIT_OFFLINE || row->wit_kind == TH_WIT_TIMEOUT);
        T_TRUE(row->exit_code >= 1 && row->exit_code <= 8);
        T_TRUE(strlen(row->text) > 5 && row->text[strlen(row->text) - 1] != '.');
        T_EQ(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
    }
}

TEST(err, numbers_and_names_are_unique)
{
    for (size_t i = 0; i < ALL; i++) {
        for (size_t j = i + 1; j < ALL; j++) {
            T_NE(all[i], all[j]);
            T_TRUE(strcmp(th_reason_of(all[i])->name, th_reason_of(all[j])->name) != 0);
        }
    }
}

TEST(err, a_reason_is_found_by_its_name)
{
    for (size_t i = 0; i < ALL; i++) {
        T_TRUE(th_reason_find(th_reason_of(all[i])->name) == th_reason_of(all[i]));
    }
    T_TRUE(th_reason_find("ok") == th_reason_of(TH_OK));
    T_NULL(th_reason_find("no such reason"));
}

TEST(err, success_ends_a_command_with_zero)
{
    T_EQ(th_reason_of(TH_OK)->exit_code, 0);
}

/* The numbers are on the wire: a change of one of these breaks other nodes. */
TEST(err, numbers_on_the_wire_stay)
{
    T_EQ(TH_INVALID, 1);
    T_EQ(TH_OFFLINE, 6);
    T_EQ(TH_STOPPING, 15);
    T_EQ(TH_NOMEM, -1);
    T_EQ(TH_IO, -2);
}

TEST(err, a_true_assertion_is_evaluated_once)
{
    int times = 0;

    th_assert(++times == 1);
    T_EQ(times, 1);
}
