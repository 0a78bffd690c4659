#include "node/package.h"

#include "base/test.h"
#include "world/world_sim.h"

#include <stdio.h>
#include <stdlib.h>

static void expect_name(const char *path, const char *name)
{
    th_auto_buf out = TH_BUF_INIT;

    th_package_name(th_slice_str(path), &out);
    T_STR(th_buf_text(&out), name);
}

TEST(package, every_path_has_a_name_that_is_one)
{
    expect_name("/a/hello.lua", "hello");
    expect_name("/a/Hello World.lua", "hello-world");
    expect_name("/a/app", "app");
    expect_name("/a/app/", "app");
    expect_name("/a/.hidden", "-hidden");
    expect_name("/a/x.y.wasm", "x-y");
    expect_name("/a/.lua", "-lua");
    expect_name("/", "main");
    expect_name("", "main");
    expect_name("/a/\xc3\xa4.lua", "--");
}

/* --- Components ----------------------------------------------------------------------- */

/* What a loose file with this content is refused with. */
static void expect_refusal(th_slice content, const char *text)
{
    th_wasm_options options = {.compiled = "/home/compiled"};
    th_package_spec spec = {.path = "/app/Program.wasm",
                            .needs_main = true,
                            .number = 2};
    th_auto_buf why = TH_BUF_INIT;
    th_auto_buf notes = TH_BUF_INIT;
    th_package *package = NULL;

    T_EQ(th_world_sim_new(&spec.world, 1), TH_OK);
    T_EQ(th_world_sim_put(spec.world, spec.path, content), TH_OK);
    options.world = spec.world;
    T_EQ(th_wasm_new(&spec.wasm, &options), TH_OK);
    T_EQ(th_package_open(&package, &spec, &why, &notes), TH_INVALID);
    T_STR(th_buf_text(&why), text);
    th_wasm_free(spec.wasm);
    th_world_sim_free(spec.world);
}

TEST(package, what_is_no_component_is_told_what_it_is)
{
    expect_refusal(
        TH_SLICE(""),
        "`/app/Program.wasm` is not a Wasm component: it has only 0 bytes\n");
    expect_refusal(
        TH_SLICE("\0asm\15\0\1"),
        "`/app/Program.wasm` is not a Wasm component: it has only 7 bytes\n");
    expect_refusal(
        TH_SLICE("return function() end"),
        "`/app/Program.wasm` is not a Wasm component: it does not begin like "
        "one\n");
    expect_refusal(
        TH_SLICE("\0asm\1\0\0\0"),
        "`/app/Program.wasm` is a core module, not a component; make it one "
        "with `thole-component /app/Program.wasm WIT process-v1 NEW.wasm`, "
        "where WIT is the folder of kinode.wit (./x build makes the tool)\n");
    expect_refusal(
        TH_SLICE("\0asm\15\0\1\0"),
        "`/app/Program.wasm` cannot run: it exports no function `init`, where "
        "a process begins: init: func(our: string)\n");
}

static char *read_guest(const char *name, size_t *bytes)
{
    const char *folder = getenv("THOLE_GUESTS");
    char path[1024];
    char *content = th_malloc(1 << 20);
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder == NULL ? "." : folder, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("no file %s; THOLE_GUESTS names the folder", path);
    }
    *bytes = fread(content, 1, 1 << 20, file);
    fclose(file);
    return content;
}

/* The entries of a folder know their file, which is how a Wasm process spawns them. */
TEST(package, a_folder_of_components_is_found_by_its_files)
{
    static const char manifest[] = "version: \"1.0\"\n"
                                   "namespace: app\n"
                                   "entries:\n"
                                   "  - name: one\n"
                                   "    kind: process.wasm\n"
                                   "    source: file://parts/echo.wasm\n"
                                   "    meta: {main: true}\n"
                                   "  - name: two\n"
                                   "    kind: process.lua\n"
                                   "    source: file://two.lua\n";
    th_package_spec spec = {.path = "/app", .needs_main = true, .number = 2};
    th_wasm_options options = {0};
    th_kernel_config config = {.node = "local", .boot = 1, .shards = 1};
    th_auto_buf why = TH_BUF_INIT;
    th_auto_buf notes = TH_BUF_INIT;
    th_package *package = NULL;
    th_kernel *kernel;
    const th_entry *main;
    size_t bytes;
    char *echo = read_guest("echo.wasm", &bytes);

    T_EQ(th_world_sim_new(&spec.world, 1), TH_OK);
    T_EQ(th_world_sim_put(spec.world, "/app/_index.yaml", th_slice_str(manifest)),
         TH_OK);
    T_EQ(th_world_sim_put(spec.world, "/app/parts/echo.wasm", th_slice_of(echo, bytes)),
         TH_OK);
    T_EQ(th_world_sim_put(spec.world, "/app/two.lua", TH_SLICE("return print")), TH_OK);
    config.world = options.world = spec.world;
    T_EQ(th_wasm_new(&spec.wasm, &options), TH_OK);
    if (th_package_open(&package, &spec, &why, &notes) != TH_OK) {
        fail_msg("%s", th_buf_text(&why));
    }
    T_EQ(th_kernel_new(&kernel, &config), TH_OK);
    T_EQ(th_package_install(package, kernel, &why), TH_OK);
    main = th_package_main(package);
    T_TRUE(th_slice_is(main->file, "parts/echo.wasm"));
    T_TRUE(main->guest == &th_guest_wasm);
    T_TRUE(th_kernel_find_file(kernel, main, TH_SLICE("parts/echo.wasm")) == main);
    T_TRUE(th_slice_is(th_kernel_find_file(kernel, main, TH_SLICE("two.lua"))->id,
                       "app:two"));
    T_NULL(th_kernel_find_file(kernel, main, TH_SLICE("echo.wasm")));
    T_NULL(th_kernel_find_file(kernel, main, TH_SLICE("")));
    th_kernel_free(kernel);
    th_package_close(package);
    th_wasm_free(spec.wasm);
    th_world_sim_free(spec.world);
    th_free(echo);
}
