"""Log lines go to whoever reads; nobody waits for one who does not."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import now
from wrapper.base.log_output import WAIT_S, LogOutput

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give both ends of a pipe."""
    with ExitStack() as stack:
        ends = os.pipe()
        for end in ends:
            stack.callback(os.close, end)
        yield ends


def fill(output: LogOutput) -> bytes:
    """Write lines until one does not go, and return those that went."""
    count = 0
    while output.write(LINE):
        count += 1
    return LINE * count


def read(end: int, size: int = 1 << 20) -> bytes:
    """Return what lies in a pipe."""
    return os.read(end, size) if select.select([end], [], [], 0)[0] else b""


def test_nobody_waits_for_a_full_pipe(pipe: tuple[int, int]) -> None:
    """The first line that finds it full may wait for a slow reader; no other does."""
    output = LogOutput(pipe[1])
    begun_at = now()
    fill(output)
    assert WAIT_S <= now() - begun_at < 20 * WAIT_S
    begun_at = now()
    assert not any(output.write(LINE) for _ in range(1000))
    assert now() - begun_at < 100 * WAIT_S, "all would take a thousand times as long"


def test_what_was_written_is_whole_and_there_is_room_again(pipe: tuple[int, int]) -> None:
    """Of lines as short as these, none is cut."""
    output = LogOutput(pipe[1])
    written = fill(output)
    assert read(pipe[0]) == written
    assert output.write(LINE)
    assert read(pipe[0]) == LINE


def test_after_a_line_that_was_cut_a_new_one_begins(pipe: tuple[int, int]) -> None:
    """A line that is longer than the room: the next is no part of it."""
    output = LogOutput(pipe[1])
    assert not output.write(b"y" * (1 << 20) + b"\n")
    assert not output.write(LINE)
    cut = read(pipe[0])
    assert cut == b"y" * len(cut)
    assert output.write(LINE)
    assert output.write(LINE)
    assert read(pipe[0]) == b"\n" + LINE + LINE


def test_a_slow_reader_gets_all_of_a_long_line(pipe: tuple[int, int]) -> None:
    """A line may be longer than the pipe."""
    line, found = b"z" * 300_000 + b"\n", bytearray()

    def collect() -> None:
        while len(found) < len(line):
            found.extend(os.read(pipe[0], 1 << 16))

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    assert LogOutput(pipe[1]).write(line)
    reader.join(20)
    assert found == line


def test_the_pipe_stays_as_it_is_for_others(pipe: tuple[int, int]) -> None:
    """O_NONBLOCK would be theirs, too."""
    fill(LogOutput(pipe[1]))
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_pipe_of_another_user_keeps_nobody_waiting(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be opened again; it is asked before each piece whether there is room."""

    def refuse(*_: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        output = LogOutput(pipe[1])
    written = fill(output)
    assert not output.write(b"y" * (1 << 20) + b"\n")
    assert read(pipe[0]) == written
    assert not output.write(b"y" * (1 << 20) + b"\n")


def test_a_socket_keeps_nobody_waiting() -> None:
    """As under systemd."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        output = LogOutput(ours.fileno())
        written = fill(output)
        assert not output.write(LINE)
        assert theirs.recv(len(written), socket.MSG_WAITALL) == written
        assert output.write(LINE)


def test_a_terminal_keeps_nobody_waiting() -> None:
    """It says that there is room if there is for one byte."""
    ours, theirs = pty.openpty()
    lines: list[bytes] = []
    writer = threading.Thread(target=lambda: lines.append(fill(LogOutput(theirs))), daemon=True)
    writer.start()
    writer.join(20)
    assert lines, "it waits for a reader"
    shown = lines[0].replace(b"\n", b"\r\n")
    assert os.read(ours, len(shown)).startswith(shown[: len(LINE)])
    assert not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(ours)
    os.close(theirs)


def test_a_file_gets_all_and_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """A file is appended to where others write, too."""
    with (tmp_path / "log").open("ab", buffering=0) as file:
        output = LogOutput(file.fileno())
        assert output.write(LINE)
        file.write(b"another's\n")
        assert output.write(b"y" * 100_000)
    assert (tmp_path / "log").read_bytes() == LINE + b"another's\n" + b"y" * 100_000
    reading, writing = os.pipe()
    output = LogOutput(writing)
    os.close(reading)
    assert not output.write(LINE)
    os.close(writing)
