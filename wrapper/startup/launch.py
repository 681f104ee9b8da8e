"""Starts Prometheus, after the steps that have to come first.

The order matters. Signals are queued before anything is started. The output file is locked, and
contains the follower rendering, before Prometheus starts. Most modules are imported only after
that, because each import delays Prometheus.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from wrapper.base import allocator, clock, core_files, durations, early_signals, files, process
from wrapper.base.process import Child
from wrapper.base.thread_group import ThreadGroup
from wrapper.base.threads import ThreadRefused
from wrapper.documents.problems import MOST_LOGGED
from wrapper.election.file_lease import FileLease
from wrapper.model.events import ChildExited, SignalReceived
from wrapper.model.lease import LeaseUnavailable
from wrapper.options.prometheus_args import FLUSH_DEADLINE, with_argument, with_config_file
from wrapper.options.settings import Mode, Settings
from wrapper.startup.startup_state import RefusedInput, StartupHandles, StartupState
from wrapper.supervision.event_queue import Events

LOG = logging.getLogger(__name__)
BAD_INPUT = 2
PREDECESSOR_WAIT_S = 5.0  # for another process to release the lock of the output
FLUSH_SHARE = 0.5  # of the lease's margin
LEAST_FLUSH_S = 0.1
GATE_BACKLOG = 512  # more than the shards of all queues, which connect while the gate restarts
REFUSED_VARIABLE = "_PROMETHEUS_ELECTOR_REFUSED"
LAST_IN_FORCE = "configuration rejected; using the last good one"


def write_once(start: StartupState) -> int:
    """Write the follower rendering to the output file; return the exit status."""
    log_refusal(start)
    try:
        files.write_atomically(start.output, start.first.content, start.settings.files.output_mode)
    except OSError as error:
        LOG.error("output file cannot be written", extra={"reason": str(error)})  # noqa: TRY400
        return 1
    source = start.inputs.sources.config
    if start.last_good is not None:
        source = start.saved.follower
    LOG.info("follower rendering written", extra={"output": start.output, "made_from": source})
    return 0


def supervise(start: StartupState) -> int:
    """Start Prometheus and supervise it until it exits or a stop is requested.

    Return the exit status.
    """
    events = Events()
    events.listen_to_signals()
    try:
        handles = StartupHandles() if start.is_plain else _open_handles(start)
    except (files.OutputInUse, LeaseUnavailable, OSError) as error:
        LOG.error("cannot start", extra={"reason": str(error)})  # noqa: TRY400
        return BAD_INPUT
    log_refusal(start)
    recover_rules(start.settings)
    try:
        child = _start_prometheus(start, handles.locks)
    except OSError as error:
        LOG.error("cannot start Prometheus", extra={"reason": _why_not_run(start, error)})  # noqa: TRY400
        return BAD_INPUT
    try:
        status, re_executes = _supervise(start, events, child, handles)
    except ThreadRefused as error:  # the kernel kills Prometheus when this process exits
        LOG.error("cannot start", extra={"reason": error.strerror})  # noqa: TRY400
        return BAD_INPUT
    if re_executes and not _is_stop_requested(events):
        _re_execute(RefusedInput(start.first.fingerprint, status))
    events.ignore_signals()
    return status


def _supervise(
    start: StartupState, events: Events, child: Child | None, handles: StartupHandles
) -> tuple[int, bool]:
    """Supervise a Prometheus that has been started; return as ``assembly.supervise`` does."""
    allocator.use_one_arena()
    threads = ThreadGroup(events.put)
    if child is not None:
        running = child.process
        threads.start("wait-prometheus", lambda: events.put(ChildExited(running.wait())))
    from wrapper.startup import assembly  # noqa: PLC0415 - heavy, and Prometheus runs by now

    return assembly.supervise(start, events, threads, child, handles)


def log_refusal(start: StartupState) -> None:
    """Log why Prometheus is started with the configuration that was last in force, if it is."""
    for reason in start.refusal[:MOST_LOGGED]:
        LOG.error(LAST_IN_FORCE, extra={"reason": reason})


def _is_stop_requested(events: Events) -> bool:
    """Return whether a signal to stop is in the queue."""
    from wrapper.supervision.stop_requests import STOP_SIGNALS  # noqa: PLC0415 - loaded by now

    while (event := events.waiting()) is not None:
        if isinstance(event, SignalReceived) and event.number in STOP_SIGNALS:
            return True
    return False


def _re_execute(refused: RefusedInput) -> None:
    """Execute this program again, in the same process; return only on failure.

    An environment variable passes on ``refused``: the rendering with which Prometheus exited, and
    its status. Nothing else of this run remains: no thread, no lock, no timer; Prometheus and the
    web server have exited. The gate was killed; it keeps the lock of the output until it has ended,
    so the next run waits for that before it listens on the gate's port.
    """
    core_files.restore_limit()
    early_signals.disregard_during_exec()
    environ = {**os.environ, REFUSED_VARIABLE: f"{refused.fingerprint}:{refused.status}"}
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 - no shell
    except OSError as error:
        text = "prometheus-elector cannot execute itself again"
        LOG.error(text, extra={"program": sys.executable, "reason": str(error)})  # noqa: TRY400


def refused_before() -> RefusedInput | None:
    """Return what ``_re_execute`` has passed on, None without; remove the variable."""
    fingerprint, _, status = os.environ.pop(REFUSED_VARIABLE, "").partition(":")
    return RefusedInput(fingerprint, int(status)) if status.isdecimal() else None


def _open_handles(start: StartupState) -> StartupHandles:
    """Lock and write the output file, open the lock file, and open the gate's socket."""
    if start.own_folder is not None:
        files.make_own_folder(start.own_folder)
    output_lock = files.OutputLock(start.output, wait_s=PREDECESSOR_WAIT_S)
    for path in (start.output, *start.saved.paths):
        files.remove_leftovers(path)
    file_lease = _file_lease(start)
    files.write_atomically(start.output, start.first.content, start.settings.files.output_mode)
    return StartupHandles(file_lease, output_lock, _gate_listener(start))


def _file_lease(start: StartupState) -> FileLease | None:
    """Return the lock file, None if the leader is not elected by one."""
    if start.lock.kind != "file":
        return None
    settings = start.settings
    path, incarnation = Path(start.lock.path), settings.replica.incarnation
    return FileLease(path, incarnation, is_inherited=settings.mode.owns_child)


def _gate_listener(start: StartupState) -> socket.socket | None:
    """Return the gate's listening socket, None without a gate; raise OSError that names the flag.

    The socket is opened before Prometheus starts to send, and stays open while the gate restarts.
    """
    gate = start.settings.gate
    if not gate.enabled:
        return None
    family = socket.AF_INET6 if ":" in gate.address.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((gate.address.host, gate.address.port))
        listener.listen(GATE_BACKLOG)
    except OSError as error:
        listener.close()
        wrong = f"--remote-write-gate-listen-address={gate.address}: {error.strerror}"
        raise OSError(f"{wrong}; choose another port") from error
    return listener


def recover_rules(settings: Settings) -> None:
    """Restore the last good rules if an earlier run ended before newer rules were confirmed.

    This is called twice: before the inputs are checked, because promtool would refuse them with
    invalid rules; and again when an earlier process of this replica has exited.
    """
    if settings.mode.is_init or not settings.targets.feeds:
        return
    from wrapper.targets.target_file import unsettled_in  # noqa: PLC0415 - few fetch files

    for folder in sorted({Path(feed.path).parent for feed in settings.targets.feeds}):
        for file in unsettled_in(folder):
            try:
                file.restore()
            except OSError as error:
                extra = {"file": file.path, "reason": str(error)}
                LOG.error("last good rules cannot be restored", extra=extra)  # noqa: TRY400
            else:
                text = "last good rules restored: the newer ones were never confirmed"
                LOG.warning(text, extra={"file": file.path})


def _start_prometheus(start: StartupState, inherit: tuple[int, ...]) -> Child | None:
    """Start Prometheus, with SIGHUP ignored: an early SIGHUP would terminate it."""
    if not start.settings.mode.owns_child:
        return None
    child = process.start_child(
        _command(start), inherit=inherit, ignore=(signal.SIGHUP,), dumps_core=True
    )
    return Child(child, clock.wall())


def _why_not_run(start: StartupState, error: OSError) -> str:
    """Return why the command cannot be executed, with the cure if it is the file's fault."""
    is_of_file = error.errno in {errno.ENOEXEC, errno.ENOENT}
    cure = "; name a program for this machine, or a script whose interpreter exists"
    return f"{start.settings.child[0]}: {error.strerror}{cure if is_of_file else ''}"


def _lacks_file(start: StartupState) -> bool:
    """Return whether the command leaves the output to Prometheus' default.

    That differs: in Debian's build, it is /etc/prometheus/prometheus.yml. A script may name the
    output itself.
    """
    settings = start.settings
    is_prometheus = settings.mode is Mode.OWNER and Path(settings.child[0]).name == "prometheus"
    return is_prometheus and not start.arguments.names_config_file


def _command(start: StartupState) -> tuple[str, ...]:
    """Return the command of Prometheus, with the output as its file and with a flush deadline.

    The deadline is a part of the lease's margin. No deadline is added without an election, or if
    the command already has one.
    """
    settings = start.settings
    command = settings.child
    if (settings.mode.reads_child_config and not start.is_plain) or _lacks_file(start):
        command = with_config_file(command, str(start.output))
    if start.lock.kind == "none" or start.arguments.flush_deadline is not None:
        return command
    deadline_s = max(settings.lease.margin_s * FLUSH_SHARE, LEAST_FLUSH_S)
    return with_argument(command, FLUSH_DEADLINE, durations.prometheus_duration(deadline_s))
