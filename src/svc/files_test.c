#include "svc/files.h"

#include "base/test.h"
#include "witness/puppet.h"
#include "world/world_real.h"
#include "world/world_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Where a path leads ----------------------------------------------------------- */

static void expect(th_files *files, const char *path, th_err err, const char *place)
{
    th_auto_buf rest = TH_BUF_INIT;
    th_auto_buf got = TH_BUF_INIT;
    const char *root = "";

    T_EQ(th_files_locate(files, th_slice_str(path), &root, &rest), err);
    if (err == TH_OK) {
        th_buf_putf(&got, "%s|%s", root, th_buf_text(&rest));
        T_STR(th_buf_text(&got), place);
    }
}

TEST(files, a_path_leads_into_a_grant_or_nowhere)
{
    th_auto(th_files) files = NULL;
    th_world *world;

    T_EQ(th_world_sim_new(&world, 1), TH_OK);
    T_EQ(th_world_sim_put(world, "/home/me/docs/a", TH_SLICE("a")), TH_OK);
    T_EQ(th_world_sim_put(world, "/one/file", TH_SLICE("f")), TH_OK);
    T_EQ(th_world_sim_put(world, "../you/docs/a", TH_SLICE("a")), TH_OK);
    T_EQ(th_files_new(&files, world, "/home/me"), TH_OK);
    T_EQ(th_files_grant(files, "/home/me/docs"), TH_OK);
    T_EQ(th_files_grant(files, "/one/file"), TH_OK);
    T_EQ(th_files_grant(files, "/no/file"), TH_OK);
    T_EQ(th_files_grant(files, "../him/"), TH_OK);
    T_EQ(th_files_grant(files, "../you/docs/"), TH_OK);

    expect(files, "/no/file", TH_NOT_FOUND, NULL);
    expect(files, "/no/file/x", TH_NOT_FOUND, NULL);
    expect(files, "/no", TH_DENIED, NULL);
    expect(files, "../him/x", TH_NOT_FOUND, NULL);
    expect(files, "../you/docs/./a", TH_OK, "../you/docs|a");
    expect(files, "../you/docs", TH_OK, "../you/docs|");
    expect(files, "../you/docs/../a", TH_DENIED, NULL);
    expect(files, "../you", TH_DENIED, NULL);
    expect(files, "../you/doc", TH_DENIED, NULL);
    expect(files, "docs", TH_OK, "/home/me/docs|");
    expect(files, "docs/", TH_OK, "/home/me/docs|");
    expect(files, "./docs/./a", TH_OK, "/home/me/docs|a");
    expect(files, "/home/me/docs//x/y/", TH_OK, "/home/me/docs|x/y");
    expect(files, "/one/file", TH_OK, "/one/file|");
    expect(files, "/one/file/x", TH_OK, "/one/file|x");

    expect(files, "", TH_INVALID, NULL);
    expect(files, ".", TH_DENIED, NULL);
    expect(files, "/", TH_DENIED, NULL);
    expect(files, "/home/me", TH_DENIED, NULL);
    expect(files, "/home/me/docs2", TH_DENIED, NULL);
    expect(files, "/one", TH_DENIED, NULL);
    expect(files, "/one/file2", TH_DENIED, NULL);
    expect(files, "/etc/passwd", TH_DENIED, NULL);
    expect(files, "docs/..", TH_DENIED, NULL);
    expect(files, "docs/../docs/a", TH_DENIED, NULL);
    expect(files, "docs/x/../../../etc/passwd", TH_DENIED, NULL);
    T_EQ(th_files_locate(files, TH_SLICE("docs/a\0b"), &(const char *){NULL},
                         &(th_buf){0}),
         TH_INVALID);

    world = th_world_sim_free(world);
}

TEST(files, no_link_leads_out_of_a_grant)
{
    static const struct {
        const char *name, *to;
        th_err err;
    } links[] = {
        {"in/near", "file", TH_OK},
        {"in/up_and_back", "../in/file", TH_DENIED},
        {"in/out", "../out/secret", TH_DENIED},
        {"in/absolute", "/etc/passwd", TH_DENIED},
        {"in/folder_out", "../out", TH_DENIED},
        {"in/self", "self", TH_INVALID},
        {"in/proc", "/proc/self/root/etc/passwd", TH_DENIED},
        {"in/gone", "nothing", TH_NOT_FOUND},
    };
    char root[] = "/tmp/thole-test-XXXXXX";
    th_world *world = th_world_real();
    th_auto_buf text = TH_BUF_INIT;
    char path[128], from[128], target[128];
    th_pin *pin = NULL;

    T_NOT_NULL(mkdtemp(root));
    snprintf(path, sizeof path, "rm -r %s", root);
    snprintf(from, sizeof from, "%s/in", root);
    T_EQ(th_world_folder_make(world, from), TH_OK);
    snprintf(target, sizeof target, "%s/out", root);
    T_EQ(th_world_folder_make(world, target), TH_OK);
    snprintf(target, sizeof target, "%s/out/secret", root);
    T_EQ(th_world_file_write(world, target, TH_SLICE("secret")), TH_OK);
    snprintf(target, sizeof target, "%s/in/file", root);
    T_EQ(th_world_file_write(world, target, TH_SLICE("open")), TH_OK);

    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        snprintf(target, sizeof target, "%s/%s", root, links[i].name);
        T_EQ(symlink(links[i].to, target), 0);
        pin = NULL;
        T_EQ(th_world_file_pin(world, from, links[i].name + 3, &pin), links[i].err);
        if (pin != NULL) {
            T_EQ(th_world_file_read(world, pin->path, 0, 100, &text), TH_OK);
            T_STR(th_buf_text(&text), "open");
        }
        th_world_file_unpin(world, pin);
    }
    pin = NULL;
    T_EQ(th_world_file_pin(world, from, "folder_out/secret", &pin), TH_DENIED);
    T_EQ(th_world_file_pin(world, from, "../out/secret", &pin), TH_DENIED);
    T_EQ(th_world_file_pin(world, from, "/etc/passwd", &pin), TH_DENIED);
    T_NULL(pin);
    T_EQ(system(path), 0);
}

/* --- The process ------------------------------------------------------------------- */

typedef struct asker {
    th_puppet puppet;
    th_pid files;
    const char *const *questions;
    size_t left;
} asker;

static void ask(th_process *self, th_pid to, const char *question)
{
    th_msg_parts parts = {.kind = TH_MSG_REQUEST,
                          .flags = TH_MSG_EXPECTS,
                          .expects_s = 5,
                          .body = th_slice_str(question)};
    th_ask ask = {.to = to, .timeout_ns = 5 * (uint64_t)TH_S};
    th_request *request;

    T_EQ(th_process_request(self, &ask, th_msg_new(&parts), &request), TH_OK);
}

static th_run play(th_process *self, th_puppet *puppet)
{
    asker *asks = th_container_of(puppet, asker, puppet);
    th_delivery what;

    if (puppet->n++ == 0) {
        for (size_t i = 0; i < asks->left; i++) {
            ask(self, asks->files, asks->questions[i]);
        }
    }
    while (th_process_next(self, &what)) {
        th_msg *answer;

        T_EQ(what.type, TH_ITEM_REPLY);
        answer = th_request_response(what.request);
        T_NOT_NULL(answer);
        th_buf_putf(puppet->seen, "%.*s\n", TH_FMT(th_msg_body(answer)));
        if (answer->blob != NULL) {
            th_buf_putf(puppet->seen, "<%.*s>\n", TH_FMT(th_blob_slice(answer->blob)));
        }
        th_request_free(self, what.request);
        asks->left--;
    }
    if (asks->left == 0) {
        th_process_end(self, NULL);
        return TH_RUN_ENDED;
    }
    return TH_RUN_BLOCKED;
}

/* What the process answers to @questions, a line each and blobs in brackets. */
static void answers(const char *const *questions, size_t count, const char *all)
{
    th_auto(th_files) files = NULL;
    th_auto_buf seen = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_spawn spawn = {.registered = TH_SLICE("files")};
    asker asks;
    th_stage stage;
    th_ident ident;

    th_stage_set(&stage, 1, 1);
    T_EQ(th_world_sim_put(stage.world, "/d/a.txt", TH_SLICE("hello world")), TH_OK);
    T_EQ(th_world_sim_put(stage.world, "/d/e/b", TH_SLICE("")), TH_OK);
    T_EQ(th_files_new(&files, stage.world, "/"), TH_OK);
    T_EQ(th_files_grant(files, "/d"), TH_OK);
    spawn.entry = th_files_entry(files);
    spawn.host = &stage.host;
    T_EQ(th_kernel_spawn(stage.kernel, &spawn, &ident, &why), TH_OK);
    th_puppet_cast(&stage, &asks.puppet, "test:asker", play);
    asks.puppet.seen = &seen;
    asks.files = ident.pid;
    asks.questions = questions;
    asks.left = count;
    th_puppet_spawn(&stage, &asks.puppet);
    th_stage_run(&stage);
    T_STR(th_buf_text(&seen), all);
    th_stage_strike(&stage);
}

TEST(files, questions_are_answered_in_their_order)
{
    static const char *const questions[] = {
        "{\"list\":\"/d\"}",
        "{\"info\":\"d/a.txt\"}",
        "{\"read\":{\"path\":\"d/a.txt\"}}",
        "{\"read\":{\"path\":\"d/a.txt\",\"offset\":2,\"bytes\":3}}",
        "{\"read\":{\"path\":\"d/a.txt\",\"offset\":6,\"bytes\":5}}",
        "{\"read\":{\"path\":\"d/a.txt\",\"offset\":99}}",
    };

    answers(questions, 6,
            "{\"entries\":[{\"name\":\"a.txt\",\"kind\":\"file\"},"
            "{\"name\":\"e\",\"kind\":\"folder\"}]}\n"
            "{\"kind\":\"file\",\"bytes\":11,\"modified_ms\":1767225600000}\n"
            "{\"bytes\":11,\"end\":true}\n<hello world>\n"
            "{\"bytes\":3,\"end\":false}\n<llo>\n"
            "{\"bytes\":5,\"end\":true}\n<world>\n"
            "{\"bytes\":0,\"end\":true}\n<>\n");
}

TEST(files, what_cannot_be_is_told)
{
    static const char *const questions[] = {
        "{\"read\":{\"path\":\"d/none\"}}",
        "{\"read\":{\"path\":\"d/e\"}}",
        "{\"read\":{\"path\":\"/etc/x\"}}",
        "{\"list\":\"d/../d\"}",
        "{\"list\":\"d/a.txt\"}",
        "hello",
        "{\"read\":{\"path\":\"d\",\"offset\":-1}}",
        "{\"list\":7}",
    };

    answers(
        questions, 8,
        "{\"error\":{\"kind\":\"not_found\",\"message\":\"there is no such file or "
        "folder: `d/none`\"}}\n"
        "{\"error\":{\"kind\":\"invalid\",\"message\":\"it is not a regular file: "
        "`d/e`\"}}\n"
        "{\"error\":{\"kind\":\"not_permitted\",\"message\":\"it was not granted; "
        "only what the command line names can be read: `/etc/x`\"}}\n"
        "{\"error\":{\"kind\":\"not_permitted\",\"message\":\"it was not granted; "
        "only what the command line names can be read: `d/../d`\"}}\n"
        "{\"error\":{\"kind\":\"invalid\",\"message\":\"it is not a folder: "
        "`d/a.txt`\"}}\n"
        "{\"error\":{\"kind\":\"invalid\",\"message\":\"the body of a request is one "
        "JSON object: `invalid token near 'hello'`\"}}\n"
        "{\"error\":{\"kind\":\"invalid\",\"message\":\"`offset` and `bytes` of "
        "`read` are whole numbers from 0\"}}\n"
        "{\"error\":{\"kind\":\"invalid\",\"message\":\"a request is {\\\"list\\\": "
        "PATH}, {\\\"info\\\": PATH} or {\\\"read\\\": {...}}\"}}\n");
}
