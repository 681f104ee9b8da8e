"""Histories of replicas with gates: who passes at every instant, and what has arrived at the end.

What must be there at the end is what a Prometheus scraped that still lives, unless its gate died
while holding it: then only what another has counts. What a receiver refuses for good is Prometheus'
own loss, and counted. What was scraped by those that died is there if another scraped beside them.
"""

from __future__ import annotations

import itertools
import signal
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable

from tests.simulation.gate import GateProcess, Gates
from tests.simulation.history import History, Pod
from tests.simulation.profiles import GatedProfile
from tests.simulation.receiver import Mood, Receiver
from tests.simulation.remote_write import SCRAPE_S
from tests.simulation.replica import GATED, GATED_BESIDE, Process
from tests.simulation.samples import Sample
from wrapper.model.gate import Marks

SETTLE_S = 15.0  # after the healing, until all has arrived
RECENT_S = 4.0  # what is younger at the end may still be under way
SCRAPE_MS = round(SCRAPE_S * 1000) + 50  # and a bit: the time it takes, and rounding
NEVER_MS = -(10**9)
GATE_WAIT_S = 12.0  # the longest pause before a gate is started again, and its start
Kept = dict[tuple[int, str], list[int]]  # times in ms by life and series


class GatedHistory(History):
    """A history whose replicas have gates, before one receiver."""

    def __init__(self, profile: GatedProfile, seed: int) -> None:
        super().__init__(profile, seed)
        self.gated = profile
        is_strict = self.rng.random() < 0.5
        self.receiver = Receiver(self.hub, self.rng, is_strict, self.check_gates)
        self.gates = Gates(self.receiver, profile.memory_bytes, check=self.check_gates)
        self.gates.violate = self.violate
        self.world.gates = self.gates
        self.world.renderings = GATED if self.rng.random() < 0.7 else GATED_BESIDE
        self.world.marks_of = self._marks_of
        self.say(f"receiver is {'strict' if is_strict else 'lenient'}")

    def tell(self) -> float:
        """Let it happen; return when there was a writer again, in seconds after the healing."""
        with self.telling():
            self.hub.run(self.heals_at)
            self._heal()
            after_s = self._await_writer()
            self.hub.run(max(self.hub.now, self.heals_at) + SETTLE_S)
            self.check_arrived()
            self.check_up_to_date()
            self.check_order()
            if self.gated.is_complete:
                self.check_complete()
            if self.gated.is_exact:
                self.check_exact()
        return after_s

    # --- at every instant ---

    def check_gates(self) -> None:
        """Assert that one gate at most passes requests on, or has one at the receiver."""
        passing = {gate for gate in self._all_gates() if gate.passes}
        passing |= {each.sender for each in self.receiver.under_way}
        if len(passing) > 1:
            names = sorted(str(each.host.process) for each in passing)
            self.violate(f"{len(passing)} gates pass: {', '.join(names)}")

    def _all_gates(self) -> Iterable[GateProcess]:
        hosts = (process.gate_host for process in self.processes)
        return (host.gate for host in hosts if host is not None and host.gate is not None)

    def writer(self) -> Process | None:
        """Return whose gate passes, if any."""
        return next((g.host.process for g in self._all_gates() if g.passes), None)

    def _able_since(self, process: Process) -> float:
        """Return since when a replica could lead, its gate included."""
        since = super()._able_since(process)
        host = process.gate_host
        if host is None or (host.deaths == 0 and host.gate is not None):
            return since
        return min(max(since, self.heals_at + GATE_WAIT_S), self.hub.now)

    # --- at the end ---

    def check_arrived(self) -> None:
        """Assert that no replica left out what the receiver has nothing for.

        Where a replica's sample is the first beyond the newest of a series, by more than a scrape,
        whatever it scraped in between has come, or is at most one scrape after one that has come;
        unless the replica before had not scraped by then either.
        """
        kept = self._kept()
        for series, samples in self.receiver.stored.items():
            times = [NEVER_MS, *sorted(each.at for each in samples)]
            newest = samples[0]._replace(at=NEVER_MS)
            for sample in samples:
                if sample.at > newest.at + SCRAPE_MS:
                    own = kept[sample.life, series]
                    since = bisect_right(own, self._next_scrape(kept, newest))
                    for at in own[since : bisect_left(own, sample.at)]:
                        if at - times[bisect_right(times, at) - 1] > SCRAPE_MS:
                            lost = Sample(series, at, sample.life)
                            self.violate(f"{lost} is lost, between {newest} and {sample}")
                if sample.at > newest.at:
                    newest = sample

    def check_complete(self) -> None:
        """Assert that no replica released what nobody has sent, since the first that came."""
        stored = {s: sorted({e.at for e in all_}) for s, all_ in self.receiver.stored.items()}
        for process in self.processes:
            lost = self._lost(process)
            remote_write = process.remote_write
            for scraped_at, sample in remote_write.scraped if remote_write else ():
                times = stored.get(sample.series, [])
                before = bisect_right(times, sample.at) - 1
                is_due = scraped_at < self.hub.now - RECENT_S and sample not in lost
                if is_due and before >= 0 and sample.at - times[before] > SCRAPE_MS:
                    self.violate(f"{sample} of {process} was released, and nobody sent it")

    def _lost(self, process: Process) -> set[Sample]:
        """Return what was lost with a gate, or with a Prometheus, or refused for good."""
        remote_write = process.remote_write
        if remote_write is None:
            return set()
        waiting = set() if remote_write.is_alive else remote_write.waiting
        return self.gates.lost.get(remote_write.life, set()) | remote_write.dropped | waiting

    def _next_scrape(self, kept: Kept, sample: Sample) -> int:
        """Return when its Prometheus next scraped a sample's series, its time if never again."""
        if sample.at == NEVER_MS:
            return NEVER_MS
        times = kept[sample.life, sample.series]
        after = bisect_right(times, sample.at)
        return times[after] if after < len(times) else sample.at

    def _kept(self) -> Kept:
        """Return the times of what each Prometheus scraped, but for what was lost by design."""
        kept: Kept = defaultdict(list)
        for process in self.processes:
            lost = self._lost(process)
            for _, sample in process.remote_write.scraped if process.remote_write else ():
                if sample not in lost:
                    kept[sample.life, sample.series].append(sample.at)
        return kept

    def check_up_to_date(self) -> None:
        """Assert that the receiver has what the leader scraped until a moment ago."""
        leader = self.writer()
        if leader is None or leader.remote_write is None:
            self.violate("nobody leads at the end")
            return
        until = self.hub.now - RECENT_S
        stored = {sample for samples in self.receiver.stored.values() for sample in samples}
        for scraped_at, sample in leader.remote_write.scraped:
            is_due = self.hub.now - 2 * RECENT_S < scraped_at < until
            if is_due and sample not in stored | leader.remote_write.dropped:
                self.violate(f"{sample} of {leader}, who leads, has not arrived")

    def check_order(self) -> None:
        """Assert that what a replica scraped came in its order, but for what came again."""
        for series, samples in self.receiver.stored.items():
            newest: dict[int, int] = {}
            seen: set[Sample] = set()
            for sample in samples:
                if sample not in seen and sample.at < newest.get(sample.life, sample.at):
                    self.violate(f"{sample} came after {newest[sample.life]} of {series}")
                seen.add(sample)
                newest[sample.life] = max(sample.at, newest.get(sample.life, sample.at))

    def check_exact(self) -> None:
        """Assert that nothing is twice: what one sent is newer than all that those before sent."""
        newest = NEVER_MS
        for life, group in itertools.groupby(self.receiver.came, key=lambda sample: sample.life):
            times = [sample.at for sample in group]
            if min(times) <= newest:
                self.violate(f"of {life} came {min(times)}, and of one before it {newest}")
            newest = max(times)
        for samples in self.receiver.stored.values():
            if len(set(samples)) < len(samples):
                self.violate("a sample came twice")
        if self.receiver.refused:
            self.violate(f"the receiver refused {self.receiver.refused} samples")

    # --- its course ---

    def _marks_of(self, identity: str) -> Marks:
        """Return what the API of the leader tells of its gate, if it says that it leads."""
        for pod in self.pods:
            process = pod.process
            if process.identity == identity and process.says_it_leads and process.snapshot:
                endpoints = process.snapshot.gate.get("endpoints", ())
                return {e["name"]: e["mark"] for e in endpoints if e["mark"] is not None}
        return {}

    def _wall_skew_s(self) -> float:
        return self.rng.uniform(-self.gated.skew_s, self.gated.skew_s)

    def _heal(self) -> None:
        super()._heal()
        vars(self.receiver.mood).update(vars(Mood()))
        self.gates.peers_are_deaf = False

    def _victim(self) -> Pod:
        leaders = [pod for pod in self.pods if pod.process is self.writer()]
        return self.rng.choice(leaders if leaders and self.rng.random() < 0.7 else self.pods)

    def _befall(self, name: str, pod: Pod, until: float) -> None:
        if name in _FAULTS:
            _FAULTS[name](self, pod, until)
        else:
            super()._befall(name, pod, until)

    def mood(self, until: float, **values: object) -> None:
        """Change how the receiver is, for a while."""
        self.set(self.receiver.mood, until, **values)

    def stop_gate(self, pod: Pod, until: float) -> None:
        """Stop a gate's process for a while."""
        host = pod.process.gate_host
        if host is not None and host.running is not None:
            host.running.pause(until)

    def end_gate(self, pod: Pod) -> None:
        """End a gate's process."""
        host = pod.process.gate_host
        if host is not None and host.running is not None:
            host.running.die(1)

    def ask_to_leave(self, pod: Pod, number: int) -> None:
        """Have it step down or stop in order: a second request would cut the first one short."""
        if all(self._is_settled(each.process) for each in self.pods):
            pod.process.signal(number)

    def _is_settled(self, process: Process) -> bool:
        """Tell whether a replica runs, and is not about to step down or stop."""
        leaving = process.supervisor._observation.leaving
        until = leaving.steps_down_until or 0.0
        return process.is_alive and leaving.stop_at is None and until < process.local_now()

    def freeze(self, pod: Pod, until: float) -> None:
        """Stop all of a machine's processes for a while."""
        self.pause(pod, tuple(pod.process.threads), until)
        self.stop_gate(pod, until)
        self.stop_remote_write(pod, until)

    def stop_remote_write(self, pod: Pod, until: float) -> None:
        """Stop a Prometheus for a while, as far as it sends."""
        if pod.process.remote_write is not None:
            pod.process.remote_write.pause(until)

    def api_is_away(self) -> None:
        """Have nobody reach the lease for long."""
        until = min(self.hub.now + self.rng.uniform(8, 25), self.heals_at)
        self.say(f"  the API server is away until {until:.2f}")
        for pod in self.pods:
            self.set(pod.machine.weather, until, is_refusing=True)


GatedFault = Callable[[GatedHistory, Pod, float], None]
_FAULTS: dict[str, GatedFault] = {
    "steps down": lambda h, pod, _until: h.ask_to_leave(pod, signal.SIGUSR1),
    "stops": lambda h, pod, _until: h.ask_to_leave(pod, signal.SIGTERM),
    "gate pauses": lambda h, pod, until: h.stop_gate(pod, until),
    "gate dies": lambda h, pod, _until: h.end_gate(pod),
    "node freezes": lambda h, pod, until: h.freeze(pod, until),
    "prometheus pauses": lambda h, pod, until: h.stop_remote_write(pod, until),
    "API away": lambda h, _pod, _until: h.api_is_away(),
    "peers deaf": lambda h, _pod, until: h.set(h.gates, until, peers_are_deaf=True),
    "receiver away": lambda h, _pod, until: h.mood(until, is_away=True),
    "receiver slow": lambda h, _pod, until: h.mood(until, answer_s=h.rng.choice((0.3, 1.0, 4.0))),
    "receiver refuses": lambda h, _pod, until: h.mood(
        until, status=h.rng.choice((429, 500, 503)), retry_after_s=h.rng.choice((0.0, 1.0))
    ),
    "answers lost": lambda h, _pod, until: h.mood(until, loses_answers=h.rng.random()),
}
