"""The elector with threads and a clock that are real."""

from __future__ import annotations

import errno
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support import wait_until
from wrapper.base import clock
from wrapper.base.threads import ThreadRefused
from wrapper.election import elector as module
from wrapper.election.elector import WATCH_PAUSE_S, Elector
from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.events import LeaseAsked, LeaseReported
from wrapper.model.lease import LeaseLock, LeaseRecord, LeaseUnavailable, LeaseView, ObservedLease
from wrapper.model.roles import Stance

LIMIT_S = 20.0
TERMS = LeaseTerms("one", "1", 15.0, 10.0, 2.0, 12.0)
HELD = ObservedLease(LeaseRecord("other", 15.0, "t", "t", 0), "1")


class WatchedLock(LeaseLock):
    """A lease that another one holds; each watch ends at once."""

    def __init__(self) -> None:
        self.watches: list[tuple[float, object, object]] = []
        self.was_watched_again = threading.Event()
        self.was_watched_often = threading.Event()

    def describe(self) -> str:
        """Return its name."""
        return "lease"

    def read(self) -> ObservedLease:
        """Return the other's record."""
        return HELD

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Never happen: the other one holds it."""
        raise AssertionError(record, version)

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Note when, and end."""
        self.watches.append((clock.now(), seen, on_change))
        if len(self.watches) > 1:
            self.was_watched_again.set()
        if len(self.watches) > 4:
            self.was_watched_often.set()

    def close(self) -> None:
        """Have nothing to end."""


class SlowLock(WatchedLock):
    """A free lease, whose first write is answered late."""

    def __init__(self) -> None:
        super().__init__()
        self.holders: list[str] = []
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def read(self) -> ObservedLease:
        """Return that nobody has ever held it."""
        return ObservedLease(None)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Note who is to hold it, and answer when that is permitted."""
        self.holders.append(record.holder)
        self.is_asked.set()
        assert self.may_answer.wait(LIMIT_S)
        return ObservedLease(record, f"{version}1")


class LeftLock(SlowLock):
    """A lease whose last holder, with another clock, has released it."""

    def __init__(self, marks: dict[str, int]) -> None:
        super().__init__()
        self.left, self.marks = marks, queue.SimpleQueue[dict[str, int]]()
        self.may_answer.set()

    def read(self) -> ObservedLease:
        """Return the record with the marks."""
        record = LeaseRecord("", 1.0, "", "", 1, marks=tuple(self.left.items()))
        return ObservedLease(record, "1")

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Note the marks."""
        self.marks.put(dict(record.marks))
        return super().write(record, version)


class RefusedLock(WatchedLock):
    """A lease that another one holds; its first watches are refused, and the next one lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Refuse as the API server does, except one."""
        super().watch(seen, on_change)
        if len(self.watches) < 3:
            raise LeaseUnavailable("p may not watch", "forbidden")
        assert self.closed.wait(LIMIT_S)

    def close(self) -> None:
        """End the watch."""
        self.closed.set()


def in_thread(name: str, run: Callable[[], None]) -> None:
    """Start a thread, as the group of threads does."""
    threading.Thread(target=run, name=name).start()


Reported = LeaseReported | LeaseAsked


@contextmanager
def running(
    lock: LeaseLock,
    start: Callable[[str, Callable[[], None]], None],
    report: Callable[[Reported], None] = lambda _: None,
) -> Iterator[Elector]:
    """Run an elector that contends, in a thread."""
    elector = Elector(lock, TERMS, report, start)
    elector.instruct(Stance.CONTEND, clock.now())
    thread = threading.Thread(target=elector.run)
    thread.start()
    try:
        yield elector
    finally:
        elector.end()
        thread.join(LIMIT_S)


def test_a_watch_that_ends_is_followed_by_another_after_the_pause() -> None:
    """Meanwhile, a standby would not notice that the leader has released the lease."""
    lock = WatchedLock()
    with running(lock, in_thread):
        assert lock.was_watched_again.wait(LIMIT_S)
    assert lock.watches[1][0] - lock.watches[0][0] < 2 * WATCH_PAUSE_S + 0.5


def test_the_time_of_a_report_is_wall_time() -> None:
    """The marks on the lease are compared with it."""
    reports: queue.Queue[Reported] = queue.Queue()
    began = clock.wall()
    with running(WatchedLock(), in_thread, reports.put):
        while not isinstance(report := reports.get(timeout=LIMIT_S), LeaseReported):
            pass
        assert began <= report.time <= clock.wall()


def test_a_mark_of_a_clock_that_was_far_ahead_is_not_written_again() -> None:
    """Otherwise it would be believed once its time has come near."""
    past, far = round(clock.wall() * 1000), round(clock.wall() * 1000) + 3_600_000
    lock = LeftLock({"past": past, "far": far})
    with running(lock, in_thread):
        assert lock.marks.get(timeout=LIMIT_S) == {"past": past}


@pytest.mark.parametrize(("shortest_s", "is_growing"), [(1.0, True), (0.0, False)])
def test_the_pause_grows_if_watches_end_at_once(
    monkeypatch: pytest.MonkeyPatch, shortest_s: float, is_growing: bool
) -> None:
    """As behind a proxy that closes streams; the API server is not asked many times a second."""
    monkeypatch.setattr(module, "SHORTEST_WATCH_S", shortest_s)
    lock = WatchedLock()
    with running(lock, in_thread):
        assert lock.was_watched_often.wait(LIMIT_S)
    began_at = [at for at, *_ in lock.watches]
    # 0.4, 0.8, 1.6 and 3.2 s, or 0.2 s four times.
    assert (began_at[4] - began_at[0] >= 6.0) is is_growing


def test_a_watch_that_there_is_no_thread_for_is_tried_again() -> None:
    """The elector goes on meanwhile: the watch only saves time."""
    lock = WatchedLock()
    refused = threading.Event()

    def start(name: str, run: Callable[[], None]) -> None:
        if not refused.is_set():
            refused.set()
            raise ThreadRefused(errno.EAGAIN, "no thread")
        in_thread(name, run)

    with running(lock, start):
        assert lock.was_watched_again.wait(LIMIT_S)


def test_a_right_to_watch_that_is_missing_is_told_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing else shows it: the elector goes on, and finds changes later. It warns once."""
    monkeypatch.setattr(module, "WATCH_LASTS_S", 0.1)
    lock, told = RefusedLock(), list[str]()

    def tell(event: Reported) -> None:
        if isinstance(event, LeaseReported):
            told.append(event.view.watch_problem)

    with caplog.at_level(logging.WARNING), running(lock, in_thread, tell) as elector:
        wait_until(lambda: "p may not watch" in told, LIMIT_S, "it is told")
        wait_until(lambda: told[-1] == "", LIMIT_S, "it is told no more")
        assert elector._view.problem == "", "the lease can be used"
    (record,) = caplog.records
    assert record.getMessage().startswith("lease cannot be watched")
    assert vars(record)["reason"] == "p may not watch"


def test_a_holder_does_not_complain_of_a_watch_that_it_does_not_need() -> None:
    """It was refused before; whether it still would be is not known."""
    elector = Elector(SlowLock(), TERMS, lambda _: None, in_thread)
    elector._view = LeaseView(renewed_at=clock.now(), watch_problem="p may not watch")
    elector._start_or_end_watch()
    assert elector._view.watch_problem == ""


@pytest.mark.parametrize(
    ("stance", "holders"), [(Stance.RELEASE, ["one", ""]), (Stance.HOLD, ["one"])]
)
def test_a_lease_that_is_acquired_during_the_end_is_released_if_that_is_the_order(
    stance: Stance, holders: list[str]
) -> None:
    """Prometheus has exited meanwhile: the others need not wait until the lease expires."""
    lock = SlowLock()
    with running(lock, in_thread) as elector:
        assert lock.is_asked.wait(LIMIT_S)
        elector.instruct(stance, clock.now())
        elector.end()
        lock.may_answer.set()
    assert lock.holders == holders
