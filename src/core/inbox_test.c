#include "core/inbox.h"

#include "base/test.h"

#include <pthread.h>

TEST(inbox, items_come_out_in_the_order_in_which_they_went_in)
{
    th_item items[3] = {0};
    th_inbox inbox;
    th_item *taken;

    th_inbox_init(&inbox);
    T_FALSE(th_inbox_has_some(&inbox));
    T_NULL(th_inbox_take(&inbox));
    for (int i = 0; i < 3; i++) {
        T_TRUE(th_inbox_put(&inbox, &items[i]));
    }
    T_TRUE(th_inbox_has_some(&inbox));
    taken = th_inbox_take(&inbox);
    for (int i = 0; i < 3; i++) {
        T_TRUE(taken == &items[i]);
        taken = th_item_next(taken);
    }
    T_NULL(taken);
    T_NULL(th_inbox_take(&inbox));
}

TEST(inbox, a_closed_inbox_gives_what_it_has_and_takes_no_more)
{
    th_item items[3] = {0};
    th_inbox inbox;
    th_item *taken;

    th_inbox_init(&inbox);
    th_inbox_put(&inbox, &items[0]);
    th_inbox_put(&inbox, &items[1]);
    taken = th_inbox_close(&inbox);
    T_TRUE(taken == &items[0]);
    T_TRUE(th_item_next(taken) == &items[1]);
    T_FALSE(th_inbox_put(&inbox, &items[2]));
    T_FALSE(th_inbox_has_some(&inbox));
}

#define SENDERS 4
#define EACH 20000

typedef struct numbered {
    th_item item;
    int sender, number;
} numbered;

typedef struct sender {
    pthread_t thread;
    int number;
    int refused; /* the first item that was, or EACH */
} sender;

static th_inbox shared;
static numbered sent[SENDERS][EACH];

static void *send_all(void *context)
{
    sender *self = context;

    for (int i = 0; i < EACH; i++) {
        numbered *one = &sent[self->number][i];

        one->sender = self->number;
        one->number = i;
        if (!th_inbox_put(&shared, &one->item)) {
            self->refused = i;
            return NULL;
        }
    }
    self->refused = EACH;
    return NULL;
}

static int count(th_item *item, int next[SENDERS])
{
    int n = 0;

    for (; item != NULL; n++) {
        const numbered *one = th_container_of(item, numbered, item);

        item = th_item_next(item);
        T_EQ(one->number, next[one->sender]);
        next[one->sender]++;
    }
    return n;
}

/* Half-way it is closed: each sender's items are there up to the one that was refused. */
TEST(inbox, many_senders_keep_their_orders_and_a_close_loses_nothing)
{
    sender senders[SENDERS];
    int next[SENDERS] = {0};
    int got = 0;

    th_inbox_init(&shared);
    for (int i = 0; i < SENDERS; i++) {
        senders[i].number = i;
        T_EQ(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    while (got < SENDERS * EACH / 2) {
        got += count(th_inbox_take(&shared), next);
    }
    count(th_inbox_close(&shared), next);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        T_EQ(next[i], senders[i].refused);
    }
}
