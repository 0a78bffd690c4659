#!/usr/bin/env python3
"""Copy the pristine sources of Lua and apply our patches to the copy.

    prepare.py SRC_DIR OUT_DIR    write the patched sources to OUT_DIR
    prepare.py --names            print what is written, a name a line

A patch is one directive and its text:

    // a comment: the reason, and the test that proves it
    @ lvm.c 1 replace: trap = L->hookmask;
    +  trap = L->hookmask | TH_TICK;

The anchor, behind the colon, is a whole line of the pristine file without its outer
blanks. It must occur exactly as often as the number says, and every occurrence is
patched: `replace`d by the text, or the text put `before` or `after` it. There are no
context lines and nothing is applied by guess: a missing anchor stops the build. A file
is written only when its content changes, so that nothing is compiled again in vain.
"""

import pathlib
import re
import sys

VERSION = "5.4.9"
LINES_MAX = 200  # of all patches together: what is more belongs into our own files

SOURCES = """lapi lauxlib lbaselib lcode lcorolib lctype ldebug ldo ldump lfunc lgc llex
lmathlib lmem lobject lopcodes lparser lstate lstring lstrlib ltable ltablib ltm lundump
lutf8lib lvm lzio""".split()
HEADERS = """lapi lauxlib lcode lctype ldebug ldo lfunc lgc ljumptab llex llimits lmem
lobject lopcodes lopnames lparser lprefix lstate lstring ltable ltm lua luaconf lualib
lundump lvm lzio""".split()
NAMES = [name + ".c" for name in SOURCES] + [name + ".h" for name in HEADERS]

DIRECTIVE = re.compile(r"@ (\S+) (\d+) (replace|before|after): (.*)$")


class Patch:
    def __init__(self, where, name, count, how, anchor):
        self.where = where
        self.name = name
        self.count = int(count)
        self.how = how
        self.anchor = anchor.strip()
        self.text = []

    def find(self, lines):
        found = [i for i, line in enumerate(lines) if line.strip() == self.anchor]
        if len(found) != self.count:
            stop(f"{self.where}: {self.name} has {len(found)} lines, not {self.count}, "
                 f"that read: {self.anchor}")
        return found


def stop(why):
    sys.exit(f"lua/prepare.py: {why}")


def read_patches(folder):
    patches = []
    written = 0
    for path in sorted(folder.glob("*.patch")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{path.name}:{number}"
            directive = DIRECTIVE.match(line)
            if directive:
                patches.append(Patch(where, *directive.groups()))
            elif line.startswith("+") and patches:
                patches[-1].text.append(line[1:])
                written += 1
            elif line.strip() and not line.startswith("//"):
                stop(f"{where}: neither a comment, a directive nor text: {line}")
    if written > LINES_MAX:
        stop(f"the patches write {written} lines; at most {LINES_MAX} are allowed")
    return patches


def check_version(source):
    header = (source / "lua.h").read_text() if (source / "lua.h").is_file() else ""
    parts = re.findall(r'#define LUA_VERSION_(?:MAJOR|MINOR|RELEASE)\s+"(\d+)"', header)
    if ".".join(parts) != VERSION:
        stop(f"{source} does not hold the sources of Lua {VERSION}")


def apply(patches, lines):
    """The text with all @patches in; anchors are those of the pristine text."""
    kept = [[line] for line in lines]
    before = [[] for _ in lines]
    after = [[] for _ in lines]
    put = {"replace": kept, "before": before, "after": after}
    for patch in patches:
        for i in patch.find(lines):
            put[patch.how][i] = ([] if patch.how == "replace" else put[patch.how][i]) \
                + patch.text
    return "\n".join(line for three in zip(before, kept, after)
                     for part in three for line in part)


def prepare(source, target):
    check_version(source)
    patches = read_patches(pathlib.Path(__file__).resolve().parent / "patches")
    unknown = {patch.name for patch in patches} - set(NAMES)
    if unknown:
        stop(f"patches for files that are not built: {', '.join(sorted(unknown))}")
    target.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        pristine = (source / name).read_text(encoding="latin-1").split("\n")
        content = apply([patch for patch in patches if patch.name == name], pristine)
        out = target / name
        if not out.is_file() or out.read_text(encoding="latin-1") != content:
            out.write_text(content, encoding="latin-1")


def main(arguments):
    if arguments == ["--names"]:
        print("\n".join(NAMES))
    elif len(arguments) == 2:
        prepare(pathlib.Path(arguments[0]), pathlib.Path(arguments[1]))
    else:
        stop("usage: prepare.py SRC_DIR OUT_DIR | prepare.py --names")


main(sys.argv[1:])
