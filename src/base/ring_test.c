#include "base/ring.h"

#include "base/test.h"

#include <stdio.h>

static void reads(th_ring *ring, const char *expected)
{
    th_auto_buf text = TH_BUF_INIT;

    th_ring_read(ring, &text);
    T_STR(th_buf_text(&text), expected);
}

TEST(ring, what_is_put_comes_out_in_whole_lines)
{
    th_ring ring = {0};

    reads(&ring, "");
    th_ring_put(&ring, TH_SLICE("one"), 4096);
    th_ring_put(&ring, TH_SLICE("two\n"), 4096);
    th_ring_put(&ring, TH_SLICE(""), 4096);
    reads(&ring, "one\ntwo\n\n");
    th_ring_deinit(&ring);
}

TEST(ring, it_grows_to_its_bound_and_tells_by_how_much)
{
    th_ring ring = {0};
    int64_t grown = 0;

    for (int i = 0; i < 1000; i++) {
        grown += th_ring_put(&ring, TH_SLICE("a line of some bytes"), 5000);
    }
    T_EQ(grown, 5000);
    T_EQ(ring.room, 5000);
    th_ring_deinit(&ring);
}

TEST(ring, the_oldest_lines_go_first_and_none_is_cut)
{
    th_auto_buf text = TH_BUF_INIT;
    th_ring ring = {0};
    char line[16];

    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "line %d", i);
        th_ring_put(&ring, th_slice_str(line), 64);
    }
    th_ring_read(&ring, &text);
    T_STR(th_buf_text(&text),
          "line 493\nline 494\nline 495\nline 496\nline 497\nline 498\nline 499\n");
    th_ring_deinit(&ring);
}

TEST(ring, of_a_text_that_is_too_long_the_end_is_kept)
{
    th_ring ring = {0};

    th_ring_put(&ring, TH_SLICE("0123456789"), 8);
    reads(&ring, "3456789\n");
    th_ring_deinit(&ring);
}

TEST(ring, what_is_moved_is_there_and_no_longer_here)
{
    th_ring from = {0}, to = {0};

    th_ring_put(&from, TH_SLICE("moved"), 4096);
    th_ring_move(&from, &to);
    reads(&from, "");
    reads(&to, "moved\n");
    th_ring_deinit(&from);
    th_ring_deinit(&to);
}
