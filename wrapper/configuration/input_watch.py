"""The thread that watches the inputs: a change that is finished is read, rendered, reported.

The kernel tells most changes at once (``file_events``), ``settling`` says when to look. What the
kernel does not tell, a slow re-hash finds: there, only what two looks in a row find alike counts,
so that no file in the middle of being written is taken for a new configuration.
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
REFUSED_PERIOD_S = 30.0  # what was refused is put to the judge again: the fault may lie elsewhere


def say_left_out(inputs: Inputs) -> None:
    """Log what of the inputs counts for nothing."""
    for line in inputs.left_out():
        LOG.warning("a part of the configuration is not used", extra={"reason": line})


class InputWatch:
    """Looks at the inputs when they have changed, now and then, or when asked to."""

    def __init__(
        self,
        inputs: Inputs,
        period_s: float,
        report: Callable[[Event], None],
        show: Callable[[Inputs], None] = lambda _inputs: None,
    ) -> None:
        """Take the inputs as they were read at the start; ``run`` is the thread's body.

        ``show`` is told of good inputs, those of the start too.
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
        self._is_said = False
        self._is_ended = False
        self._rehash_at = 0.0  # at once: they may have changed since the start
        self._refused_until = 0.0
        self._reported: ConfigurationRead | ConfigurationRejected | None = None

    def look(self) -> None:
        """Look now, whatever is under way."""
        os.eventfd_write(self._asked, 1)

    def run(self) -> None:
        """Wait, look, and report, until ``end``."""
        self._subscribe()
        self._show(self._inputs)
        while not self._is_ended:
            is_asked = self._wait()
            self._take_in_changes()
            look_at, now = self._settling.look_at(), clock.now()
            if is_asked or (look_at is not None and look_at <= now):
                self._look(now)
            elif self._rehash_at <= now:
                self._rehash(now)
        if self._events is not None:
            self._events.close()

    def end(self) -> None:
        """Look once more, then no more."""
        self._is_ended = True
        self.look()

    def _subscribe(self) -> None:
        try:
            self._events = FileEvents()
        except OSError as error:
            self._say_blind(error)
            return
        self._poll.register(self._events.fileno(), select.POLLIN)
        self._follow()

    def _wait(self) -> bool:
        """Wait for a change or until it is time to look; tell whether a look was asked for."""
        look_at = self._settling.look_at()
        wake_at = self._rehash_at if look_at is None else min(look_at, self._rehash_at)
        ready = dict(self._poll.poll(max(0.0, wake_at - clock.now()) * 1000))
        if self._asked in ready:
            os.eventfd_read(self._asked)
        return self._asked in ready

    def _take_in_changes(self) -> None:
        """Note what the kernel has told; where names have changed, the watches follow them."""
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
                self._say_blind(error)

    def _look(self, now: float) -> None:
        """Read what has changed since the last look, and report it."""
        self._settling.looked(now)
        self._suspect = None
        self._rehash_at = now + self._period_s
        event = self._changed()
        self._refused_until = clock.now() + REFUSED_PERIOD_S
        if event is None or (event == self._reported and isinstance(event, ConfigurationRejected)):
            return
        self._reported = event
        self._report(event)
        if isinstance(event, ConfigurationRead):
            say_left_out(self._inputs)
            self._show(self._inputs)

    def _changed(self) -> ConfigurationRead | ConfigurationRejected | None:
        """Return what the inputs say of changes; what nobody foresaw rejects them.

        Ending this thread instead would lose every later change, and nobody would be told.
        """
        try:
            return self._inputs.changed()
        except Exception as error:  # noqa: BLE001 - see above
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"({type(error).__name__} in {Path(place.filename).name}:{place.lineno})"
            return ConfigurationRejected(f"the inputs cannot be read {where}; simplify them")

    def _rehash(self, now: float) -> None:
        """Look for changes that nobody told of; what differs has to do so twice in a row."""
        self._follow()
        seen = None if self._settling.is_held(now) else self._inputs.differing()
        is_due = self._inputs.is_refused and self._refused_until <= now
        if is_due or (seen is not None and seen == self._suspect):
            self._look(now)
            return
        self._suspect = seen
        self._rehash_at = now + (self._period_s if seen is None else SETTLE_S)

    def _say_blind(self, error: OSError) -> None:
        if self._is_said:
            return
        self._is_said = True
        LOG.warning(
            "the kernel does not tell of changed inputs: they are seen when they are read again",
            extra={"reason": str(error), "period_s": self._period_s},
        )
