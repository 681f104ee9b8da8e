"""Children that are killed with their parent, the dead-man's switch, and the child's usage."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import free_port, least, let_pass, wait_until
from wrapper.base import process
from wrapper.model.events import Event
from wrapper.supervision import child_usage, sensors
from wrapper.supervision.child_usage import usage

PARENT = """
import signal, sys, time
from wrapper.base import clock
from wrapper.base import process
child = process.start_child({command}, ignore=[signal.SIGHUP])
switch = process.DeadMansSwitch()
{then}
print(child.pid, flush=True)
time.sleep(60)
"""


def parent(then: str = "", *before: str) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """Start a process that starts a child with these words before its command; return both."""
    text = PARENT.format(then=then, command=[*before, "sleep", "60"])
    started = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    assert started.stdout is not None
    with started.stdout:
        return started, psutil.Process(int(started.stdout.readline()))


def has_gone(child: psutil.Process) -> bool:
    """Return whether a process has ended, reaped or not."""
    return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_child_dies_when_its_parent_is_killed() -> None:
    """When the parent is killed with SIGKILL, the kernel kills its child."""
    started, child = parent()
    started.kill()
    started.wait()
    wait_until(lambda: has_gone(child), 15, "the child has died")


def test_the_switch_kills_a_stopped_process_and_its_child_on_time() -> None:
    """A switch that is armed for 1.5 s kills a stopped parent and its child then."""

    def live() -> float:
        started, child = parent("switch.arm(clock.now() + 1.5)")
        armed_at = time.monotonic()
        os.kill(started.pid, signal.SIGSTOP)
        assert started.wait(timeout=15) == -signal.SIGKILL
        lived_s = time.monotonic() - armed_at
        wait_until(lambda: has_gone(child), 15, "the child has died")
        return lived_s

    assert 0.7 < least(live, 2.0) < 2.0


def test_a_disarmed_switch_does_not_kill() -> None:
    """A switch that is armed and disarmed kills no process."""
    started, child = parent("switch.arm(clock.now() + 0.2); switch.disarm()")
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(timeout=0.6)
    started.kill()
    started.wait()
    wait_until(lambda: has_gone(child), 15, "the child has died")


def test_the_switch_can_be_armed_again() -> None:
    """If the switch is armed again for a later time, it kills the process only then."""
    started, _child = parent("switch.arm(clock.now() + 0.2); switch.arm(clock.now() + 3)")
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(timeout=0.6)
    assert started.wait(timeout=15) == -signal.SIGKILL


def test_a_child_starts_with_ignored_signals() -> None:
    """A child that is started with SIGHUP ignored survives a SIGHUP."""
    started, child = parent()
    child.send_signal(signal.SIGHUP)
    let_pass(0.2)
    assert not has_gone(child)
    started.kill()
    started.wait()


@pytest.mark.parametrize("has_exited", [False, True])
def test_a_group_is_killed_only_before_its_first_process_has_exited(has_exited: bool) -> None:
    """A process group is killed only while its first process lives.

    After its exit, other processes may have the number; here, an orphan has it.
    """
    command = f"sleep 60 & echo $!; {'exit' if has_exited else 'wait'}"
    with subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.PIPE, process_group=0
    ) as started:
        assert started.stdout is not None
        member = psutil.Process(int(started.stdout.readline()))
        if has_exited:
            started.wait()
        process.kill_group(started)
        if not has_exited:
            wait_until(lambda: has_gone(member), 15, "the whole group has died")
            return
        let_pass(0.2)
        assert not has_gone(member)
        member.kill()


ANOTHER_USER = """
import os, signal
from wrapper.base import process
child = process.start_child(["sleep", "60"], output=os.open(os.devnull, os.O_WRONLY))
os.setuid(65534)
print(process.send_signal(child, signal.SIGTERM))
"""


def test_a_signal_that_is_not_permitted_is_reported() -> None:
    """If a signal to the child is not permitted, the error says so and gives a fix."""
    ended = subprocess.run(
        [sys.executable, "-c", ANOTHER_USER], stdout=subprocess.PIPE, text=True, check=True
    )
    assert "signal 15 cannot be sent to process" in ended.stdout
    assert "Operation not permitted; start this program as the user" in ended.stdout


LISTENER = """
import socket, subprocess, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
time.sleep(60)
"""


def test_a_child_that_listens_itself_can_be_fenced() -> None:
    """A child that itself listens on the port can be fenced; a process that does not, cannot."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(port)], stdout=subprocess.PIPE
    ) as listener:
        assert listener.stdout is not None
        listener.stdout.readline()
        assert process.why_kill_is_insufficient(listener.pid, port) == ""
        assert "does not listen" in process.why_kill_is_insufficient(os.getpid(), port)
        listener.kill()


def test_a_binary_with_setuid_cannot_be_fenced(tmp_path: Path) -> None:
    """A setuid program cannot be fenced, because its exec clears the parent-death signal."""
    binary = tmp_path / "sleep"
    binary.write_bytes(Path("/bin/sleep").read_bytes())
    binary.chmod(0o4755)
    with subprocess.Popen([str(binary), "60"]) as sleeper:
        assert "setuid" in process.why_kill_is_insufficient(sleeper.pid, 1)
        sleeper.kill()


@pytest.mark.parametrize("change", ["--reuid=65534", "--regid=65534"])
def test_a_child_that_changes_its_user_cannot_be_fenced(change: str) -> None:
    """A child that changes its user, as with su-exec, cannot be fenced.

    The change clears the parent-death signal, so the child outlives its parent.
    """
    started, child = parent("", "setpriv", "--clear-groups", change)
    wait_until(lambda: child.name() == "sleep", 15, "the user has been changed")
    assert "another user or group" in process.why_kill_is_insufficient(child.pid, 1)
    started.kill()
    started.wait()
    let_pass(0.2)
    assert not has_gone(child)
    child.kill()


def test_a_child_that_only_gives_up_rights_can_be_fenced() -> None:
    """A child that gives up groups and capabilities keeps the parent-death signal."""
    words = (
        "setpriv",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
    )
    started, child = parent("", *words)
    wait_until(lambda: child.name() == "sleep", 15, "the rights have been given up")
    assert "does not listen" in process.why_kill_is_insufficient(child.pid, 1)
    started.kill()
    started.wait()
    wait_until(lambda: has_gone(child), 15, "the child has died")


@pytest.mark.parametrize(
    ("of_child", "is_obstacle"),
    [("prometheus (enforce)", True), ("unconfined", False), (None, False)],
)
def test_a_child_with_another_label_cannot_be_fenced(
    monkeypatch: pytest.MonkeyPatch, of_child: str | None, is_obstacle: bool
) -> None:
    """A child with another AppArmor or SELinux label cannot be fenced.

    A profile clears the death signal. A label that cannot be read is no obstacle.
    """
    read_text = Path.read_text

    def read(path: Path, **options: Any) -> str:
        if path.name != "current":
            return read_text(path, **options)
        if path == Path("/proc/self/attr/current"):
            return "unconfined\n"
        if of_child is None:
            raise PermissionError
        return f"{of_child}\0"

    monkeypatch.setattr(Path, "read_text", read)
    why = process.why_kill_is_insufficient(os.getpid(), 1)
    assert ("AppArmor or SELinux" in why) == is_obstacle


# Denies prctl(PR_SET_PDEATHSIG, …) with EPERM: load the number of the call, compare it; load its
# first argument, compare it; return the error; allow.
WITHOUT_DEATH_SIGNALS = """
import ctypes, os, struct, sys
steps = [(0x20, 0, 0, 0), (0x15, 0, 3, {prctl}), (0x20, 0, 0, 16), (0x15, 0, 1, 1),
         (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in steps))
profile = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(filters))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, profile, 0, 0) == 0, ctypes.get_errno()
from wrapper.base import process
child = process.start_child(["sleep", "60"], output=os.open(os.devnull, os.O_WRONLY))
print(child.pid, process.why_kill_is_insufficient(child.pid, 1))
"""
PRCTL = {"x86_64": 157, "aarch64": 167}


def test_a_kernel_that_denies_the_death_signal_is_an_obstacle() -> None:
    """If a seccomp profile denies the parent-death signal, the child cannot be fenced."""
    text = WITHOUT_DEATH_SIGNALS.format(prctl=PRCTL[platform.machine()])
    ended = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, check=True)
    pid, _, why = ended.stdout.decode().partition(" ")
    child = psutil.Process(int(pid))
    let_pass(0.2)
    assert not has_gone(child)
    child.kill()
    assert "denies the parent-death signal (Operation not permitted)" in why


def test_an_ended_process_cannot_be_fenced() -> None:
    """A process that has ended cannot be checked, and so not fenced."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with socket.socket():
        assert "cannot be read" in process.why_kill_is_insufficient(gone.pid, 1)


def test_an_ended_process_is_not_measured() -> None:
    """The usage of a process that has ended is not reported; its exit is reported elsewhere."""

    class Once(threading.Event):
        def wait(self, _timeout: float | None = None) -> bool:
            self.set()
            return True

    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    events: list[Event] = []
    sensors.measure_child(gone.pid, 60.0, events.append, Once())
    assert events == []


WITHOUT_DESCRIPTORS = """
import os, resource, threading
from wrapper.supervision import sensors
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
class Ended(threading.Event):
    def wait(self, timeout=None):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
ended = Ended()
def report(event):
    print(event.usage["threads"])
    ended.set()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
sensors.measure_child(os.getpid(), 60.0, report, ended)
"""


def test_a_measurement_that_fails_is_repeated() -> None:
    """If the first measurement fails because no descriptor is free, it is repeated."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1.0\n"


def test_empty_proc_files_are_handled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files in /proc give an OSError for the usage, and no listener for the port."""
    (empty := tmp_path / "empty").touch()
    monkeypatch.setattr(child_usage, "_KERNEL", empty)
    with pytest.raises(OSError, match="No data available"):
        usage(os.getpid())
    monkeypatch.setattr(process, "_TCP_TABLES", (str(empty),))
    assert "does not listen" in process.why_kill_is_insufficient(os.getpid(), 1)


def test_usage_equals_psutils(tmp_path: Path) -> None:
    """The usage of a process equals psutil's, also if its name contains ")"."""
    (program := tmp_path / "a) 1 (2").symlink_to(shutil.which("sleep") or "")
    with subprocess.Popen([program, "60"]) as sleeper:
        assert psutil.Process(sleeper.pid).name() == program.name
        # Until it sleeps, the two measurements may differ.
        wait_until(lambda: usage(sleeper.pid) == _by_psutil(sleeper.pid), 15, "both say the same")
        sleeper.kill()


def _by_psutil(pid: int) -> dict[str, Any]:
    found = psutil.Process(pid)
    times, memory = found.cpu_times(), found.memory_info()
    return {
        "resident_memory_bytes": memory.rss,
        "virtual_memory_bytes": memory.vms,
        "cpu_seconds": pytest.approx(times.user + times.system),
        "open_fds": found.num_fds(),
        "max_fds": found.rlimit(resource.RLIMIT_NOFILE)[0],
        "threads": found.num_threads(),
        "start_time_seconds": found.create_time(),
    }
