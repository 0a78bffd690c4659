#!/usr/bin/env python3
"""Wasm processes that live on: what was acknowledged is there after kill -9.

Run by plain python3; THOLE names the program, else it is build/thole, and THOLE_GUESTS the
folder of the guests. The last line is "N passed, N failed".
"""

import os
import pathlib
import shutil
import sys

from place import TOP, Tests, Up, until

test = Tests()
GUESTS = pathlib.Path(os.environ.get("THOLE_GUESTS", TOP / "build" / "guests"))

MANIFEST = """
version: "1.0"
namespace: app
entries:
  - { name: play, kind: process.wasm, meta: { main: true }, source: "file://play.wasm" }
"""


class Life:
    """A life of a node with test/wasm/play.c, whose standard output is in a file."""

    def __init__(self, place):
        self.place = place
        folder = place.folder / "app"
        if not folder.exists():
            place.put("app/_index.yaml", MANIFEST)
            shutil.copy(GUESTS / "play.wasm", folder)
        self.up = Up(place, "app")
        self.seen = ""

    def tell(self, to, *lines):
        """Have the process do these lines, and the last be done when this returns."""
        body = "\n".join(("do", *lines, "respond - done"))
        done = self.up.ask("call", to, body)
        assert done.stdout == "done", done.stdout

    def can_tell(self, to, *lines):
        try:
            self.tell(to, *lines)
        except AssertionError:
            return False  # it is between two lives
        return True

    def kill(self):
        """As a power cut does."""
        self.up.node.kill()
        self.seen += self.up.node.communicate()[0]

    def stop(self):
        self.up.__exit__(None, None, None)
        self.seen += self.up.output

    def main(self):
        one = self.up.processes()["app:play"]
        return one["address"]

    def lives(self, name):
        return f"@{name}:app:local" in self.up.ask("ps", "--json").stdout


def begin(place, *spawns):
    life = Life(place)
    life.tell(life.main(), *(f"spawn {name} play.wasm restart" for name in spawns))
    return life


@test
def a_child_and_its_state_survive_a_power_cut(place):
    life = begin(place, "kid")
    life.tell("kid:app:local", "state remember", "claim save our@kid:app:local \"mine\"")
    life.kill()
    life = Life(place)
    until(lambda: life.lives("kid"))
    life.tell("kid:app:local", "state", "caps")
    life.stop()
    assert "state remember" in life.seen, life.seen
    assert 'cap kid/"mine"' in life.seen, life.seen


@test
def a_child_that_crashes_comes_again_with_its_state(place):
    life = begin(place, "kid")
    life.tell("kid:app:local", "state remember")
    life.up.ask("send", "kid:app:local", "do\ntrap")
    until(lambda: life.can_tell("kid:app:local", "state"))
    life.stop()
    assert "state remember" in life.seen, life.seen


@test
def who_wants_to_live_no_more_does_not(place):
    life = begin(place, "kid")
    life.tell("kid:app:local", "exit-none")
    life.kill()
    life = Life(place)
    assert not life.lives("kid")
    life.stop()


@test
def last_words_are_sent_when_the_node_is_up_again(place):
    life = begin(place, "friend")
    life.tell(life.main(), 'claim spawn our@friend:app:local "messaging"')  # the heir
    life.tell("heir:app:local", "exit-words our@friend:app:local farewell")
    life.kill()
    assert "farewell" not in life.seen
    life = Life(place)
    until(lambda: life.lives("friend"))
    assert not life.lives("heir")
    life.tell("friend:app:local", "caps")
    life.stop()
    # What it issued itself is void by now, for it is gone.
    assert "got request farewell from heir blob own\n" in life.seen, life.seen


if __name__ == "__main__":
    sys.exit(test.main())
