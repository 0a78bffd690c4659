#!/usr/bin/env python3
"""Hold the sources to the shape of the tree.

A folder includes only itself and folders below it; a third-party header has one home
folder; what asks the operating system for files, sockets or time stands in src/world;
no file has more than 800 lines. Tests may also include what is above them in their own
right: only the size and the homes bind them.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 800

# From the lowest to the highest; folders on one line do not know each other.
LAYERS = [
    ["base"],
    ["codec", "crypto", "world"],
    ["core"],
    ["kernel", "store", "net"],
    ["witness"],
    ["guest"],
    ["svc"],
    ["node"],
    ["cli"],
    ["main.c"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Where a header of somebody else may be included, by the beginning of its name.
HOMES = {
    "cmocka": "base/test.h",
    "jansson": "codec",
    "yaml": "node",
    "uv": "world",
    "openssl/": "crypto",
    "sqlite3": "store",
    "microhttpd": "svc",
    "wslay/": "svc",
    "curl/": "svc",
    "zstd": "store",
    "zip": "store",
    "xxhash": "crypto",
    "lua": "guest/lua",
    "lauxlib": "guest/lua",
    "lualib": "guest/lua",
    "th_engine": "guest/wasm",
}

# What a node asks the operating system for, it asks by world.
ONLY_WORLD = {
    "arpa/", "dirent.h", "fcntl.h", "ftw.h", "netdb.h", "netinet/", "poll.h",
    "sys/epoll.h", "sys/file.h", "sys/inotify.h", "sys/poll.h", "sys/random.h",
    "sys/select.h", "sys/sendfile.h", "sys/socket.h", "sys/stat.h", "sys/time.h",
    "sys/un.h", "time.h",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def is_below(folder, other):
    return folder == other or RANK[other] < RANK[folder]


def check_own(path, folder, header):
    target = header.split("/")[0]
    if not (TOP / "src" / header).is_file():
        return f'"{header}" is not a file of src; write it as "folder/file.h"'
    if target not in RANK:
        return f"folder {target} has no place among the layers (tools/layers.py)"
    if not path.name.endswith("_test.c") and not is_below(folder, target):
        return f"{folder} may not include {header}: {target} is not below it"
    return None


def check_foreign(path, where, header):
    for begin, home in HOMES.items():
        if header.startswith(begin) and not where.startswith(home):
            return f"<{header}> belongs to src/{home} alone"
    is_test = path.name.endswith(("_test.c", "_testing.h", "test_main.c"))
    if not is_test and not where.startswith("world/"):
        for begin in ONLY_WORLD:
            if header.startswith(begin):
                return f"<{header}>: only src/world asks the operating system"
    return None


def check(path):
    where = str(path.relative_to(TOP / "src"))
    folder = where.split("/")[0]
    lines = path.read_text(errors="replace").splitlines()
    if folder not in RANK:
        yield 1, f"folder {folder} has no place among the layers (tools/layers.py)"
        return
    if len(lines) > LINES_MAX:
        yield len(lines), f"more than {LINES_MAX} lines: split it along a noun"
    for number, line in enumerate(lines, 1):
        found = INCLUDE.match(line)
        if found:
            kind, header = found.groups()
            wrong = (check_own(path, folder, header) if kind == '"'
                     else check_foreign(path, where, header))
            if wrong:
                yield number, wrong


def main():
    bad = 0
    for path in sorted((TOP / "src").rglob("*.[ch]")):
        for number, wrong in check(path):
            print(f"{path.relative_to(TOP)}:{number}: {wrong}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
