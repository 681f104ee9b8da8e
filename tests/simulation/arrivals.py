"""Compares the samples at the receiver with the scraped ones: each method yields problems.

All samples must have arrived that the writing replicas scraped, from the first one on. By design,
only these may be missing: samples that a gate held, or a Prometheus had not sent, when it died, if
no other replica wrote them; samples before a leader's mark that another replica scraped (so a gap
in a leader's own scrapes stays); and, if clocks differ by more than a scrape interval, samples that
a strict receiver refused, which Prometheus counts.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.simulation.gate_host import Gates
from tests.simulation.receiver import Receiver
from tests.simulation.remote_write import SCRAPE_S
from tests.simulation.replica import Process
from tests.simulation.samples import Sample

SCRAPE_MS = round(SCRAPE_S * 1000) + 50  # with a margin for the time of a scrape and rounding
NEVER_MS = -(10**9)
DUE_S = 4.0  # the age of the leader's scrapes that are checked at the end


class Arrivals:
    """The checks; samples scraped after ``until`` (real seconds) may still be in flight."""

    def __init__(
        self, receiver: Receiver, processes: Sequence[Process], gates: Gates, until: float
    ) -> None:
        self._receiver = receiver
        self._processes = processes
        self._gates = gates
        self._until = until
        self._kept: dict[tuple[int, str], list[int]] = defaultdict(list)
        self._all: dict[tuple[int, str], list[int]] = defaultdict(list)
        for process in processes:
            for _, sample in self._scraped(process):
                self._kept[sample.life, sample.series].append(sample.at)
            for _, sample in process.remote_write.scraped if process.remote_write else ():
                self._all[sample.life, sample.series].append(sample.at)

    def _scraped(self, process: Process) -> Iterator[tuple[float, Sample]]:
        """Yield the samples that a replica scraped, without those lost by design."""
        remote_write = process.remote_write
        if remote_write is None:
            return
        lost = self._gates.lost.get(remote_write.life, set()) | remote_write.dropped
        if not remote_write.is_alive:
            lost |= remote_write.waiting
        for each in remote_write.scraped:
            if each[1] not in lost:
                yield each

    def left_out(self) -> Iterator[str]:
        """Yield samples that the writing replica omitted, though the receiver has none near them.

        If a replica's sample is newer than all others of a series by more than a scrape interval,
        the samples that it scraped in between must have arrived, or be at most one scrape interval
        after one that has; except where the previous replica had not scraped by then either.
        """
        for series, samples in self._receiver.stored.items():
            times = [NEVER_MS, *sorted(each.at for each in samples)]
            newest = samples[0]._replace(at=NEVER_MS)
            for sample in samples:
                if sample.at > newest.at + SCRAPE_MS:
                    own = self._kept[sample.life, series]
                    since = bisect_right(own, self._next_scrape(newest))
                    for at in own[since : bisect_left(own, sample.at)]:
                        if at - times[bisect_right(times, at) - 1] > SCRAPE_MS:
                            lost = Sample(series, at, sample.life)
                            yield f"{lost} is lost, between {newest} and {sample}"
                newest = max(newest, sample, key=lambda each: each.at)

    def _next_scrape(self, sample: Sample) -> int:
        """Return the time of the next scrape of a sample's series, or its own if there is none.

        The next sample may have been lost by design; a gap before it still counts.
        """
        if sample.at == NEVER_MS:
            return NEVER_MS
        times = self._kept[sample.life, sample.series]
        after = bisect_right(times, sample.at)
        if after < len(times):
            return times[after]
        later = next((at for at in self._all[sample.life, sample.series] if at > sample.at), None)
        return later if later is not None and later > sample.at + SCRAPE_MS else sample.at

    def released_unsent(self) -> Iterator[str]:
        """Yield samples that a replica released although none was sent, since the first arrival.

        At a change of the writer there may be two scrape intervals between the two replicas'
        samples; a mark is at most one scrape interval after the samples that its gate sent.
        """
        stored = {s: sorted({e.at for e in all_}) for s, all_ in self._receiver.stored.items()}
        for process in self._processes:
            for scraped_at, sample in self._scraped(process):
                times = stored.get(sample.series, [])
                after = bisect_left(times, sample.at)
                if scraped_at > self._until or not 0 < after < len(times):
                    continue
                is_hole = times[after] - times[after - 1] > 2 * SCRAPE_MS
                if is_hole and times[after - 1] + SCRAPE_MS < sample.at < times[after]:
                    yield f"{sample} of {process} was released, and nobody sent it"

    def not_arrived(self, leader: Process) -> Iterator[str]:
        """Yield recent samples of the leader that have not arrived."""
        for scraped_at, sample in self._scraped(leader):
            is_due = self._until - DUE_S < scraped_at < self._until
            if is_due and sample not in self._receiver.stored[sample.series]:
                yield f"{sample} of {leader}, who leads, has not come"

    def dropped(self) -> Iterator[str]:
        """Yield samples that a Prometheus dropped after a refusal, and the receiver does not have.

        After a lost answer, samples that the receiver has are sent again, and then refused.
        """
        for process in self._processes:
            if process.remote_write is not None:
                for sample in sorted(process.remote_write.dropped):
                    if sample not in self._receiver.stored[sample.series]:
                        yield f"{sample} of {process} was passed on, and refused for good"

    def out_of_order(self) -> Iterator[str]:
        """Yield samples that arrived after a newer one of their replica, except repeated ones."""
        for samples in self._receiver.stored.values():
            newest: dict[int, int] = {}
            seen: set[Sample] = set()
            for sample in samples:
                if sample not in seen and sample.at < newest.get(sample.life, sample.at):
                    yield f"{sample} came after {newest[sample.life]}"
                seen.add(sample)
                newest[sample.life] = max(sample.at, newest.get(sample.life, sample.at))

    def inexact(self) -> Iterator[str]:
        """Yield samples that arrived twice, or not after all samples of previous writers."""
        newest = NEVER_MS
        for life, group in itertools.groupby(self._receiver.arrived, key=lambda each: each.life):
            times = [sample.at for sample in group]
            if min(times) <= newest:
                yield f"of {life} came {min(times)}, and of one before it {newest}"
            newest = max(times)
        if len(set(self._receiver.arrived)) < len(self._receiver.arrived):
            yield "a sample came twice"
        if self._receiver.refused:
            yield f"the receiver refused {self._receiver.refused} samples"
