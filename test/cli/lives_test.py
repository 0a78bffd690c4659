#!/usr/bin/env python3
"""What lives on: over restarts, kills of the node at any instant, and its stop.

THOLE names the program, else it is build/thole. THOLE_KILLS says how often the node is
killed. The last line is "N passed, N failed".
"""

import json
import os
import random
import signal
import socket
import sys
import time

from place import WAIT_S, Tests, Up, until

KILLS = int(os.environ.get("THOLE_KILLS", "100"))
NAMES = 12

test = Tests()

MANIFEST = """
version: "1.0"
namespace: app
entries:
  - name: main
    kind: process.lua
    meta: { main: true }
    source: file://waits.lua
  - name: task
    kind: process.lua
    source: file://task.lua
  - name: hasty
    kind: process.lua
    source: file://hasty.lua
"""

WAITS = """
return function()
    print("up")
    local event = process.events():receive()
    print("told " .. event.kind)
end
"""
TASK = "return function() process.inbox():receive() end\n"
HASTY = "return function() error('as always') end\n"


def put_app(place, manifest=MANIFEST):
    place.put("app/_index.yaml", manifest)
    place.put("app/waits.lua", WAITS)
    place.put("app/task.lua", TASK)
    place.put("app/hasty.lua", HASTY)


def initialize(name, file="task.lua", on_exit="Restart"):
    return {"InitializeProcess": {
        "id": f"{name}:app:local", "wasm_bytes_handle": f"/app:local/pkg/{file}",
        "wit_version": 1, "on_exit": on_exit, "initial_capabilities": [],
        "public": False}}


class Control:
    """The control socket: commands to the kernel, whose answers come when they come."""

    def __init__(self, place):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(str(place.folder / "home" / "socket"))
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.last = 0

    def send(self, verb, **more):
        self.last += 1
        line = json.dumps({"id": self.last, "verb": verb, **more})
        self.socket.sendall(line.encode() + b"\n")
        return self.last

    def command(self, body):
        return self.send("call", to="kernel:distro:sys", body=json.dumps(body))

    def answer(self):
        return json.loads(self.lines.readline())

    def do(self, body):
        self.command(body)
        answer = self.answer()
        assert "ok" in answer, answer
        return json.loads(answer["ok"]["body"])

    def names(self):
        self.send("ps")
        processes = self.answer()["ok"]["processes"]
        return {one["address"].split("@")[1].split(":")[0]: one for one in processes}

    def close(self):
        self.lines.close()
        self.socket.close()


# --- The node dies ------------------------------------------------------------------


class Load:
    """Spawns and kills, each name one at a time, until the node is gone."""

    def __init__(self, control, lives, dice):
        self.control = control
        self.lives = lives      # name: True, False, or None: not acknowledged
        self.dice = dice
        self.open = {}          # id: (name, what it is then)

    def begin(self):
        free = [one for one in self.lives if self.lives[one] is not None]
        name = self.dice.choice(free)
        then = not self.lives[name]
        body = initialize(name) if then else {"KillProcess": f"{name}:app:local"}
        self.lives[name] = None
        self.open[self.control.command(body)] = (name, then)

    def end(self):
        answer = self.control.answer()
        assert "ok" in answer and "Err" not in answer["ok"]["body"], answer
        name, then = self.open.pop(answer["id"])
        self.lives[name] = then

    def run(self):
        try:
            while True:
                while len(self.open) < 4:
                    self.begin()
                self.end()
        except (OSError, ValueError):
            pass  # it was killed


def check(found, lives):
    for name, is_there in lives.items():
        assert is_there is None or is_there == (name in found), (
            name, is_there, sorted(found))


@test
def a_node_that_is_killed_comes_back_with_what_was_acknowledged(place):
    put_app(place)
    dice = random.Random(4)
    lives = {f"p{n}": False for n in range(NAMES)}
    for _ in range(KILLS):
        up = Up(place, "app")
        control = Control(place)
        found = control.names()
        check(found, lives)
        lives = {name: name in found for name in lives}
        load = Load(control, lives, dice)
        killer = os.fork()
        if killer == 0:
            time.sleep(dice.random() * 0.05)
            os.kill(up.node.pid, signal.SIGKILL)
            os._exit(0)
        load.run()
        os.waitpid(killer, 0)
        dice.random()
        control.close()
        up.node.wait(timeout=WAIT_S)
        up.node.stdout.close()
        up.node.stderr.close()
    assert any(one is not False for one in lives.values())


@test
def what_lacks_its_code_is_set_aside_and_comes_back_with_it(place):
    put_app(place)
    with Up(place, "app"):
        control = Control(place)
        for name, file in (("one", "task.lua"), ("two", "waits.lua")):
            assert control.do(initialize(name, file)) == "InitializedProcess"
        control.close()
    put_app(place, MANIFEST.replace("name: task", "name: other"))
    with Up(place, "app") as up:
        control = Control(place)
        names = control.names()
        assert "two" in names and "one" not in names, sorted(names)
        control.close()
    assert "`one:app:local` is set aside until its code is back" in up.errors, up.errors
    put_app(place)
    with Up(place, "app") as up:
        control = Control(place)
        assert {"one", "two"} <= set(control.names())
        control.close()
    assert "set aside" not in up.errors, up.errors


# --- Rights that the owner gives and takes --------------------------------------------


def caps(up, name):
    answer = json.loads(up.ask("caps", f"{name}:app:local", "--json").stdout)
    return {one["params"] for one in answer["capabilities"]
            if one["issuer"].endswith("two:app:local")}


def crash(up):
    up.node.kill()
    up.node.communicate(timeout=WAIT_S)


@test
def what_the_owner_grants_and_revokes_is_durable_when_it_is_answered(place):
    put_app(place)
    up = Up(place, "app")
    control = Control(place)
    for name in ("one", "two", "three", "gone"):
        file = "waits.lua" if name == "gone" else "task.lua"
        assert control.do(initialize(name, file)) == "InitializedProcess"
    control.close()
    for name in ("one", "three", "gone"):
        for params in ("1", "2"):
            up.ask("grant", f"{name}:app:local", "two:app:local", params)
    crash(up)
    up = Up(place, "app")
    for name in ("one", "three", "gone"):
        assert caps(up, name) == {"1", "2"}, name
    up.ask("revoke", "two:app:local", "1", "--from", "one:app:local")
    crash(up)
    up = Up(place, "app")
    assert caps(up, "one") == {"2"} and caps(up, "three") == {"1", "2"}
    up.ask("revoke", "two:app:local", "2")
    crash(up)
    up = Up(place, "app")
    assert caps(up, "one") == set() and caps(up, "three") == {"1"}
    assert caps(up, "gone") == {"1"}
    crash(up)
    put_app(place, MANIFEST.replace("name: main", "name: other")
            .replace("file://waits.lua", "file://task.lua"))
    up = Up(place, "app")  # "gone" is set aside
    up.ask("revoke", "two:app:local", "1")
    crash(up)
    put_app(place)
    with Up(place, "app") as up:
        assert caps(up, "gone") == set() and caps(up, "three") == set()


# --- Back-off -------------------------------------------------------------------------


def start_hasty(control):
    assert control.do(initialize("hasty", "hasty.lua")) == "InitializedProcess"
    assert control.do({"RunProcess": "hasty:app:local"}) == "StartedProcess"


@test
def a_back_off_is_seen_and_a_kill_ends_it_for_good(place):
    put_app(place)
    with Up(place, "app") as up:
        control = Control(place)
        start_hasty(control)
        seen = []

        def backs_off():
            seen.append(control.names()["hasty"])  # between two lives, too
            return seen[-1].get("state") == "backing off"

        until(backs_off)
        one = seen[-1]
        assert one["restarts"] >= 1 and one["next_ms"] <= 2000, one
        # It may have begun its next life before we look, or be between the two.
        until(lambda: "backing off, next in" in up.ask("ps").stdout)
        until(lambda: up.ask("kill", "hasty:app:local", code=None).returncode == 0)
        assert "hasty" not in control.names()
        up.ask("kill", "hasty:app:local", code=3)
        control.close()
    with Up(place, "app"):
        control = Control(place)
        assert "hasty" not in control.names()
        control.close()


@test
def restarts_are_counted_over_reboots(place):
    put_app(place)
    counts = []

    def is_counted():
        # Between two lives it is, for a moment, in neither table.
        one = control.names().get("hasty")
        if one is not None:
            counts.append(one.get("restarts", 0))
        return counts and counts[-1] >= least

    for least in (2, 3):
        with Up(place, "app"):
            control = Control(place)
            if not counts:
                start_hasty(control)
            before = len(counts)
            until(is_counted)
            control.close()
        assert before == 0 or counts[before] >= counts[before - 1], counts


# --- The stop --------------------------------------------------------------------------


@test
def a_stop_is_told_and_what_lives_on_comes_back(place):
    put_app(place)
    for asked in (lambda up: up.node.send_signal(signal.SIGTERM),
                  lambda up: up.node.send_signal(signal.SIGINT),
                  lambda up: up.ask("call", "kernel:distro:sys", '"Shutdown"'),
                  lambda up: up.ask("stop")):
        up = Up(place, "app")
        control = Control(place)
        if "one" not in control.names():
            assert control.do(initialize("one")) == "InitializedProcess"
        until(lambda: "waiting" in [one["state"] for one in control.names().values()
                                    if one["entry"] == "app:main"])
        control.close()
        asked(up)
        output, errors = up.node.communicate(timeout=WAIT_S)
        assert up.node.returncode == 0, errors
        assert "told pid.cancel" in output, output
    with Up(place, "app"):
        control = Control(place)
        assert "one" in control.names()
        control.close()


@test
def a_stop_is_over_when_another_node_can_be_up(place):
    put_app(place)
    for _ in range(5):
        up = Up(place, "app")
        up.ask("stop")
        up.node.communicate(timeout=WAIT_S)
        assert up.node.returncode == 0
    text = up.ask("stop", code=3).stderr
    assert "no node is up on `home`" in text, text


if __name__ == "__main__":
    sys.exit(test.main())
