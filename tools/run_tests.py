#!/usr/bin/env python3
"""Run the test programs of some flavours and count what passed and failed.

    run_tests.py [--only PROGRAM] [--match TEXT] BUILD_DIR...

Meson's list of tests says what there is. A cmocka program counts each of its tests, and
a crash, a leak or a time-out counts as one that failed; a program that ends with a line
"N passed, N failed" counts those; any other counts as one. TEXT is a part of the name of
a cmocka test or of another program. The last line is "N passed, N failed", and no other
line looks so.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

PASSED = re.compile(r"^\[ +OK \] (.*)")
FAILED = re.compile(r"^\[  FAILED  \] (?!\d+ test)(.*)")
SKIPPED = re.compile(r"^\[  SKIPPED \] (?!\d+ test)(.*)")
RUNNING = re.compile(r"^\[ RUN      \] (.*)")
CLOSING = re.compile(r"^\[=+\] \d+ test\(s\) run")
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$")


class Result:
    """What one program said."""

    def __init__(self, output, code, timed_out):
        self.passed = 0
        self.failed = []
        self.is_cmocka = False
        running = None
        for line in output.splitlines():
            if CLOSING.match(line):
                running = None
                break
            if RUNNING.match(line):
                self.is_cmocka = True
                running = RUNNING.match(line).group(1)
            elif PASSED.match(line) or SKIPPED.match(line):
                self.passed += bool(PASSED.match(line))
                running = None
            elif FAILED.match(line):
                self.failed.append(FAILED.match(line).group(1))
                running = None
        self.settle(output, code, timed_out, running)

    def settle(self, output, code, timed_out, running):
        lines = output.strip().splitlines()
        plain = PLAIN.match(lines[-1]) if lines else None
        if plain and not self.is_cmocka:
            self.passed = int(plain.group(1))
            self.failed = ["(see above)"] * int(plain.group(2))
        elif not self.is_cmocka and "test(s) run" not in output and code == 0:
            self.passed = 1
        if timed_out:
            self.failed.append(f"{running or 'the program'}: not done in time")
        elif code < 0:
            name = signal.Signals(-code).name
            self.failed.append(f"{running or 'the program'}: ended by {name}")
        elif running:
            self.failed.append(f"{running}: the program ended, exit code {code}")
        elif code != 0 and not self.failed:
            self.failed.append(f"exit code {code}")


def wrapped(command, is_tsan):
    """Thread sanitizer needs the addresses that it expects, where this is allowed."""
    straight = ["setarch", "-R"]
    if is_tsan and subprocess.call(straight + ["true"], stderr=subprocess.DEVNULL) == 0:
        return straight + command
    return command


def is_cmocka(test):
    return any(suite.endswith(":cmocka") for suite in test["suite"])


def run(test, match, is_tsan):
    if not os.access(test["cmd"][0], os.X_OK):
        return "it was not built", Result("", 1, False)
    pattern = [f"*{match}*"] if match and is_cmocka(test) else []
    command = wrapped(test["cmd"] + pattern, is_tsan)
    process = subprocess.Popen(
        command, env={**os.environ, **test["env"]}, cwd=test["workdir"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True)
    timed_out = False
    try:
        output, _ = process.communicate(timeout=test["timeout"])
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGABRT)
        output, _ = process.communicate()
    text = output.decode(errors="replace")
    return text, Result(text, process.returncode, timed_out)


def show(output):
    """What a program said, without the lines about what went well."""
    for line in output.splitlines():
        if not (PASSED.match(line) or RUNNING.match(line) or PLAIN.match(line)):
            print("    " + line)


def flavour_of(build):
    return build.name if build.name in ("asan", "tsan") else "release"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="the one program to run")
    parser.add_argument("--match", default="", help="a part of tests' names")
    parser.add_argument("build", nargs="+", type=pathlib.Path)
    options = parser.parse_args()

    passed = failed = 0
    for build in options.build:
        tests = json.loads((build / "meson-info" / "intro-tests.json").read_text())
        for test in sorted(tests, key=lambda each: each["name"]):
            if options.only not in ("", test["name"]) or not (
                    is_cmocka(test) or options.match in test["name"]):
                continue
            start = time.monotonic()
            output, result = run(test, options.match, build.name == "tsan")
            seconds = time.monotonic() - start
            passed += result.passed
            failed += len(result.failed)
            if result.passed or result.failed or not options.match:
                print(f"{flavour_of(build):8} {test['name']:16} {result.passed:5} ok"
                      f" {len(result.failed):4} bad {seconds:7.1f} s", flush=True)
            if result.failed:
                show(output)
                for name in result.failed:
                    print(f"  FAILED: {flavour_of(build)} {test['name']}: {name}")
    if passed + failed == 0:
        print("no test has such a name", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


sys.exit(main())
