#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"

#include <pthread.h>
#include <stdio.h>

static th_stage stage;

TEST(catalog, an_id_is_of_one_entry_and_of_one_host)
{
    th_entry entry = {.id = TH_SLICE("app:a"), .limits = th_limits_default};
    th_entry again = {.id = TH_SLICE("app:a"), .limits = th_limits_default};
    th_host host = {.id = TH_SLICE("app:a")};

    th_stage_set(&stage, 1, 1);
    T_NULL(th_kernel_find_entry(stage.kernel, TH_SLICE("app:a")));
    T_EQ(th_kernel_add_entry(stage.kernel, &entry), TH_OK);
    T_EQ(th_kernel_add_entry(stage.kernel, &again), TH_EXISTS);
    T_EQ(th_kernel_add_host(stage.kernel, &host), TH_OK);
    T_EQ(th_kernel_add_host(stage.kernel, &host), TH_EXISTS);
    T_TRUE(th_kernel_find_entry(stage.kernel, TH_SLICE("app:a")) == &entry);
    T_NULL(th_kernel_find_entry(stage.kernel, TH_SLICE("app:")));
    T_NULL(th_kernel_find_entry(stage.kernel, TH_SLICE("")));
    th_stage_strike(&stage);
}

TEST(catalog, a_bare_host_is_looked_up_at_home_and_then_in_the_system)
{
    th_host pool = {.id = TH_SLICE("app:pool")},
            own = {.id = TH_SLICE("app:processes")};
    char longest[200];

    th_stage_set(&stage, 1, 1);
    memset(longest, 'x', sizeof longest);
    T_TRUE(th_kernel_find_host(stage.kernel, TH_SLICE("app"), TH_SLICE("processes")) ==
           &stage.host);
    T_EQ(th_kernel_add_host(stage.kernel, &pool), TH_OK);
    T_EQ(th_kernel_add_host(stage.kernel, &own), TH_OK);
    T_TRUE(th_kernel_find_host(stage.kernel, TH_SLICE("app"), TH_SLICE("processes")) ==
           &own);
    T_TRUE(th_kernel_find_host(stage.kernel, TH_SLICE("other"),
                               TH_SLICE("processes")) == &stage.host);
    T_TRUE(th_kernel_find_host(stage.kernel, TH_SLICE("other"), TH_SLICE("app:pool")) ==
           &pool);
    T_NULL(th_kernel_find_host(stage.kernel, TH_SLICE("other"), TH_SLICE("pool")));
    T_NULL(th_kernel_find_host(stage.kernel, TH_SLICE("other"),
                               th_slice_of(longest, sizeof longest)));
    th_stage_strike(&stage);
}

TEST(catalog, an_entry_with_limits_that_cannot_be_counted_is_refused)
{
    static const th_limits rows[] = {
        {.requests_max = (1u << TH_REQUEST_INDEX_BITS) + 1},
        {.mailbox_count_max = 1u << 23},
        {.mailbox_bytes_max = TH_MAIL_ONE},
    };

    th_stage_set(&stage, 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_entry entry = {.id = TH_SLICE("app:a"), .limits = rows[i]};

        T_EQ(th_kernel_add_entry(stage.kernel, &entry), TH_INVALID);
    }
    th_stage_strike(&stage);
}

#define MANY 4096
#define ADDERS 4

static th_entry entries[MANY];
static char ids[MANY][24];

static void *add_some(void *context)
{
    int first = (int)(intptr_t)context;

    for (int i = first; i < MANY; i += ADDERS) {
        if (th_kernel_add_entry(stage.kernel, &entries[i]) != TH_OK ||
            th_kernel_find_entry(stage.kernel, entries[i].id) != &entries[i]) {
            return &entries[i];
        }
    }
    return NULL;
}

TEST(catalog, thousands_of_entries_come_from_many_threads_and_all_are_found)
{
    pthread_t threads[ADDERS];

    th_stage_set(&stage, 1, 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof ids[i], "app%d:entry-%d", i % 7, i);
        entries[i] =
            (th_entry){.id = th_slice_str(ids[i]), .limits = th_limits_default};
    }
    for (intptr_t i = 0; i < ADDERS; i++) {
        T_EQ(pthread_create(&threads[i], NULL, add_some, (void *)i), 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        T_NULL(wrong);
    }
    for (int i = 0; i < MANY; i++) {
        T_TRUE(th_kernel_find_entry(stage.kernel, entries[i].id) == &entries[i]);
        T_EQ(th_kernel_add_entry(stage.kernel, &entries[i]), TH_EXISTS);
    }
    th_stage_strike(&stage);
}
