"""What the tests from outside share: a folder to run commands in, a node that is up
there, and the main that runs a file's tests.

THOLE names the program, else it is build/thole.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
THOLE = os.environ.get("THOLE", str(TOP / "build" / "thole"))
WAIT_S = 20

# Who runs these tests behind a `&` of a shell gives us, and all we start, a deaf ear.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Tests(list):
    """The tests of a file, in order: a decorator puts one in."""

    def __call__(self, function):
        self.append(function)
        return function

    def main(self, make=None):
        """Run those with a word of the command line in their name; 1 if any failed."""
        failed = 0
        names = sys.argv[1:]
        tests = [one for one in self if not names or any(n in one.__name__ for n in names)]
        for one in tests:
            with tempfile.TemporaryDirectory() as folder:
                place = (make or Place)(folder)
                try:
                    one(place)
                except Exception as error:  # a test fails in any way it likes
                    failed += 1
                    print(f"FAILED {one.__name__}: {type(error).__name__}: {error}")
                finally:
                    place.clear()
        print(f"{len(tests) - failed} passed, {failed} failed")
        return 1 if failed else 0


class Place:
    """A folder with programs, and the environment of the commands that run in it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.env = dict(os.environ, XDG_STATE_HOME=str(self.folder / "state"))
        self.env.pop("NO_COLOR", None)
        self.started = []

    def put(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def run(self, *words, code=0):
        done = subprocess.run([THOLE, *words], cwd=self.folder, env=self.env,
                              capture_output=True, text=True, timeout=WAIT_S)
        assert code is None or done.returncode == code, (
            f"{words}: exit code {done.returncode}, not {code}\n"
            f"{done.stdout}{done.stderr}")
        return done

    def fails(self, code, text, *words):
        """@text stands on standard error, and nothing on standard output."""
        done = self.run(*words, code=code)
        assert text in done.stderr, f"{words}: no {text!r} in {done.stderr!r}"
        assert done.stdout == "", done.stdout
        assert all(line.startswith("thole: ") for line in done.stderr.splitlines()), (
            done.stderr)
        return done

    def start(self, *words):
        one = subprocess.Popen([THOLE, *words], cwd=self.folder, env=self.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(one)
        return one

    def clear(self):
        """End what a test that failed has left running."""
        for one in self.started:
            one.kill()
            one.wait()


class Up:
    """A node that is up on `home`, perhaps with a program; `with` ends it."""

    def __init__(self, place, *words):
        self.place = place
        self.node = place.start("up", "--home", "home", *words)
        self.errors = None
        self.output = ""
        while (line := self.node.stdout.readline()) != "thole is up on home\n":
            assert line, self.node.stderr.read()
            self.output += line

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.node.send_signal(signal.SIGTERM)
        more, self.errors = self.node.communicate(timeout=WAIT_S)
        self.output += more
        if kind is None:
            assert self.node.returncode == 0, (self.node.returncode, self.errors)

    def ask(self, *words, code=0):
        return self.place.run(*words, "--home", "home", code=code)

    def processes(self):
        answer = json.loads(self.ask("ps", "--json").stdout)
        return {one["entry"]: one for one in answer["processes"]}


def until(holds):
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)
