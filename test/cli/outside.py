"""A process outside the node, in Python: a connection that attached, whose every line is
held against docs/attach.schema.json."""

import collections
import json
import re
import socket
import threading

from place import TOP, WAIT_S

SCHEMA = json.loads((TOP / "docs/attach.schema.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def wrong(value, schema, path="line"):
    """Why @value is not what @schema says, or None. Knows what our schema uses."""
    if "$ref" in schema:
        return wrong(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], path)
    if "anyOf" in schema:
        whys = [wrong(value, one, path) for one in schema["anyOf"]]
        return None if None in whys else f"{path} is none of: {whys}"
    if "const" in schema and (value != schema["const"] or type(value) != type(schema["const"])):
        return f"{path} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{path} is {value!r}"
    kind = schema.get("type")
    if kind == "integer" and (not isinstance(value, int) or isinstance(value, bool)):
        return f"{path} is no integer"
    if kind in TYPES and not isinstance(value, TYPES[kind]):
        return f"{path} is no {kind}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{path} is below {schema['minimum']}"
    if isinstance(value, str):
        length = len(value.encode("utf-8", "surrogatepass"))
        if length < schema.get("minLength", 0) or length > schema.get("maxLength", length):
            return f"{path} has a wrong length"
        if not re.fullmatch(schema.get("pattern", "(?s:.*)"), value):
            return f"{path} is {value[:40]!r}"
    if isinstance(value, list) and "items" in schema:
        whys = [wrong(one, schema["items"], f"{path}[{i}]") for i, one in enumerate(value)]
        return next((why for why in whys if why), None)
    if isinstance(value, dict):
        return wrong_object(value, schema, path)
    return None


def wrong_object(value, schema, path):
    for key in schema.get("required", ()):
        if key not in value:
            return f"{path} has no {key}"
    for key, one in value.items():
        known = schema.get("properties", {}).get(key)
        if known is None and schema.get("additionalProperties") is False:
            return f"{path} has a {key}"
        why = known is not None and wrong(one, known, f"{path}.{key}")
        if why:
            return why
    return None


def check(line, what):
    why = wrong(line, SCHEMA["$defs"][what])
    assert why is None, f"{why}: {json.dumps(line)[:400]}"


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["reason"] + ": " + error["message"])
        self.error = error
        self.reason = error["reason"]


class Outside:
    """A connection that attached; a thread reads its lines unless @reads is false."""

    def __init__(self, place, name="", reads=True, **more):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(place.folder / "home/socket"))
        self.came = self.socket.makefile("rb")
        self.last = 0
        self.told = collections.deque()  # lines that answer nothing
        self.answers = {}
        self.news = threading.Condition()
        self.is_closed = False
        self.hello = json.loads(self.came.readline())
        check(self.hello, "told")
        self.reader = threading.Thread(target=self.read, daemon=True)
        attach = {"id": "attach", "verb": "attach", "name": name, **more}
        self.write(attach)
        if reads:
            self.reader.start()
            try:
                self.who = self.answer("attach")
            except Refused:
                self.close()
                raise
            self.pid, self.address = self.who["pid"], self.who["address"]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.reader.ident is not None:
            self.reader.join(WAIT_S)
        self.came.close()
        self.socket.close()

    def read(self):
        try:
            for text in self.came:
                self.take(json.loads(text))
        except (OSError, ValueError, AssertionError) as error:
            with self.news:
                self.told.append({"broken": repr(error)})
        with self.news:
            self.is_closed = True
            self.news.notify_all()

    def take(self, line):
        check(line, "told")
        with self.news:
            if line.get("id") is not None and line["id"] not in self.answers:
                self.answers[line["id"]] = line
            else:
                self.told.append(line)
            self.news.notify_all()

    def write(self, line):
        check(line, "call")
        self.socket.sendall(json.dumps(line).encode() + b"\n")

    def ask(self, verb, **fields):
        """Say it; the id of its answer."""
        self.last += 1
        self.write({"id": self.last, "verb": verb,
                    **{key.rstrip("_"): value for key, value in fields.items()}})
        return self.last

    def wait(self, holds):
        with self.news:
            assert self.news.wait_for(lambda: holds() or self.is_closed, WAIT_S), (
                "nothing comes", list(self.told)[:5])

    def answer(self, id):
        self.wait(lambda: id in self.answers)
        assert id in self.answers, f"the node closed: {list(self.told)[-3:]}"
        line = self.answers.pop(id)
        if "error" in line:
            raise Refused(line["error"])
        return line["ok"]

    def do(self, verb, **fields):
        return self.answer(self.ask(verb, **fields))

    def line(self):
        """The oldest line that answers nothing."""
        self.wait(lambda: self.told)
        assert self.told, "the node closed"
        return self.told.popleft()

    def message(self, kind=None):
        line = self.line()
        assert "message" in line and kind in (None, line["message"]["kind"]), line
        return line["message"]

    def event(self, kind):
        line = self.line()
        assert "event" in line and line["event"]["kind"] == kind, line
        return line["event"]

    def ended(self):
        line = self.line()
        assert "ended" in line, line
        self.wait(lambda: False)
        assert not self.told, list(self.told)
        return line["ended"]
