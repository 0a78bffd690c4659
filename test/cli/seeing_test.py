#!/usr/bin/env python3
"""Seeing a node from outside: what its processes are at, what they may do, what they say.

Run by plain python3; THOLE names the program, else it is build/thole. The last line is
"N passed, N failed".
"""

import json
import select
import sys
import threading

from place import WAIT_S, Tests, Up, until

test = Tests()

# Asks "slow", which never answers, has a timer, links and a child.
TEAM = {
    "_index.yaml": """
version: "1.0"
namespace: team
entries:
  - name: main
    kind: process.lua
    source: file://main.lua
    meta: { main: true }
    modules: [coroutine, process, request, time]
  - name: slow
    kind: process.lua
    source: file://slow.lua
    modules: [process, request]
""",
    "main.lua": """
local time = require("time")

return function()
    process.registry.register("boss")
    local child = process.spawn_monitored("team:slow", "system:processes")
    process.registry.register("worker", child)
    process.link(child)
    local asked = request.listen()
    time.after("1h")
    coroutine.spawn(function() request.call(child, "work", {timeout = "1h"}) end)
    while true do
        local got = asked:receive()
        got:answer("done " .. got:body())
    end
end
""",
    "slow.lua": """
return function()
    local asked = request.listen()
    asked:receive()
    process.inbox():receive()
end
""",
}

ECHO = """
return function()
    process.registry.register("echo")
    local asked = request.listen()
    while true do
        local got = asked:receive()
        got:answer("echo " .. got:body())
    end
end
"""

BUSY = """
return function()
    process.registry.register("busy")
    while true do end
end
"""


def info(up, who):
    return json.loads(up.ask("info", who, "--json").stdout)


def caps(up, who):
    answer = json.loads(up.ask("caps", who, "--json").stdout)
    return [(one["issuer"], one["params"]) for one in answer["capabilities"]]


def put_team(place):
    for name, text in TEAM.items():
        place.put("team/" + name, text)


@test
def info_shows_what_a_process_is_at(place):
    put_team(place)
    with Up(place, "team") as up:
        until(lambda: "team:slow" in up.processes())
        until(lambda: info(up, "worker")["questions"] == 1)
        boss, worker = info(up, "boss"), info(up, "worker")
        assert boss["requests"] == 1 and boss["asked_last"] == worker["pid"], boss
        assert boss["monitors"] == 1 and boss["links"] == 1, boss
        assert boss["names"] == ["boss"] and boss["timers"] >= 1, boss
        assert set(boss["waits_for"]) == {"message", "response", "timer"}, boss
        assert worker["parent"] == boss["pid"] and worker["names"] == ["worker"], worker
        assert worker["monitored_by"] == 1 and worker["links"] == 1, worker
        assert worker["waits_for"] == ["message"] and worker["mailbox_count"] == 1, worker
        assert boss["on_exit"] == "None" and boss["public"] is False, boss
        assert boss["limits"]["memory_bytes"] > boss["memory_bytes"] > 0, boss
        text = up.ask("info", "boss").stdout
        for word in (boss["address"], "the newest to " + worker["pid"], "waiting, for a"):
            assert word in text, text
        assert "there is no process" in up.ask("info", "nobody", code=3).stderr


@test
def the_tree_has_children_below_who_spawned_them(place):
    put_team(place)
    with Up(place, "team") as up:
        until(lambda: "team:slow" in up.processes())
        lines = up.ask("ps", "--tree").stdout.splitlines()
        depth = {line.split()[1]: len(line) - len(line.lstrip()) for line in lines}
        assert depth["team:slow"] == depth["team:main"] + 2, lines
        order = [line.split()[1] for line in lines]
        assert order.index("team:slow") == order.index("team:main") + 1, lines
        flat = up.ask("ps").stdout.splitlines()
        assert sorted(line.split() for line in flat)[0][:2] == lines[0].split()[:2], flat
        assert len(flat) == len(lines), (flat, lines)


@test
def a_process_that_runs_on_shows_its_share(place):
    place.put("busy.lua", BUSY)
    with Up(place, "busy.lua") as up:
        until(lambda: info(up, "busy")["cpu_ms"] >= 200)
        one = info(up, "busy")
        assert one["cpu_ms"] <= one["uptime_ms"] + 50, one
        assert one["state"] in ("running", "runnable") and one["waits_for"] == [], one
        up.ask("kill", "busy")


@test
def rights_are_given_listed_and_taken_back(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        before = caps(up, "echo")
        up.ask("grant", "echo", "later:app:local")
        up.ask("grant", "echo", "echo", '{"a": [1]}')
        given = [one for one in caps(up, "echo") if one not in before]
        echo = info(up, "echo")["address"]
        assert given == [("local@later:app:local", '"messaging"'),
                         (echo, '{"a": [1]}')], given
        assert '"messaging" of local@later:app:local' in up.ask("caps", "echo").stdout
        up.ask("revoke", "later:app:local", "--from", "echo")
        up.ask("revoke", echo, '{"a":[1]}')
        assert caps(up, "echo") == before
        up.ask("revoke", "later:app:local")
        text = up.ask("grant", "echo", "other@a:b:c", code=2).stderr
        assert "issues nothing here" in text, text
        text = up.ask("grant", "echo", "echo", "messaging", code=2).stderr
        assert "is no JSON" in text and "stands in quotes" in text, text
        up.ask("grant", "nobody", "echo", code=3)
        up.ask("revoke", "echo", "--from", "nobody", code=3)
        up.ask("caps", "nobody", code=3)


class Trace:
    """A trace that runs; it listens when it shows what @probe does."""

    def __init__(self, up, probe, *words):
        self.trace = up.place.start("trace", "--home", "home", *words)
        self.too_late = threading.Timer(WAIT_S, self.trace.kill)
        self.too_late.start()
        while not select.select([self.trace.stdout], [], [], 0.05)[0]:
            probe()

    def until(self, holds):
        """The lines up to the first of which this holds."""
        lines = []
        while not lines or not holds(lines[-1]):
            lines.append(self.trace.stdout.readline())
            assert lines[-1] != "", (lines, self.trace.stderr.read())
        return lines

    def end(self):
        self.too_late.cancel()
        self.trace.kill()
        self.trace.wait()


def probe(up):
    return lambda: up.ask("send", "echo", "probe", "1")


@test
def a_trace_has_each_message_and_what_came_of_it(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        echo = info(up, "echo")["address"]
        trace = Trace(up, probe(up), "echo", "--json")
        up.ask("call", "echo", "hi")
        up.ask("send", "files", "unseen", "1")
        up.ask("send", "echo", "news", "1")
        lines = [json.loads(line) for line in trace.until(lambda line: '"news"' in line)]
        trace.end()
        request, response, send = [one for one in lines if one.get("topic") != "probe"]
        assert request["kind"] == "request" and request["to"] == echo, request
        assert request["body_bytes"] == 2 and request["hops"] == 0, request
        assert request["outcome"] == "delivered", request
        assert response["kind"] == "response" and response["from"] == echo, response
        assert response["to"] == request["from"], response
        assert response["request"] == request["request"], response
        assert response["chain"] == request["chain"] and response["hops"] == 1, response
        assert response["body_bytes"] == len("echo hi"), response
        assert send["kind"] == "send" and send["topic"] == "news", send


@test
def a_trace_tells_why_a_request_came_to_nothing(place):
    put_team(place)
    with Up(place, "team") as up:
        until(lambda: "team:slow" in up.processes())
        trace = Trace(up, lambda: up.ask("call", "worker", "x", "--timeout", "200ms",
                                         code=5), "worker", "--json")
        error = json.loads(trace.until(lambda line: '"error"' in line)[-1])
        trace.end()
        assert error["kind"] == "error" and error["outcome"] == "timeout", error
        assert error["from"] == info(up, "worker")["address"], error


@test
def a_trace_without_an_address_is_of_all(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        trace = Trace(up, probe(up))
        up.ask("call", "echo", "hi")
        text = "".join(trace.until(lambda line: "response" in line))
        trace.end()
        assert "request " in text and ", body 2B: delivered" in text, text
        up.ask("trace", "nobody", code=3)
        up.ask("trace", "echo", "--for", "0s", code=2)


@test
def listeners_are_bounded_and_leave_nothing(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        traces = [up.place.start("trace", "--home", "home") for _ in range(18)]
        until(lambda: len([one for one in traces if one.poll() == 7]) == 2)
        for one in traces:
            one.kill()
            one.wait()
        until(lambda: up.place.run("trace", "--home", "home", "--for", "1ms",
                                   code=None).returncode == 0)
        assert up.ask("call", "echo", "hi").stdout == "echo hi"


@test
def a_trace_ends_with_its_node(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        trace = Trace(up, probe(up))
    _, errors = trace.trace.communicate(timeout=WAIT_S)
    trace.too_late.cancel()
    assert trace.trace.returncode == 6 and "the node went away" in errors, errors


@test
def state_is_shown_as_it_is_kept(place):
    place.put("keeps/_index.yaml", """
version: "1.0"
namespace: keeps
entries:
  - name: main
    kind: process.lua
    source: file://main.lua
    meta: { main: true }
    modules: [life, process]
  - name: child
    kind: process.lua
    source: file://child.lua
    modules: [process, state]
""")
    place.put("keeps/main.lua", """
local life = require("life")

return function()
    for _, what in ipairs({ "text", "bytes", "none" }) do
        assert(life.spawn({ entry = "keeps:child", name = what, args = { what } }))
    end
    process.inbox():receive()
end
""")
    place.put("keeps/child.lua", """
local state = require("state")

return function(what)
    if what == "text" then assert(state.set("some text")) end
    if what == "bytes" then assert(state.set("\\0\\255")) end
    process.registry.register("did " .. what)
    process.inbox():receive()
end
""")
    with Up(place, "keeps") as up:
        until(lambda: sum("did" in "".join(info(up, one["pid"])["names"])
                          for one in json.loads(up.ask("ps", "--json").stdout)["processes"]) == 3)
        assert up.ask("state", "show", "text:keeps:local").stdout == "some text"
        answer = json.loads(up.ask("state", "show", "did bytes", "--json").stdout)
        assert answer == {"bytes": 2, "state_base64": "AP8="}, answer
        text = up.ask("state", "show", "none:keeps:local", code=3).stderr
        assert "it has no state" in text, text
        assert "no such process" in up.ask("state", "show", "nobody", code=3).stderr
        assert "can only be shown" in up.ask("state", "drop", "text", code=2).stderr


if __name__ == "__main__":
    sys.exit(test.main())
