"""Histories: some replicas, a series of random faults, and the invariants at every instant.

A history is determined by its seed. Faults happen for a while; then all of them end, and there has
to be a leader in time. A violation shows the seed and the last events.
"""

from __future__ import annotations

import contextlib
import logging
import random
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from tests.simulation.hub import Group, Hub, running
from tests.simulation.lock import REQUEST_TIMEOUT_S, NetworkFaults, Server
from tests.simulation.profiles import Profile
from tests.simulation.prometheus import READY_S, UNLOADABLE, Behaviour, Disk
from tests.simulation.replica import (
    DURATION_S,
    EDITED,
    ELECTOR,
    FOLLOWER,
    HEALTH_PERIOD_S,
    INPUTS,
    LAST_MOMENT_S,
    MAIN,
    ONLY_FOLLOWS,
    RELOAD_LIMIT_S,
    RENEW_DEADLINE_S,
    RETRY_PERIOD_S,
    WRITER,
    Machine,
    Process,
    World,
)
from wrapper.base import clock
from wrapper.model.lease import LeaseRecord, ObservedLease

DRIFT = 0.025
TRACE_LINES = 60
RELOAD_S = 1.0
# From the end of the faults until there is a writer: the lease expires, one request, one reload.
BOUND_S = DURATION_S * (1 + 2 * DRIFT) + REQUEST_TIMEOUT_S + RELOAD_S
# By this time a standby with a silent watch sees the last renewal later (`lease_rules`).
PATIENCE_S = 1.25 * RETRY_PERIOD_S + 0.25


class Violation(AssertionError):
    """A guarantee was violated; the text contains the trace of the history."""


@dataclass
class Pod:
    """A replica's identity, its machine, and its current process."""

    identity: str
    incarnation: str
    machine: Machine
    process: Process


class History:
    """A history; ``simulate`` runs it to its end, or raises a Violation."""

    def __init__(self, profile: Profile, seed: int, *, has_restarts: bool = True) -> None:
        self.profile = profile
        self.seed = seed
        self.rng = random.Random(f"{profile.name} {seed}")
        self.hub = Hub()
        self.server = Server()
        self.pods: list[Pod] = []
        self.processes: list[Process] = []
        self.is_peer_writing = False
        self.labels_in_order = False  # checked only in histories whose faults cannot prevent it
        self.heals_at = profile.faulty_s
        self.starts_not_before = -DURATION_S
        self.lease_changed_at = 0.0
        self.trace: list[str] = []
        restart = self.restart if has_restarts else lambda _process: None
        self.world = World(self.hub, self.server, self.rng, self.log, self.check, restart)
        self.server.watch(self._trace_lease)

    def simulate(self) -> float:
        """Run the history; return the seconds from the faults' end until there was a writer."""
        with self.simulated():
            self.hub.run(self.heals_at)
            self._heal()
            return self._await_writer()

    @contextlib.contextmanager
    def simulated(self) -> Iterator[Hub]:
        """Start the simulation, and close it at the end of the context."""
        with _simulated_by(self.hub):
            try:
                self._begin()
                yield self.hub
            finally:
                self.hub.close()

    def writer(self) -> Process | None:
        """Return the replica whose Prometheus may write, if any."""
        return next((p for p in self.processes if p.prometheus.may_write), None)

    def time_to_writer(self, other_than: Process | None, limit_s: float) -> float:
        """Run until another Prometheus may write; return how long that took, in seconds."""
        since = self.hub.now
        while self.writer() in {None, other_than}:
            self.hub.run(self.hub.now + 0.01)
            if self.hub.now > since + limit_s:
                self.violate(f"no writer within {limit_s:.1f} s")
        return self.hub.now - since

    # --- what must hold ---

    def check(self) -> None:
        """Assert that at most one Prometheus may write, and one replica reports that it leads."""
        writers = [str(process) for process in self.processes if process.prometheus.may_write]
        writers += ["peer"] if self.is_peer_writing else []
        if len(writers) > 1:
            self.violate(f"{len(writers)} possible writers: {', '.join(writers)}")
        leaders = [str(process) for process in self.processes if process.reports_leadership]
        if len(leaders) > 1:
            self.violate(f"{len(leaders)} say that they lead: {', '.join(leaders)}")

        if self.labels_in_order and self.mislabelled():
            self.violate(f"labelled beside another writer: {', '.join(self.mislabelled())}")

    def mislabelled(self) -> list[str]:
        """Return the pods with the leader's label while another replica's Prometheus may write."""
        writer = self.writer()
        labelled = [pod.process for pod in self.pods if pod.machine.is_labelled]
        return [str(each) for each in labelled if writer is not None and each is not writer]

    def violate(self, what: str) -> None:
        """Raise a Violation with the seed and the trace."""
        lines = "\n".join(self.trace[-TRACE_LINES:])
        raise Violation(f"{what}\nprofile {self.profile.name}, seed {self.seed}:\n{lines}")

    def log(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.hub.now:9.4f} {text}")

    def _trace_lease(self, seen: ObservedLease) -> None:
        record = seen.record
        text = f"{record.holder or 'nobody'}/{record.incarnation}" if record else "deleted"
        self.lease_changed_at = self.hub.now
        self.log(f"  lease {seen.version}: {text}")

    def _await_writer(self) -> float:
        """Assert that there is a writer in time after the end of the faults."""
        bound_s = BOUND_S + (PATIENCE_S if "watch silent" in self.profile.faults else 0.0)
        while self.writer() is None:
            self.hub.run(self.hub.now + 0.1)
            if self.hub.now > self._free_since() + bound_s:
                self.violate(f"no writer {self.hub.now - self.heals_at:.1f} s after the healing")
        self.check()
        writer_after_s = self.hub.now - self.heals_at
        self._check_files()
        return writer_after_s

    def _check_files(self) -> None:
        """Assert that no Prometheus would refuse its file at a restart."""
        if not {"edit", "new rules"} & set(self.profile.faults):
            return
        self.hub.run(self.hub.now + 3 * RELOAD_LIMIT_S)
        for pod in self.pods:
            o = pod.process.supervisor._observation
            is_at_work = pod.process.is_alive and o.child.was_ready
            if is_at_work and pod.machine.disk.content.content == UNLOADABLE:
                self.violate(f"{pod.process} keeps a file that Prometheus refuses")
            if is_at_work and o.reload.is_pending:
                self.violate(f"{pod.process} has never said what became of its rules")

    def _free_since(self) -> float:
        """Return the time since which some replica could lead."""
        return max(self.heals_at, min(self._able_since(pod.process) for pod in self.pods))

    def _able_since(self, process: Process) -> float:
        """Return the time since which a replica could lead, if it is alive."""
        if not process.is_alive:
            return self.hub.now
        o = process.supervisor._observation
        if o.stopping.stop_at is not None or o.child.killed_at is not None:
            return self.hub.now
        waits = (o.promotion.cools_until, o.stopping.steps_down_until or 0.0)
        moments = [process.prometheus.started_at + 2 * READY_S, *map(process.real, waits)]
        if not o.child.health.is_healthy:
            moments.append(self.heals_at + 4 * HEALTH_PERIOD_S)
        return min(max(moments), self.hub.now)

    # --- its course ---

    def _begin(self) -> None:
        if self.profile.has_peer:
            self.hub.start(Group(), self._peer, "peer")
        for number in range(self.rng.randint(2, 4)):
            is_namesake = self.profile.has_namesake and number == 1
            identity = "r0" if is_namesake else f"r{number}"
            self.hub.at(self.rng.random(), partial(self._add_pod, identity))
        at = 1.0
        while (
            self.profile.faults
            and (at := at + self.rng.expovariate(1 / self.profile.mean_gap_s)) < self.heals_at
        ):
            self.hub.at(at, self._inject_fault)

    def _add_pod(self, identity: str) -> None:
        machine = Machine(
            rate=1 + self.rng.uniform(-DRIFT, DRIFT),
            offset_s=self.rng.uniform(0, 1e6),
            wall_skew_s=self._wall_skew_s(),
            reloads_by_http=self.rng.random() < 0.5,
            stumbles=self.profile.stumbles,
        )
        incarnation = f"i{len(self.pods)}"
        self.pods.append(
            Pod(identity, incarnation, machine, self._life(machine, identity, incarnation))
        )

    def _wall_skew_s(self) -> float:
        return self.rng.uniform(-30, 30)

    def _life(self, machine: Machine, identity: str, incarnation: str) -> Process:
        process = Process(self.world, machine, identity, incarnation)
        self.log(f"{process} starts")
        self.processes.append(process)
        return process

    def restart(self, process: Process) -> None:
        """Restart a replica some time after its end, as the same pod or as a new one."""
        pod = next((pod for pod in self.pods if pod.process is process), None)
        if pod is None:
            return
        back_at = max(
            self.hub.now + self.rng.uniform(0.2, self.profile.restart_s), self.starts_not_before
        )
        if self.rng.random() < 0.5:
            pod.incarnation += "'"
            pod.machine = replace(
                pod.machine, disk=Disk(FOLLOWER), behaviour=Behaviour(), is_labelled=False
            )

        def start() -> None:
            if self.hub.now < self.starts_not_before:
                self.hub.at(self.starts_not_before, start)
            else:
                pod.process = self._life(pod.machine, pod.identity, pod.incarnation)

        self.hub.at(back_at, start)

    def _peer(self) -> None:
        """Act as the Go program does: no annotation, and a release before the demotion."""
        record = LeaseRecord("peer", DURATION_S, "0", "0")
        seen, ends_at = self.server.write(record, None), self.rng.uniform(3, 20)
        self.is_peer_writing = True
        while self.hub.now < ends_at:
            running(self.hub).park(self.hub.now + RETRY_PERIOD_S)
            record = replace(record, renew_time=f"{self.hub.now:.6f}")
            seen = self.server.write(record, seen.version)
        now = f"{self.hub.now:.6f}"
        self.server.write(LeaseRecord("", 1.0, now, now), seen.version)
        margin_s = LAST_MOMENT_S - RENEW_DEADLINE_S
        running(self.hub).park(self.hub.now + margin_s * 0.9 * self.rng.random())
        self.is_peer_writing = False
        self.log("peer ends")

    def _heal(self) -> None:
        self.log("--- all is healed")
        for pod in self.pods:
            for part, sound in (
                (pod.machine.network, NetworkFaults()),
                (pod.machine.behaviour, Behaviour()),
                (pod.machine.disk, Disk(pod.machine.disk.content)),
            ):
                vars(part).update(vars(sound))
            pod.machine.stumbles = 0.0
            if pod.process.supervisor._observation.configuration.renderings is ONLY_FOLLOWS:
                pod.process.edit(EDITED)

    # --- faults ---

    def _inject_fault(self) -> None:
        """Inject one fault into a replica, more often into the leader."""
        if not self.pods:
            return
        name = self.rng.choice(self.profile.faults)
        pod = self._victim()
        until = min(self.hub.now + self._duration_s(), self.heals_at)
        self.log(f"! {name} at {pod.process} until {until:.2f}")
        self._apply_fault(name, pod, until)

    def _apply_fault(self, name: str, pod: Pod, until: float) -> None:
        _FAULTS[name](self, pod, until)

    def _victim(self) -> Pod:
        writers = [pod for pod in self.pods if pod.process.prometheus.may_write]
        return self.rng.choice(writers if writers and self.rng.random() < 0.7 else self.pods)

    def _duration_s(self) -> float:
        return self.rng.choice((0.3, 2.0, DURATION_S, 2 * DURATION_S)) * (0.3 + self.rng.random())

    def pause(self, pod: Pod, names: tuple[str, ...], until: float) -> None:
        """Pause some threads until a time."""
        for name in names:
            if name in pod.process.threads:
                pod.process.threads[name].pause(until)

    def set(self, part: object, until: float, **values: object) -> None:
        """Change a part of the simulation until a time."""
        before = {name: getattr(part, name) for name in values}
        vars(part).update(values)
        self.hub.at(until, lambda: vars(part).update(before))

    def network(self, pod: Pod, until: float, **values: object) -> None:
        """Change the network to the server until a time, for one replica or for all."""
        pods = self.pods if self.rng.random() < 0.3 else [pod]
        for each in pods:
            self.set(each.machine.network, until, **values)

    def edit(self, pod: Pod) -> None:
        """Change the inputs of one replica, or of all."""
        renderings = self.rng.choice(INPUTS)
        self.log(f"  now {renderings}")
        for each in self.pods if self.rng.random() < 0.5 else [pod]:
            each.process.edit(renderings)

    def delete_lease(self) -> None:
        """Delete the lease, if all running replicas know its holder, and not too often.

        These are documented limits: a replica that has never seen a holder acquires a missing
        lease as a new one, and a lease that is missing at each read may have existed in between.
        """
        if self.hub.now < self.starts_not_before + DURATION_S:
            return
        record = self.server.seen.record
        living = [pod.process for pod in self.pods if pod.process.is_alive]
        holders = {process.elector._view.holder for process in living}
        if record is not None and record.holder and holders == {record.holder}:
            self.starts_not_before = self.hub.now + DURATION_S * (1 + 2 * DRIFT)
            self.server.delete()


def _hang(history: History, pod: Pod, until: float) -> None:
    pod.machine.behaviour.hangs_until = until


Fault = Callable[[History, Pod, float], Any]
_FAULTS: dict[str, Fault] = {
    "main pauses": lambda h, pod, until: h.pause(pod, (MAIN,), until),
    "elector pauses": lambda h, pod, until: h.pause(pod, (ELECTOR,), until),
    "writer pauses": lambda h, pod, until: h.pause(pod, (WRITER,), until),
    "all pauses": lambda h, pod, until: h.pause(pod, tuple(pod.process.threads), until),
    "crash": lambda _h, pod, _until: pod.process.exit(-signal.SIGKILL),
    "prometheus dies": lambda _h, pod, _until: pod.process.prometheus.die(1),
    "SIGTERM": lambda _h, pod, _until: pod.process.signal(signal.SIGTERM),
    "SIGUSR1": lambda _h, pod, _until: pod.process.signal(signal.SIGUSR1),
    "SIGHUP": lambda _h, pod, _until: pod.process.signal(signal.SIGHUP),
    "refused": lambda h, pod, until: h.network(pod, until, is_refusing=True),
    "swallowed": lambda h, pod, until: h.network(pod, until, swallows=h.rng.random() + 0.2),
    "replies lost": lambda h, pod, until: h.network(pod, until, loses_replies=h.rng.random() + 0.3),
    "late replies": lambda h, pod, until: h.network(pod, until, reply_s=REQUEST_TIMEOUT_S),
    "slow": lambda h, pod, until: h.network(pod, until, delay_s=2 * h.rng.random()),
    "watches break": lambda h, pod, until: h.network(pod, until, breaks_watches=0.7),
    "watch silent": lambda h, pod, until: h.network(pod, until, is_watch_silent=True),
    "lease deleted": lambda h, _pod, _until: h.delete_lease(),
    "slow reload": lambda h, pod, until: h.set(pod.machine.behaviour, until, reload_s=4.0),
    "slow flush": lambda h, pod, until: h.set(pod.machine.behaviour, until, flush_s=25.0),
    "hangs": _hang,
    "refuses leader": lambda h, pod, until: h.set(
        pod.machine.behaviour, until, refuses_leader=True
    ),
    "broken rules": lambda h, pod, until: h.set(
        pod.machine.behaviour, until, has_broken_rules=True
    ),
    "foreign reload": lambda _h, pod, _until: pod.process.prometheus.post_reload(
        lambda _status: None
    ),
    "slow disk": lambda h, pod, until: h.set(pod.machine.disk, until, delay_s=8.0),
    "full disk": lambda h, pod, until: h.set(pod.machine.disk, until, fails=True),
    "edit": lambda h, pod, _until: h.edit(pod),
    "new rules": lambda h, pod, _until: pod.process.new_rules.put(h.rng.random() < 0.6),
}


@contextlib.contextmanager
def _simulated_by(hub: Hub) -> Iterator[None]:
    """Use the simulated clock in the program's code, and disable its log."""

    def process() -> Process:
        group = running(hub).group
        if not isinstance(group, Process):
            raise TypeError("only a replica's threads run the program's code")
        return group

    real_now, ours = clock.now, threading.get_ident()

    def now() -> float:
        """Return the running replica's time; threads of other tests get the real time."""
        return process().now() if threading.get_ident() == ours else real_now()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", now)
        patch.setattr(clock, "rfc3339_micro", lambda: f"{process().wall():.6f}")
        logging.disable()
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def simulate(profile: Profile, seed: int) -> float:
    """Run a history; return the seconds from the end of the faults until there was a writer."""
    return History(profile, seed).simulate()
