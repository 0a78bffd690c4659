#!/usr/bin/env python3
"""examples/wordcount against cat, tr, sort and uniq, on all kinds of text.

Run by plain python3; THOLE names the program, else it is build/thole. The last line is
"N passed, N failed".
"""

import ctypes
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys

from place import THOLE, TOP, Place as AnyPlace, Tests

EXAMPLE = TOP / "examples" / "wordcount"
LICENCES = pathlib.Path("/usr/share/common-licenses")
WAIT_S = 120
MOST = 20

test = Tests()


class Place(AnyPlace):
    """Where the main job runs on texts; what it prints is bytes."""

    def start(self, *paths, before=None, options=()):
        one = subprocess.Popen([THOLE, "run", *options, str(EXAMPLE), *map(str, paths)],
                               cwd=self.folder, env=self.env, preexec_fn=before,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.started.append(one)
        return one

    def run(self, *paths, code=0, before=None):
        """What it prints on standard output and on standard error."""
        one = self.start(*paths, before=before)
        out, err = one.communicate(timeout=WAIT_S)
        err = err.decode(errors="replace")
        assert one.returncode == code, f"{paths}: exit code {one.returncode}\n{err}"
        return out, err


def expected(text):
    """What the tools of the system make of @text: the first lines, `COUNT WORD`."""
    done = subprocess.run(
        "tr -cs 'A-Za-z' '\\n' | tr A-Z a-z | sort | uniq -c", shell=True, input=text,
        env=dict(os.environ, LC_ALL="C"), stdout=subprocess.PIPE, check=True)
    # Text that does not begin with a word gives tr's first line no word either.
    counts = [line.split() for line in done.stdout.splitlines() if len(line.split()) == 2]
    counts.sort(key=lambda one: (-int(one[0]), one[1]))
    return b"".join(b"%s %s\n" % (n, word) for n, word in counts[:MOST])


def files_in(path):
    """All files, links to files too, in the order of their paths' bytes."""
    found = []
    for top, _, names in os.walk(os.fsencode(path)):
        found += [os.path.join(top, name) for name in names]
    return sorted(name for name in found if os.path.isfile(name))


def equals(place, *paths):
    """Run it on @paths and compare; gives its standard error."""
    text = b""
    for path in paths:
        whole = place.folder / path
        for name in files_in(whole) if whole.is_dir() else [whole]:
            with open(name, "rb") as file:
                text += file.read()
    out, err = place.run(*paths)
    want = expected(text)
    assert out == want, f"{paths}: got\n{out[:2000]!r}\ninstead of\n{want[:2000]!r}\n{err}"
    return err


def redone(err):
    """Chunks that were done again, from the last lines of @err; and how many there are."""
    found = re.search(r"in (\d+) chunks: .*; (\d+) chunks redone", err)
    assert found, err
    return int(found[2]), int(found[1])


# --- Texts ------------------------------------------------------------------------------

@test
def the_licences_are_counted_and_a_killed_worker_costs_nothing(place):
    err = equals(place, LICENCES)
    assert redone(err)[0] in (1, 2) and redone(err)[1] > 10, err
    assert len(re.findall("on purpose, half-way", err)) == 1, err
    assert len(re.findall("worker .* ended: ", err)) == 1, err
    for kind in ("lua", "wasm"):
        found = re.search(kind + r": \d+ workers, (\d+) chunks, \d+ lines, (\d+) lines/s",
                          err)
        assert found and int(found[1]) > 0 and int(found[2]) > 0, err


@test
def nothing_has_no_words(place):
    place.put("empty", b"")
    (place.folder / "folder").mkdir()
    place.put("blank", b"\n\n \t 12 3.4 \r\n\0")
    for name in ("empty", "folder", "blank"):
        assert equals(place, name) is not None
        assert place.run(name)[0] == b""


@test
def any_bytes_are_text(place):
    dice = random.Random(7)
    place.put("all", bytes(range(256)) * 300)
    place.put("chance", dice.randbytes(1 << 20))
    place.put("latin", "Straße naïve ÄÖÜ Kelvin\u212a \u0130stanbul".encode())
    for name in ("all", "chance", "latin"):
        equals(place, name)


@test
def words_are_not_cut_where_chunks_are(place):
    dice = random.Random(11)
    for size in (4095, 4096, 4097, 8192, 20000):
        letters = "".join(dice.choice("aB \n") if dice.random() < 0.01 else "x"
                          for _ in range(size))
        place.put("text", letters)
        equals(place, "text")
    place.put("text", ("word " * 819 + "w") * 40)
    equals(place, "text")


@test
def one_word_may_be_longer_than_any_chunk(place):
    place.put("word", b"aB" * (3 << 20))
    equals(place, "word")
    place.put("words", b"x " * 5000 + b"Y" * (1 << 20) + b" x" * 5000 + b"z" * 70000)
    equals(place, "words")
    place.put("ends", b"q" * 8192 + b"\n" + b"q" * 4096 + b"-" + b"q" * 4095 + b"!")
    equals(place, "ends")


@test
def lines_may_end_in_any_way(place):
    place.put("dos", b"One two\r\ntwo three\r\n" * 3000)
    place.put("mac", b"One two\rtwo three\r" * 3000)
    place.put("none", b"the last line has no end")
    for name in ("dos", "mac", "none"):
        equals(place, name)


@test
def files_are_one_text_in_the_order_of_their_paths(place):
    place.put("in/a", "be")
    place.put("in/a-", "gin")
    place.put("in/a.d/x", "ning")
    place.put("in/a0", "end")  # behind in/a.d/x
    place.put("in/b/c/d", "ing ")
    place.put("in/b.c", "not here ")
    place.put("in/ü \"x\"\n", "odd name")
    place.put("in/.hidden", "seen too ")
    equals(place, "in")
    equals(place, "in/a", "in/a0", "in/a-")
    equals(place, "in/")
    equals(place, ".")


@test
def thousands_of_files_are_read(place):
    dice = random.Random(3)
    for i in range(3000):
        words = [dice.choice(["alpha", "Beta", "gamma", "x%d" % (i % 7)])
                 for _ in range(dice.randrange(8))]
        place.put(f"many/{i % 50}/{i}", " ".join(words))
    err = equals(place, "many")
    assert "3000 files" in err, err


@test
def links_to_files_are_read_and_folders_in_a_circle_are_not(place):
    place.put("in/file", "one two ")
    (place.folder / "in" / "again").symlink_to("file")
    (place.folder / "in" / "circle").symlink_to(".")
    (place.folder / "in" / "nowhere").symlink_to("none")
    os.mkfifo(place.folder / "in" / "pipe")
    out, err = place.run("in")
    assert out == b"2 one\n2 two\n", out
    assert "left out: `in/circle` is a link to a folder" in err, err
    assert "left out: `in/nowhere`" in err and "left out: `in/pipe`" in err, err


# --- What goes wrong --------------------------------------------------------------------

@test
def what_is_missing_is_told_and_the_rest_is_counted(place):
    place.put("here", "one two two")
    out, err = place.run("here", "gone", code=1)
    assert out == b"2 two\n1 one\n", out
    assert "there is no such file or folder: `gone`" in err, err
    assert "1 of the files and folders could not be read" in err, err
    out, err = place.run("gone", code=1)
    assert out == b"" and "no such file" in err, err
    out, err = place.run(code=1)
    assert out == b"" and "name files or folders" in err, err


def without_privileges():
    """So that permissions count for root, too: drop CAP_DAC_OVERRIDE and READ_SEARCH."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


@test
def what_may_not_be_read_is_told_and_the_rest_is_counted(place):
    place.put("in/a", "one two two")
    place.put("in/secret", "three").chmod(0)
    place.put("in/shut/x", "four").parent.chmod(0)
    try:
        out, err = place.run("in", code=1, before=without_privileges)
    finally:
        (place.folder / "in" / "shut").chmod(0o700)
    assert out == b"2 two\n1 one\n", out
    assert "`in/secret`" in err and "`in/shut`" in err and "permissions" in err, err
    assert "2 of the files and folders could not be read" in err, err
    out, err = place.run("in/secret", code=1, before=without_privileges)
    assert out == b"" and "permissions" in err, err


@test
def paths_may_lead_anywhere_the_command_line_says(place):
    place.put("a/b/file", "up and down ")
    place.folder = place.folder / "a"
    equals(place, "../a/b")
    equals(place, "..")
    equals(place, "b/../b/./file")
    equals(place, str(place.folder))


# --- While it runs ----------------------------------------------------------------------

def large(place):
    """A text that takes a while, and what is to come of it."""
    dice = random.Random(5)
    words = ["".join(dice.choice("abcdefghij") for _ in range(dice.randrange(2, 9)))
             for _ in range(4000)]
    text = " ".join(dice.choice(words) for _ in range(200000)).encode() + b"\n"
    return place.put("large", text * 20), text * 20


def until_line(stream, mark):
    lines = b""
    while mark not in (line := stream.readline()):
        assert line, lines
        lines += line
    return lines + line


@test
def ctrl_c_ends_it_half_way(place):
    path, _ = large(place)
    one = place.start(path)
    until_line(one.stderr, b"on purpose")
    one.send_signal(signal.SIGINT)
    out, err = one.communicate(timeout=WAIT_S)
    assert one.returncode == 1 and out == b"", (one.returncode, out)
    assert b"stopped" in err, err


@test
def workers_that_are_killed_from_outside_cost_nothing(place):
    path, text = large(place)
    home = str(place.folder / "home")
    one = place.start(path, options=["--home", home])
    killed = 0
    while killed < 4 and one.poll() is None:
        ps = subprocess.run([THOLE, "ps", "--json", "--home", home], capture_output=True)
        if ps.returncode != 0:
            continue  # it is not up yet, or no longer
        for process in json.loads(ps.stdout)["processes"]:
            if process["entry"] in ("wordcount:lua_worker", "wordcount:wasm_worker"):
                killed += subprocess.run([THOLE, "kill", process["pid"], "--home", home],
                                         capture_output=True).returncode == 0
                break
    out, err = one.communicate(timeout=WAIT_S)
    assert one.returncode == 0, err
    assert out == expected(text), (out, err)
    # One may be killed twice, also by the main job, or just as all is done.
    assert killed > 0, err
    ended = len(re.findall(rb"worker .* ended: ", err))
    assert 1 <= ended <= killed + 1, (killed, err)


@test
def files_that_change_while_they_are_read_do_no_harm(place):
    for i in range(400):
        place.put(f"in/{i}", "steady words here\n" * 500)
    one = place.start("in")
    for i in range(399, 0, -2):
        (place.folder / "in" / str(i)).unlink()
    out, err = one.communicate(timeout=WAIT_S)
    gone = len(re.findall(b"cannot read: there is no such file", err))
    assert one.returncode == (1 if gone else 0), err
    count = int(out.split()[0])
    assert count % 500 == 0 and 200 * 500 <= count <= (400 - gone) * 500, (out, gone)
    files = int(re.search(rb"(\d+) files,", err)[1])
    assert count == files * 500, (out, err)


if __name__ == "__main__":
    sys.exit(test.main(Place))
