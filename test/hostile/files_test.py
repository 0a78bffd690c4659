#!/usr/bin/env python3
"""Hostile files: whatever a program or a manifest contains, `thole run` refuses it with a
sentence that names it, in time, and never by a signal.

Run by plain python3; THOLE names the program, else it is build/thole. The last line is
"N passed, N failed".
"""

import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from place import TOP, WAIT_S, Tests  # noqa: E402

test = Tests()
HEAD = 'version: "1.0"\nnamespace: app\nentries:\n'


def refused(place, path, *parts):
    """It ends in time, by itself, with a reason that has @parts."""
    done = place.run("run", str(path), code=2)
    for part in parts:
        assert part in done.stderr, f"no {part!r} in {done.stderr[:2000]!r}"
    assert len(done.stderr) < 1 << 20, "the reason is endless"
    return done


def manifest(place, text):
    place.put("app/_index.yaml", text)
    return "app"


@test
def random_bytes_are_no_program_and_no_manifest(place):
    dice = random.Random(1)
    for n in range(12):
        noise = dice.randbytes(1 << dice.randrange(4, 18))
        place.put("noise.lua", noise)
        refused(place, "noise.lua", "noise.lua")
        place.put("noise.wasm", noise)
        refused(place, "noise.wasm", "noise.wasm")
        place.put("noisy.wasm", b"\0asm\x0d\0\1\0" + noise)
        refused(place, "noisy.wasm", "noisy.wasm")
        refused(place, manifest(place, noise), "_index.yaml:")


@test
def bytecode_is_no_lua(place):
    place.put("code.lua", b"\x1bLua\x54\0\x19\x93\r\n\x1a\n" + bytes(100))
    refused(place, "code.lua", "code.lua")


@test
def lua_that_is_nested_without_end_is_refused(place):
    for name, text in (("parentheses", "return " + "(" * 200000),
                       ("tables", "return " + "{" * 200000),
                       ("functions", "return " + "function() return " * 50000),
                       ("blocks", "do " * 200000),
                       ("unary", "return " + "- " * 200000 + "1"),
                       ("concat", "return " + "'x' .. " * 200000 + "'x'"),
                       ("long_string", "return [" + "=" * 200000),
                       ("comment", "--[[" + "x" * 1000000),
                       ("locals", "local a = 1\n" * 300),
                       ("name", "return " + "n" * 1000000 + " =")):
        place.put(name + ".lua", text)
        refused(place, name + ".lua", name + ".lua")


@test
def a_chunk_that_never_returns_is_ended(place):
    place.put("chunk.lua", "while true do end")
    run = place.start("run", "chunk.lua")
    run.send_signal(2)
    run.communicate(timeout=WAIT_S)
    assert run.returncode in (1, -2), run.returncode


@test
def yaml_that_multiplies_itself_is_refused(place):
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n"
        for n in range(12))
    refused(place, manifest(place, laughs), "_index.yaml:1:4", "anchors")
    refused(place, manifest(place, "a: *a\n"), "_index.yaml:1:4", "aliases")
    refused(place, manifest(place, "<<: {a: 1}\n" + HEAD), "_index.yaml:")
    refused(place, manifest(place, "!!python/object:os.system x\n"), "tags")


@test
def yaml_that_is_deep_or_huge_is_refused(place):
    for text in ("[" * 100000, "{a: " * 100000, "- " * 100000, "? " * 100000,
                 "".join(" " * n + "a:\n" for n in range(1000))):
        refused(place, manifest(place, text), "_index.yaml:1:" if text[0] != "a"
                else "nested too deeply")
    refused(place, manifest(place, "x" * (2 << 20)), "larger than 1 MiB")
    refused(place, manifest(place, "".join(f"k{n}: 1\n" for n in range(100000))),
            "_index.yaml:")
    refused(place, manifest(place, "[" + "1," * 400000 + "1]"), "too many values")
    refused(place, manifest(place, "a: " + "é" * 300000), "_index.yaml:")
    refused(place, manifest(place, "a: \0b\n"), "_index.yaml:")
    refused(place, manifest(place, b"\xff\xfea\0:\0"), "_index.yaml:")
    refused(place, manifest(place, "a: 1\n--- \nb: 2\n"), "_index.yaml:")


@test
def imports_in_a_circle_are_named(place):
    text = HEAD + "  - { name: main, kind: process.lua, source: 'return 1', imports: { a: l0 } }\n"
    for n in range(3):
        text += (f"  - {{ name: l{n}, kind: library.lua, source: 'return 1', "
                 f"imports: {{ a: l{(n + 1) % 3} }} }}\n")
    refused(place, manifest(place, text), "in a circle", "app:l0")
    refused(place, manifest(place, HEAD + "  - { name: l, kind: library.lua, source: "
                            "'return 1', imports: { l: l } }\n"), "in a circle", "app:l")


@test
def a_long_chain_of_imports_runs_or_is_refused(place):
    text = HEAD + "  - { name: main, kind: process.lua, source: 'return require(\"a\")', imports: { a: l0 } }\n"
    for n in range(1500):
        text += (f"  - {{ name: l{n}, kind: library.lua, source: 'return require(\"a\")', "
                 f"imports: {{ a: l{n + 1} }} }}\n")
    text += "  - { name: l1500, kind: library.lua, source: 'return function() end' }\n"
    run = place.start("run", manifest(place, text))
    run.communicate(timeout=WAIT_S)
    assert run.returncode in (0, 1, 2), run.returncode


@test
def a_manifest_reaches_no_file_outside_its_folder(place):
    place.put("secret.lua", "return function() print('secret') end")
    (place.folder / "app").mkdir()
    (place.folder / "app" / "link.lua").symlink_to("../secret.lua")
    (place.folder / "app" / "fifo.lua").unlink(missing_ok=True)
    os.mkfifo(place.folder / "app" / "fifo.lua")
    (place.folder / "app" / "folder.lua").mkdir()
    for source in ("file://../secret.lua", f"file://{place.folder}/secret.lua",
                   "file://link.lua", "file://x/../../secret.lua", "file://", "file://.",
                   "file://folder.lua", "file://fifo.lua", "file:///dev/zero",
                   "file://" + "a/" * 5000 + "b.lua"):
        refused(place, manifest(place, HEAD + "  - { name: main, kind: process.lua, "
                                f"source: \"{source}\" }}\n"), "_index.yaml:4:")


@test
def folders_in_a_circle_are_read_once(place):
    place.put("app/_index.yaml", HEAD + "  - { name: main, kind: process.lua, source: "
              "'return function() print(\"ran\") end' }\n")
    (place.folder / "app" / "again").symlink_to(".")
    (place.folder / "app" / "up").symlink_to("..")
    deep = place.folder / "app"
    for _ in range(60):
        deep = deep / ("d" * 30)
        deep.mkdir()
    run = place.start("run", "app")
    out, err = run.communicate(timeout=WAIT_S)
    assert run.returncode in (0, 2), (run.returncode, err)
    assert run.returncode == 2 or out == "ran\n", out


@test
def what_is_no_file_is_no_program(place):
    os.mkfifo(place.folder / "fifo.lua")
    (place.folder / "loop.lua").symlink_to("loop.lua")
    (place.folder / "dir.lua").mkdir()
    for name in ("fifo.lua", "loop.lua", "dir.lua", "/dev/zero", "/dev/null", ""):
        done = place.start("run", name)
        _, err = done.communicate(timeout=WAIT_S)
        assert done.returncode in (2, 3), (name, done.returncode, err)
        assert "thole: " in err, (name, err)


@test
def a_truncated_component_is_refused_at_every_length(place):
    folder = os.environ.get("THOLE_GUESTS", str(TOP / "build" / "guests"))
    whole = (pathlib.Path(folder) / "echo.wasm").read_bytes()
    for n in range(1, 24):
        place.put("cut.wasm", whole[:len(whole) * n // 25])
        refused(place, "cut.wasm", "cut.wasm")


if __name__ == "__main__":
    sys.exit(test.main())
