"""The thread that watches the inputs. It reads, renders and reports each finished change.

The kernel reports most changes at once (``file_events``), and ``debounce`` decides when to read the
files. A periodic reading detects the other changes. Such a change counts only if two readings in a
row have the same result. Otherwise, half-written files could be taken for a new configuration.
"""

from __future__ import annotations

import logging
import os
import select
import traceback
from collections.abc import Callable
from pathlib import Path

from wrapper.base import clock
from wrapper.configuration.debounce import SETTLE_S, Change, Settling
from wrapper.configuration.file_events import FileEvents
from wrapper.configuration.inputs import Inputs
from wrapper.model.events import ConfigurationRead, ConfigurationRejected, Event

LOG = logging.getLogger(__name__)
REFUSED_PERIOD_S = 30.0  # refused inputs are checked again after this: other files may be fixed


def log_ignored_parts(inputs: Inputs) -> None:
    """Log the parts of the inputs that are not used."""
    for line in inputs.ignored_parts():
        LOG.warning("a part of the configuration is not used", extra={"reason": line})


def log_notes(inputs: Inputs) -> None:
    """Log which parts of valid inputs surely do not do what was meant."""
    for line in inputs.notes:
        LOG.warning("a failover may lose samples despite the gate", extra={"reason": line})
    for note in inputs.receiver_notes:
        if note.is_sure:
            LOG.warning("a receiver does not accept the samples", extra={"reason": note.line})
    for line in inputs.relabeling_notes():
        LOG.warning("a relabeling rule changes other rules", extra={"reason": line})


class InputWatch:
    """Reads the inputs when they have changed, periodically, and on request."""

    def __init__(
        self,
        inputs: Inputs,
        period_s: float,
        report: Callable[[Event], None],
        show: Callable[[Inputs], None] = lambda _inputs: None,
    ) -> None:
        """Take the inputs, which were read at the start; ``run`` is the thread's body.

        ``show`` is called with valid inputs, first with those of the start.
        """
        self._inputs = inputs
        self._show = show
        self._period_s = period_s
        self._report = report
        self._asked = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._asked, select.POLLIN)
        self._events: FileEvents | None = None
        self._settling = Settling()
        self._suspect: object = None
        self._has_warned = False
        self._is_ended = False
        self._periodic_read_at = 0.0  # at once: inputs may have changed since the start
        self._refused_until = 0.0
        self._reported: ConfigurationRead | ConfigurationRejected | None = None

    def look(self) -> None:
        """Request a reading now, even if a change is not finished."""
        os.eventfd_write(self._asked, 1)

    def run(self) -> None:
        """Wait, read, and report, until ``end``."""
        self._subscribe()
        self._show(self._inputs)
        while not self._is_ended:
            is_asked = self._wait()
            self._take_in_changes()
            next_read_at, now = self._settling.next_read_at(), clock.now()
            if is_asked or (next_read_at is not None and next_read_at <= now):
                self._look(now)
            elif self._periodic_read_at <= now:
                self._read_periodically(now)
        if self._events is not None:
            self._events.close()

    def end(self) -> None:
        """Read a last time, then stop."""
        self._is_ended = True
        self.look()

    def _subscribe(self) -> None:
        try:
            self._events = FileEvents()
        except OSError as error:
            self._warn_no_inotify(error)
            return
        self._poll.register(self._events.fileno(), select.POLLIN)
        self._follow()

    def _wait(self) -> bool:
        """Wait for a change, a request or the next reading; return whether there was a request."""
        next_read_at = self._settling.next_read_at()
        wake_at = (
            self._periodic_read_at
            if next_read_at is None
            else min(next_read_at, self._periodic_read_at)
        )
        ready = dict(self._poll.poll(max(0.0, wake_at - clock.now()) * 1000))
        if self._asked in ready:
            os.eventfd_read(self._asked)
        return self._asked in ready

    def _take_in_changes(self) -> None:
        """Record the kernel's events, and renew the watches if names have changed."""
        if self._events is None:
            return
        changes = self._events.read()
        if any(change is not Change.WRITING for change, _ in changes):
            self._follow()
        now = clock.now()
        for change, path in changes:
            if self._events.follows(path):
                self._settling.note(change, path, now)
        gone = [path for path in self._settling.held if not self._events.follows(path)]
        self._settling.release(gone)

    def _follow(self) -> None:
        if self._events is not None:
            try:
                self._events.follow(self._inputs.sources.paths)
            except OSError as error:
                self._warn_no_inotify(error)

    def _look(self, now: float) -> None:
        """Read the inputs, and report a change since the last reading."""
        self._settling.record_read(now)
        self._suspect = None
        self._periodic_read_at = now + self._period_s
        event = self._changed()
        self._refused_until = clock.now() + REFUSED_PERIOD_S
        if event is None or (event == self._reported and isinstance(event, ConfigurationRejected)):
            return
        self._reported = event
        self._report(event)
        if isinstance(event, ConfigurationRead):
            log_ignored_parts(self._inputs)
            log_notes(self._inputs)
            self._show(self._inputs)

    def _changed(self) -> ConfigurationRead | ConfigurationRejected | None:
        """Return a change of the inputs; after an unexpected error, that they are rejected.

        The error must not end the thread, which would then miss later changes.
        """
        try:
            return self._inputs.changed()
        except Exception as error:  # noqa: BLE001 - see above
            return _rejected(error)

    def _changed_contents(self) -> object | None:
        """Return the contents if they have changed; an unexpected error counts as a change."""
        try:
            return self._inputs.changed_contents()
        except Exception as error:  # noqa: BLE001 - see ``_changed``
            return _rejected(error)

    def _read_periodically(self, now: float) -> None:
        """Read the inputs without an event; a change counts if it is found twice in a row."""
        self._follow()
        seen = None if self._settling.is_held(now) else self._changed_contents()
        is_due = self._inputs.is_refused and self._refused_until <= now
        if is_due or (seen is not None and seen == self._suspect):
            self._look(now)
            return
        self._suspect = seen
        self._periodic_read_at = now + (self._period_s if seen is None else SETTLE_S)

    def _warn_no_inotify(self, error: OSError) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        LOG.warning(
            "inotify unavailable: changed inputs are only noticed by reading them periodically",
            extra={"reason": str(error), "period_s": self._period_s},
        )


def _rejected(error: Exception) -> ConfigurationRejected:
    """Return what is reported of inputs that cannot be read because of an unexpected error."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"({type(error).__name__} in {Path(place.filename).name}:{place.lineno})"
    return ConfigurationRejected(f"the inputs cannot be read {where}; simplify them")
