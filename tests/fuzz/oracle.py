"""Go's net/http as oracle for HTTP messages: the program oracle.go."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_suffix(".go")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as Go parses it; field names are in lower case, and sorted."""

    method: bytes
    target: bytes
    host: bytes
    minor: int
    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    is_broken: bool
    closes: bool


@dataclass(frozen=True, slots=True)
class Understood:
    """All messages in the data; ``rest`` is a server's answer, or what followed them."""

    messages: tuple[Message, ...]
    rest: bytes
    problem: str


class Oracle:
    """A Go program that is used over pipes."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1
        )

    def requests(self, data: bytes) -> Understood:
        """Return the requests that a server reads from a client that sends this and closes."""
        return self._ask(b"Q", data)

    def answer(self, method: bytes, data: bytes) -> Understood:
        """Return the answer that a client reads, to a request with this method."""
        return self._ask(b"A", method + b"\n" + data)

    def _ask(self, kind: bytes, data: bytes) -> Understood:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(kind + struct.pack(">I", len(data)) + data)
        into.flush()
        line = out.readline()
        assert line, f"the oracle has ended: {data!r}"
        found = json.loads(line)
        messages = tuple(_message(each) for each in found["Messages"] or ())
        return Understood(messages, _bytes(found["Answered"]), found["Problem"])

    def end(self) -> None:
        """End the program."""
        self._process.communicate(timeout=10)


def _message(found: dict[str, Any]) -> Message:
    fields = ((_bytes(name).lower(), _bytes(value)) for name, value in found["Fields"])
    return Message(
        _bytes(found["Method"]),
        _bytes(found["Target"]),
        _bytes(found["Host"]),
        found["Minor"],
        found["Status"],
        tuple(sorted(fields)),
        _bytes(found["Body"]),
        found["Broken"],
        found["Closes"],
    )


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@contextmanager
def oracle(folder: Path) -> Iterator[Oracle]:
    """Build the program in a folder, and run it until the context ends."""
    program = folder / "oracle"
    try:
        subprocess.run(["go", "build", "-trimpath", "-o", program, SOURCE], check=True)
    except FileNotFoundError:
        raise RuntimeError(
            f"Go, which builds {SOURCE.name}, is not installed: install it"
        ) from None
    running = Oracle(program)
    try:
        yield running
    finally:
        running.end()
