"""PID 1 in a real PID namespace: it forwards signals, reaps orphans and exits with the status."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

SPLIT = """
import os, signal, sys, time
from wrapper import init
assert os.getpid() == 1
init.split()
{then}
"""

SAY_SIGNAL = """
import functools
def leave(number, frame):
    print("got", number, flush=True)
    os._exit(7)
signal.signal({number}, leave)
print("ready", os.getpid(), os.getpgid(0), flush=True)
time.sleep(60)
"""

ORPHANS = """
import subprocess
subprocess.run(["sh", "-c", "sleep 0.2 & sleep 0.2 & exit 0"], check=True)
time.sleep(0.6)
left = [p for p in os.listdir("/proc") if p.isdigit()]
zombies = [p for p in left if open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[0] == "Z"]
print("zombies", zombies, flush=True)
"""


def in_namespace(then: str) -> subprocess.Popen[str]:
    """Start Python as PID 1, which splits off a child that runs ``then``."""
    words = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    return subprocess.Popen(
        [*words, sys.executable, "-c", SPLIT.format(then=then)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Collect the processes that a test starts, and kill them at the end."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("status", [0, 3])
def test_the_exit_status_is_passed_on(status: int) -> None:
    """PID 1 exits with the exit status of its child."""
    with in_namespace(f"os._exit({status})") as process:
        assert process.wait(timeout=10) == status


def test_death_by_a_signal_becomes_128_and_its_number() -> None:
    """If a signal kills the child, the exit status is 128 plus its number, as in a shell."""
    with in_namespace("os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.wait(timeout=10) == 128 + signal.SIGKILL


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_are_forwarded_to_the_child(
    name: str, started: list[subprocess.Popen[str]]
) -> None:
    """A signal to PID 1 is forwarded to the child, which leads its own process group."""
    number = signal.Signals[f"SIG{name}"]
    process = in_namespace(SAY_SIGNAL.format(number=int(number)))
    started.append(process)
    assert process.stdout is not None
    _ready, pid, group = process.stdout.readline().split()
    assert pid == group
    init_pid = _only_child(process.pid)
    subprocess.run(["kill", f"-{name}", str(init_pid)], check=True)
    assert process.stdout.readline() == f"got {int(number)}\n"
    assert process.wait(timeout=10) == 7


def test_orphans_are_reaped() -> None:
    """Orphaned grandchildren leave no zombies."""
    with in_namespace(ORPHANS) as process:
        out, _ = process.communicate(timeout=10)
    assert out == "zombies []\n"


def _only_child(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children") as children:  # noqa: PTH123
        return int(children.read().split()[0])
