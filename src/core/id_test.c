#include "core/id.h"

#include "base/test.h"

static const char *const too_long =
    "a234567890123456789012345678901234567890123456789"
    "b2345678901234567890123456789012345678901234567x"; /* 97 bytes */

/* --- Addresses ------------------------------------------------------------------- */

typedef struct address_row {
    const char *text;
    bool node_optional;
    const char *node, *process, *package, *publisher;
} address_row;

TEST(id, an_address_is_read_and_written_back)
{
    static const address_row rows[] = {
        {"our@chess:chess:sys", false, "our", "chess", "chess", "sys"},
        {"my-node.os@a_b:c.d:e.f", false, "my-node.os", "a_b", "c.d", "e.f"},
        {"a:b:c", true, "", "a", "b", "c"},
        {"n@a:b:c", true, "n", "a", "b", "c"},
        {"0@1:2:3", false, "0", "1", "2", "3"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const address_row *row = &rows[i];
        th_auto_buf text = TH_BUF_INIT;
        th_address address;
        th_id_error error;

        T_EQ(th_address_decode(&address, th_slice_str(row->text), row->node_optional,
                               &error),
             TH_OK);
        T_TRUE(th_slice_is(address.node, row->node));
        T_TRUE(th_slice_is(address.process, row->process));
        T_TRUE(th_slice_is(address.package, row->package));
        T_TRUE(th_slice_is(address.publisher, row->publisher));
        th_address_encode(&text, &address);
        T_STR(th_buf_text(&text), row->text);
    }
}

typedef struct wrong_row {
    const char *text;
    size_t at;
    const char *what; /* a part of it */
} wrong_row;

static void check_wrong(const wrong_row *row, th_err err, const th_id_error *error)
{
    T_EQ(err, TH_INVALID);
    if (error->at != row->at || strstr(error->what, row->what) == NULL) {
        fail_msg("%s: %zu, %s", row->text, error->at, error->what);
    }
}

TEST(id, what_is_wrong_in_an_address_is_marked)
{
    static const wrong_row rows[] = {
        {"", 0, "empty"},
        {"a:b:c", 0, "begins with a node"},
        {"@a:b:c", 0, "missing"},
        {"n@", 2, "NODE@PROCESS"},
        {"n@a", 3, "NODE@PROCESS"},
        {"n@a:b", 5, "NODE@PROCESS"},
        {"n@:b:c", 2, "missing"},
        {"n@a::c", 4, "missing"},
        {"n@a:b:", 6, "missing"},
        {"n@a:b:c:d", 7, "lower-case"},
        {"N@a:b:c", 0, "lower-case"},
        {"n@a.b:b:c", 3, "lower-case"},
        {"n@a:b b:c", 5, "lower-case"},
        {"n@a:b:c\n", 7, "lower-case"},
        {"n@a:b:\xc3\xa4", 6, "lower-case"},
        {"n@a@b:b:c", 3, "lower-case"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_address address;
        th_id_error error = {99, ""};
        th_err err =
            th_address_decode(&address, th_slice_str(rows[i].text), false, &error);

        check_wrong(&rows[i], err, &error);
    }
}

TEST(id, a_name_that_is_too_long_is_marked_where_it_is)
{
    th_auto_buf text = TH_BUF_INIT;
    th_address address;
    th_id_error error;

    T_EQ(strlen(too_long), TH_NAME_BYTES_MAX + 1);
    th_buf_putf(&text, "n@%s:b:c", too_long);
    T_EQ(th_address_decode(&address, th_buf_slice(&text), false, &error), TH_INVALID);
    T_EQ(error.at, 2 + TH_NAME_BYTES_MAX);
    T_NOT_NULL(strstr(error.what, "too long"));
    th_buf_clear(&text);
    th_buf_putf(&text, "n@%.*s:b:c", TH_NAME_BYTES_MAX, too_long);
    T_EQ(th_address_decode(&address, th_buf_slice(&text), false, &error), TH_OK);
}

/* --- PIDs ------------------------------------------------------------------------- */

TEST(id, a_pid_is_read_and_written_back)
{
    static const char *const rows[] = {
        "{local@system:processes|app:main|3-1f-2}",
        "{system:processes|app.sub:main.x|chosen}",
        "{n.os@bare|a:b|c}",
        "{bare|a:b|c_d}",
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto_buf text = TH_BUF_INIT;
        th_pid_text pid;
        th_id_error error;

        T_EQ(th_pid_text_decode(&pid, th_slice_str(rows[i]), &error), TH_OK);
        th_pid_text_encode(&text, &pid);
        T_STR(th_buf_text(&text), rows[i]);
    }
}

TEST(id, what_is_wrong_in_a_pid_is_marked)
{
    static const wrong_row rows[] = {
        {"", 0, "begins with '{'"},
        {"{", 0, "begins with '{'"},
        {"x{a|b:c|d}", 0, "begins with '{'"},
        {"{a|b:c|d", 8, "ends with '}'"},
        {"{}", 1, "{NODE@HOST"},
        {"{a|b:c}", 6, "{NODE@HOST"},
        {"{|b:c|d}", 1, "missing"},
        {"{@a|b:c|d}", 1, "missing"},
        {"{n@|b:c|d}", 3, "missing"},
        {"{n@a:|b:c|d}", 5, "missing"},
        {"{N@a|b:c|d}", 1, "lower-case"},
        {"{a!b|b:c|d}", 2, "lower-case"},
        {"{a:b:c|b:c|d}", 4, "lower-case"},
        {"{a|bc|d}", 5, "NAMESPACE:NAME"},
        {"{a|:c|d}", 3, "missing"},
        {"{a|b:|d}", 5, "missing"},
        {"{a|b:C|d}", 5, "lower-case"},
        {"{a|b:c|}", 7, "missing"},
        {"{a|b:c|d.e}", 8, "lower-case"},
        {"{a|b:c|d|e}", 8, "lower-case"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_pid_text pid;
        th_id_error error = {99, ""};
        th_err err = th_pid_text_decode(&pid, th_slice_str(rows[i].text), &error);

        check_wrong(&rows[i], err, &error);
    }
}

/* Whatever comes, in any cut: an answer, and a mark within the text. */
TEST(id, no_text_is_read_beyond_its_end)
{
    static const char text[] = "{n@h:i|a:b|c}{@|:}::";

    for (size_t begin = 0; begin < sizeof text; begin++) {
        for (size_t bytes = 0; bytes <= sizeof text - 1 - begin; bytes++) {
            th_slice part = th_slice_of(text + begin, bytes);
            th_id_error error = {0, ""};
            th_pid_text pid;
            th_address address;
            th_slice ns, name;

            if (th_pid_text_decode(&pid, part, &error) != TH_OK) {
                T_TRUE(error.at <= bytes);
            }
            if (th_address_decode(&address, part, true, &error) != TH_OK) {
                T_TRUE(error.at <= bytes);
            }
            if (th_entry_id_decode(&ns, &name, part, &error) != TH_OK) {
                T_TRUE(error.at <= bytes);
            }
        }
    }
}

/* --- Unique parts ------------------------------------------------------------------- */

TEST(id, a_unique_part_is_read_and_written_back)
{
    static const th_pid pids[] = {{1}, {UINT64_MAX}, {UINT64_C(0x123456789abcdef)}};
    static const uint64_t boots[] = {0, 1, 255, UINT64_MAX};

    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 4; j++) {
            char text[TH_UNIQUE_BYTES];
            size_t bytes = th_unique_encode(text, boots[j], pids[i]);
            uint64_t boot = 7;
            th_pid pid;

            T_EQ(bytes, strlen(text));
            T_TRUE(th_name_is_valid(th_slice_str(text), TH_NAME_PLAIN));
            T_EQ(th_unique_decode(&boot, &pid, th_slice_str(text)), TH_OK);
            T_TRUE(boot == boots[j]);
            T_TRUE(th_pid_eq(pid, pids[i]));
        }
    }
}

TEST(id, a_chosen_name_is_no_unique_part)
{
    static const char *const rows[] = {"",
                                       "1",
                                       "1-2",
                                       "1-2-",
                                       "-1-2",
                                       "1--2",
                                       "1-2-3-",
                                       "01-2-3",
                                       "1-02-3",
                                       "1-2-00",
                                       "1-2-3x",
                                       "g-2-3",
                                       "1-2-G",
                                       "1-2-3-4",
                                       "A-1-2",
                                       "1-1000000-2",
                                       "1-2-10000000000",
                                       "10000000000000000-1-2"};
    uint64_t boot = 0;
    th_pid pid = TH_PID_NONE;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        T_EQ(th_unique_decode(&boot, &pid, th_slice_str(rows[i])), TH_INVALID);
    }
    T_EQ(boot, 0);
    T_TRUE(th_pid_is_none(pid));
}

TEST(id, a_pid_has_its_slot_and_its_generation)
{
    th_pid pid = th_pid_make(TH_PID_SLOTS_MAX - 1, (UINT64_C(1) << 40) - 1);

    T_TRUE(pid.bits == UINT64_MAX);
    T_EQ(th_pid_slot(pid), TH_PID_SLOTS_MAX - 1);
    T_EQ(th_pid_generation(pid), (UINT64_C(1) << 40) - 1);
    T_TRUE(th_pid_is_none(TH_PID_NONE));
}

TEST(id, a_target_is_an_address_with_or_without_a_node_or_a_pid)
{
    T_TRUE(th_target_is_valid(TH_SLICE("n@p:k:s")));
    T_TRUE(th_target_is_valid(TH_SLICE("p:k:s")));
    T_TRUE(th_target_is_valid(TH_SLICE("{n@h|a:b|x}")));
    T_FALSE(th_target_is_valid(TH_SLICE("p:k")));
    T_FALSE(th_target_is_valid(TH_SLICE("{n@h|a:b}")));
    T_FALSE(th_target_is_valid(TH_SLICE("")));
}
