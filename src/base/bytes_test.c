#include "base/bytes.h"

#include "base/test.h"

TEST(bytes, slices_compare_by_their_bytes)
{
    th_slice a = TH_SLICE("abc");
    char other[] = {'a', 'b', 'c', 'd'};

    T_TRUE(th_slice_eq(a, th_slice_of(other, 3)));
    T_FALSE(th_slice_eq(a, th_slice_of(other, 4)));
    T_TRUE(th_slice_eq(th_slice_of(NULL, 0), TH_SLICE("")));
    T_TRUE(th_slice_is(a, "abc"));
    T_FALSE(th_slice_is(a, "ab"));
    T_TRUE(th_slice_is(th_slice_str(NULL), ""));
}

TEST(bytes, a_slice_starts_with_its_prefixes_only)
{
    T_TRUE(th_slice_starts(TH_SLICE("kernel:distro"), "kernel"));
    T_TRUE(th_slice_starts(TH_SLICE("k"), ""));
    T_FALSE(th_slice_starts(TH_SLICE("ker"), "kernel"));
    T_FALSE(th_slice_starts(TH_SLICE("xkernel"), "kernel"));
    T_TRUE(th_slice_is(th_slice_from(TH_SLICE("abc"), 1), "bc"));
    T_TRUE(th_slice_is(th_slice_from(TH_SLICE("abc"), 3), ""));
}

TEST(bytes, find_gives_the_first_place_or_the_end)
{
    T_EQ(th_slice_find(TH_SLICE("a:b:c"), ':'), 1);
    T_EQ(th_slice_find(TH_SLICE("abc"), ':'), 3);
    T_EQ(th_slice_find(th_slice_of(NULL, 0), ':'), 0);
    T_EQ(th_slice_find(TH_SLICE("a\0b"), '\0'), 1);
}

TEST(bytes, a_hash_depends_on_bytes_and_seed_alone)
{
    char copy[] = "thole";

    T_TRUE(th_slice_hash(TH_SLICE("thole"), 1) == th_slice_hash(th_slice_str(copy), 1));
    T_TRUE(th_slice_hash(TH_SLICE("thole"), 1) != th_slice_hash(TH_SLICE("thole"), 2));
    T_TRUE(th_slice_hash(TH_SLICE("thole"), 1) != th_slice_hash(TH_SLICE("tholf"), 1));
    T_TRUE(th_slice_hash(th_slice_of(NULL, 0), 3) == th_slice_hash(TH_SLICE(""), 3));
}

TEST(bytes, a_buffer_grows_and_ends_in_a_nul)
{
    th_auto_buf buf = TH_BUF_INIT;

    T_STR(th_buf_text(&buf), "");
    for (int i = 0; i < 1000; i++) {
        th_buf_putf(&buf, "%03d", i);
        T_EQ(buf.bytes, 3 * (i + 1));
        T_EQ(buf.at[buf.bytes], '\0');
        T_TRUE(buf.room > buf.bytes);
    }
    T_MEM(buf.at + 3 * 999, "999", 4);
    T_FALSE(buf.failed);
}

TEST(bytes, all_ways_to_append_append)
{
    th_auto_buf buf = TH_BUF_INIT;

    th_buf_puts(&buf, "a");
    th_buf_putc(&buf, 'b');
    th_buf_put(&buf, "cd", 1);
    th_buf_put(&buf, NULL, 0);
    th_buf_putf(&buf, "%s%d", "d", 1);
    T_TRUE(th_slice_is(th_buf_slice(&buf), "abcd1"));
    th_buf_clear(&buf);
    T_EQ(th_buf_slice(&buf).bytes, 0);
    th_buf_puts(&buf, "x");
    T_STR(th_buf_text(&buf), "x");
}

TEST(bytes, reserve_gives_room_and_does_not_count_it)
{
    th_auto_buf buf = TH_BUF_INIT;
    char *room;

    th_buf_puts(&buf, "head");
    room = th_buf_reserve(&buf, 5000);
    T_NOT_NULL(room);
    T_EQ(buf.bytes, 4);
    memset(room, 'x', 5000);
    buf.bytes += 5000;
    T_MEM(buf.at, "headx", 5);
}

TEST(bytes, a_buffer_refuses_sizes_that_cannot_be)
{
    th_auto_buf buf = TH_BUF_INIT;

    th_buf_puts(&buf, "kept");
    T_NULL(th_buf_reserve(&buf, SIZE_MAX));
    T_TRUE(buf.failed);
    T_STR(th_buf_text(&buf), "kept");
}

TEST(bytes, a_buffer_remembers_that_memory_ran_out)
{
    th_auto_buf buf = TH_BUF_INIT;

    th_buf_puts(&buf, "kept");
    th_mem_fail_after(0);
    for (int i = 0; i < 100; i++) {
        th_buf_puts(&buf, "0123456789");
    }
    th_mem_fail_never();
    T_TRUE(buf.failed);
    th_buf_puts(&buf, "!");
    T_TRUE(buf.failed);
    T_MEM(buf.at, "kept", 4);
    th_buf_clear(&buf);
    T_FALSE(buf.failed);
}

TEST(bytes, short_slices_are_equal_when_each_byte_is)
{
    char a[80], b[80];

    memset(a, 'x', sizeof a);
    for (size_t n = 0; n <= sizeof a; n++) {
        memset(b, 'x', n);
        memset(b + n, 'y', sizeof b - n);
        T_TRUE(th_slice_eq_short(th_slice_of(a, n), th_slice_of(b, n)));
        T_FALSE(n > 0 && th_slice_eq_short(th_slice_of(a, n), th_slice_of(b, n - 1)));
        for (size_t i = 0; i < n; i++) {
            b[i] ^= 1;
            T_FALSE(th_slice_eq_short(th_slice_of(a, n), th_slice_of(b, n)));
            b[i] ^= 1;
        }
    }
}

TEST(bytes, a_short_copy_touches_no_more_than_its_bytes)
{
    char from[64], to[80], want[80];

    for (size_t i = 0; i < sizeof from; i++) {
        from[i] = (char)('a' + i % 26);
    }
    for (size_t n = 0; n <= sizeof from; n++) {
        memset(to, '.', sizeof to);
        memset(want, '.', sizeof want);
        memcpy(want, from, n);
        th_copy_short(to, from, n);
        T_MEM(to, want, sizeof to);
    }
}
