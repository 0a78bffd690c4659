"""The workloads: what each side runs, which figure is read, and what is asked of it.

A target is (what, bound): "ratio" and "times_floor" are to be at least, "over_floor" and
"thole" at most.
"""

from dataclasses import dataclass
from typing import Callable

HOGS = ["loop", "sort", "rep", "pattern", "wasm"]


@dataclass
class Workload:
    name: str
    unit: str
    better: str
    target: tuple
    sides: dict[str, Callable]  # thole, and erlang or floor
    cores: int = 1
    rounds_max: int = 100  # of those that take their time and vary little

    def lacks(self, programs):
        """What this machine lacks for it, or None."""
        if self.cores > len(programs.cores):
            return f"it takes {self.cores} cores"
        return None


def value(figures):
    return figures["value"]


def each_bytes(figures):
    return (figures["after"] - figures["before"]) / figures["count"]


def both(name, unit, target, count, *, lua, cores=1, better="lower", lua_words=(),
         least=1, before=(), figure=value, erlang=None):
    """The same on both sides: words that are counts are brought to scale."""
    def words(programs):
        return [*before, programs.count(count, least)]
    return Workload(name, unit, better, target, {
        "thole": lambda p: figure(p.lua(cores, lua, *words(p), *lua_words)),
        "erlang": lambda p: figure(p.erlang(cores, erlang or name, *words(p))),
    }, cores=cores)


def hogs(programs):
    cores = len(programs.cores)
    return {kind: value(programs.lua(cores, "hog", kind, programs.count(3000, 50), cores))
            for kind in HOGS}


def no_hog(programs):
    cores = len(programs.cores)
    return value(programs.lua(cores, "hog", "none", programs.count(3000, 50), 0))


def wasm(name, unit, target, count, *, lua, floor, figure=value):
    """The same guests under the kernel, and polled by a bare loop."""
    return Workload(name, unit, "lower", target, {
        "thole": lambda p: figure(p.lua(1, lua, p.count(count, 20))),
        "floor": lambda p: figure(p.engine(floor, p.count(count, 20)))})


def blob_forward(blob_bytes):
    return lambda p: value(p.lua(1, "blob_forward", blob_bytes, p.count(100000, 10)))


def right_ns(programs):
    """What a hop between two packages costs more than one within: a check each."""
    count = programs.count(400000)
    return (value(programs.lua(1, "pingpong", count, "bench:core0", "foreign_pong"))
            - value(programs.lua(1, "pingpong", count))) / 2


WORKLOADS = [
    both("pingpong", "ns", ("ratio", 1.2), 400000, lua="pingpong"),
    both("pingpong_map5", "ns", ("ratio", 0.5), 200000, lua="pingpong_map5"),
    both("pingpong_cross_awake", "ns", ("ratio", 3.0), 100000, lua="pingpong", cores=2,
         lua_words=["bench:core1"]),
    both("pingpong_cross_asleep", "ns", ("ratio", 0.9), 300, lua="pingpong_asleep",
         cores=2, least=5),
    both("ring_1000", "ns", ("ratio", 1.0), 400, lua="ring", before=[1000]),
    both("fanin_small", "M/s", ("ratio", 0.6), 10000, lua="fanin", before=[100],
         better="higher", cores=2),
    both("spawn_exit", "ns", ("ratio", 1.2), 100000, lua="spawn_exit"),
    both("spawn_idle", "ns", ("ratio", 0.4), 100000, lua="spawn_idle", least=100),
    both("idle_bytes", "B", ("thole", 8192), 100000, lua="spawn_idle", least=100,
         figure=each_bytes, erlang="spawn_idle"),
    both("call", "ns", ("ratio", 1.5), 200000, lua="call"),
    Workload("right", "ns", "lower", ("thole", 60), {"thole": right_ns}),
    both("timers", "ns", ("ratio", 1.5), 200000, lua="timers"),
    Workload("open_requests", "B", "lower", ("thole", 250), {
        "thole": lambda p: each_bytes(p.lua(1, "open_requests", p.count(1000000, 100)))},
        rounds_max=2),
    wasm("wasm_spawn", "ns", ("over_floor", 1.4), 8000, lua="wasm_spawn", floor="spawn"),
    wasm("wasm_pingpong", "ns", ("over_floor", 1.4), 100000, lua="wasm_pingpong",
         floor="pingpong"),
    wasm("wasm_idle_bytes", "B", ("over_floor", 1.15), 8000, lua="wasm_spawn",
         floor="spawn", figure=each_bytes),
    Workload("blob_forward", "ns", "lower", ("over_floor", 1.1),
             {"thole": blob_forward(1 << 20), "floor": blob_forward(1 << 10)}),
    Workload("state_save", "1/s", "higher", ("times_floor", 20), {
        "thole": lambda p: value(p.saves("store", 1000, p.count(500000, 1000))),
        "floor": lambda p: value(p.saves("syncs", p.count(5000, 10)))}),
    Workload("hog", "ms", "lower", ("thole", 5), {"thole": hogs, "floor": no_hog},
             rounds_max=3),
    Workload("cold_start", "ms", "lower", ("thole", 200), {
        "thole": lambda p: p.cold_start_ms(p.thole_node),
        "erlang": lambda p: p.cold_start_ms(p.erlang_node)}),
    Workload("idle_resident", "MB", "lower", ("thole", 25), {
        "thole": lambda p: p.idle(p.thole_node)["bytes"] / 1e6,
        "erlang": lambda p: p.idle(p.erlang_node)["bytes"] / 1e6}, rounds_max=1),
    Workload("idle_cpu", "ms", "lower", ("thole", 0), {
        "thole": lambda p: p.idle(p.thole_node)["ns"] / 1e6,
        "erlang": lambda p: p.idle(p.erlang_node)["ns"] / 1e6}, rounds_max=1),
]
