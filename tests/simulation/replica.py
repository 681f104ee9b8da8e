"""A replica: the real supervisor and elector, with a simulated machine and lease.

Threads, files, signals and HTTP are simulated, thread by thread as in `performer` and `sensors` of
`wrapper.supervision`; the decisions are made by the program's own code.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.gate import ENDPOINT
from tests.simulation.gate_host import GateHost, Gates
from tests.simulation.hub import Actor, Group, Hub, Mailbox, running
from tests.simulation.lock import REQUEST_TIMEOUT_S, FaultyLease, NetworkFaults, Server
from tests.simulation.prometheus import READY_S, UNLOADABLE, Behaviour, Disk, Prometheus
from tests.simulation.remote_write import RemoteWrite
from wrapper.election.elector import Elector
from wrapper.election.lease_rules import LeaseTerms
from wrapper.election.pod_label_state import PodLabel
from wrapper.model.actions import (
    Action,
    AnswerReload,
    ArmSwitch,
    DisarmSwitch,
    Exit,
    KillGate,
    LabelPod,
    OrderGate,
    ReloadPrometheus,
    SaveRenderings,
    SignalPrometheus,
    StartGate,
    WriteRendering,
)
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.events import (
    ChildExited,
    ConfigurationRead,
    Event,
    FenceChecked,
    HealthProbed,
    LoadedObserved,
    PodLabelAnswered,
    ReadinessProbed,
    ReloadAnswered,
    ReloadWanted,
    RenderingsSaved,
    RenderingWritten,
    SignalReceived,
    WriteFailed,
)
from wrapper.model.gate import Marks
from wrapper.model.roles import Role, Stance, Verdict
from wrapper.model.snapshot import Snapshot
from wrapper.supervision import config_rollback, loaded_rendering
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.gate_state import GateState
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy
from wrapper.supervision.snapshot_builder import Constants
from wrapper.supervision.supervisor import InitialState, Supervisor

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
RENDERINGS = Renderings(FOLLOWER, LEADER)
_BAD_FOLLOWER = Rendering(Role.FOLLOWER, UNLOADABLE, "bf", writes_remotely=False)
_BAD_LEADER = Rendering(Role.LEADER, UNLOADABLE, "bl", writes_remotely=True)
# Later inputs: a valid one, an invalid one, and two with one invalid rendering.
EDITED = Renderings(
    Rendering(Role.FOLLOWER, b"g", "g", writes_remotely=False),
    Rendering(Role.LEADER, b"m", "m", writes_remotely=True),
)
UNUSABLE = Renderings(_BAD_FOLLOWER, _BAD_LEADER)
ONLY_FOLLOWS = Renderings(EDITED.follower, _BAD_LEADER)
ONLY_LEADS = Renderings(_BAD_FOLLOWER, EDITED.leader)
# With gates, every replica always sends to its own gate; the leader's rendering may still differ.
_GATED = Rendering(Role.FOLLOWER, b"g", "g", writes_remotely=False, endpoints=(ENDPOINT,))
_GATED_LEADER = Rendering(Role.LEADER, b"gl", "gl", writes_remotely=True, endpoints=(ENDPOINT,))
GATED = Renderings(_GATED, _GATED)
GATED_BESIDE = Renderings(_GATED, _GATED_LEADER)
INPUTS = (RENDERINGS, EDITED, UNUSABLE, ONLY_FOLLOWS, ONLY_LEADS)

DURATION_S = 6.0
RENEW_DEADLINE_S = 4.0
RETRY_PERIOD_S = 1.5
LAST_MOMENT_S = DURATION_S * 0.95 - 0.3
HEALTH_PERIOD_S = 1.0
HEALTHY_PROBES = 3
NOTIFY_TIMEOUT_S = 2.0
EVIDENCE_TIMEOUT_S = 10.0
RELOAD_LIMIT_S = 5.0
KILL_TAKES_S = 0.05
EPOCH_S = 1000.0
MAIN, WRITER, ELECTOR, SENSOR = "main", "writer", "elector", "sensor"


@dataclass
class Machine:
    """The machine of a pod: its clock (offset and rate against the hub's) and its faults."""

    rate: float = 1.0
    offset_s: float = 1000.0
    wall_skew_s: float = 0.0
    reloads_by_http: bool = False
    stumbles: float = 0.0  # the probability of a delay at a reading of the clock
    network: NetworkFaults = field(default_factory=NetworkFaults)
    behaviour: Behaviour = field(default_factory=Behaviour)
    disk: Disk = field(default_factory=lambda: Disk(FOLLOWER))
    is_labelled: bool = False
    label_s: float = 0.0  # the time of a patch of its label, beside the network's delay


@dataclass
class World:
    """The state that replicas share, and the checks."""

    hub: Hub
    server: Server
    rng: random.Random
    log: Callable[[str], None]
    check: Callable[[], None]
    on_process_exit: Callable[[Process], None] = lambda _process: None
    renderings: Renderings = RENDERINGS
    gates: Gates | None = None
    lives: int = 0
    marks_of: Callable[[str], Marks] = lambda _identity: {}


class Process(Group):
    """One process of the program in a pod."""

    def __init__(self, world: World, machine: Machine, identity: str, incarnation: str) -> None:
        super().__init__()
        self.world = world
        self.machine = machine
        self.identity = identity
        self.incarnation = incarnation
        self.switch_at: float | None = None
        self.snapshot: Snapshot | None = None
        self.status: int | None = None
        self.threads: dict[str, Actor] = {}
        self.events: Mailbox[Event] = Mailbox(world.hub, machine.rate)
        self.new_rules: Mailbox[bool] = Mailbox(world.hub, machine.rate)
        self.answers: Mailbox[AnswerReload] = Mailbox(world.hub, machine.rate)
        self.reloads_wanted = 0
        self._switch_number = 0
        self.gate_host: GateHost | None = None
        self.remote_write: RemoteWrite | None = None
        self._start()

    # --- its life ---

    def _start(self) -> None:
        machine, hub = self.machine, self.world.hub
        machine.disk.content = self.world.renderings.follower
        machine.disk.has_bad_rules = False
        machine.behaviour.hangs_until = 0.0
        self.prometheus = Prometheus(
            hub,
            machine.disk,
            machine.behaviour,
            self.world.rng,
            self.world.check,
            self._child_exited,
        )
        self._start_gate_host()
        way = FaultyLease(hub, self.world.server, machine.network, self.world.rng)
        self.elector = Elector(way, self._terms(), self.events.put, self._start_thread, self.now)
        inbox: Any = Mailbox(hub, machine.rate)
        self.elector._inbox = inbox
        self.performer = Performer(self)
        events: Any = self.events
        performer: Any = self.performer
        snapshots: Any = self
        self.supervisor = Supervisor(self._initial_state(), events, performer, snapshots)
        self.run(self._supervise, MAIN)
        self.run(self.elector.run, ELECTOR)
        self.run(self.performer.write_for_ever, WRITER)
        self.run(self._watch_prometheus, SENSOR)
        self.run(self.performer.observe_for_ever, "loaded")
        self.run(self.performer.label_for_ever, "labeller")
        self.run(self._feed_for_ever, "feed")

    def _start_gate_host(self) -> None:
        """Open the gate's socket, and start remote_write; the supervisor starts the gate."""
        world, gates = self.world, self.world.gates
        if gates is None:
            return
        world.lives += 1
        self.gate_host = GateHost(self, gates, world.lives)
        self.remote_write = RemoteWrite(
            world.hub, world.rng, world.lives, self.wall_ms, self.gate_host.connect
        )
        if gates.late_s:
            self.remote_write.add_late_target(gates.late_s)

    def _start_thread(self, name: str, body: Callable[[], None]) -> None:
        self.run(body, name)

    def run(self, body: Callable[[], object], name: str) -> None:
        """Start a thread."""
        self.threads[name] = self.world.hub.start(self, body, f"{self} {name}")

    def _terms(self) -> LeaseTerms:
        return LeaseTerms(
            self.identity,
            self.incarnation,
            DURATION_S,
            RENEW_DEADLINE_S,
            RETRY_PERIOD_S,
            LAST_MOMENT_S,
        )

    def _initial_state(self) -> InitialState:
        gates = self.world.gates
        policy = Policy(
            terms=self._terms(),
            serves_web=False,
            demotion_grace_s=4.0,
            prometheus_grace_s=3.0,
            reload_retry_s=RELOAD_LIMIT_S / 5,
            reload_attempts=5,
            cool_down_s=1.0,
            success_threshold=HEALTHY_PROBES,
            step_down_pause_s=1.5,
            gate_memory_bytes=gates.memory_bytes if gates else 0,
        )
        renderings = self.world.renderings
        started = ConfigurationState(
            renderings,
            loaded_rendering.started_with(renderings.follower, self.local_now()),
            config_rollback.started_with(renderings),
        )
        observation = Observation(
            started,
            role_since=self.local_now(),
            label=PodLabel(),
            gate=GateState() if gates else None,
        )
        return InitialState(observation, policy, Constants(self.identity, "lease", "", None))

    def _supervise(self) -> None:
        self.exit(self.supervisor.run())

    def exit(self, status: int) -> None:
        """End the process; the kernel then kills its child."""
        if self.is_alive:
            self.world.log(f"{self} ends with status {status}")
            self.is_alive = False
            self.status = status
            self.prometheus.die(-signal.SIGKILL, KILL_TAKES_S * self.world.rng.random())
            if self.gate_host is not None:
                self.gate_host.kill("its supervisor has ended")
            self.world.on_process_exit(self)

    def _child_exited(self, status: int) -> None:
        self.world.log(f"{self} Prometheus has ended ({status})")
        if self.remote_write is not None:
            self.remote_write.is_alive = False
        self.world.hub.after(0.001, lambda: self.events.put(ChildExited(status)))

    def __str__(self) -> str:
        return f"{self.identity}/{self.incarnation}"

    # --- its clock ---

    def local_now(self) -> float:
        """Return its time."""
        return self.machine.offset_s + self.machine.rate * self.world.hub.now

    def now(self) -> float:
        """Return its time to one of its threads, which may be delayed just after."""
        now, actor, rng = self.local_now(), self.world.hub.running, self.world.rng
        if actor is not None and self.machine.stumbles and rng.random() < self.machine.stumbles:
            held_s = rng.choice((0.01, 0.1, 1.0, DURATION_S)) * rng.random()
            actor.park(self.world.hub.now + held_s)
        return now

    def real(self, local: float) -> float:
        """Return the real time for a time of its clock."""
        return (local - self.machine.offset_s) / self.machine.rate

    def wall(self) -> float:
        """Return its wall time, which may be wrong by any amount."""
        return self.world.hub.now + self.machine.wall_skew_s

    def wall_ms(self) -> int:
        """Return its wall time in ms since 1970."""
        return round((self.wall() + EPOCH_S) * 1000)

    def sleep(self, seconds: float) -> None:
        """Wait, in one of its threads."""
        running(self.world.hub).park(self.world.hub.now + seconds / self.machine.rate)

    # --- replacements for the kernel and the web process ---

    def set_switch(self, at: float | None) -> None:
        """Arm or disarm the kernel timer, which needs no thread."""
        self._switch_number += 1
        number, self.switch_at = self._switch_number, at

        def fire() -> None:
            if number == self._switch_number and self.is_alive:
                self.world.log(f"{self} is killed by its switch")
                self.exit(-signal.SIGKILL)

        if at is not None:
            self.world.hub.at(self.real(at), fire)

    def publish(self, snapshot: Snapshot) -> None:
        """Receive a snapshot of the supervisor."""
        before = self.snapshot
        if before is None or (before.role, before.reason) != (snapshot.role, snapshot.reason):
            self.world.log(f"{self} {snapshot.role}: {snapshot.reason}")
        self.snapshot = snapshot
        self.world.check()

    @property
    def reports_leadership(self) -> bool:
        """Whether its API reports that it leads."""
        snapshot = self.snapshot
        return self.is_alive and snapshot is not None and snapshot.leads(self.local_now())

    def edit(self, renderings: Renderings) -> None:
        """Change its inputs."""
        self.events.put(ConfigurationRead(renderings))

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        self.events.put(SignalReceived(number))

    # --- rules that are fetched ---

    def _feed_for_ever(self) -> None:
        """Write new rules and reload; restore the last good ones after a refusal."""
        while True:
            self.machine.disk.has_bad_rules = self.new_rules.get(1e9)
            if self._reloaded(has_changed_files=True) is Verdict.REFUSED:
                self.machine.disk.has_bad_rules = False
                self._reloaded(has_changed_files=False)

    def _reloaded(self, *, has_changed_files: bool) -> Verdict:
        self.reloads_wanted += 1
        number = self.reloads_wanted
        self.events.put(ReloadWanted(number, has_changed_files))
        while (answer := self.answers.get(1e9)).number < number:
            pass
        self.world.log(f"{self} rules {number}: {answer.verdict}")
        return answer.verdict

    # --- its sensors ---

    def _answers(self) -> bool:
        return self.prometheus.answers

    def _watch_prometheus(self) -> None:
        while not self._answers():
            self.sleep(READY_S / 4)
        self.events.put(FenceChecked(""))
        self.events.put(ReadinessProbed(is_ready=True))
        news = 0  # healthy probes matter only after an unhealthy one
        while True:
            self.sleep(HEALTH_PERIOD_S)
            is_healthy = self._answers()
            news = news - 1 if is_healthy else HEALTHY_PROBES
            if news >= 0:
                self.events.put(HealthProbed(is_healthy, "" if is_healthy else "no answer"))


class Performer:
    """Does for the simulated machine what `wrapper.supervision.performer` does for a real one."""

    def __init__(self, process: Process) -> None:
        self.exit_status: int | None = None
        self._process = process
        self._machine = process.machine
        self._rng = process.world.rng
        self._hub = process.world.hub
        self._writes: Mailbox[Rendering] = Mailbox(self._hub, 1.0)
        self._wakes: Mailbox[None] = Mailbox(self._hub, 1.0)
        self._labels: Mailbox[bool] = Mailbox(self._hub, 1.0)
        self._is_wanted = False
        self._pause_s = 0.01

    def instruct(self, stance: Stance, now: float, marks: Marks) -> None:
        """Pass the orders to the elector."""
        self._process.elector.instruct(stance, now, marks)

    def want_evidence(self, is_wanted: bool) -> None:
        """Start or stop observing what Prometheus has loaded."""
        if is_wanted and not self._is_wanted:
            self._pause_s = 0.01
            self._wakes.put(None)
        self._is_wanted = is_wanted

    def perform(self, action: Action) -> Event | None:
        """Perform an action, or have a thread do it; return its event, if it is immediate."""
        self._process.now()  # it may be delayed between any two actions
        match action:
            case ArmSwitch(at):
                self._process.set_switch(at)
            case DisarmSwitch():
                self._process.set_switch(None)
            case WriteRendering(rendering):
                self._writes.put(rendering)
            case SaveRenderings(renderings):
                self._process.events.put(RenderingsSaved(renderings))
            case ReloadPrometheus(fingerprint):
                self._reload(fingerprint)
            case SignalPrometheus(number, reason):
                self._signal(number, reason)
            case LabelPod(is_on):
                self._labels.put(is_on)
            case AnswerReload():
                self._process.answers.put(action)
            case Exit(status):
                self.exit_status = status
            case _:
                return self._control_gate(action)
        return None

    def _control_gate(self, action: Action) -> Event | None:
        host = self._process.gate_host
        match action:
            case StartGate() if host is not None:
                return host.start()
            case OrderGate(order) if host is not None:
                host.order(order)
            case KillGate(reason) if host is not None:
                host.kill(reason)
        return None

    def _signal(self, number: int, reason: str) -> None:
        self._process.world.log(f"{self._process} signals Prometheus {number}: {reason}")
        takes_s = KILL_TAKES_S if number == signal.SIGKILL else 0.3
        status = -number if number == signal.SIGKILL else 0
        self._process.prometheus.die(status, takes_s * self._rng.random())

    # --- writing ---

    def write_for_ever(self) -> None:
        """Write the requested renderings one after the other."""
        while True:
            self._process.events.put(self._write(self._writes.get(1e9)))

    def _write(self, rendering: Rendering) -> RenderingWritten | WriteFailed:
        disk = self._machine.disk
        self._process.sleep(disk.delay_s * self._rng.random())
        if disk.fails:
            return WriteFailed(rendering, "no space left on device")
        disk.content = rendering
        self._process.sleep(disk.delay_s * self._rng.random())
        return RenderingWritten(rendering)

    # --- the pod's label ---

    def label_for_ever(self) -> None:
        """Perform the orders for the pod's label one after the other."""
        while True:
            self._process.events.put(self._label(self._labels.get(1e9)))

    def _label(self, is_on: bool) -> PodLabelAnswered:
        """Send a patch over the network: it may be lost, or answered too late."""
        network, rng = self._machine.network, self._rng
        if network.is_refusing:
            return PodLabelAnswered("connection refused")
        if rng.random() < network.swallows or self._machine.label_s > REQUEST_TIMEOUT_S:
            self._process.sleep(REQUEST_TIMEOUT_S)
            return PodLabelAnswered("no answer")
        self._process.sleep(self._machine.label_s + network.delay_s * rng.random())
        self._machine.is_labelled = is_on
        self._process.world.check()
        self._process.sleep((network.delay_s + network.reply_s) * rng.random())
        is_lost = rng.random() < network.loses_replies
        return PodLabelAnswered("no answer" if is_lost else "")

    # --- reloading, and observing the result ---

    def _reload(self, fingerprint: str) -> None:
        self._pause_s = 0.01
        if self._machine.reloads_by_http:
            self._process.run(lambda: self._post(fingerprint), "reload")
        else:
            self._process.prometheus.receive_sighup()

    def _post(self, fingerprint: str) -> None:
        sent_at, statuses = self._process.now(), list[int]()
        actor = running(self._hub)

        def answer(status: int) -> None:
            statuses.append(status)
            actor.wake()

        self._process.prometheus.post_reload(answer)
        actor.park(self._hub.now + NOTIFY_TIMEOUT_S)
        status = statuses[0] if statuses else 0
        self._process.events.put(ReloadAnswered(fingerprint, sent_at, status, "refused"))

    def observe_for_ever(self) -> None:
        """Report what Prometheus has loaded while that is wanted: often at first, then less."""
        while True:
            if not self._is_wanted:
                self._wakes.get(1e9)
                continue
            if self._process.prometheus.answers:
                self._look()
            self._process.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 1.5, 0.5)

    def _look(self) -> None:
        prometheus, asked_at = self._process.prometheus, self._process.now()
        self._process.sleep(0.004 * self._rng.random())
        shown = prometheus.shown
        self._process.sleep(0.004 * self._rng.random())
        if prometheus.answers:
            self._process.events.put(LoadedObserved(prometheus.evidence_after(shown, asked_at)))
