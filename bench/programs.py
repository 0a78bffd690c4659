"""The programs that the bench runs, and what they say."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RUN_S = 300
READY_S = 20
IDLE_S = 10


class Failure(Exception):
    """What the user is told."""


def read_figures(text):
    """The figures in what a program printed: lines "NAME NUMBER"."""
    figures = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            try:
                figures[words[0]] = float(words[1])
            except ValueError:
                pass
    return figures


def cpu_ns(pid):
    """The time that all threads of a program have run."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def resident_bytes(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Programs:
    """Runs them on the same cores, and once in a round where several want the same."""

    def __init__(self, build, scale, wants_erlang):
        self.build = build
        self.scale = scale
        self.cores = sorted(os.sched_getaffinity(0))
        self.thole = os.environ.get("THOLE", str(build / "thole"))
        self.ours = os.environ.get("THOLE_BENCH", str(build / "bench" / "thole-bench"))
        self.floor = os.environ.get("THOLE_FLOOR", str(build / "bench" / "thole-floor"))
        self.save = os.environ.get("THOLE_SAVE", str(build / "bench" / "thole-save"))
        self.guests = os.environ.get("THOLE_GUESTS", str(build / "guests"))
        self.has_erlang = wants_erlang
        self.done = {}
        if wants_erlang:
            self.compile_erlang()

    def begin_round(self):
        self.done.clear()

    def count(self, whole, least=1):
        """So much of a workload is to be done."""
        return max(least, int(whole * self.scale))

    def bind(self, cores):
        """What a child does first: stay on the first cores."""
        return lambda: os.sched_setaffinity(0, self.cores[:cores])

    def run(self, command, cores):
        """Run to the end; its figures."""
        key = tuple(command)
        if key not in self.done:
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                    timeout=RUN_S, preexec_fn=self.bind(cores), check=False,
                    env={**os.environ, "THOLE_GUESTS": self.guests})
            except subprocess.TimeoutExpired as late:
                raise Failure(f"{' '.join(key)}: not done in {RUN_S} s") from late
            except OSError as error:
                raise Failure(f"{key[0]}: {error.strerror}; ./x bench builds it") from error
            if done.returncode != 0:
                raise Failure(f"{' '.join(key)}: exit code {done.returncode}\n"
                              f"{done.stdout}{done.stderr}".rstrip())
            self.done[key] = read_figures(done.stdout)
        return self.done[key]

    def lua(self, cores, name, *words):
        """A workload of bench/lua, on as many shards as cores."""
        return self.run([self.ours, str(cores), str(HERE / "lua" / f"{name}.lua"),
                         *map(str, words)], cores)

    def engine(self, name, *words):
        """The Wasm engine alone, on one core."""
        return self.run([self.floor, name, *map(str, words)], 1)

    def saves(self, what, *words):
        """The store alone, or its disk alone; on the disk that the build is on."""
        with tempfile.TemporaryDirectory(dir=self.build) as folder:
            return self.run([self.save, what, folder, *map(str, words)], 2)

    # --- Erlang ---------------------------------------------------------------------

    def compile_erlang(self):
        if shutil.which("erlc") is None:
            raise Failure("there is no erlc; install Debian's erlang-base, or say "
                          "--without-erlang")
        (self.build / "erlang").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["erlc", "-o", str(self.build / "erlang"), str(HERE / "erlang" / "bench.erl")],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"erlc: {done.stdout}{done.stderr}".rstrip())

    def erl(self, cores, *more):
        return ["erl", "-noshell", "+S", f"{cores}:{cores}", "+P", "1000000",
                "-pa", str(self.build / "erlang"), *more]

    def erlang(self, cores, name, *words):
        return self.run(self.erl(cores, "-run", "bench", "main", name,
                                 *map(str, words)), cores)

    # --- Nodes ----------------------------------------------------------------------

    def start(self, command):
        """Start a node that prints a line when it is up: it, and how long that took."""
        began = time.monotonic()
        node = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = node.stdout.readline()
        took = time.monotonic() - began
        if line != "up\n":
            node.kill()
            raise Failure(f"{' '.join(command)}: does not come up\n"
                          f"{line}{node.communicate()[1]}".rstrip())
        return node, took

    def stop(self, node):
        node.terminate()
        try:
            node.communicate(timeout=READY_S)
        except subprocess.TimeoutExpired:
            node.kill()
            node.communicate()

    def thole_node(self, home):
        program = pathlib.Path(home) / "up.lua"
        program.write_text('print("up")\nreturn function() process.inbox():receive() end\n')
        return [self.thole, "run", str(program), "--home", str(pathlib.Path(home) / "home")]

    def erlang_node(self, _):
        return ["erl", "-noshell", "-eval", 'io:put_chars("up\\n").']

    def cold_start_ms(self, command_of):
        """From the exec to the first line of its program."""
        with tempfile.TemporaryDirectory() as home:
            node, took = self.start(command_of(home))
            self.stop(node)
        return took * 1000

    def idle(self, command_of):
        """What an idle node has in memory, and the time it runs: {"bytes", "ns"}."""
        key = ("idle", command_of.__name__)
        if key not in self.done:
            with tempfile.TemporaryDirectory() as home:
                node, _ = self.start(command_of(home))
                time.sleep(1)
                before = cpu_ns(node.pid)
                time.sleep(max(1, IDLE_S * self.scale))
                self.done[key] = {"ns": cpu_ns(node.pid) - before,
                                  "bytes": resident_bytes(node.pid)}
                self.stop(node)
        return self.done[key]
