"""Log lines are written to a reader, but never block without one."""

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
    """Write lines until one is dropped, and return those that were written."""
    count = 0
    while output.write(LINE):
        count += 1
    return LINE * count


def read(end: int, size: int = 1 << 20) -> bytes:
    """Return the content of a pipe."""
    return os.read(end, size) if select.select([end], [], [], 0)[0] else b""


def test_full_pipe_does_not_block(pipe: tuple[int, int]) -> None:
    """Only the first line that finds the pipe full waits a moment for a slow reader."""
    output = LogOutput(pipe[1])
    begun_at = now()
    fill(output)
    assert WAIT_S <= now() - begun_at < 20 * WAIT_S
    begun_at = now()
    assert not any(output.write(LINE) for _ in range(1000))
    assert now() - begun_at < 100 * WAIT_S, "all would take a thousand times as long"


def test_written_lines_are_whole_and_new_ones_fit_later(pipe: tuple[int, int]) -> None:
    """Short lines are never cut, and after the pipe has been read there is room again."""
    output = LogOutput(pipe[1])
    written = fill(output)
    assert read(pipe[0]) == written
    assert output.write(LINE)
    assert read(pipe[0]) == LINE


def test_new_line_follows_a_cut_one(pipe: tuple[int, int]) -> None:
    """After a line that was cut, a line break is written before the next one."""
    output = LogOutput(pipe[1])
    assert not output.write(b"y" * (1 << 20) + b"\n")
    assert not output.write(LINE)
    cut = read(pipe[0])
    assert cut == b"y" * len(cut)
    assert output.write(LINE)
    assert output.write(LINE)
    assert read(pipe[0]) == b"\n" + LINE + LINE


def test_slow_reader_gets_a_long_line(pipe: tuple[int, int]) -> None:
    """A reader gets all of a line that is longer than the pipe."""
    line, found = b"z" * 300_000 + b"\n", bytearray()

    def collect() -> None:
        while len(found) < len(line):
            found.extend(os.read(pipe[0], 1 << 16))

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    assert LogOutput(pipe[1]).write(line)
    reader.join(20)
    assert found == line


def test_flags_of_the_pipe_are_not_changed(pipe: tuple[int, int]) -> None:
    """The pipe does not get O_NONBLOCK, which would affect other processes too."""
    fill(LogOutput(pipe[1]))
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK


def test_pipe_of_another_user_does_not_block(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that cannot be reopened is checked for room before each piece."""

    def refuse(*_: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        output = LogOutput(pipe[1])
    written = fill(output)
    assert not output.write(b"y" * (1 << 20) + b"\n")
    assert read(pipe[0]) == written
    assert not output.write(b"y" * (1 << 20) + b"\n")


def test_socket_does_not_block() -> None:
    """A socket, as under systemd, does not block."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        output = LogOutput(ours.fileno())
        written = fill(output)
        assert not output.write(LINE)
        assert theirs.recv(len(written), socket.MSG_WAITALL) == written
        assert output.write(LINE)


def test_terminal_does_not_block() -> None:
    """A terminal, which reports room if there is room for one byte, does not block."""
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


def test_file_gets_all_lines_and_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """A file gets all lines, also if another process appends to it; a closed pipe is no error."""
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
