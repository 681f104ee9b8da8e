"""Histories of replicas with gates: at most one passes requests, and at the end all has arrived."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator

from tests.simulation.arrivals import Arrivals
from tests.simulation.gate import GateProcess
from tests.simulation.gate_host import Gates
from tests.simulation.history import History, Pod
from tests.simulation.profiles import GatedProfile
from tests.simulation.receiver import Condition, Receiver
from tests.simulation.replica import GATED, GATED_BESIDE, Process
from wrapper.model.gate import Marks
from wrapper.model.roles import Role

SETTLE_S = 15.0  # after the end of the faults, until all samples have arrived
NEW_LEADER_S = 3.0
WHOLE_S = 6.0  # after this time a replica has the samples that others release
RECENT_S = 4.0  # younger samples may still be in flight at the end
HELD_MS = 10_000  # older batches must have been released or sent
GATE_WAIT_S = 12.0  # the longest pause before a gate's restart, and the restart


class GatedHistory(History):
    """A history whose replicas have gates, with one receiver."""

    def __init__(self, profile: GatedProfile, seed: int) -> None:
        super().__init__(profile, seed)
        self.gated = profile
        is_strict = self.rng.random() < 0.5
        self.receiver = Receiver(self.hub, self.rng, is_strict, self.check_gates)
        self.gates = Gates(
            self.receiver, profile.memory_bytes, profile.late_s, check=self.check_gates
        )
        self.gates.violate = self.violate
        self.world.gates = self.gates
        self.world.renderings = GATED if self.rng.random() < 0.7 else GATED_BESIDE
        self.world.marks_of = self._marks_of
        self.log(f"receiver is {'strict' if is_strict else 'lenient'}")

    def simulate(self) -> float:
        """Run the history; return the seconds from the faults' end until there was a writer."""
        with self.simulated():
            self.hub.run(self.heals_at)
            self._heal()
            after_s = self._await_writer()
            self.hub.run(max(self.hub.now, self.heals_at) + SETTLE_S)
            self._check_end()
        return after_s

    # --- at every instant ---

    def check_gates(self) -> None:
        """Assert that at most one gate passes requests, or has one at the receiver."""
        passing = {gate for gate in self._all_gates() if gate.passes}
        passing |= {each.sender for each in self.receiver.in_flight}
        if len(passing) > 1:
            names = sorted(str(each.host.process) for each in passing)
            self.violate(f"{len(passing)} gates pass: {', '.join(names)}")

    def _all_gates(self) -> Iterable[GateProcess]:
        hosts = (process.gate_host for process in self.processes)
        return (host.gate for host in hosts if host is not None and host.gate is not None)

    def writer(self) -> Process | None:
        """Return the replica whose gate passes requests, if any."""
        return next((g.host.process for g in self._all_gates() if g.passes), None)

    def _able_since(self, process: Process) -> float:
        """Return the time since which a replica and its gate could lead."""
        since = super()._able_since(process)
        host = process.gate_host
        if host is None or (host.deaths == 0 and host.gate is not None):
            return since
        return min(max(since, self.heals_at + GATE_WAIT_S), self.hub.now)

    # --- at the end ---

    def _check_end(self) -> None:
        """Check the arrivals, that the leader is up to date, and that no gate holds old batches."""
        arrivals = Arrivals(self.receiver, self.processes, self.gates, self.hub.now - RECENT_S)
        problems = [*arrivals.left_out(), *arrivals.out_of_order(), *self._late(arrivals)]
        if self.gated.is_complete:
            problems += arrivals.released_unsent()
        if self.gated.is_exact:
            problems += arrivals.inexact()
        if problems:
            self.violate(problems[0])

    def _late(self, arrivals: Arrivals) -> Iterator[str]:
        leader = self.writer()
        if leader is None:
            yield "nobody leads at the end"
            return
        yield from arrivals.not_arrived(leader)
        if self.gated.skew_s < 1:
            yield from arrivals.dropped()
        if any(gate.awaits for gate in self._all_gates()):
            return  # for a minute, when another request with the same body was answered
        for gate in self._all_gates():
            since = gate.held_since_ms
            is_late = since is not None and since < gate.wall_ms - HELD_MS
            if is_late and gate.is_alive and self.gated.skew_s < 1:
                yield f"{gate.host.process} still holds what came at {since}"

    # --- its course ---

    def _marks_of(self, identity: str) -> Marks:
        """Return the marks that the leader's API reports, if the replica reports that it leads."""
        for pod in self.pods:
            process = pod.process
            if process.identity == identity and process.reports_leadership and process.snapshot:
                endpoints = process.snapshot.gate.get("endpoints", ())
                return {e["name"]: e["mark"] for e in endpoints if e["mark"] is not None}
        return {}

    def _wall_skew_s(self) -> float:
        return self.rng.uniform(-self.gated.skew_s, self.gated.skew_s)

    def _heal(self) -> None:
        super()._heal()
        vars(self.receiver.condition).update(vars(Condition()))
        self.gates.peers_are_deaf = False

    def _victim(self) -> Pod:
        leaders = [pod for pod in self.pods if pod.process is self.writer()]
        return self.rng.choice(leaders if leaders and self.rng.random() < 0.7 else self.pods)

    def _inject_fault(self) -> None:
        if not self.gated.is_complete or all(self._is_whole(pod.process) for pod in self.pods):
            super()._inject_fault()

    def _is_whole(self, process: Process) -> bool:
        """Return whether a replica has run long enough to hold all samples."""
        gate = process.gate_host.running if process.gate_host is not None else None
        is_whole = gate is not None and self.hub.now > gate.started_at + WHOLE_S
        return is_whole and self._is_settled(process)

    def _apply_fault(self, name: str, pod: Pod, until: float) -> None:
        if name in _FAULTS:
            _FAULTS[name](self, pod, until)
        else:
            super()._apply_fault(name, pod, until)

    def condition(self, until: float, **values: object) -> None:
        """Change the condition of the receiver until a time."""
        self.set(self.receiver.condition, until, **values)

    def stop_gate(self, pod: Pod, until: float) -> None:
        """Stop a gate's process until a time."""
        host = pod.process.gate_host
        if host is not None and host.running is not None:
            host.running.pause(until)

    def end_gate(self, pod: Pod) -> None:
        """End a gate's process."""
        host = pod.process.gate_host
        if host is not None and host.running is not None:
            host.running.die(1)

    def ask_to_leave(self, pod: Pod, number: int) -> None:
        """Make a replica step down or stop, unless one does already: that would be cut short."""
        if all(self._is_settled(each.process) for each in self.pods):
            pod.process.signal(number)

    def _is_settled(self, process: Process) -> bool:
        """Return whether a replica runs, is no new leader, and does not step down or stop.

        A new leader's hand-over waits for requests that Prometheus repeats, and may be cut short.
        """
        o, now = process.supervisor._observation, process.local_now()
        until = o.stopping.steps_down_until or 0.0
        is_new = o.role is Role.LEADER and now < o.role_since + NEW_LEADER_S
        return process.is_alive and o.stopping.stop_at is None and until < now and not is_new

    def freeze(self, pod: Pod, until: float) -> None:
        """Stop all processes of a machine until a time."""
        self.pause(pod, tuple(pod.process.threads), until)
        self.stop_gate(pod, until)
        self.stop_remote_write(pod, until)

    def stop_remote_write(self, pod: Pod, until: float) -> None:
        """Stop the sending of a Prometheus until a time."""
        if pod.process.remote_write is not None:
            pod.process.remote_write.pause(until)

    def api_is_away(self) -> None:
        """Make the API server unreachable for all replicas for a long time."""
        until = min(self.hub.now + self.rng.uniform(8, 25), self.heals_at)
        self.log(f"  the API server is away until {until:.2f}")
        for pod in self.pods:
            self.set(pod.machine.network, until, is_refusing=True)


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
    "receiver away": lambda h, _pod, until: h.condition(until, is_away=True),
    "receiver slow": lambda h, _pod, until: h.condition(
        until, answer_s=h.rng.choice((0.3, 1.0, 4.0))
    ),
    "receiver refuses": lambda h, _pod, until: h.condition(
        until, status=h.rng.choice((429, 500, 503)), retry_after_s=h.rng.choice((0.0, 1.0))
    ),
    "answers lost": lambda h, _pod, until: h.condition(until, loses_answers=h.rng.random()),
}
