#!/usr/bin/env python3
"""Break each rule on purpose, and see a test fail.

    mutate.py [--list] [TEXT]

For each row of the tables and each rule of mutations.py (of those with TEXT in what is
shown of them) a copy of the tree is changed in this one place, and the tests that should
notice are built and run. What no test noticed is reported; so is a rule whose text is not
there any more. The copy is kept in build/mutate, so that a second run only builds what
changed.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

import mutations

TOP = pathlib.Path(__file__).resolve().parent.parent
TREE = TOP / "build/mutate/tree"
BUILD = TOP / "build/mutate/build"
TEST_SECONDS = 120


class Mutation:
    def __init__(self, tests, path, old, new, shown):
        self.tests, self.path, self.old, self.new = tests, path, old, new
        self.shown = f"{path}: {shown}"


def of_table(tests, path, macro, first):
    """One for each outcome of each row: another one that the column has."""
    text = (TOP / "src" / path).read_text()
    rows = [m for m in re.finditer(rf"^ +({macro}\((.*)\)),$", text, re.M)]
    cells = [[cell.strip() for cell in m.group(2).split(",")] for m in rows]
    assert rows, f"{path} has no row {macro}(...)"
    for row, values in zip(rows, cells):
        for column in range(first, len(values)):
            seen = list(dict.fromkeys(other[column] for other in cells))
            assert len(seen) > 1, f"{path}: a column of {macro} has one value alone"
            at = (seen.index(values[column]) + 1) % len(seen)
            broken = values[:column] + [seen[at]] + values[column + 1:]
            new = f"{macro}({', '.join(broken)})"
            yield Mutation(tests, path, row.group(1), new,
                           f"{macro}({', '.join(values)}) with {seen[at]}")


def all_mutations():
    for table in mutations.TABLES:
        yield from of_table(*table)
    for tests, path, old, new in mutations.RULES:
        yield Mutation(tests, path, old, new, f"{old} -> {new or '(nothing)'}")


def copy_tree():
    """What git knows or could know, each file only if it differs."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP,
                            check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        source, target = TOP / name, TREE / name
        if source.is_file():
            put(target, source.read_bytes(), source.stat().st_mode)


def put(target, content, mode=0o644):
    if not target.is_file() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **more)


def configure():
    copy_tree()
    if not (BUILD / "build.ninja").is_file():
        rust = TOP / "build/cargo/release"
        lua = (TOP / "build/lua-src").read_text().strip()
        done = run(["meson", "setup", str(BUILD), str(TREE), "-Doptimization=0", "-Dwerror=false",
                    f"-Dlua_src={lua}", f"-Dengine={rust}/libthole_engine.a",
                    f"-Dcomponent={rust}/thole-component", "-Db_lundef=false"],
                   env={**os.environ, "CC": "clang"})
        if done.returncode != 0:
            sys.exit(done.stdout)


def test(tests):
    """None, or what is wrong: it does not build, or one of these tests failed."""
    folder, _, module = tests.partition(":")
    program = f"src/{folder.replace('/', '_')}_test"
    only = [module.replace("_", " ") + ": *"] if module else []
    built = run(["ninja", "-C", str(BUILD), program])
    if built.returncode != 0:
        return "does not build", built.stdout
    try:
        tested = run([str(BUILD / program), *only], cwd=BUILD, timeout=TEST_SECONDS)
    except subprocess.TimeoutExpired:
        return "hangs", ""
    return ("fails", tested.stdout) if tested.returncode != 0 else None


def judge(mutation):
    """What to say against it, or None: a test noticed."""
    target = TREE / "src" / mutation.path
    whole = target.read_text()
    if whole.count(mutation.old) != 1:
        return f"its text stands there {whole.count(mutation.old)} times, not once"
    try:
        put(target, whole.replace(mutation.old, mutation.new).encode())
        wrong = test(mutation.tests)
    finally:
        put(target, whole.encode())
    if wrong is None:
        return "NO TEST NOTICED"
    return f"it {wrong[0]}:\n{wrong[1]}" if wrong[0] == "does not build" else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("text", nargs="?", default="")
    args = parser.parse_args()
    chosen = [m for m in all_mutations() if args.text in m.shown]
    if args.list:
        print(*(m.shown for m in chosen), sep="\n")
        return 0
    configure()
    for tests in sorted({m.tests for m in chosen}):
        wrong = test(tests)
        if wrong is not None:
            sys.exit(f"{tests}: without any change it {wrong[0]}\n{wrong[1]}")
    against = [(m, said) for m in chosen if (said := judge(m)) is not None]
    for mutation, said in against:
        print(f"{mutation.shown}: {said}")
    print(f"{len(chosen) - len(against)} noticed, {len(against)} not")
    return 1 if against else 0


sys.exit(main())
