"""Replicas on one Lease that all write to one log; a witness records what each has loaded."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.log_lines import LogLine, read_log
from tests.real.faults import Proxy
from tests.real.parts import Namespace, Program, WriteLog
from tests.real.replica import FOLLOWER, QUICK, Replica, on_lease
from tests.real.witness import Witness
from tests.support import wait_until

LEASE_S = 3.0  # lease duration of QUICK; its last moment is 2.55 s
LAST_MOMENT_S = 2.55
SPARE_S = 2.5  # for slow or busy machines; less than the lease duration
LONG_S = 60.0  # for starts, and everything else without a limit of its own
# A rule gives samples at once: Prometheus takes 5 s to find its first target.
BEAT = """
groups: [{name: beat, interval: 200ms, rules: [{record: beat, expr: "vector(1)"}]}]
"""


class Fleet:
    """Replicas on one Lease, which write to one log and are observed by one witness."""

    def __init__(self, folder: Path, namespace: Namespace, log: WriteLog) -> None:
        self.folder, self.namespace, self.log = folder, namespace, log
        self.witness = Witness()
        self.replicas: list[Replica] = []
        self.proxies: list[Proxy] = []

    def proxy(self) -> Proxy:
        """Return a new proxy to the API server."""
        self.proxies.append(Proxy(self.namespace.server, self.folder / "proxy"))
        return self.proxies[-1]

    def make(
        self,
        name: str,
        *flags: str,
        durations: tuple[str, ...] = QUICK,
        through: Proxy | None = None,
        **options: Any,
    ) -> Replica:
        """Return a replica that is not started; ``through`` is its proxy to the API server."""
        way = through.kubeconfig(self.namespace) if through else None
        words = (*on_lease(self.namespace, way), *durations, *flags)
        replica = Replica(self.folder, name, *words, **options)
        self.configure(replica, writes_to(self.log.url(name)))
        self.replicas.append(replica)
        return replica

    def configure(self, replica: Replica, leader: str) -> None:
        """Write its configuration with this leader's part, and its rule file."""
        rules = replica.config.with_name("beat.yml")
        rules.write_text(BEAT)
        follower = FOLLOWER.format(address=replica.address) + f"  rule_files: [{rules}]\n"
        replica.config.write_text(f"{follower}leader:\n{leader}")

    def begin(self, *replicas: Replica) -> None:
        """Start replicas and have the witness observe them."""
        for replica in replicas:
            replica.start()
            self.witness.watch(replica)

    def start(self, name: str, *flags: str, **options: Any) -> Replica:
        """Make a replica, start it and have the witness observe it."""
        replica = self.make(name, *flags, **options)
        self.begin(replica)
        return replica

    def pair(self, *flags: str, **options: Any) -> tuple[Replica, Replica]:
        """Start two replicas; return the leader, once it writes, then the follower."""
        for name in ("a", "b"):
            self.start(name, *flags, **options)
        return self.settled()

    def settled(self) -> tuple[Replica, Replica]:
        """Return the leader, once it writes, and the follower, once it knows the leader."""
        [leader] = wait_until(self.leaders, LONG_S, "one leads")
        [other] = [replica for replica in self.replicas if replica is not leader]
        wait_until(lambda: leader_by(other) == leader.name, LONG_S, "the other follows it")
        wait_until(lambda: self.log.writes(leader.name), LONG_S, "the leader writes")
        return leader, other

    def leaders(self) -> list[Replica]:
        """Return the replicas whose Prometheus has loaded a remote_write."""
        return [replica for replica in self.replicas if writes_remotely(replica)]

    def stop(self) -> None:
        """Send SIGTERM to all running replicas; each must exit with status 0."""
        alive = [replica for replica in self.replicas if replica.is_running]
        for replica in alive:
            replica.term()
        for replica in alive:
            assert replica.await_end() == 0, f"{replica.name} did not end in order"

    def close(self) -> None:
        """Kill all replicas; check that nothing of them runs, and that no two wrote at once.

        A temporary file may remain, because a kill can interrupt a write.
        """
        self.witness.close()
        for replica in self.replicas:
            replica.kill()
        self.witness.assert_one_writer(self.log)
        for replica in self.replicas:
            wait_until(lambda it=replica: not it.running_parts(), 5, "nothing runs")  # type: ignore[misc]

    def end(self) -> None:
        """Kill whatever still runs, also after a failure."""
        self.witness.close()
        for proxy in self.proxies:
            proxy.close()
        for replica in self.replicas:
            replica.kill()
            for process in replica.processes():
                process.kill()


def writes_to(*urls: str, more: str = "") -> str:
    """Return a leader's part with one remote_write per URL; ``more`` is added to each entry."""
    queue = f"queue_config: {{batch_send_deadline: 100ms}}{more}"
    entries = [f"  - {{url: '{url}', name: to-{n}, {queue}}}\n" for n, url in enumerate(urls)]
    return "".join(["  remote_write:\n", *entries])


def writes_remotely(replica: Replica) -> bool:
    """Tell whether its Prometheus answers and has loaded a remote_write."""
    with contextlib.suppress(OSError):
        return replica.has_remote_write
    return False


def leader_by(replica: Replica) -> str:
    """Return the leader's name by a replica's API; "" if there is none, or it is unknown."""
    answer = requests.get(f"{replica.api}/_elector/leader", timeout=2).json()
    return str(answer.get("current_leader") or "")


def problem_of_lease(replica: Replica) -> str:
    """Return the lease's problem, as its status reports it."""
    status = requests.get(f"{replica.api}/_elector/status", timeout=5).json()
    return str(status["lease"]["problem"])


def lines_of(replica: Replica, *words: str) -> list[str]:
    """Return the lines of its log that contain all these words."""
    lines = replica.log.read_text().splitlines()
    return [line for line in lines if all(word in line for word in words)]


def own_lines(part: Program, level: str, *words: str) -> list[LogLine]:
    """Return the lines at this level with all these words, without those of Prometheus."""
    lines = read_log(part.log.read_text())
    return [each for each in lines if each.is_ours and each.level == level and each.has(*words)]


def bare_messages(replica: Replica, level: str) -> list[str]:
    """Return the messages of its log at this level that have no fields."""
    return [each.message for each in own_lines(replica, level) if not each.fields]


def rejections(replica: Replica) -> list[str]:
    """Return the lines of its log that reject a configuration; each has a reason."""
    return [each.text for each in own_lines(replica, "error", " reason=")]


def cause_of(replica: Replica) -> str:
    """Return the cause of its role, as its status reports it."""
    return str(requests.get(f"{replica.api}/_elector/status", timeout=2).json()["cause"])


def promotions(replica: Replica) -> int:
    """Return how many times it became leader."""
    return len(lines_of(replica, " role=leader cause="))


def demotions(replica: Replica) -> int:
    """Return how many times it became follower."""
    return len(lines_of(replica, " role=follower cause="))


def is_dead(process: psutil.Process) -> bool:
    """Tell whether a process has ended, reaped or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def await_turns(fleet: Fleet, *names: str) -> None:
    """Wait until the last of these writes; check that exactly these wrote, in this order."""
    last = names[-1]
    wait_until(lambda: fleet.log.turns()[-1:] == [last], 10, f"{last} writes")
    assert fleet.log.turns() == list(names)
