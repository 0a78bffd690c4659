#include "guest/lua/duration.h"

#include "base/test.h"

static int64_t read(const char *text)
{
    int64_t ns = -1;

    T_EQ(th_duration_decode(&ns, th_slice_str(text)), TH_OK);
    return ns;
}

TEST(duration, reads_what_go_writes)
{
    T_EQ(read("5s"), INT64_C(5000000000));
    T_EQ(read("1h30m5s"), INT64_C(5405000000000));
    T_EQ(read("250ms"), 250000000);
    T_EQ(read("1.5h"), INT64_C(5400000000000));
    T_EQ(read("-1.5ms"), -1500000);
    T_EQ(read("+2us"), 2000);
    T_EQ(read("2\xc2\xb5s"), 2000);
    T_EQ(read("2\xce\xbcs"), 2000);
    T_EQ(read(".5s"), 500000000);
    T_EQ(read("0"), 0);
    T_EQ(read("0.000000001s"), 1);
}

TEST(duration, refuses_everything_else)
{
    static const char *const bad[] = {"",      "5",           "s",
                                      "5 s",   "1d",          "-",
                                      "1..5s", "1h2",         "x5s",
                                      "1h-2m", "9999999999h", "9223372036854775808ns",
                                      "00000"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 7;

        T_EQ(th_duration_decode(&ns, th_slice_str(bad[i])), TH_INVALID);
        T_EQ(ns, 7);
    }
}

TEST(duration, writes_what_it_reads)
{
    static const char *const texts[] = {"0s",      "1ns",    "1.5\xc2\xb5s", "250ms",
                                        "1.5s",    "1m0s",   "1h30m5s",      "-2.5s",
                                        "48h0m0s", "1m0.5s", "-1ns"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char out[TH_DURATION_BYTES];
        size_t n = th_duration_encode(out, read(texts[i]));

        T_EQ(n, strlen(texts[i]));
        T_MEM(out, texts[i], n);
    }
    T_TRUE(th_duration_encode((char[TH_DURATION_BYTES]){0}, INT64_MIN) <
           TH_DURATION_BYTES);
}
