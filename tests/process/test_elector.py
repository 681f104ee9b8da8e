"""The elector with real threads and the real clock."""

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
    """A lease that another replica holds; each watch ends at once."""

    def __init__(self) -> None:
        self.watches: list[tuple[float, object, object]] = []
        self.was_watched_again = threading.Event()
        self.was_watched_often = threading.Event()

    def describe(self) -> str:
        """Return the name of the lease."""
        return "lease"

    def read(self) -> ObservedLease:
        """Return the record of the other holder."""
        return HELD

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Fail, because another replica holds the lease."""
        raise AssertionError(record, version)

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Record the time, and return."""
        self.watches.append((clock.now(), seen, on_change))
        if len(self.watches) > 1:
            self.was_watched_again.set()
        if len(self.watches) > 4:
            self.was_watched_often.set()

    def close(self) -> None:
        """Do nothing, because no watch lasts."""


class SlowLock(WatchedLock):
    """A free lease whose first write is answered late."""

    def __init__(self) -> None:
        super().__init__()
        self.holders: list[str] = []
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def read(self) -> ObservedLease:
        """Return a lease that nobody has ever held."""
        return ObservedLease(None)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Record the holder, and answer when the test permits it."""
        self.holders.append(record.holder)
        self.is_asked.set()
        assert self.may_answer.wait(LIMIT_S)
        return ObservedLease(record, f"{version}1")


class ReleasedLock(SlowLock):
    """A lease that its last holder, with a different clock, has released."""

    def __init__(self, marks: dict[str, int]) -> None:
        super().__init__()
        self.left, self.marks = marks, queue.SimpleQueue[dict[str, int]]()
        self.may_answer.set()

    def read(self) -> ObservedLease:
        """Return the record with the marks."""
        record = LeaseRecord("", 1.0, "", "", 1, marks=tuple(self.left.items()))
        return ObservedLease(record, "1")

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Record the marks."""
        self.marks.put(dict(record.marks))
        return super().write(record, version)


class UnwritableLock(ReleasedLock):
    """A released lease that can be read, but not written."""

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Record the holder, and fail as if the permission to write were missing."""
        self.holders.append(record.holder)
        raise LeaseUnavailable(f"may not update version {version}", "forbidden")


class RefusedLock(WatchedLock):
    """A lease that another replica holds; its first watches are refused, and the next one lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Refuse the first two watches as the API server does."""
        super().watch(seen, on_change)
        if len(self.watches) < 3:
            raise LeaseUnavailable("p may not watch", "forbidden")
        assert self.closed.wait(LIMIT_S)

    def close(self) -> None:
        """End the watch."""
        self.closed.set()


def in_thread(name: str, run: Callable[[], None]) -> None:
    """Start a thread as the program's group of threads does."""
    threading.Thread(target=run, name=name).start()


Reported = LeaseReported | LeaseAsked


@contextmanager
def running(
    lock: LeaseLock,
    start: Callable[[str, Callable[[], None]], None],
    report: Callable[[Reported], None] = lambda _: None,
) -> Iterator[Elector]:
    """Run an elector that contends for the lease, in a thread."""
    elector = Elector(lock, TERMS, report, start)
    elector.instruct(Stance.CONTEND, clock.now())
    thread = threading.Thread(target=elector.run)
    thread.start()
    try:
        yield elector
    finally:
        elector.end()
        thread.join(LIMIT_S)


def test_a_new_watch_starts_soon_after_one_ends() -> None:
    """A new watch starts after a short pause.

    Without a watch, a standby would not notice that the leader has released the lease.
    """
    lock = WatchedLock()
    with running(lock, in_thread):
        assert lock.was_watched_again.wait(LIMIT_S)
    assert lock.watches[1][0] - lock.watches[0][0] < 2 * WATCH_PAUSE_S + 0.5


def test_the_time_of_a_report_is_wall_time() -> None:
    """Reports have wall time, because it is compared with the marks on the lease."""
    reports: queue.Queue[Reported] = queue.Queue()
    began = clock.wall()
    with running(WatchedLock(), in_thread, reports.put):
        while not isinstance(report := reports.get(timeout=LIMIT_S), LeaseReported):
            pass
        assert began <= report.time <= clock.wall()


def test_a_mark_far_in_the_future_is_removed() -> None:
    """A mark far in the future is not written again.

    Otherwise it would count as valid once its time is near.
    """
    past, far = round(clock.wall() * 1000), round(clock.wall() * 1000) + 3_600_000
    lock = ReleasedLock({"past": past, "far": far})
    with running(lock, in_thread):
        assert lock.marks.get(timeout=LIMIT_S) == {"past": past}


def test_write_contains_the_marks_of_the_newest_order() -> None:
    """If an order with newer marks arrives before the write, the record contains these marks."""
    lock = ReleasedLock({})
    elector = Elector(lock, TERMS, lambda _: None, in_thread, lambda: 100.0)
    elector.instruct(Stance.CONTEND, 100.0, {"mimir": 4})
    elector.turn()  # reads
    elector.instruct(Stance.CONTEND, 100.0, {"mimir": 5})
    elector.turn()
    assert lock.marks.get(timeout=LIMIT_S) == {"mimir": 5}
    elector.end()


def test_reads_do_not_end_the_problem_of_failed_writes() -> None:
    """If writes fail and reads succeed, the failures add up, so that the pause grows."""
    lock, now = UnwritableLock({}), 100.0
    elector = Elector(lock, TERMS, lambda _: None, in_thread, lambda: now)
    elector.instruct(Stance.CONTEND, now)
    for failures in (1, 2, 3):
        elector.turn()  # reads
        elector.turn()  # writes
        assert len(lock.holders) == elector._view.failures == failures
        assert elector._view.problem == "may not update version 1"
        now = elector._view.request_at
        elector.instruct(Stance.CONTEND, now)


def test_nothing_is_written_while_the_order_is_old() -> None:
    """If the last order is too old, nothing is written until the supervisor sends another one."""
    lock, now = ReleasedLock({}), 100.0
    elector = Elector(lock, TERMS, lambda _: None, in_thread, lambda: now)
    elector.instruct(Stance.CONTEND, now)
    elector.turn()  # reads
    now += TERMS.retry_period_s + 0.1
    elector.turn()
    assert lock.marks.empty()
    elector.instruct(Stance.CONTEND, now)
    for _ in range(2):  # the first turn may only receive the order
        elector.turn()
    assert not lock.marks.empty()


@pytest.mark.parametrize(("shortest_s", "is_growing"), [(1.0, True), (0.0, False)])
def test_the_pause_grows_if_watches_end_at_once(
    monkeypatch: pytest.MonkeyPatch, shortest_s: float, is_growing: bool
) -> None:
    """The pause grows if watches end at once, as behind a proxy that closes streams.

    The API server does not get many requests a second.
    """
    monkeypatch.setattr(module, "SHORTEST_WATCH_S", shortest_s)
    lock = WatchedLock()
    with running(lock, in_thread):
        assert lock.was_watched_often.wait(LIMIT_S)
    began_at = [at for at, *_ in lock.watches]
    # 0.4, 0.8, 1.6 and 3.2 s, or 0.2 s four times.
    assert (began_at[4] - began_at[0] >= 6.0) is is_growing


def test_a_watch_without_a_thread_is_retried() -> None:
    """If no thread can be started for a watch, the elector goes on and retries the watch."""
    lock = WatchedLock()
    refused = threading.Event()

    def start(name: str, run: Callable[[], None]) -> None:
        if not refused.is_set():
            refused.set()
            raise ThreadRefused(errno.EAGAIN, "no thread")
        in_thread(name, run)

    with running(lock, start):
        assert lock.was_watched_again.wait(LIMIT_S)


def test_a_forbidden_watch_is_reported_until_it_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A forbidden watch is reported until a watch works, and logged once.

    The lease can still be used: the elector finds changes later.
    """
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


def test_a_holder_reports_no_watch_problem() -> None:
    """When the replica holds the lease, an earlier watch problem is no longer reported."""
    elector = Elector(SlowLock(), TERMS, lambda _: None, in_thread)
    elector._view = LeaseView(renewed_at=clock.now(), watch_problem="p may not watch")
    elector._start_or_end_watch()
    assert elector._view.watch_problem == ""


@pytest.mark.parametrize(
    ("stance", "holders"), [(Stance.RELEASE, ["one", ""]), (Stance.HOLD, ["one"])]
)
def test_a_lease_acquired_at_the_end_is_released(stance: Stance, holders: list[str]) -> None:
    """A lease that is acquired while the elector ends is released if the stance is RELEASE.

    Prometheus has exited meanwhile: the others need not wait until the lease expires.
    """
    lock = SlowLock()
    with running(lock, in_thread) as elector:
        assert lock.is_asked.wait(LIMIT_S)
        elector.instruct(stance, clock.now())
        elector.end()
        lock.may_answer.set()
    assert lock.holders == holders
