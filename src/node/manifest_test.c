#include "base/test.h"

#include "node/manifest.h"
#include "world/world_sim.h"

/* A folder of files, loaded; what came out of it. */
typedef struct
try {
    th_world *world;
    th_manifest *manifest;
    th_buf errors, notes;
    th_err err;
}
try;

static void set(try *it)
{
    memset(it, 0, sizeof *it);
    T_EQ(th_world_sim_new(&it->world, 1), TH_OK);
    T_EQ(th_world_folder_make(it->world, "/app"), TH_OK);
}

static void put(try *it, const char *path, const char *text)
{
    T_EQ(th_world_sim_put(it->world, path, th_slice_str(text)), TH_OK);
}

static void load(try *it)
{
    it->err =
        th_manifest_load(&it->manifest, it->world, "/app", &it->errors, &it->notes);
}

static void strike(try *it)
{
    it->manifest = th_manifest_free(it->manifest);
    th_buf_deinit(&it->errors);
    th_buf_deinit(&it->notes);
    it->world = th_world_sim_free(it->world);
}

#define HEAD "version: \"1.0\"\nnamespace: app\n"

/* The errors that one file gives. */
static void expect(const char *yaml, const char *errors)
{
    try it;

    set(&it);
    put(&it, "/app/_index.yaml", yaml);
    put(&it, "/app/a.lua", "return 1");
    load(&it);
    T_STR(th_buf_text(&it.errors), errors);
    T_EQ(it.err, *errors == '\0' ? TH_OK : TH_INVALID);
    strike(&it);
}

TEST(manifest, a_good_folder_is_read_with_all_it_says)
{
    const th_declared *main = NULL;
    th_auto_buf why = TH_BUF_INIT;
    try it;

    set(&it);
    put(&it, "/app/_index.yaml",
        HEAD "entries:\n"
             "  - name: task\n"
             "    kind: process.lua\n"
             "    meta: { main: true, type: worker }\n"
             "    source: file://task.lua\n"
             "    method: main\n"
             "    modules: [time, json]\n"
             "    imports: { util: app.lib:util, near: near }\n"
             "  - { name: near, kind: library.lua, source: 'return {}' }\n"
             "  - { name: pool, kind: process.host, limits: { processes: 7 } }\n");
    put(&it, "/app/task.lua", "print(1)");
    put(&it, "/app/lib/_index.yml",
        "version: 1.0\nnamespace: app.lib\nentries:\n"
        "  - name: util\n    kind: library.lua\n    source: |\n      return 1\n");
    put(&it, "/app/other.yaml", "no: namespace\n");
    put(&it, "/app/.hidden/_index.yaml", "{{{");
    load(&it);
    T_STR(th_buf_text(&it.errors), "");
    T_EQ(it.err, TH_OK);
    T_EQ(th_manifest_main(it.manifest, TH_SLICE(""), &main, &why), TH_OK);
    T_TRUE(th_slice_is(main->id, "app:task"));
    T_TRUE(th_slice_is(main->ns, "app"));
    T_TRUE(th_slice_is(th_buf_slice(&main->source), "print(1)"));
    T_STR(main->source_file, "/app/task.lua");
    T_TRUE(th_slice_is(main->method, "main"));
    T_EQ(main->modules_count, 2);
    T_TRUE(th_slice_is(main->modules[1], "json"));
    T_EQ(main->imports_count, 2);
    T_TRUE(th_slice_is(main->imports[0].alias, "util"));
    T_TRUE(th_slice_is(main->imports[0].entry->id, "app.lib:util"));
    T_EQ(main->imports[0].entry->source_line, 7);
    T_TRUE(th_slice_is(main->imports[1].entry->id, "app:near"));
    T_EQ(th_manifest_find(it.manifest, TH_SLICE("app:pool"))->processes_max, 7);
    strike(&it);
}

TEST(manifest, each_error_names_file_line_and_column)
{
    static const struct {
        const char *yaml, *errors;
    } rows[] = {
        {HEAD, ""},
        {"",
         "/app/_index.yaml:1:1: there is no `namespace`; add one, as in `namespace: "
         "app`\n"},
        {"namespace: app\n",
         "/app/_index.yaml:1:1: there is no `version`; add `version: \"1.0\"`\n"},
        {"version: \"2.0\"\nnamespace: app\n",
         "/app/_index.yaml:1:10: version `2.0` is not known; this node reads "
         "\"1.0\"\n"},
        {"version: \"1.0\"\nnamespace: App\n",
         "/app/_index.yaml:2:12: `App` is not a namespace: it is of a-z, 0-9, `-`, `_` "
         "and `.`\n"},
        {"version: \"1.0\"\n",
         "/app/_index.yaml:1:1: there is no `namespace`; add one, as in `namespace: "
         "app`\n"},
        {HEAD "entrys: []\n",
         "/app/_index.yaml:3:1: a manifest has no key `entrys`; it "
         "has: version namespace meta entries\n"},
        {HEAD "entries: 5\n",
         "/app/_index.yaml:3:10: `entries` is a list, not a text\n"},
        {HEAD "entries:\n  - 5\n",
         "/app/_index.yaml:4:5: an entry is a map with `name` "
         "and `kind`, not a text\n"},
        {HEAD "entries:\n  - kind: x\n",
         "/app/_index.yaml:4:5: the entry has no `name`\n"},
        {HEAD "entries:\n  - {name: A, kind: x}\n",
         "/app/_index.yaml:4:12: `A` is not a name: it is of a-z, 0-9, `-` and `_`\n"},
        {HEAD "entries:\n  - {name: a, kind: process.lua}\n",
         "/app/_index.yaml:4:5: entry `app:a` has no `source`; it says where the code "
         "is, as in `source: file://main.lua`\n"},
        {HEAD "entries:\n  - {name: a, kind: process.lua, source: file://b.lua}\n",
         "/app/_index.yaml:4:42: there is no file `b.lua`\n"},
        {HEAD "entries:\n  - {name: a, kind: process.lua, source: file://../a.lua}\n",
         "/app/_index.yaml:4:42: `../a.lua` may not be read, or lies outside the "
         "folder\n"},
        {HEAD "entries:\n  - {name: a, kind: process.wasm, source: abc}\n",
         "/app/_index.yaml:4:43: the code of a process.wasm is a file, as in `source: "
         "file://main.wasm`\n"},
        {HEAD "entries:\n  - {name: a, kind: library.lua, source: x, modules: time}\n",
         "/app/_index.yaml:4:54: `modules` is a list of names, as in `modules: [time, "
         "json]`\n"},
        {HEAD "entries:\n  - {name: a, kind: library.lua, source: x, imports: [b]}\n",
         "/app/_index.yaml:4:54: `imports` is a map of names to libraries, as in "
         "`imports: {util: app.lib:util}`\n"},
        {HEAD "entries:\n  - {name: a, kind: library.lua, source: x, import: {}}\n",
         "/app/_index.yaml:4:45: a library.lua has no key `import`; it has: name kind "
         "meta source method modules imports\n"},
        {HEAD
         "entries:\n  - {name: a, kind: library.lua, source: x, imports: {u: c}}\n",
         "/app/_index.yaml:4:58: entry `app:a` imports `c`, and there is no such "
         "entry\n"},
        {HEAD
         "entries:\n  - {name: a, kind: process.lua, source: x, imports: {u: a}}\n",
         "/app/_index.yaml:4:58: entry `app:a` imports `a`, which is a process.lua; "
         "only "
         "a library.lua can be imported\n"},
        {HEAD
         "entries:\n  - {name: a, kind: library.lua, source: x, imports: {u: a}}\n",
         "/app/_index.yaml:4:58: the imports go in a circle: `app:a` imports `app:a`, "
         "which needs it\n"},
        {HEAD "entries:\n  - {name: a, kind: library.lua, source: x}\n"
              "  - {name: a, kind: library.lua, source: y}\n",
         "/app/_index.yaml:5:5: entry `app:a` is there twice, first in "
         "/app/_index.yaml:4\n"},
        {HEAD "entries:\n  - {name: a, kind: process.host, limits: {processes: -1}}\n",
         "/app/_index.yaml:4:55: `limits.processes` is a whole number from 1\n"},
        {HEAD
         "entries:\n  - {name: a, kind: process.lua, source: x, meta: {main: 7}}\n",
         "/app/_index.yaml:4:58: `meta.main` is true or false\n"},
        {HEAD "meta: &a 1\nentries: *a\n",
         "/app/_index.yaml:3:7: anchors (&), aliases (*) and tags (!) are not allowed "
         "here\n"},
        {HEAD "version: 1\n", "/app/_index.yaml:3:1: this key was there before\n"},
        {HEAD "---\na: b\n", "/app/_index.yaml:3:1: a file has one document\n"},
        {HEAD "entries: [\n",
         "/app/_index.yaml:4:1: did not find expected node content\n"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(rows[i].yaml, rows[i].errors);
    }
}

TEST(manifest, all_errors_are_found_at_once)
{
    expect(
        HEAD "entries:\n  - {name: a, kind: library.lua}\n"
             "  - {name: b, kind: library.lua, source: file://no.lua}\n"
             "  - {name: c, kind: library.lua, source: x, imports: {u: nope}}\n",
        "/app/_index.yaml:4:5: entry `app:a` has no `source`; it says where the code "
        "is, as in `source: file://main.lua`\n"
        "/app/_index.yaml:5:42: there is no file `no.lua`\n"
        "/app/_index.yaml:6:58: entry `app:c` imports `nope`, and there is no such "
        "entry\n");
}

TEST(manifest, what_is_not_supported_is_named_and_left_out)
{
    try it;

    set(&it);
    put(&it, "/app/_index.yaml",
        HEAD "entries:\n  - {name: w, kind: workflow.lua, source: x, any: 1}\n");
    load(&it);
    T_EQ(it.err, TH_OK);
    T_STR(th_buf_text(&it.notes), "/app/_index.yaml:4:5: entry `app:w` is a "
                                  "workflow.lua, which is not supported; it is left "
                                  "out\n");
    strike(&it);
}

TEST(manifest, a_folder_without_a_manifest_says_so)
{
    try it;

    set(&it);
    put(&it, "/app/readme", "hello");
    load(&it);
    T_EQ(it.err, TH_NOT_FOUND);
    T_STR(th_buf_text(&it.errors), "/app: there is no `_index.yaml` in the folder; it "
                                   "says which entries there are\n");
    strike(&it);
}

static void expect_main(const char *entries, const char *wanted, const char *id,
                        const char *text)
{
    th_auto_buf yaml = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    const th_declared *main = NULL;
    th_err err;
    try it;

    set(&it);
    th_buf_putf(&yaml, HEAD "entries:\n%s", entries);
    put(&it, "/app/_index.yaml", yaml.at);
    load(&it);
    T_EQ(it.err, TH_OK);
    err = th_manifest_main(it.manifest, th_slice_str(wanted), &main, &why);
    T_EQ(err == TH_OK, id != NULL);
    T_TRUE(id == NULL || th_slice_is(main->id, id));
    T_STR(th_buf_text(&why), text);
    strike(&it);
}

#define PROCESS(name, meta)                                                            \
    "  - {name: " name ", kind: process.lua, source: x" meta "}\n"

TEST(manifest, the_main_entry_is_the_named_the_marked_or_the_only_one)
{
    expect_main(PROCESS("a", ""), "", "app:a", "");
    expect_main(PROCESS("a", "") PROCESS("b", ", meta: {main: true}"), "", "app:b", "");
    expect_main(PROCESS("a", "") PROCESS("b", ""), "app:b", "app:b", "");
    expect_main(PROCESS("a", "") PROCESS("b", ""), "b", "app:b", "");
    expect_main(PROCESS("a", "") PROCESS("b", ""), "", NULL,
                "it is not clear which entry to run: `app:a`, `app:b`; choose one with "
                "-x, or with `meta: {main: true}`");
    expect_main(PROCESS("a", "") PROCESS("b", ""), "app:c", NULL,
                "there is no entry `app:c`; those that can run are `app:a`, `app:b`");
    expect_main("  - {name: l, kind: library.lua, source: x}\n", "", NULL,
                "no entry is one that can run");
    expect_main(PROCESS("a", "") "  - {name: l, kind: library.lua, source: x}\n", "l",
                NULL,
                "entry `app:l` is a library.lua, which cannot run; those that can "
                "are `app:a`");
}

TEST(manifest, no_file_makes_reading_it_long)
{
    th_auto_buf yaml = TH_BUF_INIT;
    try it;

    set(&it);
    th_buf_puts(&yaml, HEAD "meta: ");
    for (int i = 0; i < 100000; i++) {
        th_buf_putc(&yaml, '[');
    }
    put(&it, "/app/_index.yaml", yaml.at);
    load(&it);
    T_EQ(it.err, TH_INVALID);
    T_STR(th_buf_text(&it.errors),
          "/app/_index.yaml:3:38: the values are nested too deeply\n");
    strike(&it);
}

TEST(manifest, loading_gives_everything_back_when_memory_runs_out)
{
    for (size_t n = 0;; n++) {
        try it;

        set(&it);
        put(&it, "/app/_index.yaml",
            HEAD "entries:\n" PROCESS(
                "a", ", modules: [json], imports: {l: l}") "  - {name: l, kind: "
                                                           "library.lua, source: "
                                                           "file://a.lua}\n");
        put(&it, "/app/a.lua", "return 1");
        th_mem_fail_after(n);
        load(&it);
        th_mem_fail_never();
        if (it.err == TH_OK) {
            strike(&it);
            break;
        }
        T_TRUE(it.err == TH_QUOTA || it.err == TH_NOMEM || it.err == TH_INVALID);
        strike(&it);
    }
}
