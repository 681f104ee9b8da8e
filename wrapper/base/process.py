"""Starts child processes that die with this one, and has the dead-man's switch; Linux only.

Guarantees:

- The kernel kills a child that was started here when the thread that started it ends. So start
  children from the main thread.
- While the switch is armed, the kernel kills this process at the set time, even if it is stopped or
  deadlocked.

Limitations:

- The death signal reaches the direct child only. An exec of a file with capabilities or setuid
  clears it, and so does a change of the user or group.
- A seccomp profile can deny the death signal; ``why_kill_is_insufficient`` detects that.
- The kernel ignores the switch in PID 1 of a PID namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wrapper.base import core_files

_PR_SET_PDEATHSIG = 1
_PR_GET_PDEATHSIG = 2
_CLOCK_BOOTTIME = 7
_SIGEV_SIGNAL = 0
_TIMER_ABSTIME = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Child:
    """Prometheus' process, and the wall-clock time of its start."""

    process: subprocess.Popen[bytes]
    start_time: float


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the line above
        os._exit(1)


def start_child(  # noqa: PLR0913 - each is one fact about the child
    command: Sequence[str],
    *,
    inherit: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    ignore: Sequence[int] = (),
    output: int | None = None,
    dumps_core: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own; it is killed when the calling thread ends.

    - ``inherit``: descriptors that the child keeps open;
    - ``environment``: its environment; None for that of this process;
    - ``ignore``: signals that it ignores from the start;
    - ``output``: the descriptor for its stdout and stderr; None for those of this process;
    - ``dumps_core``: it gets the limit for core files that this process was started with.

    Raises OSError if the command cannot be started.
    """
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        for number in ignore:
            signal.signal(number, signal.SIG_IGN)
        if dumps_core:
            core_files.restore_limit()

    return subprocess.Popen(
        list(command),
        pass_fds=tuple(inherit),
        env=environment,
        stdout=output,
        stderr=output,
        process_group=0,
        preexec_fn=prepare,  # noqa: PLW1509 - before any thread runs
    )


def send_signal(child: subprocess.Popen[bytes], number: int) -> str:
    """Send a signal to the child itself, unless it has ended; return why not, "" if it was sent."""
    try:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)
    except PermissionError as error:  # it has changed its user, as su-exec does
        return (
            f"signal {int(number)} cannot be sent to process {child.pid}: "
            f"{error.strerror}; start this program as the user that the process runs as"
        )
    return ""


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's process group, unless the child has exited.

    After the exit, the number may be that of another group. So the child's own children have to die
    with it (``die_with_parent``).
    """
    if child.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


class _SignalEvent(ctypes.Structure):
    """``struct sigevent`` of Linux: 64 bytes, of which a signal needs the first three fields."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("number", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_byte * 48),
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class DeadMansSwitch:
    """A kernel timer that kills this process at a set time of CLOCK_BOOTTIME, unless reset."""

    def __init__(self) -> None:
        """Create the timer, disarmed; raise OSError if that fails."""
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(number=signal.SIGKILL, notify=_SIGEV_SIGNAL)
        _check(
            _LIBC.timer_create(
                ctypes.c_int(_CLOCK_BOOTTIME), ctypes.byref(event), ctypes.byref(self._timer)
            )
        )

    def arm(self, at: float) -> None:
        """Set the time at which this process is killed; a past time kills it at once."""
        self._set(max(at, 0.001))

    def disarm(self) -> None:
        """Stop the timer."""
        self._set(0.0)

    def _set(self, at: float) -> None:
        whole = int(at)
        value = _TimeSpec(whole, int((at - whole) * 1e9))
        spec = _TimerSpec(_TimeSpec(0, 0), value)
        _check(_LIBC.timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(spec), None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def why_kill_is_insufficient(pid: int, port: int) -> str:
    """Return why killing this process would not stop the server on ``port``, "" if it would.

    The kernel must permit the death signal. The process itself must own the listening socket, not a
    child that a script started. Its binary must have neither capabilities nor setuid, which clear
    the death signal. Nor may it have changed its user or group, as su-exec does, or its label of
    AppArmor or SELinux, as a profile for its binary does.
    """
    if problem := _death_signal_problem():
        return problem
    executable = f"/proc/{pid}/exe"
    try:
        mode = Path(executable).stat().st_mode
        if mode & 0o6000 or _has_capabilities(executable):
            return "its binary has capabilities or setuid, which clear the parent-death signal"
        if _user_and_group(str(pid)) != _user_and_group("self"):
            return (
                "it runs as another user or group than this program, and that change clears the "
                "parent-death signal; start this program as the user and group of Prometheus"
            )
        if len(_labels("self", str(pid))) > 1:
            return (
                "AppArmor or SELinux gives it another label than this program, and that change "
                "clears the parent-death signal; have both run under the same label"
            )
        owned = _sockets_of(pid)
    except OSError as error:
        return f"/proc/{pid} cannot be read: {error.strerror}"
    if owned & _listeners(port):
        return ""
    return (
        f"process {pid} does not listen on port {port} itself; "
        "start Prometheus with exec, not as a script's child"
    )


def _death_signal_problem() -> str:
    """Return why the kernel denies the death signal, "" if it permits it.

    A child inherits the seccomp profile, so what this thread may do, the child could do too.
    """
    current = ctypes.c_int()
    try:
        _check(_LIBC.prctl(_PR_GET_PDEATHSIG, ctypes.byref(current), 0, 0, 0))
        _check(_LIBC.prctl(_PR_SET_PDEATHSIG, current, 0, 0, 0))  # changes nothing
    except OSError as error:
        return (
            f"the kernel denies the parent-death signal ({error.strerror}); "
            "permit the system call prctl in the seccomp profile"
        )
    return ""


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _user_and_group(process: str) -> list[str]:
    """Return the lines of /proc/PROCESS/status with all ids of its user and its group."""
    lines = Path(f"/proc/{process}/status").read_text(errors="replace").splitlines()
    return [line for line in lines if line.startswith(("Uid:", "Gid:"))]


def _labels(*processes: str) -> set[str]:
    """Return the labels that AppArmor or SELinux gives to processes, if they are readable."""
    found = set()
    for each in processes:
        with contextlib.suppress(OSError):  # there may be no such module
            found.add(Path(f"/proc/{each}/attr/current").read_text(errors="replace").rstrip("\0\n"))
    return found


def _sockets_of(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    return found


def _listeners(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on a port, from /proc/net/tcp and tcp6."""
    found = set()
    for table in _TCP_TABLES:
        with contextlib.suppress(OSError), Path(table).open(encoding="ascii") as lines:
            next(lines, "")  # the heading
            for line in lines:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


_TCP_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"
