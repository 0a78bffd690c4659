#include "core/blob.h"

#include "base/test.h"

#include <stdlib.h>

TEST(blob, a_blob_is_a_copy_with_its_mime)
{
    char bytes[] = "content";
    th_auto(th_blob) blob = th_blob_new(th_slice_str(bytes), TH_SLICE("a/b"));

    bytes[0] = 'X';
    T_TRUE(th_slice_is(th_blob_slice(blob), "content"));
    T_TRUE(blob->has_mime);
    T_STR(blob->mime, "a/b");
    T_EQ(blob->mime_bytes, 3);
}

TEST(blob, an_empty_mime_is_not_none)
{
    th_auto(th_blob) with = th_blob_new(TH_SLICE(""), TH_SLICE(""));
    th_auto(th_blob) without = th_blob_new(TH_SLICE(""), th_slice_of(NULL, 0));

    T_TRUE(with->has_mime);
    T_FALSE(without->has_mime);
    T_EQ(th_blob_slice(with).bytes, 0);
    T_EQ(th_blob_slice(NULL).bytes, 0);
}

TEST(blob, an_adopted_blob_is_not_copied)
{
    char *bytes = malloc(3);
    th_auto(th_blob) blob = NULL;

    memcpy(bytes, "abc", 3);
    blob = th_blob_adopt(bytes, 3, th_slice_of(NULL, 0));
    T_TRUE(th_blob_slice(blob).at == bytes);
    T_EQ(th_blob_slice(blob).bytes, 3);
}

TEST(blob, it_goes_with_its_last_holder)
{
    int64_t live = th_mem_live();
    th_blob *blob = th_blob_new(TH_SLICE("x"), TH_SLICE("y"));

    T_TRUE(th_blob_ref(blob) == blob);
    T_NULL(th_blob_unref(blob));
    T_TRUE(th_mem_live() > live);
    T_NULL(th_blob_unref(blob));
    T_EQ(th_mem_live(), live);
    T_NULL(th_blob_ref(NULL));
    T_NULL(th_blob_unref(NULL));
}

TEST(blob, new_gives_everything_back_when_memory_runs_out)
{
    int64_t live = th_mem_live();

    for (uint64_t n = 0;; n++) {
        th_blob *blob;

        th_mem_fail_after(n);
        blob = th_blob_new(TH_SLICE("x"), TH_SLICE("y"));
        th_mem_fail_never();
        if (blob != NULL) {
            T_EQ(n, 2);
            th_blob_unref(blob);
            break;
        }
        T_EQ(th_mem_live(), live);
    }
}

TEST(blob, what_could_not_be_adopted_stays_its_owners)
{
    char *bytes = malloc(3);

    for (uint64_t n = 0; n < 2; n++) {
        th_mem_fail_after(n);
        T_NULL(th_blob_adopt(bytes, 3, TH_SLICE("y")));
        th_mem_fail_never();
    }
    free(bytes);
}
