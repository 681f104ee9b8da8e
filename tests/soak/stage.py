"""All parts of a soak test: etcd, API server, broker, receiver, a Promgen stand-in, two groups."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self, TypeVar

import celery

from tests import promgen
from tests.promgen import TARGETS, Promgen, group
from tests.real.brokers import Redis
from tests.real.parts import ApiServer, Etcd, Namespace, program, started
from tests.real.receivers import PrometheusStore
from tests.soak import shim, small_disk
from tests.soak.actor import Actor
from tests.soak.group import Group, Parts
from tests.soak.judge import Judge
from tests.soak.keeper import Keeper
from tests.soak.kubelet import Kubelet
from tests.soak.network import LOOPBACK, Network
from tests.soak.probe import Probe, Pulse
from tests.soak.record import Record
from tests.soak.sampler import Sampler
from tests.soak.watches import LeaseWatch, LoadedWatch
from tests.support import now, wait_until

START_S = 180.0
PartT = TypeVar("PartT")
ActorT = TypeVar("ActorT", bound=Actor)


class EndedEarly(Exception):
    """The soak test was ended by a signal."""


class Stage:
    """The parts: entering the context starts all of them, leaving it ends all.

    If ``over`` is set meanwhile, entering ends the started parts, and raises EndedEarly.
    """

    def __init__(self, folder: Path, record: Record, over: threading.Event) -> None:
        self.folder, self.record, self.over = folder, record, over
        self._stack = ExitStack()
        self.judges: dict[str, Judge] = {}
        self.keepers: dict[str, Keeper] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        enter = self._enter
        etcd = Etcd(self.folder)
        etcd.argv.append("--unsafe-no-fsync")  # a busy disk is not tested here
        self.etcd = enter(started(etcd))
        self.server = enter(started(ApiServer(self.folder, self.etcd)))
        self.network = enter(Network())
        self.broker = enter(started(self._broker()))
        self.store = enter(
            started(PrometheusStore(self.folder / "store", program("prometheus@newest")))
        )
        self.promgen = Promgen(host=self.network.host)
        self._stack.callback(self.promgen.close)
        self.put_targets(0)
        self.parts = Parts(
            self.network,
            self.store.write_url,
            self.promgen.url,
            self.broker_url,
            shim.built(self.folder),
        )
        self.groups = [self._group(has_gate=has_gate) for has_gate in (True, False)]
        self.pulse = self._actor(Pulse(self.record))
        self._actor(Probe(self.groups[0].namespace, self.folder / "probe", self.record))
        for each in self.groups:
            self._watch(each)
        for each in self.groups:
            self._raise(each)

    def _enter(self, part: AbstractContextManager[PartT]) -> PartT:
        self._check()
        return self._stack.enter_context(part)

    def _check(self) -> None:
        if self.over.is_set():
            raise EndedEarly

    def _broker(self) -> Redis:
        """Return a broker that listens where the replicas and the soak test can reach it."""
        broker = Redis(self.folder / "broker")
        self.broker_url = broker.url.replace("127.0.0.1", self.network.host)
        if self.network.host != LOOPBACK:
            broker.argv.insert(broker.argv.index("127.0.0.1") + 1, self.network.host)
            broker.argv += ["--protected-mode", "no"]
        return broker

    def put_targets(self, number: int) -> bytes:
        """Change Promgen's targets, and return its answer."""
        body = promgen.targets(group(f"127.0.0.1:{number + 1}"))
        self.promgen.bodies[TARGETS] = body
        return body

    def announce(self) -> None:
        """Send each replica's queue the task with which Promgen announces new targets."""
        app = celery.Celery("promgen", broker=self.broker.url)
        try:
            for each in self.groups:
                for member in each.members:
                    app.send_task("promgen.tasks.write_config", queue=member.name, retry=False)
        except OSError as error:  # as kombu's errors are: the broker may be unreachable
            self.record.note("not announced", reason=str(error))
        finally:
            app.close()

    def _group(self, *, has_gate: bool) -> Group:
        name = "gate" if has_gate else "plain"
        namespace = Namespace(self.server, self.folder / f"{name}-k8s", f"soak-{name}")
        made = Group(self.folder, namespace, self.parts, has_gate=has_gate)
        self._stack.callback(made.close)
        if small_disk.can_mount():
            for member in made.members:
                self._enter(small_disk.mounted(member.output.parent))
        self._stack.callback(self._end, made)
        return made

    def _watch(self, group: Group) -> None:
        keeper = self.keepers[group.name] = self._actor(Keeper(group, self.record))
        self._stack.callback(keeper.stop_all)
        self._actor(Kubelet(group.namespace, self.record))
        self._actor(LeaseWatch(group, self.record))
        for member in group.members:
            self._actor(LoadedWatch(group, member, self.record))
        self._actor(Sampler(group, self.record))

    def _raise(self, group: Group) -> None:
        """Start a group's members, and wait until one writes and all are ready."""
        begin = now()
        for member in group.members:
            member.is_wanted = True
        wait_until(
            lambda: self.over.is_set() or group.is_calm(begin),
            START_S,
            f"{group.name}: all are ready",
            0.3,
        )
        self._check()
        judge = Judge(group, self.pulse, self.record, now())
        self.judges[group.name] = self._actor(judge)

    def _actor(self, actor: ActorT) -> ActorT:
        actor.begin()
        self._stack.callback(actor.close)
        return actor

    def _end(self, group: Group) -> None:
        """Kill the remaining processes of a group."""
        for member in group.members:
            member.kill()
            for process in member.processes():
                process.kill()
