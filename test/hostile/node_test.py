#!/usr/bin/env python3
"""A node full of hostile processes: its owner's commands get through, its other processes
answer, and what was killed is gone.

Run by plain python3; THOLE names the program, else it is build/thole. The last line is
"N passed, N failed".
"""

import json
import os
import pathlib
import shutil
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from place import TOP, Tests, Up, until  # noqa: E402

test = Tests()
GUESTS = os.environ.get("THOLE_GUESTS", str(TOP / "build" / "guests"))

MANIFEST = """
version: "1.0"
namespace: app
entries:
  - { name: boss, kind: process.lua, meta: { main: true }, source: "file://boss.lua" }
  - { name: hostile, kind: process.lua, source: "file://hostile.lua" }
  - { name: few, kind: process.host, host: {}, limits: { processes: 600 } }
  - { name: spin, kind: process.wasm, source: "file://spin.wasm" }
  - { name: flood, kind: process.wasm, source: "file://flood.wasm" }
"""

# Spawns what it is told, and answers; deaf takes nothing.
BOSS = """
local function deaf()
  process.registry.register("deaf")
  channel.new():receive()
end
return function(role)
  if role == "deaf" then return deaf() end
  process.registry.register("boss")
  process.spawn("app:boss", "system:processes", "deaf")
  local asked = request.listen()
  print("ready")
  while true do
    local one = asked:receive()
    local entry, arg = one:body():match("^spawn (%S+) ?(.*)$")
    if entry then
      local pid, err = process.spawn(entry, "system:processes", arg)
      one:answer(pid or tostring(err))
    else
      one:answer("echo " .. one:body())
    end
  end
end
"""

HOSTILE = """
local forms = {}
local function forever() while true do end end
function forms.loop() forever() end
function forms.pcall() while true do pcall(forever) end end
function forms.xpcall() xpcall(error, forever) end
function forms.coroutine() coroutine.wrap(function() coroutine.wrap(forever)() end)() end
function forms.gc() setmetatable({}, { __gc = forever }) while true do local t = {} end end
function forms.close() local guard <close> = setmetatable({}, { __close = forever }) error("x") end
function forms.tostring() error(setmetatable({}, { __tostring = forever })) end
function forms.index() return setmetatable({}, { __index = forever }).x end
function forms.comparator() table.sort({ 3, 2, 1 }, forever) end
function forms.sort() while true do local t = {} for i = 1, 100000 do t[i] = i % 7 end table.sort(t) end end
function forms.gsub() ("xx"):gsub("x", forever) end
function forms.pattern() string.rep("a", 40):find(string.rep("a-", 30) .. "b") end
function forms.rep() while true do local s = string.rep("x", 30000000) end end
function forms.concat() local t = {} for i = 1, 200000 do t[i] = "text" end while true do table.concat(t) end end
function forms.load() while true do load(string.rep("x = 1 ", 100000)) end end
function forms.json() local json, t = require("json"), {} for i = 1, 50000 do t[i] = { a = i } end
  while true do json.decode(json.encode(t)) end end
function forms.collect() local t = {} for i = 1, 300000 do t[i] = {} end while true do collectgarbage() end end
function forms.deep() local function f(n) return 1 + f(n + 1) end while true do pcall(f, 1) end end
function forms.print() while true do print(string.rep("p", 200)) end end
function forms.flood() while true do process.send("deaf", "flood", string.rep("x", 1000)) end end
function forms.questions() while true do request.send("deaf", "flood", { timeout = "1h" }) end end
function forms.names() local i = 0 while true do i = i + 1 process.registry.register("n" .. i) end end
function forms.timers() while true do require("time").after("1h") end end
function forms.spawn() while true do process.spawn("app:hostile", "app:few", "spawn") end end
function forms.ends() while true do process.spawn("app:hostile", "app:few", "none") end end
function forms.none() end
function forms.crowd(n)
  for _ = 1, n do process.spawn("app:hostile", "app:few", "loop") end
  forever()
end
return function(form)
  local name, n = form:match("^(%a+)(%d*)$")
  return forms[name](tonumber(n))
end
"""

LOOPS = ("loop pcall xpcall coroutine gc close tostring index comparator sort gsub pattern rep "
         "concat load json collect deep").split()
STORMS = "flood questions names timers ends".split()


class Node(Up):
    """A node with a boss who spawns what it is told."""

    def __init__(self, place):
        place.put("app/_index.yaml", MANIFEST)
        place.put("app/boss.lua", BOSS)
        place.put("app/hostile.lua", HOSTILE)
        for name in ("spin", "flood"):
            shutil.copy(pathlib.Path(GUESTS) / f"{name}.wasm", place.folder / "app")
        super().__init__(place, "app")
        until(lambda: self.place.start("call", "boss", "hello", "--home", "home").wait() == 0)

    def spawn(self, entry, form=""):
        pid = self.ask("call", "boss", f"spawn app:{entry} {form}").stdout
        assert pid.startswith("{"), pid
        return pid

    def is_well(self):
        """The owner is heard, and others are served."""
        listed = json.loads(self.ask("ps", "--json").stdout)["processes"]
        assert self.ask("call", "boss", "hello", "--timeout", "15s").stdout == "echo hello"
        return listed

    def kill(self, *pids):
        for pid in pids:
            self.ask("kill", pid)
        until(lambda: not {one["pid"] for one in self.is_well()} & set(pids))


@test
def endless_loops_on_all_cores_hold_up_nobody(place):
    with Node(place) as node:
        for form in LOOPS:
            pids = [node.spawn("hostile", form) for _ in range(3)]
            node.is_well()
            for pid in pids:  # who trips over its own limit is gone already
                node.place.start("kill", pid, "--home", "home").wait()
            until(lambda: not {one["pid"] for one in node.is_well()} & set(pids))
        node.kill(*[node.spawn("spin") for _ in range(4)])


@test
def storms_hold_up_nobody(place):
    with Node(place) as node:
        for form in STORMS:
            pids = [node.spawn("hostile", form) for _ in range(3)]
            node.is_well()
            node.kill(*pids)


@test
def floods_of_both_kinds_are_bounded_by_the_mailbox(place):
    with Node(place) as node:
        wasm = node.spawn("flood")
        address = next(one["address"] for one in node.is_well()
                       if one["entry"] == "app:boss" and one["mailbox_count"] == 0)
        node.ask("send", wasm, "t", "--bytes", address)
        pids = [node.spawn("hostile", "flood") for _ in range(2)]
        deaf = node.ask("call", "boss", "who").stdout
        assert deaf == "echo who"

        def fullest():
            return max(one["mailbox_bytes"] for one in node.is_well())

        until(lambda: fullest() > 1 << 20)
        assert fullest() <= 256 << 20
        node.kill(wasm, *pids)


@test
def a_spawn_bomb_is_bounded_by_its_host(place):
    with Node(place) as node:
        node.spawn("hostile", "spawn")
        until(lambda: len(node.is_well()) > 600)
        assert len(node.is_well()) < 620
        some = [one["pid"] for one in node.is_well() if one["host"] == "app:few"][:20]
        node.kill(*some)


@test
def a_crowd_of_busy_processes_does_not_keep_the_owner_waiting(place):
    with Node(place) as node:
        node.spawn("hostile", "crowd500")
        until(lambda: len(node.is_well()) > 500)
        answer = node.ask("call", "files", '{"read":{"path":"/none"}}').stdout
        assert "not_permitted" in answer, answer


@test
def who_prints_without_end_to_nobody_holds_up_nobody(place):
    with Node(place) as node:
        pid = node.spawn("hostile", "print")
        for _ in range(5):
            node.is_well()
        node.kill(pid)


@test
def many_connections_that_say_nothing_shut_nobody_out(place):
    with Node(place) as node:
        path = str(place.folder / "home" / "socket")
        held = []
        try:
            for n in range(100):
                one = socket.socket(socket.AF_UNIX)
                one.connect(path)
                one.sendall(b'{"id":1,"verb":"call","to":"boss","body":"x"' + b"}\n" * (n % 2))
                held.append(one)
            node.is_well()
        finally:
            for one in held:
                one.close()
        node.is_well()


if __name__ == "__main__":
    sys.exit(test.main())
