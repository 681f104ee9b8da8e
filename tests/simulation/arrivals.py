"""What has arrived at the receiver, against what was scraped: each method yields what is wrong.

What must have come is what the replicas that wrote had scraped, from the first of it on. By design
these may be missing, and only these: what a gate held when it died, or a Prometheus had not sent
when it died, where no other replica wrote it; what was scraped before a leader's mark, by another
than that leader (so a hole in a leader's own scrapes stays); and, where clocks differ by more than
a scrape, what a strict receiver refused, which Prometheus counts.
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

SCRAPE_MS = round(SCRAPE_S * 1000) + 50  # and a bit: the time it takes, and rounding
NEVER_MS = -(10**9)
DUE_S = 4.0  # so much is looked at of what the leader scraped last


class Arrivals:
    """See the module; what was scraped after ``until`` (real seconds) may still be under way."""

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
        """Yield what was scraped by a replica, and not lost by design."""
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
        """Yield what the replica that wrote left out although the receiver has nothing near it.

        Where a replica's sample is the first beyond the newest of a series, by more than a scrape,
        whatever it scraped in between has come, or is at most one scrape after one that has come;
        unless the replica before had not scraped by then either.
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
        """Return when its Prometheus next scraped a sample's series, its time if never again.

        What it scraped next may have been lost by design; a hole before that is one all the same.
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
        """Yield what any replica released although nobody sent it, since the first that came.

        Where one goes on for another, up to two scrapes lie between what each of them scraped; a
        mark is at most one scrape after what its gate sent.
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

    def not_come(self, leader: Process) -> Iterator[str]:
        """Yield what the leader scraped lately that has not come."""
        for scraped_at, sample in self._scraped(leader):
            is_due = self._until - DUE_S < scraped_at < self._until
            if is_due and sample not in self._receiver.stored[sample.series]:
                yield f"{sample} of {leader}, who leads, has not come"

    def dropped(self) -> Iterator[str]:
        """Yield what a Prometheus dropped, as the receiver refused it, but does not have it.

        What it has may come again, and is refused then, after an answer that was lost.
        """
        for process in self._processes:
            if process.remote_write is not None:
                for sample in sorted(process.remote_write.dropped):
                    if sample not in self._receiver.stored[sample.series]:
                        yield f"{sample} of {process} was passed on, and refused for good"

    def out_of_order(self) -> Iterator[str]:
        """Yield what came after a newer one of its series and replica, unless it came again."""
        for samples in self._receiver.stored.values():
            newest: dict[int, int] = {}
            seen: set[Sample] = set()
            for sample in samples:
                if sample not in seen and sample.at < newest.get(sample.life, sample.at):
                    yield f"{sample} came after {newest[sample.life]}"
                seen.add(sample)
                newest[sample.life] = max(sample.at, newest.get(sample.life, sample.at))

    def inexact(self) -> Iterator[str]:
        """Yield what came twice, or of one replica and not after all that those before it sent."""
        newest = NEVER_MS
        for life, group in itertools.groupby(self._receiver.came, key=lambda each: each.life):
            times = [sample.at for sample in group]
            if min(times) <= newest:
                yield f"of {life} came {min(times)}, and of one before it {newest}"
            newest = max(times)
        if len(set(self._receiver.came)) < len(self._receiver.came):
            yield "a sample came twice"
        if self._receiver.refused:
            yield f"the receiver refused {self._receiver.refused} samples"
