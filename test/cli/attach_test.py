#!/usr/bin/env python3
"""A program outside the node as a process (docs/attach.md): against a Lua and a Wasm one,
over the socket, and by `thole attach`.

THOLE names the program, THOLE_GUESTS the components, else they are in build. The last
line is "N passed, N failed".
"""

import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

from outside import Outside, Refused
from place import THOLE, TOP, WAIT_S, Tests, Up, until

GUESTS = pathlib.Path(os.environ.get("THOLE_GUESTS", str(TOP / "build" / "guests")))
MIB = 1 << 20

test = Tests()

MANIFEST = """
version: "1.0"
namespace: app
entries:
  - name: main
    kind: process.lua
    meta: { main: true }
    source: file://boss.lua
  - name: worker
    kind: process.lua
    source: file://worker.lua
  - name: echo
    kind: process.wasm
    source: file://echo.wasm
  - name: caller
    kind: process.wasm
    source: file://caller.wasm
"""

# Runs what it is sent, as Lua; a value that comes out is the answer.
BOSS = """
return function()
    process.registry.register("boss")
    local requests, events = request.listen(), process.events()
    while true do
        local got = channel.select({ requests:case_receive(), events:case_receive() })
        if got.channel == events then
            return -- the node stops
        end
        local asked = got.value
        coroutine.spawn(function()
            local env = setmetatable({ asked = asked }, { __index = _G })
            local run, err = load(asked:body(), "=asked", "t", env)
            local value = err
            if run then
                value = run()
            end
            if value ~= nil then
                asked:answer(value)
            end
        end)
    end
end
"""

# Ends as its argument says, or answers what it is asked.
WORKER = """
return function(how)
    if how == "return" then
        return { done = true }
    elseif how == "fail" then
        error("as you wish")
    elseif how == "cancel" then
        return process.events():receive().reason
    end
    process.registry.register("worker")
    local requests, inbox = request.listen(), process.inbox()
    while true do
        local got = channel.select({ requests:case_receive(), inbox:case_receive() })
        if got.channel == requests then
            got.value:answer(got.value:body(), {
                blob = got.value:blob(), metadata = got.value:metadata() })
        else
            local message = got.value
            process.send(message:from(), message:topic(), message:payload())
        end
    end
end
"""


class Node(Up):
    """A node with the boss."""

    def __init__(self, place):
        place.put("app/_index.yaml", MANIFEST)
        place.put("app/boss.lua", BOSS)
        place.put("app/worker.lua", WORKER)
        for name in ("echo", "caller"):
            shutil.copy(GUESTS / f"{name}.wasm", place.folder / "app")
        super().__init__(place, "app")
        until(lambda: place.start("call", "boss", "return 1", "--home", "home").wait() == 0)

        self.made = 0

    def outside(self, name=None, **more):
        """One of the program's package: they may send to each other."""
        self.made += 1
        return self.stranger(f"{name or f'n{self.made}'}:app:local", **more)

    def stranger(self, name="", **more):
        return Outside(self.place, name, **more)


def boss(one, code, **more):
    """Have the boss run Lua; the id of the line."""
    return one.ask("request", to="boss", body=code, expects_s=10, **more)


def run(one, code):
    """The same; what it answers."""
    answer = one.answer(boss(one, code, await_=True))["message"]
    return answer.get("value", answer.get("body"))


def refused(reason, words_of_it, do, *words, **fields):
    try:
        do(*words, **fields)
    except Refused as error:
        assert error.reason == reason and words_of_it in str(error), error
        return error.error
    raise AssertionError("it was not refused")


# --- Who it is --------------------------------------------------------------------------

@test
def it_has_a_name_a_pid_and_an_address(place):
    with Node(place) as node, node.stranger("tester") as one:
        assert one.address == "local@tester:outside:local", one.address
        assert one.pid == "{local@system:processes|outside.local:outside|tester}", one.pid
        listed = node.processes()["outside.local:outside"]
        assert (listed["pid"], listed["guest"]) == (one.pid, "outside"), listed
        with node.stranger() as other:
            assert other.address.endswith(":outside:local") and other.address != one.address
            for text in (one.pid, one.address):
                other.do("send", to=text, topic="t", value=1)
                assert one.message("send")["from"] == other.pid
            one.do("send", to=other.pid, topic="t", value=1)
            assert other.message("send")["value"] == 1


@test
def it_may_be_of_any_package_but_the_nodes(place):
    with Node(place) as node:
        with node.stranger("one:app:local") as one, node.stranger("two:my.pack:me.os") as two:
            assert one.address == "local@one:app:local", one.address
            assert two.pid == "{local@system:processes|my.pack.me.os:outside|two}", two.pid
            refused("already_exists", "taken", node.stranger, "one:app:local")
        until(lambda: "app.local:outside" not in node.processes())
        with node.stranger("one:app:local") as one:
            assert one.address == "local@one:app:local"
        refused("not_permitted", "node's own", node.stranger, "a:distro:sys")
        refused("invalid", "no name", node.stranger, "No Name")
        refused("invalid", "no process id", node.stranger, "a:b")
        refused("invalid", "no node", node.stranger, "local@a:b:c")
        refused("invalid", "too long", node.stranger, f"a:{'b' * 60}:{'c' * 60}")


@test
def nobody_else_can_start_its_entry(place):
    with Node(place) as node, node.outside("tester") as one:
        code = "local _, e = process.spawn('app.local:outside', 'system:processes', %s) " \
               "return e:message()"
        for args in ("1", "'abc'", ""):
            said = run(one, code % (args or "nil"))
            assert "outside the node" in said, said
        refused("not_permitted", "outside", one.do, "spawn", entry="app.local:outside")


# --- Rights -----------------------------------------------------------------------------

@test
def to_another_package_it_needs_a_right_and_the_refusal_says_which(place):
    with Node(place) as node, node.outside() as friend, node.stranger("mute") as mute:
        pid = friend.do("spawn", entry="app:worker")["pid"]
        for to in (pid, "boss"):
            refused("not_permitted", f"--grant '{to}'", mute.do, "send", to=to, topic="t",
                    value=1)
            refused("not_permitted", f'"grants":["{to}"]', mute.do, "request", to=to, body="")
            mute.do("request", to=to, body="", expects_s=5)
            came = mute.message("error")
            assert came["reason"] == "not_permitted" and came["error"] == "timeout", came
            assert f"--grant '{to}'" in came["message"], came
            for verb in ("terminate", "cancel", "link"):
                refused("not_permitted", f"--grant '{to}=\"control\"'", mute.do, verb, to=to)
            refused("not_permitted", "control", mute.do, "register", name="mine", to=to)
            with node.stranger("may", grants=[to]) as may:
                id = may.ask("request", to=to, body="return 2", expects_s=5)
                may.answer(id)
                assert "message" in may.line()
                refused("not_permitted", "control", may.do, "link", to=to)
            with node.stranger(grants=[{"issuer": to, "params": '"control"'}]) as master:
                master.do("link", to=to)
                master.do("unlink", to=to)
                refused("not_permitted", "", master.do, "request", to=to, body="")
        assert mute.do("lookup", name="boss")["address"].endswith(":app:local")


@test
def others_send_to_it_where_it_lets_them(place):
    code = "local _, e = process.send('%s', 't', 1) return e and e:kind() or 'sent'"
    with Node(place) as node, node.outside() as one:
        for more, wanted in (({}, "PermissionDenied"), ({"public": True}, "sent"),
                             ({"grant_to": ["boss"]}, "sent"),
                             ({"grant_to": [{"process": "boss"}]}, "sent"),
                             ({"grant_to": [{"process": "boss", "params": "{}"}]},
                              "PermissionDenied")):
            with node.stranger("other", **more) as other:
                assert run(one, code % other.pid) == wanted, more
                if wanted == "sent":
                    assert other.message("send")["value"] == 1
        with node.stranger("asker", grants=["boss"]) as asker:
            assert run(asker, "return 5") == 5  # whom it asks can answer


@test
def a_wasm_process_answers_whoever_may_ask_it(place):
    with Node(place) as node, node.outside() as friend:
        echo = friend.do("spawn", entry="app:echo", name="echo")
        with node.stranger(grants=["echo:app:local"]) as one:
            for to in (echo["pid"], echo["address"]):
                one.do("request", to=to, body="hello", expects_s=5)
                assert one.message("response")["body"] == "hello"
        with node.stranger() as one:  # its children need nothing
            own = one.do("spawn", entry="app:echo")["pid"]
            one.do("request", to=own, body="hello", expects_s=5)
            assert one.message("response")["body"] == "hello"


@test
def what_is_granted_is_checked(place):
    with Node(place) as node:
        refused("invalid", "issues nothing", node.stranger, grants=["nobody"])
        refused("invalid", "`grants` is a list", node.stranger, grants=[""])
        refused("not_found", "no process `nobody`", node.stranger, grant_to=["nobody"])
        refused("invalid", "`grant_to` is a list", node.stranger, grant_to=[""])
        with node.stranger("early", grants=["late:app:local"]) as early:
            refused("not_found", "", early.do, "send", to="late:app:local", topic="t", value=1)
            with node.outside("late") as late:
                early.do("send", to=late.address, topic="t", value=1)
                assert late.message("send")["from"] == early.pid


# --- What is kept -----------------------------------------------------------------------

def caps_of(object):
    """Issuers without their node, and params."""
    return {(cap["issuer"].rpartition("@")[2], cap["params"])
            for cap in object["capabilities"]}


@test
def capabilities_go_along_are_shown_and_can_be_saved(place):
    with Node(place) as node, node.stranger("owner") as owner, \
            node.stranger("clerk", public=True) as clerk, node.stranger("guest") as guest:
        me = "owner:outside:local"
        mine = {"issuer": me, "params": '{"room": 1}'}
        forged = "boss:app:local"
        both = {(me, '{"room": 1}'), (me, '"messaging"')}
        owner.do("request", to=clerk.pid, body="", expects_s=5, capabilities=[mine, me, forged])
        assert caps_of(clerk.message("request")) == both
        assert clerk.do("our-capabilities") == {"capabilities": []}
        clerk.do("save-capabilities", capabilities=[mine, me])
        assert caps_of(clerk.do("our-capabilities")) == both
        clerk.do("drop-capabilities", capabilities=[mine])
        assert caps_of(clerk.do("our-capabilities")) == {(me, '"messaging"')}
        clerk.do("response", body="", capabilities=["clerk:outside:local"])
        assert caps_of(owner.message("response")) == {("clerk:outside:local", '"messaging"')}
        # What nobody gave it nobody has.
        guest.do("save-capabilities", capabilities=[mine, me, forged])
        assert guest.do("our-capabilities") == {"capabilities": []}
        # An error brings them back; what came while it waited can be claimed when it is shown.
        owner.do("request", to="nobody", body="", expects_s=1, capabilities=[me])
        assert caps_of(owner.message("error")["original"]) == {(me, '"messaging"')}
        id = clerk.ask("request", to=owner.pid, body="", expects_s=10, await_=True)
        asked = owner.message("request")
        owner.do("request", to=clerk.pid, body="", capabilities=[mine])
        owner.do("response", message=asked["number"], body="")
        clerk.answer(id)
        assert caps_of(clerk.message("request")) == {(me, '{"room": 1}')}
        clerk.do("save-capabilities", capabilities=[mine])
        assert caps_of(clerk.do("our-capabilities")) == both


@test
def state_is_there_again_for_the_next_of_its_name(place):
    with Node(place) as node:
        odd = base64.b64encode(bytes(range(256))).decode()
        with node.stranger("keeper") as one:
            assert one.do("get-state") == {}
            one.do("set-state", state="first")
            assert one.do("get-state") == {"state": "first"}
            one.do("set-state", state_base64=odd)
        until(lambda: "keeper:outside" not in node.ask("ps").stdout)
        with node.stranger("keeper", pull=True) as one:
            assert one.do("get-state") == {"state_base64": odd}
            # Lines stay in their order, and messages wait.
            ids = [one.ask("send", to=one.pid, topic="t", value=1),
                   one.ask("set-state", state="x" * 100000), one.ask("get-state"),
                   one.ask("clear-state"), one.ask("get-state"), one.ask("receive")]
            answers = [one.answer(id) for id in ids]
            assert answers[2] == {"state": "x" * 100000} and answers[4] == {}
            assert answers[5]["message"]["value"] == 1
        with node.stranger() as one:
            one.do("set-state", state="mine")
            assert one.do("get-state") == {"state": "mine"}


def last_words(to, body, caps=()):
    return {"Requests": [[to, {"inherit": False, "expects_response": None,
                               "body": list(body.encode()), "metadata": None,
                               "capabilities": list(caps)}, None]]}


@test
def its_last_requests_are_sent_when_it_ends(place):
    with Node(place) as node, node.stranger("heir", public=True) as heir:
        with node.stranger("dying") as one:
            assert one.do("get-on-exit") == {"on_exit": "None"}
            one.do("set-on-exit", on_exit=last_words(heir.address, "farewell", [
                {"issuer": one.address, "params": '"key"'}]))
            said = one.do("get-on-exit")["on_exit"]["Requests"]
            assert said[0][1]["body"] == list(b"farewell"), said
            refused("unsupported", "cannot start", one.do, "set-on-exit", on_exit="Restart")
        came = heir.message("request")
        assert came["body"] == "farewell" and came["from"] == one.pid, came
        assert caps_of(came) == {("dying:outside:local", '"key"')}, came
        with node.stranger("dying") as one:
            assert one.do("get-on-exit") == {"on_exit": "None"}
            one.do("set-on-exit", on_exit=last_words(heir.address, "again"))
            one.do("set-on-exit", on_exit="None")
        with node.stranger() as one:
            refused("unsupported", "--name", one.do, "set-on-exit",
                    on_exit=last_words(heir.address, "x"))
            one.do("set-on-exit", on_exit="None")
        assert not heir.told


@test
def what_it_leaves_is_done_at_the_next_boot(place):
    with Node(place) as node, node.stranger("dying:far:away") as one:
        one.do("set-on-exit", on_exit=last_words("boss:app:local", "farewell"))
        node.node.kill()
        node.node.wait()
        node.node.returncode = 0
    with Up(place, "app") as node:
        until(lambda: place.start("call", "boss", "return 1", "--home", "home").wait() == 0)
        until(lambda: "far.away:outside" not in node.ask("ps").stdout)
        with Outside(place, "dying:far:away") as one:
            assert one.do("get-on-exit") == {"on_exit": "None"}


@test
def it_spawns_with_all_that_a_spawn_may_have(place):
    with Node(place) as node, node.stranger("parent", grants=["boss"]) as one, \
            node.stranger("friend") as friend:
        more = {"entry": "app:echo", "name": "first", "public": True}
        first = one.do("spawn", **more)
        assert first["address"] == "local@first:app:local", first
        friend.do("request", to=first["pid"], body="a", expects_s=5)
        assert friend.message("response")["body"] == "a"
        refused("already_exists", "taken", one.do, "spawn", **more)
        boss = next(p for p in node.processes().values() if p["entry"] == "app:main")
        second = one.do("spawn", entry="app:worker", name="second",
                        grant_to=[friend.address], on_exit="Restart",
                        capabilities=[boss["address"], {"issuer": one.address, "params": "7"}])
        friend.do("request", to=second["pid"], body="b", expects_s=5)
        assert friend.message("response")["body"] == "b"
        info = json.loads(node.ask("info", "second:app:local", "--json").stdout)
        assert (boss["address"].rpartition("@")[2], '"messaging"') in caps_of(info), info
        assert ("parent:outside:local", "7") in caps_of(info), info
        assert info["on_exit"] == "Restart", info
        one.do("terminate", to=second["pid"])
        third = one.do("spawn", entry="app:worker", on_exit="Restart", monitor=True)
        assert third["address"].split("@")[1].split(":")[0].isdigit(), third
        one.do("terminate", to=third["pid"])
        one.event("pid.exit")


@test
def it_hears_that_the_node_stops(place):
    with Node(place) as node, node.outside("told") as one, node.outside("not") as other:
        one.do("notify-stop")
        other.do("notify-stop")
        other.do("notify-stop", on=False)
        node.node.terminate()
        one.event("pid.cancel")
        one.ask("exit")
        node.node.wait(WAIT_S)
        assert not [line for line in other.told if "event" in line], other.told


@test
def a_request_that_inherits_and_expects_is_answered_to_it(place):
    with Node(place) as node, node.outside("client") as client, node.outside("mid") as mid, \
            node.outside("end") as end:
        client.answer(client.ask("request", to=mid.pid, body="1", expects_s=10, blob="B"))
        mid.message("request")
        mid.do("request", to=end.pid, body="2", expects_s=10, inherit=True)
        asked = end.message("request")
        assert asked["inherit"] and asked["expects"] and asked["has_blob"], asked
        end.do("response", body="3")
        assert mid.message("response")["body"] == "3"
        mid.do("response", body="4")
        assert client.message("response")["body"] == "4"


# --- Messages ---------------------------------------------------------------------------

@test
def values_and_bytes_go_to_lua_and_come_back(place):
    with Node(place) as node, node.outside() as one:
        pid = one.do("spawn", entry="app:worker")["pid"]
        values = [1, 1.5, True, "text", [1, 2], {"a": {"b": []}}, "ü\n"]
        assert one.do("send", to=pid, topic="news", values=values) == {"messages": 7}
        for value in values:
            came = one.message("send")
            assert came["value"] == value and came["topic"] == "news" and came["from"] == pid
        assert one.do("send", to=pid, topic="none", values=[]) == {"messages": 1}
        assert one.message("send")["value"] is None
        one.do("send", to=pid, topic="bytes", body="a text")
        assert one.message("send")["value"] == "a text"
        one.do("send", to=pid, topic="value", value={"x": 1})
        assert one.message("send")["value"] == {"x": 1}


@test
def what_has_no_form_in_json_is_refused_to_its_sender(place):
    with Node(place) as node, node.outside() as one:
        for value in ("{ 1, x = 2 }", "'\\xff'"):
            code = f"local _, e = process.send('{one.pid}', 't', {value}) return e:kind()"
            assert run(one, code) == "Invalid", value
        code = "local _, e = process.send('%s', 't', string.rep('x', 5 << 20)) return e:kind()"
        assert run(one, code % one.pid) == "RateLimited"
        assert not one.told


@test
def a_request_brings_a_response_with_its_context(place):
    with Node(place) as node, node.outside() as one:
        lua = one.do("spawn", entry="app:worker")["pid"]
        wasm = one.do("spawn", entry="app:echo")["pid"]
        for to in (lua, wasm):
            id = one.ask("request", to=to, body="hello", expects_s=5, context="mine",
                         blob="large", mime="text/x", metadata='{"a":1}')
            assert one.answer(id) == {}
            came = one.message("response")
            assert (came["request"], came["context"], came["body"]) == (id, "mine", "hello")
            assert came["from"] == to and came["has_blob"] and came["blob_bytes"] == 5
            assert one.do("get-blob")["blob"] == "large"
            assert came.get("metadata") == ('{"a":1}' if to == lua else None)
        odd = base64.b64encode(bytes(range(256))).decode()
        one.do("request", to=wasm, body_base64=odd, timeout_ms=5000, context_base64=odd,
               blob_base64=odd)
        came = one.message("response")
        assert came["body_base64"] == came["context_base64"] == odd
        assert one.do("get-blob")["blob_base64"] == odd
        one.do("request", to=lua, value=[1, {"a": 2}], timeout_ms=5000)
        assert one.message("response")["value"] == [1, {"a": 2}]
        one.do("request", to=wasm, value=[1], timeout_ms=5000)
        assert one.message("response")["body"] == "[1]"


@test
def a_request_without_an_id_comes_back_all_the_same(place):
    with Node(place) as node, node.outside() as one:
        one.write({"verb": "request", "to": "boss", "body": "return 7", "expects_s": 5})
        came = one.message("response")
        assert came["request"] is None and came["value"] == 7
        one.write({"verb": "request", "to": "nobody", "body": ""})
        line = one.line()
        assert line["id"] is None and line["error"]["reason"] == "not_found", line


@test
def lua_and_wasm_ask_it_and_are_answered(place):
    with Node(place) as node, node.outside("tester") as one:
        id = boss(one, f"""
            local reply, err = request.call('{one.address}', {{ 1, 2 }},
                {{ timeout = '5s', blob = 'B', metadata = 'M' }})
            return {{ body = reply:body(), blob = reply:blob(), metadata = reply:metadata() }}
        """)
        one.answer(id)
        asked = one.message("request")
        assert asked["value"] == [1, 2] and asked["metadata"] == "M" and asked["has_blob"]
        assert asked["expects"] and asked["expects_s"] == 5, asked
        assert 0 < asked["timeout_ms"] <= 5000
        one.do("response", value={"n": 3}, blob="own", metadata="mine")
        came = one.message("response")
        assert came["value"] == {"body": {"n": 3}, "blob": "own", "metadata": "mine"}, came

        wasm = one.do("spawn", entry="app:caller")["pid"]
        one.do("request", to=wasm, body=one.address)
        for _ in range(3):
            asked = one.message("request")
            assert asked["from"] == wasm and asked["body"] == "ping", asked
            one.do("response", message=asked["number"], body="pong")


@test
def a_one_way_request_arrives_or_is_refused_at_once(place):
    with Node(place) as node, node.outside() as one, node.outside("two") as two:
        one.do("request", to=two.pid, body="hello")
        asked = two.message("request")
        assert not asked["expects"] and "timeout_ms" not in asked
        refused("not_found", "no request to answer", two.do, "response", body="x")
        refused("not_found", f"message {asked['number']}", two.do, "response", body="x",
                message=asked["number"])
        refused("not_found", "nobody", one.do, "request", to="nobody", body="")
        refused("offline", "cannot be reached", one.do, "request", to="far@a:b:c", body="")
        wrong = refused("invalid", "lower-case", one.do, "request", to="our@x y:b:c", body="")
        assert wrong["at"] == 5, wrong


@test
def errors_bring_back_what_was_sent(place):
    with Node(place) as node, node.outside() as one, node.outside("deaf") as deaf:
        for to, fields, error, reason in (
                ("nobody", {"expects_s": 5}, "timeout", "not_found"),
                ("far@a:b:c", {"expects_s": 5}, "offline", "offline"),
                (deaf.pid, {"timeout_ms": 30}, "timeout", "timeout"),
                (deaf.pid, {"timeout_ms": 0}, "timeout", "timeout")):
            id = one.ask("request", to=to, body="mine", context="c", blob="b",
                         metadata="m", **fields)
            one.answer(id)
            came = one.message("error")
            assert (came["request"], came["error"], came["reason"]) == (id, error, reason)
            assert came["context"] == "c" and came["original"]["to"] == to, came
            assert came["original"]["body"] == "mine" and came["original"]["has_blob"]
            assert came["original"]["metadata"] == "m", came
            assert one.do("get-blob", message=came["number"])["blob"] == "b"
            assert one.do("get-blob") == {}
        id = one.ask("request", to=deaf.pid, body="", expects_s=60)
        one.answer(id)
        until(lambda: len(deaf.told) == 3)
        deaf.close()
        assert one.message("error")["reason"] == "died"


@test
def an_awaited_response_is_the_answer_and_holds_up_the_rest(place):
    with Node(place) as node, node.outside("one") as one, node.outside("two") as two:
        id = one.ask("request", to=two.pid, body="?", expects_s=10, await_=True, context="c")
        after = one.ask("lookup", name="boss")
        asked = two.message("request")
        two.do("send", to=one.pid, topic="t", values=[1, 2])
        two.do("request", to=one.pid, body="between", expects_s=10)
        assert not one.told and not one.answers
        two.do("response", body="!")
        came = one.answer(id)["message"]
        assert came["body"] == "!" and came["context"] == "c" and came["request"] == id
        assert "pid" in one.answer(after)
        assert [one.message("send")["value"] for _ in range(2)] == [1, 2]
        assert one.message("request")["body"] == "between"
        assert asked["number"] == 1

        error = refused("timeout", "", one.do, "request", to=two.pid, body="x",
                        timeout_ms=30, await_=True, context="c")
        assert error["error"] == "timeout" and error["context"] == "c"
        assert error["original"]["body"] == "x", error
        refused("not_found", "", one.do, "request", to="nobody", body="", expects_s=1,
                await_=True)
        refused("invalid", "for ever", one.do, "request", to=one.pid, body="", expects_s=1,
                await_=True)
        refused("invalid", "for ever", one.do, "request", to=two.pid, body="", await_=True)


# --- Prompts, inheritance ---------------------------------------------------------------

@test
def a_response_answers_the_prompt_under_which_was_asked(place):
    """Text 000's middle: it is asked, asks somebody itself, and answers afterwards."""
    with Node(place) as node, node.outside("client") as client, node.outside("mid") as mid:
        fs = mid.do("spawn", entry="app:echo")["pid"]
        for awaited in (False, True):
            id = client.ask("request", to=mid.pid, body="chunk 1", expects_s=10)
            client.answer(id)
            assert mid.message("request")["body"] == "chunk 1"
            if awaited:
                mid.do("request", to=fs, body="read", expects_s=5, blob="the chunk",
                       await_=True)
            else:
                mid.do("request", to=fs, body="read", expects_s=5, blob="the chunk")
                mid.do("request", to=fs, body="no more", expects_s=5)
                assert mid.message("response")["has_blob"]
                assert "has_blob" not in mid.message("response")
            if awaited:
                mid.do("response", body="here", inherit=True)
            else:
                mid.do("response", body="here", inherit=True, blob="another")
            came = client.message("response")
            assert came["body"] == "here" and came["request"] == id
            assert client.do("get-blob")["blob"] == ("the chunk" if awaited else "another")


@test
def the_prompt_comes_back_with_what_was_asked_under_it(place):
    with Node(place) as node, node.outside("a") as a, node.outside("b") as b, \
            node.outside("mid") as mid:
        deaf = mid.do("spawn", entry="app:echo")["pid"]
        a.do("request", to=mid.pid, body="of a", expects_s=10)
        mid.message("request")
        b.do("request", to=mid.pid, body="of b", expects_s=10)
        late = mid.message("request")
        mid.do("request", to="nobody", body="", expects_s=5)
        mid.message("error")
        mid.do("response", body="to b")
        assert b.message("response")["body"] == "to b"
        refused("timeout", "answered already", mid.do, "response", body="again")
        refused("not_found", "not any more", mid.do, "response", body="again",
                message=late["number"])

        b.do("request", to=mid.pid, body="new", expects_s=10)
        new = mid.message("request")
        mid.do("request", to=deaf, body="under b", expects_s=5)
        mid.message("response")
        mid.do("response", body="by number", message=new["number"])
        assert b.message("response")["body"] == "by number"
        mid.do("response", body="first of all", message=late["number"] - 1)
        assert a.message("response")["body"] == "first of all"


@test
def a_request_that_inherits_is_answered_to_who_asked_first(place):
    with Node(place) as node, node.outside("client") as client, node.outside("mid") as mid:
        echo = mid.do("spawn", entry="app:echo")["pid"]
        client.do("request", to=mid.pid, body="?", expects_s=10, blob="passed", context="c")
        mid.message("request")
        mid.do("request", to=echo, body="changed", inherit=True)
        came = client.message("response")
        assert came["from"] == echo and came["body"] == "changed" and came["context"] == "c"
        assert client.do("get-blob")["blob"] == "passed"

        client.do("request", to=mid.pid, body="as it is", expects_s=10, blob="b", metadata="m")
        first = mid.message("request")["number"]
        client.do("request", to=mid.pid, body="second", expects_s=10)
        mid.message("request")
        mid.do("forward", message=first, to=echo)
        came = client.message("response")
        assert came["body"] == "as it is" and came["has_blob"]
        refused("not_found", "not any more", mid.do, "forward", message=first, to=echo)
        refused("not_found", "there is no process", mid.do, "forward", to="nobody")
        mid.do("forward", to=echo, body="other", blob="new")
        assert client.message("response")["body"] == "other"
        assert client.do("get-blob")["blob"] == "new"

        client.do("request", to=mid.pid, body="gone", expects_s=10)
        gone = mid.message("request")["number"]
        mid.do("terminate", to=echo)
        refused("not_found", "", mid.do, "request", to=echo, body="", inherit=gone)
        refused("not_found", "message 99", mid.do, "request", to="boss", body="", inherit=99)
        mid.do("response", body="sorry", message=gone)
        assert client.message("response")["body"] == "sorry"


@test
def what_it_asks_under_another_request_takes_the_blob_along(place):
    with Node(place) as node, node.outside("client") as client, node.outside("mid") as mid, \
            node.outside("last") as last:
        client.do("request", to=mid.pid, body="1", expects_s=10, blob="of one")
        first = mid.message("request")["number"]
        client.do("request", to=mid.pid, body="2", expects_s=10)
        mid.message("request")
        mid.do("request", to=last.pid, body="x", expects_s=10, inherit=first)
        assert last.message("request")["inherit"]
        assert last.do("get-blob")["blob"] == "of one"
        mid.do("request", to=last.pid, body="x", expects_s=10, inherit=True)
        assert "has_blob" not in last.message("request")
        last.do("response", body="back", message=1, inherit=1)
        mid.message("response")
        assert mid.do("get-blob")["blob"] == "of one"


@test
def blobs_come_when_they_are_asked_for(place):
    with Node(place) as node, node.outside("one") as one, node.outside("two") as two:
        numbers = []
        for i in range(70):
            two.do("request", to=one.pid, body="", blob=f"blob {i}", mime="m/m")
            numbers.append(one.message("request")["number"])
        two.do("request", to=one.pid, body="none")
        one.message("request")
        assert one.do("get-blob") == {}
        assert one.do("last-blob") == {"blob": "blob 69", "mime": "m/m"}
        assert one.do("get-blob", message=numbers[69])["blob"] == "blob 69"
        assert one.do("get-blob", message=numbers[10])["blob"] == "blob 10"
        refused("not_found", "not any more", one.do, "get-blob", message=numbers[0])
        refused("not_found", "no blob", one.do, "get-blob", message=1000)
        two.do("request", to=one.pid, body="", blob="kept", expects_s=30)
        open = one.message("request")["number"]
        for i in range(70):
            two.do("request", to=one.pid, body="", blob="x")
            one.message("request")
        assert one.do("get-blob", message=open)["blob"] == "kept"


# --- Pulling ----------------------------------------------------------------------------

@test
def who_pulls_is_told_only_what_it_asks_for(place):
    with Node(place) as node, node.outside("one", pull=True) as one, \
            node.outside("two") as two:
        two.do("send", to=one.pid, topic="t", values=[1, 2])
        two.do("request", to=one.pid, body="?", expects_s=10)
        assert one.do("receive")["message"]["value"] == 1
        refused("not_found", "no request", one.do, "response", body="early")
        assert one.do("receive")["message"]["value"] == 2
        assert one.do("receive")["message"]["kind"] == "request"
        one.do("response", body="!")
        assert two.message("response")["body"] == "!"
        waiting = [one.ask("receive"), one.ask("receive")]
        one.do("monitor", to=two.pid)
        two.do("send", to=one.pid, topic="t", value="now")
        assert one.answer(waiting[0])["message"]["value"] == "now"
        two.close()
        assert one.answer(waiting[1])["event"]["kind"] == "pid.exit"
        assert not one.told
        assert run(one, "return 5") == 5, "it awaits without a receive"


@test
def who_does_not_pull_has_nothing_to_receive(place):
    with Node(place) as node, node.outside() as one:
        refused("invalid", "pull", one.do, "receive")


# --- Life -------------------------------------------------------------------------------

@test
def it_spawns_and_hears_of_ends(place):
    with Node(place) as node, node.outside() as one:
        done = one.do("spawn", entry="app:worker", args=["return"], monitor=True, name="w1")
        assert done["address"] == "local@w1:app:local", done
        came = one.event("pid.exit")
        assert came["from"] == done["pid"] and came["result"] == {"value": {"done": True}}
        one.do("spawn", entry="app:worker", args=["fail"], monitor=True)
        came = one.event("pid.exit")["result"]
        assert came["reason"] == "failed" and "as you wish" in came["error"], came

        pid = one.do("spawn", entry="app:worker", args=["cancel"], monitor=True)["pid"]
        one.do("cancel", to=pid, reason="tea")
        assert one.event("pid.exit")["result"] == {"value": "tea"}
        pid = one.do("spawn", entry="app:worker", host="system:processes", monitor=True)["pid"]
        refused("already_exists", "monitored", one.do, "monitor", to=pid)
        one.do("cancel", to=pid, after_ms=20)
        assert one.event("pid.exit")["result"]["reason"] == "canceled"
        pid = one.do("spawn", entry="app:worker", register="named")["pid"]
        assert one.do("lookup", name="named")["pid"] == pid
        one.do("monitor", to=pid)
        one.do("unmonitor", to=pid)
        one.do("terminate", to="named")
        until(lambda: "app:worker" not in node.processes())
        assert not one.told

        refused("not_found", "no entry `app:none`", one.do, "spawn", entry="app:none")
        refused("not_found", "no host", one.do, "spawn", entry="app:worker", host="x:y")
        refused("already_exists", "taken", one.do, "spawn", entry="app:worker",
                register="boss")
        refused("not_found", "", one.do, "terminate", to="nobody")
        refused("not_permitted", "", one.do, "terminate", to="files")


@test
def links_and_events_are_as_those_of_lua(place):
    with Node(place) as node, node.outside() as one:
        one.do("events", trap_links=True, link_events=True)
        by_boss = "process.%s('" + one.pid + "') return 1"
        one.answer(boss(one, by_boss % "link"))
        assert one.event("pid.link.established")["address"].endswith(":app:local")
        assert one.message("response")["value"] == 1
        assert run(one, by_boss % "unlink") == 1
        one.event("pid.link.removed")
        pid = one.do("spawn", entry="app:worker", monitor=True)["pid"]
        one.do("link", to=pid)
        one.do("unlink", to=pid)
        one.do("events", link_events=False)
        one.do("terminate", to=pid)
        one.event("pid.exit")
        one.do("spawn", entry="app:worker", args=["fail"], link=True)
        came = one.event("pid.link.down")
        assert "as you wish" in came["result"]["error"], came
        code = f"return process.cancel('{one.pid}', 'why not')"
        assert run(one, code) is True
        came = one.event("pid.cancel")
        assert came["reason"] == "why not" and not came["enforced"]
        assert came["deadline_ms"] > came["at_ms"]
        one.do("events", on=False)
        assert run(one, code) is True
        one.do("events", on=True, trap_links=False)
        assert not one.told
        one.do("spawn", entry="app:worker", args=["fail"], link=True)
        ended = one.ended()
        assert ended["reason"] == "linked_process_failed", ended


@test
def names_are_the_nodes(place):
    with Node(place) as node, node.outside() as one, node.outside() as two:
        one.do("register", name="service")
        refused("already_exists", "taken", two.do, "register", name="service")
        refused("invalid", "no name", one.do, "register", name="a:b:c")
        assert two.do("lookup", name="service") == one.who
        refused("not_permitted", "another", two.do, "unregister", name="service")
        one.do("register", name="other", to=two.pid)
        assert one.do("lookup", name="other") == two.who
        one.do("unregister", name="other")
        refused("not_found", "not registered", one.do, "lookup", name="other")
        one.close()
        until(lambda: "service" not in str(try_lookup(two, "service")))


def try_lookup(one, name):
    try:
        return one.do("lookup", name=name), name
    except Refused:
        return None


@test
def what_it_prints_is_printed(place):
    with Node(place) as node:
        with node.outside("speaker") as one:
            one.do("print", text="to all")
            one.do("print", text="to the log", level=1)
            refused("invalid", "65536", one.do, "print", text="x" * 65537)
    assert "to all\n" in node.output, node.output
    assert "speaker: to the log" in node.errors, node.errors


@test
def its_end_is_told_both_ways(place):
    with Node(place) as node, node.outside("watch") as watch:
        def watched(name):
            one = node.outside(name)
            watch.do("monitor", to=one.pid)
            return one

        one = watched("returns")
        one.do("exit", value=[1, 2])
        assert one.ended() == {"value": [1, 2]}
        assert watch.event("pid.exit")["result"] == {"value": [1, 2]}
        one = watched("fails")
        one.do("exit", error="no luck")
        assert one.ended() == {"reason": "failed", "error": "no luck"}
        assert watch.event("pid.exit")["result"]["error"] == "no luck"
        watched("closes").close()
        assert watch.event("pid.exit")["result"] == {}
        one = watched("killed")
        node.ask("kill", one.pid)
        assert one.ended()["reason"] == "killed"
        assert watch.event("pid.exit")["result"]["reason"] == "killed"
        one = watched("terminated")
        watch.do("terminate", to=one.pid)
        assert one.ended()["reason"] == "killed"
        watch.event("pid.exit")
        one = watched("canceled")
        watch.do("cancel", to=one.pid, after_ms=10)
        one.event("pid.cancel")
        assert one.ended()["reason"] == "canceled"
        watch.event("pid.exit")
        assert set(node.processes()) >= {"app.local:outside"}


@test
def the_end_of_the_node_is_told(place):
    with Node(place) as node:
        one = node.outside()
    one.wait(lambda: False)
    one.close()


# --- Much of it -------------------------------------------------------------------------

@test
def bodies_of_four_mib_go_both_ways(place):
    with Node(place) as node, node.outside() as one:
        wasm = one.do("spawn", entry="app:echo")["pid"]
        lua = one.do("spawn", entry="app:worker")["pid"]
        text = "0123456789abcdef" * (4 * MIB // 16)
        raw = base64.b64encode(os.urandom(4 * MIB)).decode()
        for to in (wasm, lua):
            one.do("request", to=to, body=text, expects_s=20, blob_base64=raw)
            came = one.message("response")
            assert came["body"] == text and came["blob_bytes"] == 4 * MIB
            assert one.do("get-blob", message=came["number"])["blob_base64"] == raw
            one.do("request", to=to, body_base64=raw, expects_s=20)
            assert one.message("response")["body_base64"] == raw


@test
def messages_larger_than_what_a_socket_holds_arrive(place):
    with Node(place) as node, node.outside() as one:
        size = 50 * MIB
        code = f"return request.send('{one.pid}', string.rep('\\xff', {size})) or 0"
        id = boss(one, code)
        one.answer(id)
        kinds = {}
        for _ in range(2):
            came = one.message()
            kinds[came["kind"]] = came
        assert len(kinds["request"]["body_base64"]) == (size + 2) // 3 * 4


@test
def thousands_of_lines_are_in_flight(place):
    with Node(place) as node, node.outside() as one:
        echo = one.do("spawn", entry="app:echo")["pid"]
        lua = one.do("spawn", entry="app:worker")["pid"]
        lines, wanted = [], {}
        for i in range(5000):
            one.last += 1
            wanted[one.last] = f"body {i}"
            lines.append(json.dumps({"id": one.last, "verb": "request",
                                     "to": echo if i % 2 else lua, "body": f"body {i}",
                                     "context": str(i), "expects_s": 60}))
        one.socket.sendall(("\n".join(lines) + "\n").encode())
        one.wait(lambda: len(one.told) == 5000 and len(one.answers) >= 5000)
        for line in one.told:
            came = line["message"]
            assert came["kind"] == "response", came
            assert wanted.pop(came["request"]) == came["body"] == f"body {came['context']}"
        assert not wanted


@test
def who_does_not_read_is_waited_for_within_bounds(place):
    """Its mailbox fills up, then its senders are refused; nothing that was taken is lost."""
    with Node(place) as node, node.outside("two") as two:
        deaf = node.outside("deaf", reads=False)
        pid = "local@deaf:app:local"
        until(lambda: any(one["address"] == pid for one in
                          json.loads(node.ask("ps", "--json").stdout)["processes"]))
        sent = run(two, f"""
            local n, blob = 0, string.rep('x', 1 << 20)
            assert(request.send('{pid}', string.rep('x', 8 << 20))) -- stops the process
            while request.send('{pid}', '', {{ blob = blob }}) do n = n + 1 end
            return n + 1
        """)
        assert 200 < sent < 300, f"{sent} messages, all but one of 1 MiB"
        deaf.reader.start()
        deaf.wait(lambda: len(deaf.told) == sent)
        assert all(line["message"]["kind"] == "request" for line in deaf.told)
        numbers = [line["message"]["number"] for line in deaf.told]
        assert numbers == list(range(1, sent + 1))
        deaf.close()


@test
def a_response_without_room_is_an_error_and_what_it_answers_the_prompt_again(place):
    with Node(place) as node, node.outside("server") as server, \
            node.outside("full", pull=True) as full:
        full.do("request", to=server.pid, body="first", expects_s=60)
        first = server.message("request")["number"]
        sent = run(server, f"""
            local n, blob = 0, string.rep('x', 1 << 20)
            while request.send('{full.pid}', '', {{ blob = blob }}) do n = n + 1 end
            return n
        """)
        server.do("request", to=server.pid, body="second", expects_s=60)
        server.message("request")
        refused("overloaded", "try again", server.do, "response", message=first,
                body="x" * (2 * MIB))
        for _ in range(sent):
            full.do("receive")
        server.do("response", body="now")
        assert full.do("receive")["message"]["body"] == "now"


@test
def who_writes_and_never_reads_is_held_up(place):
    with Node(place) as node, node.outside("two") as two:
        deaf = node.outside("deaf", reads=False)
        deaf.socket.settimeout(0.5)
        line = json.dumps({"id": 1, "verb": "print", "text": "x", "level": -1}).encode()
        sent = 0
        try:
            while sent < 500 * MIB:
                sent += deaf.socket.send(((line + b"\n") * 10000)[:MIB])
        except OSError:
            pass
        assert sent < 200 * MIB, sent
        assert run(two, "return 1") == 1
        deaf.close()
        until(lambda: "deaf" not in node.ask("ps").stdout)


# --- Hostile ----------------------------------------------------------------------------

@test
def wrong_lines_are_answered_and_do_no_harm(place):
    with Node(place) as node, node.outside() as one:
        def raw(text, reason, message):
            one.socket.sendall(text + b"\n")
            error = one.line()["error"]
            assert error["reason"] == reason and message in error["message"], error

        raw(b"hello", "invalid", "not a JSON object")
        raw(b"[1]", "invalid", "not a JSON object")
        raw(b"\xff\xfe", "invalid", "not a JSON object")
        raw(b"{" * 100000, "invalid", "not a JSON object")
        raw(b"[" * 100000, "invalid", "not a JSON object")
        raw(b'{"verb":"none"}', "invalid", "request, send, response")
        raw(b'{"id":{},"verb":7}', "invalid", "request, send, response")
        raw(b'{"a":1,"a":2}', "invalid", "duplicate")
        one.socket.sendall(b"\r\n\n")

        for fields, text in (
                ({"verb": "request"}, "`request` needs `to`"),
                ({"verb": "request", "to": 7}, "has a wrong `to`"),
                ({"verb": "request", "to": "boss"}, "needs `body`"),
                ({"verb": "request", "to": "boss", "body": 1}, "wrong `body`"),
                ({"verb": "request", "to": "boss", "body": "", "value": 1}, "wrong `body`"),
                ({"verb": "request", "to": "boss", "body_base64": "a"}, "wrong `body`"),
                ({"verb": "request", "to": "boss", "body_base64": "a*=="}, "wrong `body`"),
                ({"verb": "request", "to": "boss", "body": "", "blob_base64": "%"},
                 "wrong `blob`"),
                ({"verb": "request", "to": "boss", "body": "", "mime": "a"}, "wrong `blob`"),
                ({"verb": "request", "to": "boss", "body": "", "expects_s": -1},
                 "wrong `expects_s`"),
                ({"verb": "request", "to": "boss", "body": "", "expects_s": 1,
                  "timeout_ms": 1}, "wrong `expects_s`"),
                ({"verb": "request", "to": "boss", "body": "", "inherit": 0},
                 "wrong `inherit`"),
                ({"verb": "request", "to": "boss", "body": "", "inherit": []},
                 "wrong `inherit`"),
                ({"verb": "send", "to": "boss", "value": 1}, "needs `topic`"),
                ({"verb": "send", "to": "boss", "topic": "", "value": 1}, "wrong `topic`"),
                ({"verb": "send", "to": "boss", "topic": "@x", "value": 1}, "wrong `topic`"),
                ({"verb": "send", "to": "boss", "topic": "x" * 1025, "value": 1},
                 "wrong `topic`"),
                ({"verb": "send", "to": "boss", "topic": "t"}, "needs `values`"),
                ({"verb": "send", "to": "boss", "topic": "t", "values": 3}, "wrong `values`"),
                ({"verb": "spawn", "entry": "app:worker", "args": {}}, "wrong `args`"),
                ({"verb": "response", "body": "", "message": -3}, "wrong `message`"),
                ({"verb": "events", "on": 1}, "wrong `on`"),
                ({"verb": "get-blob", "message": "1"}, "wrong `message`")):
            one.last += 1
            one.socket.sendall(json.dumps({"id": one.last, **fields}).encode() + b"\n")
            refused("invalid", text, one.answer, one.last)

        deep = "[" * 1000 + "]" * 1000
        one.socket.sendall(b'{"id":"d","verb":"send","to":"boss","topic":"t","value":'
                           + deep.encode() + b"}\n")
        refused("invalid", "", one.answer, "d")
        assert run(one, "return 1") == 1
        one.socket.sendall(b'{"id":"same","verb":"lookup","name":"boss"}\n' * 2)
        one.wait(lambda: "same" in one.answers and one.told)
        assert one.answer("same") == one.line()["ok"]
        assert one.do("lookup", name="boss", unknown=[1])["pid"]


@test
def a_line_that_is_too_long_ends_the_process(place):
    with Node(place) as node, node.outside("watch") as watch:
        one = node.outside("long")
        watch.do("monitor", to=one.pid)
        try:
            one.socket.sendall(b"x" * (17 * MIB))
        except OSError:
            pass
        watch.event("pid.exit")
        assert "longer than 16 MiB" in one.line()["error"]["message"]
        one.wait(lambda: False)
        one.close()


@test
def a_connection_may_end_in_the_midst_of_anything(place):
    with Node(place) as node, node.outside("watch") as watch:
        for i in range(60):
            one = node.outside(f"n{i}", pull=i % 5 == 0)
            watch.do("monitor", to=one.pid)
            watch.do("request", to=one.pid, body="?", expects_s=60, blob="b")
            if i % 4 == 0:
                one.ask("request", to=watch.pid, body="never", expects_s=60, await_=True)
                one.ask("receive")
            elif i % 4 == 1:
                for _ in range(50):
                    one.ask("request", to="boss", body="return {}", expects_s=60, context="c")
            elif i % 4 == 2:
                one.socket.sendall(b'{"id":1,"verb":"req')
            else:
                one.ask("spawn", entry="app:worker", args=["return"], link=True, monitor=True)
            one.close()
        ends = errors = 0
        while ends < 60 or errors < 60:
            line = watch.line()
            ends += "event" in line
            errors += line.get("message", {}).get("kind") == "error"
        assert ends == errors == 60
        assert run(watch, "return 1") == 1


@test
def many_attach_at_once(place):
    with Node(place) as node, node.outside() as one:
        others = [node.outside(f"m{i}") for i in range(100)]
        for i, other in enumerate(others):
            other.do("send", to=others[i - 1].pid, topic="ring", value=i)
        for i, other in enumerate(others):
            assert other.message("send")["value"] == (i + 1) % 100
        for other in others:
            other.close()
        until(lambda: len(json.loads(node.ask("ps", "--json").stdout)["processes"]) <= 6)
        assert run(one, "return 1") == 1


@test
def control_and_attach_share_a_socket(place):
    with Node(place) as node:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(place.folder / "home/socket"))
            lines = raw.makefile("rw")
            assert "attach" in json.loads(lines.readline())["features"]
            for line, wanted in (({"id": 1, "verb": "call", "to": "boss", "body": "return 3"},
                                  {"id": 1, "ok": {"value": 3}}),
                                 ({"id": 2, "verb": "attach", "name": "a:distro:sys"}, None),
                                 ({"id": 3, "verb": "attach", "name": 7}, None)):
                print(json.dumps(line), file=lines, flush=True)
                came = json.loads(lines.readline())
                assert came == wanted or "error" in came, came
            print('{"id":4,"verb":"attach"}', file=lines, flush=True)
            assert "pid" in json.loads(lines.readline())["ok"]
            print('{"id":5,"verb":"ps"}', file=lines, flush=True)
            assert "none that a process has" in json.loads(lines.readline())["error"]["message"]


# --- The command ------------------------------------------------------------------------

def attach(place, *words, text="", code=0):
    done = subprocess.run([THOLE, "attach", "--home", "home", *words], cwd=place.folder,
                          env=place.env, input=text, capture_output=True, text=True,
                          timeout=WAIT_S)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def attach_until(place, count, *words, text):
    """The same, whose input stays open until @count lines came: all that it said."""
    one = subprocess.Popen([THOLE, "attach", "--home", "home", *words], cwd=place.folder,
                           env=place.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    place.started.append(one)
    too_late = threading.Timer(WAIT_S, one.kill)
    too_late.start()
    print(text, file=one.stdin, flush=True)
    lines = [one.stdout.readline() for _ in range(count)]
    out, err = one.communicate(timeout=WAIT_S)
    too_late.cancel()
    assert one.returncode == 0, (one.returncode, lines, out, err)
    lines = [json.loads(line) for line in lines + out.splitlines()]
    assert lines[count:] == [{"ended": {}}], lines
    return lines


@test
def the_command_is_a_process(place):
    with Node(place) as node:
        asked = {"id": 1, "verb": "request", "to": "boss", "body": "return asked:source()",
                 "expects_s": 5, "await": True}
        lines, _ = attach(place, "--name", "tester:app:local", text=json.dumps(asked))
        assert lines[0]["ok"]["address"] == "local@tester:app:local", lines
        assert lines[1]["ok"]["message"]["body"] == lines[0]["ok"]["pid"], lines
        assert lines[2:] == [{"ended": {}}], lines

        many = "".join(json.dumps({**asked, "id": i, "body": "return 1"}) + "\n"
                       for i in range(2000))
        lines, _ = attach(place, "--name", "many:app:local", text=many)
        assert [one["id"] for one in lines[1:-1]] == list(range(2000))
        lines, _ = attach(place, "--pull", text='{"id":1,"verb":"receive"}\n')
        assert lines[1:] == [{"ended": {}}], lines


@test
def the_command_has_the_rights_that_it_is_given(place):
    asked = {"id": 1, "verb": "request", "to": "boss", "body": "return 1",
             "expects_s": 5, "await": True}
    with Node(place) as node:
        lines, _ = attach(place, text=json.dumps(asked))
        assert "--grant 'boss'" in lines[1]["error"]["message"], lines
        lines, _ = attach(place, "--grant", "boss", text=json.dumps(asked))
        assert lines[1]["ok"]["message"]["value"] == 1, lines
        for words in (("--public",), ("--grant-to=boss", "--grant-to", "boss")):
            ask = {**asked, "body": "local _, e = process.send(asked:source(), 't', 1) "
                                    "return e == nil"}
            lines = attach_until(place, 3, "--grant=boss", *words, text=json.dumps(ask))
            assert lines[1]["ok"]["message"]["value"] is True, lines
            came = lines[2]["message"]  # it waited until the answer was there
            assert (came["kind"], came["topic"], came["value"]) == ("send", "t", 1), came
        link = {"id": 1, "verb": "link", "to": "boss"}
        lines, _ = attach(place, "--grant", 'boss="control"', text=json.dumps(link))
        assert lines[1] == {"id": 1, "ok": {}}, lines
        _, err = attach(place, "--grant", "boss=control", code=2)
        assert "no JSON" in err, err
        _, err = attach(place, "--grant-to", "nobody", code=3)
        assert "no process `nobody`" in err, err


@test
def the_command_ends_with_the_code_of_its_end(place):
    with Node(place) as node:
        lines, err = attach(place, text='{"verb":"exit","error":"no luck"}\n', code=1)
        assert lines[-1]["ended"]["reason"] == "failed" and "no luck" in err, err
        lines, err = attach(place, "--name", "a:distro:sys", code=4)
        assert lines == [] and "node's own" in err, err
        lines, err = attach(place, "--name", "Bad", code=2)
        assert lines == [] and err.startswith("thole: "), err
        place.run("attach", "too", "much", code=2)
        stays = subprocess.Popen([THOLE, "attach", "--name", "stays", "--home", "home"],
                                 cwd=place.folder, env=place.env, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        place.started.append(stays)
        until(lambda: "stays:outside:local" in node.ask("ps").stdout)
        node.ask("kill", "stays:outside:local")
        assert stays.wait(WAIT_S) == 1
        assert "terminated by its owner" in stays.stderr.read()
    place.fails(3, "no node is up", "attach", "--home", "home")


@test
def the_command_outlives_no_node(place):
    with Node(place) as node:
        pipe, end = os.pipe()
        one = subprocess.Popen([THOLE, "attach", "--home", "home"], cwd=place.folder,
                               env=place.env, stdin=pipe, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        place.started.append(one)
        one.stdout.readline()
        node.node.kill()
        out, err = one.communicate(timeout=WAIT_S)
        assert one.returncode == 6 and "went away" in err, (one.returncode, err)
        os.close(end)
        os.close(pipe)
        node.node.wait()
        node.node.returncode = 0


if __name__ == "__main__":
    sys.exit(test.main())
