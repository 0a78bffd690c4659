#!/usr/bin/env python3
"""Measure the workloads of the bench, by thole and by Erlang in turn.

    bench.py [--build DIR] [--rounds N] [--scale F] [--without-erlang] [NAME...]

A table goes to standard output, what goes on to standard error; DIR/bench.json has the
figures and DIR/bench.svg a chart of them. THOLE_BENCH_ROUNDS and THOLE_BENCH_SCALE are
the defaults of --rounds and --scale (how much is done of each workload: 1 is all).
"""

import argparse
import json
import os
import pathlib
import statistics
import sys

import chart
from programs import Failure, Programs
from workloads import WORKLOADS

HERE = pathlib.Path(__file__).resolve().parent


def say(*words):
    print("bench:", *words, file=sys.stderr, flush=True)


def round_to(value, digits=4):
    return None if value is None else float(f"{value:.{digits}g}")


def over(ours, other, better):
    """How far ours is ahead of the other: above 1 is ahead."""
    if not ours or other is None or other == 0:
        return None
    return other / ours if better == "lower" else ours / other


class Measurement:
    """The figures of one workload over the rounds."""

    def __init__(self, workload):
        self.workload = workload
        self.figures = {"thole": [], "erlang": [], "floor": []}
        self.parts = {}

    def measure(self, programs):
        """One round: each side once, one after the other."""
        for side in self.figures:
            figure = self.workload.sides.get(side)
            if figure is None or (side == "erlang" and not programs.has_erlang):
                continue
            value = figure(programs)
            if isinstance(value, dict):
                for part, one in value.items():
                    self.parts.setdefault(part, []).append(one)
                value = max(value.values())
            self.figures[side].append(value)

    def median(self, side):
        values = self.figures[side]
        return statistics.median(values) if values else None

    def row(self):
        """What stands in bench.json."""
        workload = self.workload
        ours, erlang, floor = map(self.median, ("thole", "erlang", "floor"))
        row = {
            "workload": workload.name,
            "unit": workload.unit,
            "better": workload.better,
            "thole": round_to(ours),
            "erlang": round_to(erlang),
            "ratio": round_to(over(ours, erlang, workload.better), 3),
        }
        if "floor" in workload.sides:
            row["floor"] = round_to(floor)
            row["over_floor"] = round_to(ours / floor if floor else None, 3)
        if self.parts:
            row["parts"] = {part: round_to(statistics.median(values))
                            for part, values in self.parts.items()}
        return row


def is_met(workload, row):
    """Does the row reach its target? None: it cannot be said."""
    kind, bound = workload.target
    value = row.get("over_floor" if kind == "times_floor" else kind)
    if value is None:
        return None
    return value >= bound if kind in ("ratio", "times_floor") else value <= bound


def target_text(workload):
    kind, bound = workload.target
    return {"ratio": f"ratio >= {bound:g}",
            "over_floor": f"<= {bound:g} x floor",
            "times_floor": f">= {bound:g} x floor",
            "thole": f"<= {bound:g} {workload.unit}"}[kind]


def cell(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def show(rows):
    """The table."""
    line = "{:22} {:>8} {:>10} {:>10} {:>7} {:>10} {:>7}  {:16} {}"
    print(line.format("workload", "unit", "thole", "erlang", "ratio", "floor", "over",
                      "asked", ""))
    for workload, row in rows:
        met = {True: "met", False: "MISSED", None: "?"}[is_met(workload, row)]
        print(line.format(
            row["workload"], row["unit"], cell(row["thole"]), cell(row["erlang"]),
            cell(row["ratio"]), cell(row.get("floor")), cell(row.get("over_floor")),
            target_text(workload), met).rstrip())
        for part, value in row.get("parts", {}).items():
            print(f"  {part:20} {row['unit']:>8} {cell(value):>10}")


def choose(names):
    """The workloads of these names, or all."""
    known = {workload.name: workload for workload in WORKLOADS}
    for name in names:
        if name not in known:
            raise Failure(f"there is no workload {name}; there are: " + " ".join(known))
    return [known[name] for name in names] or WORKLOADS


def measure(chosen, programs, rounds):
    """The rows of those workloads, in their order."""
    able = []
    for workload in chosen:
        lacks = workload.lacks(programs)
        if lacks:
            say(f"{workload.name} is left out: {lacks}")
        else:
            able.append(Measurement(workload))
    for number in range(1, rounds + 1):
        programs.begin_round()
        for one in able:
            if number <= one.workload.rounds_max:
                say(f"round {number} of {rounds}: {one.workload.name}")
                one.measure(programs)
    return [(one.workload, one.row()) for one in able]


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build")
    parser.add_argument("--rounds", type=int,
                        default=int(os.environ.get("THOLE_BENCH_ROUNDS", "5")))
    parser.add_argument("--scale", type=float,
                        default=float(os.environ.get("THOLE_BENCH_SCALE", "1")))
    parser.add_argument("--without-erlang", action="store_true")
    parser.add_argument("names", nargs="*")
    found = parser.parse_args()
    if found.rounds < 1 or not 0 < found.scale <= 1:
        parser.error("there is at least 1 round, and the scale is above 0, at most 1")
    return found


def main():
    want = options()
    try:
        chosen = choose(want.names)
        programs = Programs(want.build, want.scale, not want.without_erlang)
        rows = measure(chosen, programs, want.rounds)
    except Failure as failure:
        say(failure)
        return 1
    (want.build / "bench.json").write_text(
        json.dumps([row for _, row in rows], indent=2) + "\n")
    (want.build / "bench.svg").write_text(
        chart.draw([(row, target_text(workload), is_met(workload, row))
                    for workload, row in rows]))
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
