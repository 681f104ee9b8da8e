"""Replicas that scrape one numbered target and write to one receiver.

A test starts them, causes a fault, waits until samples arrive again, and checks the account: gaps,
lost samples and duplicates, all measured at the receiver.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.real.account import Account, account
from tests.real.faults import Proxy
from tests.real.ingress import Ingress
from tests.real.parts import Namespace
from tests.real.receivers import Store, metric
from tests.real.replica import QUICK, Replica, on_lease
from tests.real.scraped import NUMBER, Target
from tests.real.versions import has_flag
from tests.support import free_port, wait_until

JOB = "scraped"
NEW_PROTOCOL = "io.prometheus.write.v2.Request"
GATE_METRIC = "prometheus_elector_gate_"
TOLERANCE_S = 0.1  # a scrape's timestamp is a little before its request


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The properties of the replicas.

    ``queue`` is the content of ``queue_config``; ``dead_endpoints`` are additional receivers that
    do not exist; ``program`` is that of a peer.
    """

    has_gate: bool = True
    interval_s: float = 1.0
    queue: str = "batch_send_deadline: 1s"
    queue_of_others: str | None = None  # of all but the first replica
    protocol: int = 1
    prometheus: str = ""
    is_agent: bool = False
    durations: tuple[str, ...] = QUICK
    flags: tuple[str, ...] = ()
    series: int = 20
    dead_endpoints: int = 0
    program: str = ""

    def replica_options(self) -> dict[str, Any]:
        """Return the keywords for Replica."""
        options: dict[str, Any] = {"prometheus": self.prometheus}
        if self.is_agent:
            is_new = self.prometheus or has_flag("agent")  # 3.x
            flag = "--agent" if is_new else "--enable-feature=agent"
            options |= {"storage": "agent", "child_flags": (flag,)}
        return options

    def config(self, target: Target, name: str, url: str, rules: Path, queue: str) -> str:
        """Return one replica's configuration; write its rule file, if it has one."""
        interval = f"{self.interval_s:g}s"
        text = "follower:\n"
        text += f"  global: {{scrape_interval: {interval}, evaluation_interval: {interval}}}\n"
        text += f"  scrape_configs: [{{{target.job(name, self.interval_s)}}}]\n"
        if not self.is_agent:
            rule = f'{{record: beat, expr: "vector(1)", labels: {{job: {JOB}}}}}'
            rules.write_text(f"groups: [{{name: beat, rules: [{rule}]}}]\n")
            text += f"  rule_files: ['{rules}']\n"
        more = f", queue_config: {{{queue}}}"
        more += f", protobuf_message: {NEW_PROTOCOL}" if self.protocol == 2 else ""
        urls = [url, *(f"http://127.0.0.1:{free_port()}/" for _ in range(self.dead_endpoints))]
        entries = (f"{{url: '{each}', name: receiver-{n}{more}}}" for n, each in enumerate(urls))
        return text + f"leader: {{remote_write: [{', '.join(entries)}]}}\n"


class Writers:
    """Replicas on one Lease, behind the proxy ``way``; without a namespace, on a lock file."""

    def __init__(
        self, folder: Path, store: Store, setup: Setup, namespace: Namespace | None
    ) -> None:
        self.folder, self.store, self.setup, self.namespace = folder, store, setup, namespace
        self.way = Proxy(namespace.server, folder / "way") if namespace else None
        self.target = Target(setup.series)
        self.ingress = Ingress(store.write_url)
        self.replicas: list[Replica] = []

    def make(self, *names: str) -> None:
        """Make replicas that have each other as peers."""
        for name in names:
            replica = self.build(name, *self.election(), *self.setup.durations)
            self.configure(replica)
            self.replicas.append(replica)
        for replica in self.replicas:
            replica.add_flags(*self.own_flags())

    def election(self) -> tuple[str, ...]:
        """Return the flags of the election."""
        if self.namespace and self.way:
            return on_lease(self.namespace, self.way.kubeconfig(self.namespace))
        return (f"--lease-lock=file:{self.folder / 'locks/election.lock'}",)

    def build(self, name: str, *flags: str) -> Replica:
        """Return a replica with these flags, which the peers' programs have too."""
        return Replica(self.folder, name, *flags, **self.setup.replica_options())

    def own_flags(self) -> tuple[str, ...]:
        """Return the flags that only this program has."""
        peers = ",".join(replica.api for replica in self.replicas)
        address = f"127.0.0.1:{free_port()}"
        gate = ("--remote-write-gate", f"--remote-write-gate-listen-address={address}")
        return (f"--peers={peers}", *self.setup.flags, *(gate if self.setup.has_gate else ()))

    def configure(self, replica: Replica) -> None:
        """Write its configuration."""
        url, rules = self.ingress.url(replica.name), replica.config.with_name("rules.yml")
        is_first = not self.replicas or replica is self.replicas[0]
        queue = None if is_first else self.setup.queue_of_others
        replica.config.write_text(
            self.setup.config(self.target, replica.name, url, rules, queue or self.setup.queue)
        )

    def start(self, *names: str) -> Replica:
        """Make and start replicas; return the first once it leads and all scrape."""
        self.make(*names)
        leader, *others = self.replicas
        leader.start()
        assert self.await_leader() is leader
        for replica in others:
            replica.start()
        for replica in self.replicas:
            replica.await_ready(30)
        self.await_samples(leader, 3)
        for replica in self.replicas:
            self.await_scrapes(replica, 3)
        return leader

    def leader(self) -> Replica | None:
        """Return the replica that reports that it leads."""
        for replica in self.replicas:
            with contextlib.suppress(OSError):
                if replica.says_it_leads:
                    return replica
        return None

    def await_leader(self) -> Replica:
        """Wait until one replica leads."""
        leader = wait_until(self.leader, 60, "one leads")
        assert leader is not None
        return leader

    def others(self, leader: Replica) -> list[Replica]:
        """Return all but this one."""
        return [replica for replica in self.replicas if replica is not leader]

    def await_new_leader(self, old: Replica, timeout_s: float = 40) -> Replica:
        """Wait until a replica other than this one leads."""
        found = wait_until(
            lambda: next((r for r in self.others(old) if _leads(r)), None),
            timeout_s,
            "another leads",
        )
        assert found is not None
        return found

    def await_scrapes(self, replica: Replica, count: int) -> None:
        """Wait until a replica has scraped `count` more times."""
        seen = len(self.target.scrapes)
        wait_until(
            lambda: sum(s.by == replica.name for s in self.target.scrapes[seen:]) >= count,
            30 + 2 * count * self.setup.interval_s,
            f"{replica.name} scrapes {count} times",
        )

    def await_samples(self, replica: Replica, count: int = 2, timeout_s: float = 60) -> None:
        """Wait until the receiver has `count` samples of a replica's scrapes from now on."""
        seen = len(self.target.scrapes)

        def came() -> bool:
            later = {s.number for s in self.target.scrapes[seen:] if s.by == replica.name}
            samples = self.store.samples(JOB, NUMBER).get(self._series(NUMBER), [])
            return sum(int(value) in later for _, value in samples) >= count

        limit = timeout_s + 2 * count * self.setup.interval_s
        wait_until(came, limit, f"the receiver has {count} new samples of {replica.name}", 0.2)

    def await_pending(self, replica: Replica, count: int) -> None:
        """Wait until a replica has `count` scrapes that it has not sent yet."""
        sent = len(self.ingress.passed)
        wait_until(
            lambda: any(each.replica == replica.name for each in self.ingress.passed[sent:]),
            30,
            f"{replica.name} sends",
        )
        self.await_scrapes(replica, count)

    def account(self) -> Account:
        """Return the account of the receiver's present samples."""
        series = self.store.samples(JOB)
        numbers, up = self._series(NUMBER), self._series("up")
        return account(series, numbers, up, tuple(self.target.scrapes))

    def assert_whole(self, *order: str, is_exact: bool = False) -> Account:
        """Check that no sample is lost or twice, the order of writers, and the largest gap.

        Each replica scrapes at its own times: two intervals, and the delays of a busy machine, are
        no gap. ``is_exact``: no sample was sent for a time that the receiver already had.
        """
        found = self.account()
        assert found.lost == 0, found
        assert found.twice == 0, found
        assert found.order == list(order), found
        assert self.ingress.turns() == list(order), self.ingress.turns()
        pauses = [found.longest_pause_s[name] for name in order]
        assert found.hole_in_up_s < sum(sorted([*pauses, *pauses])[-2:]) + TOLERANCE_S, found
        assert not is_exact or (found.again, self.store.refused()) == (0, 0), found
        assert self.gate_total("samples_rejected_total", 'reason="final"') == 0
        return found

    def gate_total(self, name: str, *words: str) -> float:
        """Return the sum of a metric of all gates that answer."""
        found = 0.0
        for replica in self.replicas:
            with contextlib.suppress(requests.RequestException):
                found += metric(f"{replica.api}/_elector/metrics", GATE_METRIC + name, *words)
        return found

    def stop(self) -> None:
        """Send SIGTERM to all running replicas, and wait until they have exited."""
        running = [replica for replica in self.replicas if replica.is_running]
        for replica in running:
            replica.term()
        for replica in running:
            replica.await_end(60)

    def end(self) -> None:
        """Kill whatever still runs, also after a failure."""
        for replica in self.replicas:
            replica.kill()
            for process in replica.processes():
                process.kill()
        if self.way:
            self.way.close()
        self.ingress.close()
        self.target.close()

    def _series(self, name: str) -> str:
        return f'{name}{{instance="{self.target.address}",job="{JOB}"}}'


def _leads(replica: Replica) -> bool:
    with contextlib.suppress(OSError):
        return replica.says_it_leads
    return False
