"""The elector thread: sends the requests that ``lease_rules`` decides, and reports the results.

It decides nothing about Prometheus. In each round, the supervisor's loop orders a stance (contend,
hold or release), and the thread brings the lease to that stance.

Guarantee: it writes to the lease only while that order is recent. So a supervisor that hangs loses
its lease.

Limitations: the time of a request is limited by the lock, not here. The watch only saves time: if
it misses a change, the change is found when the lease expires on the local clock.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from dataclasses import dataclass, replace

from wrapper.base import clock
from wrapper.base.backoff import backoff_s
from wrapper.election import lease_rules
from wrapper.election.lease_rules import LeaseRequest, LeaseTerms
from wrapper.model.events import LeaseAsked, LeaseReported
from wrapper.model.gate import Marks, without_far
from wrapper.model.lease import LeaseConflict, LeaseLock, LeaseUnavailable, LeaseView, ObservedLease
from wrapper.model.roles import Stance

LOG = logging.getLogger(__name__)

# Long waits are split: the clock of a waiting thread does not advance while the machine sleeps.
LONGEST_WAIT_S = 1.0
WATCH_PAUSE_S = 0.2
WATCH_LONGEST_PAUSE_S = 30.0
SHORTEST_WATCH_S = 1.0  # a watch that ends earlier counts as failed, however it ends
WATCH_LASTS_S = 5.0  # a watch that the server refuses ends earlier
ORPHAN_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class _Changed:
    """The watch ``number`` has seen this lease; None: it has changed and must be read."""

    number: int
    seen: ObservedLease | None


@dataclass(frozen=True, slots=True)
class _WatchEnded:
    """The watch ``number`` has ended, or failed; ``refusal`` says if a right is missing."""

    number: int
    has_failed: bool
    refusal: str = ""


class Elector:
    """Contends for one lease; ``run`` is the thread's function.

    ``report`` is called with each change of the view, and with the result of each request.
    ``start(name, run)`` must run the watch in a thread with that name.
    """

    def __init__(
        self,
        lock: LeaseLock,
        terms: LeaseTerms,
        report: Callable[[LeaseReported | LeaseAsked], None],
        start: Callable[[str, Callable[[], None]], None],
        now: Callable[[], float] = clock.now,
    ) -> None:
        """Store the arguments; no thread is started."""
        self._lock = lock
        self._terms = terms
        self._report = report
        self._start = start
        self._now = now
        self._is_ended = False
        self._inbox: queue.SimpleQueue[_Changed | _WatchEnded | None] = queue.SimpleQueue()
        self._stance = Stance.RELEASE
        self._ordered_at = now()
        self._view = LeaseView()
        self._marks: Marks = {}
        self._watch_number = 0
        self._watch_runs = False
        self._watch_at = 0.0
        self._watch_lasts_at = 0.0  # from then on, it has not been refused
        self._watch_failures = 0

    def instruct(self, stance: Stance, now: float, marks: Marks | None = None) -> None:
        """Set the supervisor's order for this round; it stays valid for one retry period.

        ``marks`` are written to the lease with the next renewal or release.
        """
        self._marks = marks or {}  # set before the stance, so that a release has the last ones
        self._ordered_at = now
        if stance is not self._stance:
            self._stance = stance
            self._inbox.put(None)

    def run(self) -> None:
        """Bring the lease to the ordered stance, until ``end`` is called."""
        while not self._is_ended:
            self.turn()
        self._release_at_end()
        self._lock.close()

    def end(self) -> None:
        """Send no further request, except a release that is due when the last one is completed."""
        self._is_ended = True
        self._inbox.put(None)

    def _release_at_end(self) -> None:
        """Release a lease that the last request has acquired after the order to release it.

        Otherwise, the other replicas would wait for it to expire.
        """
        now = self._now()
        request = lease_rules.next_step(self._view, self._stance, now, self._terms).request
        if request is LeaseRequest.RELEASE and not self._is_orphaned(request, now):
            self._ask(request, now)

    def turn(self) -> None:
        """Send the next request, or wait for a reason to send one."""
        now = self._now()  # before the stance is read: a write sent later must follow later orders
        step = lease_rules.next_step(self._view, self._stance, now, self._terms)
        if step.request is None:
            self._wait(step.wake_at)
        elif self._is_orphaned(step.request, now):
            self._wait(now + ORPHAN_PAUSE_S)
        else:
            self._ask(step.request, now)
        self._start_or_end_watch()

    def _is_orphaned(self, request: LeaseRequest, now: float) -> bool:
        """Return whether the supervisor's order is too old for a write."""
        is_silent = now - self._ordered_at > self._terms.retry_period_s
        return request is not LeaseRequest.READ and is_silent

    # --- requests ---

    def _ask(self, request: LeaseRequest, sent_at: float) -> None:
        error = ""
        try:
            if request is LeaseRequest.READ:
                self._read()
            else:
                self._write(request, sent_at)
        except LeaseConflict:
            self._set_view(lease_rules.on_conflict(self._view, self._now(), self._terms))
            return
        except LeaseUnavailable as problem:
            self._fail(request, problem)
            error = problem.reason
        self._report(LeaseAsked(request is LeaseRequest.WRITE, self._now() - sent_at, error))

    def _read(self) -> None:
        """Read the lease; if it has changed and the watch did not report it, restart the watch."""
        before = self._view.changed_at
        self._observe(self._lock.read())
        if self._watch_runs and self._view.changed_at != before:
            self._end_watch()

    def _write(self, request: LeaseRequest, sent_at: float) -> None:
        make = (
            lease_rules.release_record
            if request is LeaseRequest.RELEASE
            else lease_rules.next_record
        )
        record = make(self._view, self._terms, clock.rfc3339_micro(), self._marks)
        record = replace(
            record, marks=tuple(without_far(record.marks, clock.wall() * 1000).items())
        )
        version = self._view.seen.version if self._view.seen else None
        self._view = lease_rules.on_send(self._view, record, sent_at)
        seen = self._lock.write(record, version)
        self._set_view(lease_rules.on_written(self._view, seen, sent_at, self._now()))

    def _observe(self, seen: ObservedLease) -> None:
        self._set_view(lease_rules.on_observed(self._view, seen, self._now(), self._terms))

    def _fail(self, request: LeaseRequest, problem: LeaseUnavailable) -> None:
        text = str(problem)
        if text != self._view.problem:
            level = logging.ERROR if problem.needs_restart else logging.WARNING
            LOG.log(level, "lease request failed", extra={"reason": text})
        view = lease_rules.on_failure(
            self._view,
            text,
            self._now(),
            self._terms,
            problem.retry_after_s,
            is_write=request is not LeaseRequest.READ,
            needs_restart=problem.needs_restart,
        )
        self._set_view(view)

    def _set_view(self, view: LeaseView) -> None:
        if view != self._view:
            self._view = view
            self._report(LeaseReported(view, clock.wall()))

    # --- waiting and watching ---

    def _wait(self, wake_at: float) -> None:
        if self._wants_watch:
            wake_at = min(wake_at, self._watch_at)
        wait_s = min(max(wake_at - self._now(), 0.001), LONGEST_WAIT_S)
        try:
            message = self._inbox.get(timeout=wait_s)
        except queue.Empty:
            return
        self._take(message)

    def _take(self, message: _Changed | _WatchEnded | None) -> None:
        """Handle a watch's message, unless the watch has been ended here."""
        if message is None or message.number != self._watch_number:
            return
        if isinstance(message, _WatchEnded):
            self._watch_runs = False
            self._watch_failures = self._watch_failures + 1 if message.has_failed else 0
            pause_s = backoff_s(self._watch_failures + 1, WATCH_PAUSE_S, WATCH_LONGEST_PAUSE_S)
            self._watch_at = self._now() + pause_s
            self._set_watch_problem(message.refusal or self._view.watch_problem)
        elif message.seen is None:
            self._set_view(lease_rules.on_unknown_change(self._view))
        else:
            self._observe(message.seen)

    def _start_or_end_watch(self) -> None:
        """Watch unless we hold the lease: a holder notices changes at its next renewal."""
        is_holder = self._view.renewed_at is not None
        if is_holder or (self._watch_runs and self._now() >= self._watch_lasts_at):
            self._set_watch_problem("")
        if is_holder and self._watch_runs:
            self._end_watch()
        elif self._wants_watch and self._now() >= self._watch_at:
            self._start_watch()

    def _set_watch_problem(self, problem: str) -> None:
        if problem and problem != self._view.watch_problem:
            text = "lease cannot be watched, so a change of leader is noticed later"
            LOG.warning(text, extra={"reason": problem})
        self._set_view(replace(self._view, watch_problem=problem))

    @property
    def _wants_watch(self) -> bool:
        """Whether a watch is to be started as soon as the pause since the last one is over."""
        is_holder = self._view.renewed_at is not None
        return not (is_holder or self._watch_runs) and self._view.seen is not None

    def _end_watch(self) -> None:
        self._watch_number += 1
        self._watch_runs = False
        self._lock.close()

    def _start_watch(self) -> None:
        seen = self._view.seen
        if seen is None:
            return
        self._watch_number += 1
        self._watch_runs = True
        self._watch_lasts_at = self._now() + WATCH_LASTS_S
        number = self._watch_number
        try:
            self._start("lease-watch", lambda: self._watch(seen, number))
        except OSError as error:  # no thread
            LOG.debug("lease watch failed", extra={"reason": str(error)})
            self._inbox.put(_WatchEnded(number, has_failed=True))

    def _watch(self, seen: ObservedLease, number: int) -> None:
        has_failed, refusal = True, ""
        began_at = self._now()
        try:
            self._lock.watch(seen, lambda changed: self._inbox.put(_Changed(number, changed)))
            has_failed = self._now() < began_at + SHORTEST_WATCH_S
        except (LeaseUnavailable, LeaseConflict) as problem:
            LOG.debug("lease watch failed", extra={"reason": str(problem)})
            if isinstance(problem, LeaseUnavailable) and problem.is_forbidden:
                refusal = str(problem)
        finally:
            self._inbox.put(_WatchEnded(number, has_failed, refusal))
