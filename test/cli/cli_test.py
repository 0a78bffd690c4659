#!/usr/bin/env python3
"""The command line from outside: what it prints, where, and with which exit code.

Run by plain python3; THOLE names the program, else it is build/thole. The last line is
"N passed, N failed".
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

from place import THOLE, TOP, WAIT_S, Tests, Up, until

test = Tests()

ECHO = """
return function()
    local asked, told = request.listen(), process.inbox()
    while true do
        local got = channel.select { asked:case_receive(), told:case_receive() }
        if got.channel == told then
            print(got.value:topic(), tostring(got.value:payload():data()))
        elseif got.value:body() == "crash" then
            error("as you wish")
        elseif got.value:body() == "mixed" then
            got.value:answer { 1, a = 2 }
        elseif got.value:body() ~= "silence" then
            got.value:answer("echo " .. got.value:body(), { blob = got.value:blob() })
        end
    end
end
"""

READER = """
return function()
    local reply, err = request.call("files", '{"read":{"path":"PATH"}}')
    if not reply then error(tostring(err)) end
    print(reply:body(), reply:blob() or "")
end
"""


# --- Words ------------------------------------------------------------------------------

@test
def help_fits_a_screen_and_explains_each_command(place):
    text = place.run("help").stdout
    assert len(text.splitlines()) <= 24 and "thole COMMAND" in text
    for name in ("run", "up", "stop", "ps", "send", "call", "kill", "attach", "version"):
        assert f"thole {name}" in place.run("help", name).stdout
        assert place.run(name, "--help").stdout == place.run("help", name).stdout


@test
def words_that_are_wrong_are_refused_before_anything_is_done(place):
    place.fails(2, "there is no command `rnu`", "rnu")
    place.fails(2, "there is no command", )
    place.fails(2, "something is missing: thole run PATH", "run")
    place.fails(2, "there is no option `--jsn`", "ps", "--jsn")
    place.fails(2, "this is no time: `5x`", "call", "a", "b", "--timeout", "5x")
    place.fails(2, "is no address", "kill", "our@a:b")
    place.fails(2, "is no address", "kill", "{local@x|y")
    place.fails(2, "is no JSON", "send", "a", "t", "{")
    place.fails(2, "a topic is a text", "send", "a", "", "1")
    place.fails(2, "a topic is a text", "send", "a", "@x", "1")
    place.fails(2, "its path is too long", "ps", "--home", "a" * 300)
    place.fails(2, "its path is too long", "up", "--home", "a" * 300)
    marked = place.fails(2, "^", "call", "our@a b:c:d", "x").stderr.splitlines()
    assert marked[-1].index("^") - marked[-2].index("our@") == len("our@a"), marked


@test
def version_says_which_one(place):
    assert place.run("version").stdout.startswith("thole ")
    assert json.loads(place.run("version", "--json").stdout)["protocol"] == 1


@test
def without_a_node_the_answer_says_how_to_start_one(place):
    place.fails(3, "start one with `thole up`", "ps")
    place.fails(3, "start one with `thole up --home h`", "--home", "h", "kill", "a")


# --- run --------------------------------------------------------------------------------

@test
def a_program_runs_and_its_output_is_on_standard_output(place):
    place.put("hello.lua", 'return function(...) print("hello", ...) end')
    done = place.run("run", "hello.lua", "a", "b c")
    assert done.stdout == "hello\ta\tb c\n" and done.stderr == "", done


@test
def a_program_that_fails_is_exit_code_1_with_the_reason(place):
    place.put("bad.lua", 'return function()\n    error("boom")\nend\n')
    done = place.run("run", "bad.lua", code=1)
    assert "bad.lua:2: boom" in done.stderr and "failed" in done.stderr, done.stderr
    place.put("refuses.lua", 'return function() return nil, "not today" end')
    assert "not today" in place.run("run", "refuses.lua", code=1).stderr


@test
def an_error_text_is_shown_whole_and_harmless(place):
    place.put("bad.lua", 'return function() return nil, "one\\0two\\27[31m\\nthree" end')
    lines = place.run("run", "bad.lua", code=1).stderr.splitlines()
    assert lines == ["thole: `bad.lua` failed: one?two?[31m", "thole: three"], lines


@test
def a_recursion_without_end_ends_at_once(place):
    place.put("deep.lua", "local function f() return f() + 1 end\nreturn f\n")
    started = time.monotonic()
    text = place.run("run", "deep.lua", code=1).stderr
    assert "deep.lua:1: stack overflow" in text and time.monotonic() - started < 10, text


@test
def arguments_are_any_bytes(place):
    place.put("bytes.lua", "return function(...) for _, s in ipairs { ... } do "
                           "print(#s, s:byte(1, 3)) end end")
    done = place.run("run", "bytes.lua", b"\xff\xfe", "", "x" * 100000, "a\nb")
    assert done.stdout == "2\t255\t254\n0\n100000\t120\t120\t120\n3\t97\t10\t98\n", done


@test
def a_mark_of_utf_8_is_no_text(place):
    place.put("mark.lua", b"\xef\xbb\xbf#!/usr/bin/env thole\nreturn function() print(1) end")
    assert place.run("run", "mark.lua").stdout == "1\n"
    place.put("app/_index.yaml", b'\xef\xbb\xbfversion: "1.0"\nnamespace: app\nentries:\n'
              b'  - {name: a, kind: process.lua, source: "return function() print(2) end"}')
    assert place.run("run", "app").stdout == "2\n"


@test
def what_is_no_program_is_refused_with_its_place(place):
    place.put("text.txt", "hello")
    place.put("syntax.lua", "local x = 1\nlocal y = = 2\n")
    place.put("core.wasm", b"\0asm\1\0\0\0")
    place.put("odd.wasm", b"hello, world")
    place.put("bytecode.lua", b"\x1bLuaS")
    place.put("deep.lua", "return " + "(" * 10000 + "1" + ")" * 10000)
    (place.folder / "empty").mkdir()
    place.fails(3, "there is no file or folder `none.lua`", "run", "none.lua")
    place.fails(2, "is not a program", "run", "text.txt")
    place.fails(2, "syntax.lua:2:", "run", "syntax.lua")
    place.fails(2, "bytecode.lua: it is compiled Lua", "run", "bytecode.lua")
    place.fails(2, "deep.lua: C stack overflow", "run", "deep.lua")
    place.fails(2, "core module", "run", "core.wasm")
    place.fails(2, "not a Wasm component", "run", "odd.wasm")
    place.fails(3, "there is no `_index.yaml`", "run", "empty")


@test
def a_folder_runs_its_main_entry_or_the_named_one(place):
    place.put("app/_index.yaml", """
version: "1.0"
namespace: app
entries:
  - name: one
    kind: process.lua
    meta: { main: true }
    source: file://one.lua
    imports: { util: lib }
  - name: two
    kind: process.lua
    source: return function() print("two") end
  - name: lib
    kind: library.lua
    source: |
      return { name = "one" }
""")
    place.put("app/one.lua", 'local util = require("util")\n'
                             'return function() print(util.name) end\n')
    assert place.run("run", "app").stdout == "one\n"
    assert place.run("run", "app", "-x", "app:two").stdout == "two\n"
    assert place.run("run", "-x", "two", "app/").stdout == "two\n"
    place.fails(3, "there is no entry `app:three`", "run", "app", "-x", "app:three")
    place.fails(2, "cannot run", "run", "app", "-x", "app:lib")


@test
def many_entries_are_not_all_listed_and_folders_in_a_circle_are_left_out(place):
    entries = "".join(f'  - {{name: n{i}, kind: process.lua, source: "return print"}}\n'
                      for i in range(300))
    place.put("app/_index.yaml", f'version: "1.0"\nnamespace: app\nentries:\n{entries}')
    (place.folder / "app" / "circle").symlink_to(".")
    text = place.fails(2, "`app:n9` and 290 more; choose one with -x", "run", "app").stderr
    assert "n10" not in text and "app/circle: a link to a folder is left out" in text, text


@test
def all_errors_of_a_manifest_are_told_at_once(place):
    place.put("app/_index.yaml", """
version: "1.0"
namespace: app
entries:
  - name: one
    kind: process.lua
    source: file://none.lua
    imports: { util: nope }
    modle: [time]
""")
    text = place.fails(2, "app/_index.yaml:7:13: there is no file `none.lua`", "run",
                       "app").stderr
    assert "app/_index.yaml:8:22: entry `app:one` imports `nope`" in text, text
    assert "app/_index.yaml:9:5: a process.lua has no key `modle`" in text, text


@test
def a_program_reads_what_the_command_line_names_and_nothing_else(place):
    place.put("in/open", "open")
    place.put("out/secret", "secret")
    (place.folder / "in" / "link").symlink_to("../out/secret")

    def read(name, *grants):
        place.put("reader.lua", READER.replace("PATH", name))
        return place.run("run", "reader.lua", *grants).stdout

    assert "open" in read("in/open", "in")
    assert "open" in read(str(place.folder / "in" / "open"), "in")
    assert "open" in read("in/./open", "word", "in/")
    assert "open" in read("in/../in/open", "in/../in")
    assert "secret" in read("out/secret", "out/secret")
    assert "secret" in read("in/link", "in/link")
    for name in ("out/secret", "in/../out/secret", "in/link", "/etc/hostname", "in2",
                 "", ".", "/", "in/open/../../out/secret"):
        assert '"error"' in read(name, "in"), name
    assert "not_permitted" in read("in/link", "in")
    assert "invalid" in read("in\\\\u0000", "in")
    assert "not_found" in read("in/none", "in")
    assert "not_found" in read("none", "none")


@test
def the_reader_that_goes_away_ends_the_program(place):
    place.put("many.lua", 'return function() while true do print("line") end end')
    run = place.start("run", "many.lua")
    assert run.stdout.readline() == "line\n"
    run.stdout.close()
    assert run.wait(WAIT_S) == 1
    run.stderr.close()


@test
def output_that_cannot_be_written_is_an_error(place):
    place.put("hello.lua", 'return function() print("hello") end')
    for words in (["version"], ["help"], ["run", "hello.lua"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([THOLE, *words], cwd=place.folder, env=place.env,
                                  stdout=full, stderr=subprocess.PIPE, timeout=WAIT_S)
        assert done.returncode == 1 and b"cannot be written" in done.stderr, (words, done)
        # Closed from the start: nothing of ours may take its place.
        for closed in ("<&- >&-", ">&-", "<&- >&- 2>&-"):
            line = " ".join([THOLE, *words, closed])
            done = subprocess.run(line, shell=True, cwd=place.folder, env=place.env,
                                  timeout=WAIT_S, capture_output=True)
            assert done.returncode == 1, (line, done)


@test
def a_reader_that_has_seen_enough_is_no_error_worth_a_word(place):
    done = subprocess.run(f"{THOLE} help | true; exit ${{PIPESTATUS[0]}}", shell=True,
                          executable="/bin/bash", capture_output=True, timeout=WAIT_S)
    assert done.returncode in (0, 1) and done.stderr == b"", done


@test
def a_hangup_that_is_ignored_stays_ignored(place):
    place.put("stays.lua", 'return function() print("up") '
                           'process.inbox():receive() end')
    run = subprocess.Popen([THOLE, "run", "stays.lua"], cwd=place.folder, env=place.env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    place.started.append(run)
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGHUP)
    assert json.loads(place.run("ps", "--json", "--home", str(home_of(place))).stdout)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=WAIT_S)
    assert run.returncode == 1 and run.poll() is not None, (out, err)


def home_of(place):
    """The home that `run` made for the one program of @place."""
    (one,) = (place.folder / "state" / "thole" / "run").iterdir()
    return one


@test
def the_parts_of_the_node_cannot_be_ended_by_a_program(place):
    place.put("rude.lua", """
return function()
    for _, what in ipairs { "terminate", "cancel", "link" } do
        print(process[what]("files"))
    end
    print(request.call("files", '{"info":"rude.lua"}', { timeout = "5s" }):body())
end
""")
    lines = place.run("run", "rude.lua").stdout.splitlines()
    assert lines[:3] == ["nil\tnot allowed: the process belongs to the node itself: "
                         "files"] * 3, lines
    assert '"kind":"file"' in lines[3], lines


@test
def a_node_whose_keeper_is_killed_ends(place):
    place.put("stays.lua", 'return function() print("up") '
                           'process.inbox():receive() end')
    run = place.start("run", "stays.lua", "--home", "home")
    assert run.stdout.readline() == "up\n"
    answer = json.loads(place.run("ps", "--json", "--home", "home").stdout)
    keeper = [one["pid"] for one in answer["processes"]
              if one["entry"] == "system:kernel"]
    place.run("kill", *keeper, "--home", "home")
    err = run.communicate(timeout=WAIT_S)[1]
    assert run.returncode == 1 and "kernel:distro:sys" in err, err


@test
def ctrl_c_ends_a_program(place):
    place.put("stays.lua", 'return function() print("up") '
                           'process.inbox():receive() end')
    run = place.start("run", "stays.lua")
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=WAIT_S)
    assert run.returncode == 1
    run = place.start("run", "stays.lua")
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGINT)
    assert "once more stops at once" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=WAIT_S)[1] == "", "it said how its program ended"
    assert run.returncode == 1


# --- up ---------------------------------------------------------------------------------

@test
def a_node_is_asked_and_told(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        address = up.processes()["echo:main"]["address"]
        pid = up.processes()["echo:main"]["pid"]
        assert up.ask("call", address, "hi").stdout == "echo hi"
        assert up.ask("call", pid, "hi").stdout == "echo hi"
        assert address in up.ask("ps").stdout
        up.ask("send", address, "topic", "1", '"two"')
        up.ask("send", pid, "bytes", "--bytes", "raw")
        up.ask("call", address, "silence", "--timeout", "200ms", code=5)
        text = up.ask("call", address, "mixed", code=1).stderr
        assert "both strings and numbers as keys" in text, text
        text = up.ask("send", address, "t", "[" * 200 + "]" * 200, code=2).stderr
        assert "more than 128 arrays" in text, text
        assert "there is no process" in up.ask("call", "nobody", "x", code=3).stderr
        assert "there is no process" in up.ask("kill", "local@1-99-1:a:b", code=3).stderr
        up.ask("kill", address)
        until(lambda: "echo:main" not in up.processes())
        up.ask("kill", address, code=3)
    assert "topic\t1\n" in up.output and "topic\ttwo\n" in up.output, up.output


@test
def a_process_that_fails_before_it_answers_is_told(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        address = up.processes()["echo:main"]["address"]
        assert "ended before" in up.ask("call", address, "crash", code=3).stderr
    assert "as you wish" in up.errors


@test
def a_second_node_on_one_home_is_refused(place):
    with Up(place) as up:
        text = place.fails(4, "a node is up on it", "up", "--home", "home").stderr
        assert f"(process {up.node.pid})" in text, text
    with Up(place) as up:
        assert "system:files" in up.processes()


@test
def only_the_owner_can_open_the_socket(place):
    with Up(place):
        home = place.folder / "home"
        assert (home / "socket").stat().st_mode & 0o777 == 0o600
        assert home.stat().st_mode & 0o777 == 0o700


def talk(place, *lines):
    """Send raw lines; what comes back until the node closes or falls silent."""
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(place.folder / "home" / "socket"))
        one.settimeout(0.5)
        for line in lines:
            try:
                one.sendall(line)
            except OSError:
                break
        came = b""
        try:
            while part := one.recv(1 << 20):
                came += part
        except OSError:
            pass
    return came.splitlines()


@test
def a_hostile_client_does_no_harm(place):
    with Up(place) as up:
        assert json.loads(talk(place)[0])["protocol"] == 1
        garbage = bytes(range(256)) * 64 + b"\n"
        assert b'"error"' in talk(place, garbage)[1]
        assert b"longer than 16 MiB" in talk(place, b"x" * (18 << 20))[1]
        assert b'"error"' in talk(place, b"[" * 100000 + b"\n")[1]
        many = talk(place, b'{"id":7,"verb":"ps","unknown":[1]}\n' * 100)
        assert len(many) == 101 and all(b'"id":7' in line for line in many[1:])
        answer = json.loads(talk(place, b'{"id":1,"verb":"reboot"}\n')[1])
        assert answer["error"]["reason"] == "invalid", answer
        half = talk(place, b'{"id":1,"verb":"call","to":"files","body":"{}"}\n{"id"')
        assert len(half) == 2, half
        assert "system:files" in up.processes()


@test
def a_thousand_clients_are_served_at_once(place):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))  # of the node, too
    with Up(place) as up:
        path = str(place.folder / "home" / "socket")
        clients = []
        for _ in range(1000):
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].connect(path)
            clients[-1].settimeout(WAIT_S)
        question = b'{"id":1,"verb":"call","to":"files","body":"{\\"info\\":\\".\\"}"}\n'
        for one in clients:
            one.sendall(question)
        for one in clients:
            with one.makefile("rb") as lines:
                assert b'"protocol"' in lines.readline()
                assert b'"ok"' in lines.readline()
        for one in clients:
            one.close()
        until(lambda: sorted(up.processes()) == ["system:files", "system:kernel"])


@test
def a_client_that_does_not_read_or_finish_holds_up_nobody(place):
    with Up(place) as up:
        path = str(place.folder / "home" / "socket")
        with socket.socket(socket.AF_UNIX) as deaf, socket.socket(socket.AF_UNIX) as slow:
            deaf.connect(path)
            deaf.settimeout(1)
            slow.connect(path)
            slow.sendall(b'{"id":')
            try:
                for _ in range(1000):
                    deaf.sendall(b'{"id":1,"verb":"ps"}\n' * 1000)
                assert False, "the node takes in requests without end"
            except OSError:
                pass  # it was closed, or is not read from
            assert "system:files" in up.processes()
            slow.sendall(b'1,"verb":"ps"}\n')
            slow.settimeout(WAIT_S)
            with slow.makefile("rb") as lines:
                assert b'"protocol"' in lines.readline()
                assert b'"ok"' in lines.readline()


@test
def a_node_that_stays_goes_on_when_nobody_reads_its_output(place):
    place.put("echo.lua", ECHO)
    with Up(place, "echo.lua") as up:
        up.node.stdout.close()
        address = up.processes()["echo:main"]["address"]
        for _ in range(3):
            up.ask("send", address, "topic", "1")
            assert up.ask("call", address, "hi").stdout == "echo hi"
        up.node.stdout = open(os.devnull)
    assert "output.lost" in up.errors, up.errors


@test
def a_node_that_crashed_leaves_its_home_usable(place):
    one = place.start("up", "--home", "home")
    assert one.stdout.readline() == "thole is up on home\n"
    one.kill()
    one.wait()
    place.fails(3, "no node is up on `home`", "ps", "--home", "home")
    with Up(place) as up:
        assert "system:files" in up.processes()


@test
def output_is_coloured_on_terminals_only(place):
    with Up(place) as up:
        assert "\033" not in up.ask("ps").stdout


if __name__ == "__main__":
    sys.exit(test.main())
