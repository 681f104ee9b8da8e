"""Starting: what comes before Prometheus, in the order that safety asks for, and Prometheus itself.

The order is the point: signals are queued before there is anything to signal, the output file is
locked and *is* the follower rendering before Prometheus starts, and what only the rest needs is
imported after that: each module here is a part of the time until somebody writes.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from wrapper.base import clock, durations, files, process
from wrapper.base.actors import Actors
from wrapper.base.process import Child
from wrapper.documents.problems import MOST_LOGGED
from wrapper.election.file_lease import FileLease
from wrapper.model.events import ChildExited, SignalReceived
from wrapper.model.lease import LeaseUnavailable
from wrapper.options.prometheus_args import FLUSH_DEADLINE, with_argument, with_config_file
from wrapper.options.settings import Settings
from wrapper.startup.start import RefusedInput, Start
from wrapper.supervision.event_queue import Events

LOG = logging.getLogger(__name__)
BAD_INPUT = 2
PREDECESSOR_WAIT_S = 5.0
FLUSH_SHARE = 0.5
LEAST_FLUSH_S = 0.1
REFUSED_VARIABLE = "_PROMETHEUS_ELECTOR_REFUSED"
LAST_IN_FORCE = "configuration rejected; the last one in force is used"


def write_once(start: Start) -> int:
    """Write the follower rendering; return the exit status."""
    say_refusal(start)
    try:
        files.write_atomically(start.output, start.first.content, start.settings.files.output_mode)
    except OSError as error:
        LOG.error("the follower rendering cannot be written", extra={"reason": str(error)})  # noqa: TRY400
        return 1
    source = start.inputs.sources.config
    if start.last_good is not None:
        source = start.keeper.follower
    LOG.info("follower rendering written", extra={"output": start.output, "made_from": source})
    return 0


def supervise(start: Start) -> int:
    """Run until Prometheus has ended or we are told to; return the exit status."""
    events = Events()
    events.listen_to_signals()
    try:
        file_lease, inherit = (None, ()) if start.is_plain else _take_files(start)
    except (files.OutputInUse, LeaseUnavailable, OSError) as error:
        LOG.error("cannot start", extra={"reason": str(error)})  # noqa: TRY400
        return BAD_INPUT
    say_refusal(start)
    recover_rules(start.settings)
    actors = Actors(events.put)
    child = _start_prometheus(start, inherit, events, actors)
    from wrapper.startup import assembly  # noqa: PLC0415 - heavy, and Prometheus runs by now

    status, starts_over = assembly.supervise(start, events, actors, child, file_lease)
    if starts_over and not _is_told_to_stop(events):
        _start_over(RefusedInput(start.first.fingerprint, status))
    return status


def say_refusal(start: Start) -> None:
    """Log why Prometheus runs with the last configuration that it had in force, where it does."""
    for reason in start.refusal[:MOST_LOGGED]:
        LOG.error(LAST_IN_FORCE, extra={"reason": reason})


def _is_told_to_stop(events: Events) -> bool:
    """Tell whether somebody has asked for an end that nobody has acted on yet."""
    from wrapper.supervision.leaving import STOP_SIGNALS  # noqa: PLC0415 - loaded by now

    while (event := events.waiting()) is not None:
        if isinstance(event, SignalReceived) and event.number in STOP_SIGNALS:
            return True
    return False


def _start_over(refused: RefusedInput) -> None:
    """Start this program again in its own place, with word of what Prometheus ended with.

    Returns only where that cannot be done.

    Nothing of this run is left then: no thread, no lock, no timer; Prometheus and the web server
    have ended. The process id stays, and with it whoever waits for this process.
    """
    environ = {**os.environ, REFUSED_VARIABLE: f"{refused.fingerprint}:{refused.status}"}
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 - no shell
    except OSError as error:
        text = "this program cannot be started again in its place"
        LOG.error(text, extra={"program": sys.executable, "reason": str(error)})  # noqa: TRY400


def refused_before() -> RefusedInput | None:
    """Take the word of an earlier run in this place out of the environment; None without any."""
    fingerprint, _, status = os.environ.pop(REFUSED_VARIABLE, "").partition(":")
    return RefusedInput(fingerprint, int(status)) if status.isdecimal() else None


def _take_files(start: Start) -> tuple[FileLease | None, tuple[int, ...]]:
    """Write the follower rendering, ours alone; return the lock file, and what is inherited."""
    if start.own_folder is not None:
        files.make_own_folder(start.own_folder)
    output_lock = files.OutputLock(start.output, wait_s=PREDECESSOR_WAIT_S)
    file_lease = _file_lease(start)
    files.write_atomically(start.output, start.first.content, start.settings.files.output_mode)
    lock_fds = () if file_lease is None else (file_lease.fileno(),)
    return file_lease, (output_lock.fileno(), *lock_fds)


def _file_lease(start: Start) -> FileLease | None:
    """Return the lock file that elects the leader, None where none does."""
    if start.lock.kind != "file":
        return None
    settings = start.settings
    path, incarnation = Path(start.lock.path), settings.replica.incarnation
    return FileLease(path, incarnation, is_inherited=settings.mode.owns_child)


def recover_rules(settings: Settings) -> None:
    """Put the last good rules back where an earlier run ended before newer ones were confirmed.

    Once before the inputs are looked at, since promtool would refuse them with bad rules, and again
    when a predecessor has ended.
    """
    if settings.mode.is_init or not settings.targets.feeds:
        return
    from wrapper.targets.target_file import unsettled_in  # noqa: PLC0415 - few fetch files

    for folder in sorted({Path(feed.path).parent for feed in settings.targets.feeds}):
        for file in unsettled_in(folder):
            try:
                file.put_back()
            except OSError as error:
                extra = {"file": file.path, "reason": str(error)}
                LOG.error("the last good rules cannot be put back", extra=extra)  # noqa: TRY400
            else:
                text = "rules were never confirmed: the last good ones are back"
                LOG.warning(text, extra={"file": file.path})


def _start_prometheus(
    start: Start, inherit: tuple[int, ...], events: Events, actors: Actors
) -> Child | None:
    """Start Prometheus, with SIGHUP ignored: an early one would end it."""
    if not start.settings.mode.owns_child:
        return None
    child = process.start_child(_command(start), inherit=inherit, ignore=(signal.SIGHUP,))
    actors.start("wait-prometheus", lambda: events.put(ChildExited(child.wait())))
    return Child(child, clock.wall())


def _command(start: Start) -> tuple[str, ...]:
    """Return the child's command; its flush deadline is inside the margin unless it has its own."""
    settings = start.settings
    command = settings.child
    if settings.mode.is_stand_in and not start.is_plain:
        command = with_config_file(command, str(start.output))
    if start.lock.kind == "none" or start.arguments.flush_deadline is not None:
        return command
    deadline_s = max(settings.lease.margin_s * FLUSH_SHARE, LEAST_FLUSH_S)
    return with_argument(command, FLUSH_DEADLINE, durations.prometheus_duration(deadline_s))
