#!/usr/bin/env python3
"""What the documents say is so: their files are made, their commands run, in a folder.

In README.md and docs/*.md, a fence behind a line that is a file's name in backquotes and
a colon makes that file. In a fence `console` each line "$ COMMAND" is run by a shell,
with thole in its PATH, and prints the lines that follow; "..." stands for anything. A
command with " &" at its end stays until the document ends, and must print its lines.
In a fence `sh` stand commands that CI runs otherwise: each must be one that ./x has.

THOLE names the program, else it is build/thole. The last line is "N passed, N failed".
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
THOLE = pathlib.Path(os.environ.get("THOLE", TOP / "build" / "thole")).resolve()
WAIT_S = 60

FILE = re.compile(r"^`([\w][\w./-]*)`:$")


class Wrong(Exception):
    pass


def fences(text):
    """Each fence: its language, its lines, the line before it, its line's number."""
    before, language, lines, start = "", None, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if language is None:
                language, lines, start = line[3:].strip(), [], number
            else:
                yield language, lines, before, start
                language = None
        elif language is not None:
            lines.append(line)
        elif line.strip():
            before = line.strip()


def commands(lines):
    """Each command with the lines that it prints."""
    found = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise Wrong(f"no command stands before: {line}")
    return found


def pattern(lines):
    parts = [re.escape(line).replace(r"\.\.\.", ".*") for line in lines]
    return re.compile(r"\s*" + "\n".join(parts) + r"\s*", re.DOTALL)


class Document:
    def __init__(self, path, folder):
        self.path = path
        self.folder = pathlib.Path(folder)
        self.env = dict(os.environ, XDG_STATE_HOME=str(self.folder / ".state"),
                        PATH=f"{self.folder}/.bin:{os.environ['PATH']}", NO_COLOR="1",
                        UBSAN_OPTIONS="print_stacktrace=1")
        self.staying = []
        tools = self.folder / ".bin"
        tools.mkdir()
        (tools / "thole").symlink_to(THOLE)
        (tools / "thole-cc").symlink_to(TOP / "sdk/c/thole-cc")
        (tools / "thole-component").symlink_to(TOP / "build/cargo/release/thole-component")
        for part in ("examples", "rust"):
            (self.folder / part).symlink_to(TOP / part)

    def put(self, name, lines):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    def stay(self, command, wanted):
        log = self.folder / f".log{len(self.staying)}"
        with log.open("wb") as out:
            self.staying.append(subprocess.Popen(
                ["sh", "-c", "exec " + command.removesuffix(" &")], cwd=self.folder,
                env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out))
        end = time.monotonic() + WAIT_S
        while not wanted.fullmatch(log.read_text(errors="replace")):
            if self.staying[-1].poll() is not None or time.monotonic() > end:
                raise Wrong(f"$ {command}\nprints\n{log.read_text(errors='replace')}")
            time.sleep(0.02)

    def run(self, command, lines):
        wanted = pattern(lines)
        if command.endswith(" &"):
            self.stay(command, wanted)
            return
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=WAIT_S)
        if not wanted.fullmatch(done.stdout):
            raise Wrong(f"$ {command}\nprints\n{done.stdout}")

    def end(self):
        for process in reversed(self.staying):
            process.terminate()
            process.wait(WAIT_S)


def have_command(word):
    listed = subprocess.run([TOP / "x"], text=True, stdout=subprocess.PIPE).stdout
    return re.search(rf"^{re.escape(word)}\b", listed, re.MULTILINE)


def check_known(lines):
    for line in lines:
        words = line.split("#")[0].split()
        if words and not (words[0] == "./x" and have_command(words[1])
                          or words[:2] == ["git", "clone"] or words[0] == "cd"):
            raise Wrong(f"nobody runs this command: {line}")


def check(path):
    """The numbers of what held and what did not."""
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        document = Document(path, folder)
        for language, lines, before, number in fences(path.read_text()):
            try:
                if language == "console":
                    for command, printed in commands(lines):
                        document.run(command, printed)
                        passed += 1
                elif language == "sh":
                    check_known(lines)
                elif FILE.match(before):
                    document.put(FILE.match(before).group(1), lines)
            except (Wrong, subprocess.TimeoutExpired) as wrong:
                failed += 1
                print(f"{path.relative_to(TOP)}:{number}: {wrong}")
        document.end()
    return passed, failed


def main():
    passed = failed = 0
    for path in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]:
        good, bad = check(path)
        passed += good
        failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
