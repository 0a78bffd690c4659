#!/usr/bin/env python3
"""The bench, with very little to do and without Erlang: what it writes, and its messages.

THOLE, THOLE_BENCH, THOLE_FLOOR and THOLE_GUESTS name what was built, else it is that
of build. The last line is "N passed, N failed".
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "bench"))
sys.dont_write_bytecode = True

import chart
import programs
from bench import is_met, over
from workloads import WORKLOADS

NAMES = """pingpong pingpong_map5 pingpong_cross_awake pingpong_cross_asleep ring_1000
    fanin_small spawn_exit spawn_idle idle_bytes call right timers open_requests
    wasm_spawn wasm_pingpong wasm_idle_bytes blob_forward state_save hog cold_start
    idle_resident idle_cpu""".split()
TINY = ["pingpong_map5", "fanin_small", "spawn_exit", "idle_bytes", "call", "timers",
        "open_requests", "ring_1000", "wasm_spawn", "wasm_pingpong", "blob_forward",
        "state_save", "cold_start"]
WAIT_S = 240

for variable, place in {"THOLE": "thole", "THOLE_BENCH": "bench/thole-bench",
                   "THOLE_FLOOR": "bench/thole-floor", "THOLE_SAVE": "bench/thole-save",
                        "THOLE_GUESTS": "guests"}.items():
    os.environ.setdefault(variable, str(TOP / "build" / place))

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def bench(folder, *words, **env):
    return subprocess.run(
        [sys.executable, "-B", str(TOP / "bench" / "bench.py"), "--build", str(folder),
         "--without-erlang", *words], env={**os.environ, "THOLE_BENCH_ROUNDS": "1",
                                           "THOLE_BENCH_SCALE": "0.001", **env},
        capture_output=True, text=True, timeout=WAIT_S, check=False)


@test
def all_workloads_have_their_names():
    assert [workload.name for workload in WORKLOADS] == NAMES


@test
def a_tiny_run_writes_table_json_and_chart():
    with tempfile.TemporaryDirectory() as folder:
        done = bench(folder, *TINY)
        assert done.returncode == 0, done.stderr
        rows = json.loads((pathlib.Path(folder) / "bench.json").read_text())
        svg = (pathlib.Path(folder) / "bench.svg").read_text()
    assert sorted(row["workload"] for row in rows) == sorted(TINY)
    for row in rows:
        assert set(row) >= {"workload", "unit", "better", "thole", "erlang", "ratio"}, row
        assert row["better"] in ("higher", "lower") and row["thole"] > 0, row
        assert row["erlang"] is None and row["ratio"] is None, row
        assert row["workload"] in done.stdout and row["workload"] in svg
        assert f"round 1 of 1: {row['workload']}" in done.stderr
    floors = {row["workload"]: row for row in rows if "floor" in row}
    assert set(floors) == {"wasm_spawn", "wasm_pingpong", "blob_forward", "state_save"}, floors
    for row in floors.values():
        assert abs(row["over_floor"] - row["thole"] / row["floor"]) < 0.01 * row["over_floor"]
    assert xml.etree.ElementTree.fromstring(svg).tag.endswith("svg")


@test
def a_hog_of_each_kind_lets_a_pinger_through():
    with tempfile.TemporaryDirectory() as folder:
        done = bench(folder, "hog")
        assert done.returncode == 0, done.stderr
        row, = json.loads((pathlib.Path(folder) / "bench.json").read_text())
    assert set(row["parts"]) == {"loop", "sort", "rep", "pattern", "wasm"}
    assert row["thole"] == max(row["parts"].values()) and row["over_floor"] > 1


@test
def an_unknown_name_is_answered_with_those_there_are():
    done = bench(tempfile.gettempdir(), "pingpang")
    assert done.returncode == 1
    assert "there is no workload pingpang; there are: pingpong " in done.stderr


@test
def a_program_that_is_missing_or_fails_is_named():
    with tempfile.TemporaryDirectory() as folder:
        done = bench(folder, "call", THOLE_BENCH="/nowhere/thole-bench")
        assert done.returncode == 1
        assert "/nowhere/thole-bench: No such file or directory; ./x bench" in done.stderr
        done = bench(folder, "call", THOLE_BENCH="/bin/false")
        assert done.returncode == 1 and "/bin/false" in done.stderr
        assert "exit code 1" in done.stderr
        assert not (pathlib.Path(folder) / "bench.json").exists()


@test
def figures_are_lines_of_a_name_and_a_number():
    found = programs.read_figures("value 1.5\nhello world\nafter 7 8\nafter 7\n\nx\n")
    assert found == {"value": 1.5, "after": 7.0}


@test
def a_ratio_above_one_is_ahead():
    assert over(50, 100, "lower") == 2 and over(50, 100, "higher") == 0.5
    assert over(50, None, "lower") is None and over(0, 10, "lower") is None
    ping = WORKLOADS[0]
    assert is_met(ping, {"ratio": 1.2}) and is_met(ping, {"ratio": 1.19}) is False
    assert is_met(ping, {"ratio": None}) is None


@test
def a_floor_is_a_bound_from_above_or_from_below():
    of = {workload.name: workload for workload in WORKLOADS}
    assert is_met(of["wasm_spawn"], {"over_floor": 1.4})
    assert is_met(of["wasm_spawn"], {"over_floor": 1.5}) is False
    assert is_met(of["state_save"], {"over_floor": 20})
    assert is_met(of["state_save"], {"over_floor": 19}) is False


@test
def the_chart_takes_rows_without_a_counterpart():
    row = {"workload": "a<b", "unit": "ns", "better": "lower", "thole": None,
           "erlang": None, "ratio": None}
    svg = chart.draw([(row, "at most 1 & less", None)])
    texts = [each.text for each in xml.etree.ElementTree.fromstring(svg).iter()]
    assert "a<b" in texts and any("1 & less" in (each or "") for each in texts)


def main():
    failed = 0
    for each in TESTS:
        try:
            each()
        except Exception as error:
            failed += 1
            print(f"{each.__name__}: {type(error).__name__}: {error}")
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
