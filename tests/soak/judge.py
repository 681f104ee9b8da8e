"""Compares the collected data with the guarantees, continuously, over the last minutes."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.real.receivers import Store
from tests.real.scraped import NUMBER, Scrape
from tests.soak import check_growth, check_samples, check_time, check_writers
from tests.soak.actor import Actor
from tests.soak.check_samples import Numbered
from tests.soak.facts import PARTITION, Fault, Taken, Violation
from tests.soak.group import DEADLINE_S, LEASE_S, Group
from tests.soak.probe import Pulse
from tests.soak.record import Record
from tests.support import now

WINDOW_S = 180.0
STEADY_S = 5.0  # between two writes without a fault: a scrape, a batch, and a busy machine
SPAN_S = 2 * DEADLINE_S + LEASE_S + 1.0  # the age of a mark: two batches, and a lease
SETTLE_S = 6.0 + 1.0  # Prometheus' longest back-off and 1 s: then a new leader's mark moves
UNSETTLED_MS = 5_000  # after newer samples than this, older ones may still arrive
STORED_S = 3000.0  # the receiver is asked for its last hour
UP = "up{"


class Judge(Actor):
    """Runs the checks on a group."""

    pause_s = 4.0

    def __init__(self, group: Group, pulse: Pulse, record: Record, began_at: float) -> None:
        super().__init__(f"judge of {group.name}", record)
        self.group, self.pulse, self.began_at = group, pulse, began_at
        self.runs: Counter[str] = Counter()
        self.again = 0
        self._noted_at = 0.0

    def turn(self) -> None:
        """Check once."""
        since = max(now() - WINDOW_S, self.began_at)
        late_s = self.pulse.late_s(since)
        faults = self.faults(since)
        for check, found in (
            (check_writers.CHECK, self._two_writers(since, late_s)),
            (check_time.CHECK, self._silences(since, late_s, faults)),
            (check_samples.ORDER, self._samples(since, faults)),
        ):
            violations = list(found)
            self.runs[check] += 1
            for violation in violations:
                self.record.violated(violation)
        self.record.note(
            "checked", group=self.group.name, late_s=round(late_s, 3), again=self.again
        )
        self._note_writes()

    def _note_writes(self) -> None:
        """Record the requests since the last call."""
        writes = [each for each in self.group.writes(self._noted_at) if each.at > self._noted_at]
        self._noted_at = max((each.at for each in writes), default=self._noted_at)
        began_at = self.record.began_at
        told = [f"{w.replica[-1]} {w.at - began_at:.2f} {w.status}" for w in writes]
        self.record.note("writes", group=self.group.name, writes=told)

    def faults(self, since: float) -> list[Fault]:
        """Return the faults that affected this group at or after a time."""
        return [
            fault
            for fault in self.record.touching(self.group.name)
            if fault.until + check_samples.CRASH_S >= since
        ]

    def _two_writers(self, since: float, late_s: float) -> Iterator[Violation]:
        known, name = self.group.known, self.group.name
        partitions = [each for each in self.record.touching(name) if each.kind == PARTITION]
        writes = list(check_writers.sent(self.group.writes(since), partitions))
        for reigns in (known.lease_reigns, known.loaded_reigns):
            recent = [reign for reign in tuple(reigns) if reign.until >= since]
            yield from check_writers.overlaps(name, recent)
            yield from check_writers.intruders(name, writes, recent, late_s)

    def _silences(
        self, since: float, late_s: float, faults: Sequence[Fault]
    ) -> Iterator[Violation]:
        yield from check_time.silences(
            self.group.name,
            self.group.taken_at(since),
            faults,
            steady_s=STEADY_S,
            now=now(),
            late_s=late_s,
        )

    def _samples(self, since: float, faults: Sequence[Fault]) -> Iterator[Violation]:
        if not self.group.has_gate:
            return
        known = self.group.known
        with known.lock:
            taken = [each for each in known.taken if not math.isnan(each.value)]
        recent = [each for each in taken if each.at >= since]
        self.again = check_samples.count_again(taken)
        crashes = [fault for fault in faults if fault.is_crash]
        marked = [(r.since + SETTLE_S, r.until) for r in tuple(known.lease_reigns)]
        marked = [(since, until) for since, until in marked if until > since]
        yield from check_samples.again(self.group.name, recent, crashes, marked, SPAN_S)
        yield from self._lost(recent)

    def _lost(self, recent: Sequence[Taken]) -> Iterator[Violation]:
        target = self.group.target
        scrapes = {each.number: each for each in tuple(target.scrapes)}
        by: dict[str, list[Scrape]] = defaultdict(list)
        for scrape in scrapes.values():
            if scrape.number not in target.hung_up:
                by[scrape.by].append(scrape)
        numbered = {
            each.value: Numbered(each.ms, each.at, scrapes[int(each.value)])
            for each in recent
            if each.series.startswith(NUMBER)
        }
        newest = max((each.ms for each in numbered.values()), default=0) - UNSETTLED_MS
        failed = sorted(x.ms for x in recent if x.series.startswith(UP) and x.value == 0)
        yield from check_samples.lost(
            self.group.name,
            [each for each in numbered.values() if each.ms <= newest],
            by,
            failed_ms=failed,
            aways=tuple(self.group.known.aways),
            wall_s=time.time() - now(),
        )


def stored(group: Group, store: Store) -> Iterator[Violation]:
    """Yield samples of the last minutes that the receiver accepted but does not have."""
    if not group.has_gate:
        return
    since = now() - STORED_S
    with group.known.lock:
        taken = {
            each.value
            for each in group.known.taken
            if each.series.startswith(NUMBER) and each.at >= since and not math.isnan(each.value)
        }
    name = f'{NUMBER}{{instance="{group.target.address}",job="scraped"}}'
    has = {value for _, value in store.samples("scraped", NUMBER).get(name, ())}
    if missing := sorted(taken - has):
        text = f"the receiver does not have scrapes that it took: numbers {missing}"
        yield Violation(check_samples.LOST, group.name, since, text)


def grown(group: Group) -> Iterator[Violation]:
    """Yield the growth of a group's processes."""
    for (replica, role, life), figures in tuple(group.known.figures.items()):
        what = f"the {role} of {replica} (process {life.pid})"
        yield from check_growth.grown(group.name, what, now(), tuple(figures))
