"""Some replicas on one Lease that all write to one log and are watched by one witness."""

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

LEASE_S = 3.0  # of QUICK, whose last moment is 2.55 s
LAST_MOMENT_S = 2.55
SPARE_S = 2.5  # for machines that are slow or busy; less than the lease lasts
LONG_S = 60.0  # for a start, and for all else that no time is promised for: the machine may be busy
# Samples from the first moment: Prometheus takes 5 s to find its first target.
BEAT = """
groups: [{name: beat, interval: 200ms, rules: [{record: beat, expr: "vector(1)"}]}]
"""


class Fleet:
    """Replicas on one Lease, all writing to one log, watched by one witness."""

    def __init__(self, folder: Path, namespace: Namespace, log: WriteLog) -> None:
        self.folder, self.namespace, self.log = folder, namespace, log
        self.witness = Witness()
        self.replicas: list[Replica] = []
        self.proxies: list[Proxy] = []

    def proxy(self) -> Proxy:
        """Return a new way to the API server."""
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
        """Return a replica that is not started yet; ``through`` is its way to the API server."""
        way = through.kubeconfig(self.namespace) if through else None
        words = (*on_lease(self.namespace, way), *durations, *flags)
        replica = Replica(self.folder, name, *words, **options)
        self.configure(replica, writes_to(self.log.url(name)))
        self.replicas.append(replica)
        return replica

    def configure(self, replica: Replica, leader: str) -> None:
        """Write its configuration and its rules, with this leader's part."""
        rules = replica.config.with_name("beat.yml")
        rules.write_text(BEAT)
        follower = FOLLOWER.format(address=replica.address) + f"  rule_files: [{rules}]\n"
        replica.config.write_text(f"{follower}leader:\n{leader}")

    def begin(self, *replicas: Replica) -> None:
        """Start replicas and watch them."""
        for replica in replicas:
            replica.start()
            self.witness.watch(replica)

    def start(self, name: str, *flags: str, **options: Any) -> Replica:
        """Make, start and watch one."""
        replica = self.make(name, *flags, **options)
        self.begin(replica)
        return replica

    def pair(self, *flags: str, **options: Any) -> tuple[Replica, Replica]:
        """Start two; return the one that leads and writes, then the one that waits."""
        for name in ("a", "b"):
            self.start(name, *flags, **options)
        return self.settled()

    def settled(self) -> tuple[Replica, Replica]:
        """Return the leader of two, and the other, which knows whom it follows."""
        [leader] = wait_until(self.leaders, LONG_S, "one leads")
        [other] = [replica for replica in self.replicas if replica is not leader]
        wait_until(lambda: leader_by(other) == leader.name, LONG_S, "the other follows it")
        wait_until(lambda: self.log.writes(leader.name), LONG_S, "the leader writes")
        return leader, other

    def leaders(self) -> list[Replica]:
        """Return those whose Prometheus has a remote_write in force."""
        return [replica for replica in self.replicas if writes_remotely(replica)]

    def stop(self) -> None:
        """Ask all that run to stop: each does, in order."""
        alive = [replica for replica in self.replicas if replica.is_running]
        for replica in alive:
            replica.term()
        for replica in alive:
            assert replica.await_end() == 0, f"{replica.name} did not end in order"

    def close(self) -> None:
        """Kill all that run; none of their parts runs on, and no two of them wrote at a time.

        A temporary file may be left: a kill can come in the middle of a write.
        """
        self.witness.close()
        for replica in self.replicas:
            replica.kill()
        self.witness.assert_one_writer(self.log)
        for replica in self.replicas:
            wait_until(lambda it=replica: not it.running_parts(), 5, "nothing runs")  # type: ignore[misc]

    def end(self) -> None:
        """Kill what is still there, whatever has gone wrong."""
        self.witness.close()
        for proxy in self.proxies:
            proxy.close()
        for replica in self.replicas:
            replica.kill()
            for process in replica.processes():
                process.kill()


def writes_to(*urls: str, more: str = "") -> str:
    """Return a leader's part that writes to each of these; ``more`` goes to each of them."""
    queue = f"queue_config: {{batch_send_deadline: 100ms}}{more}"
    entries = [f"  - {{url: '{url}', name: to-{n}, {queue}}}\n" for n, url in enumerate(urls)]
    return "".join(["  remote_write:\n", *entries])


def writes_remotely(replica: Replica) -> bool:
    """Tell whether its Prometheus answers, and has a remote_write in force."""
    with contextlib.suppress(OSError):
        return replica.has_remote_write
    return False


def leader_by(replica: Replica) -> str:
    """Return who leads, by a replica's API; "" for nobody, and where it does not know."""
    answer = requests.get(f"{replica.api}/_elector/leader", timeout=2).json()
    return str(answer.get("current_leader") or "")


def problem_of_lease(replica: Replica) -> str:
    """Return what its status says of the lease."""
    status = requests.get(f"{replica.api}/_elector/status", timeout=5).json()
    return str(status["lease"]["problem"])


def lines_of(replica: Replica, *words: str) -> list[str]:
    """Return the lines of its log with all these words."""
    lines = replica.log.read_text().splitlines()
    return [line for line in lines if all(word in line for word in words)]


def own_lines(part: Program, level: str, *words: str) -> list[LogLine]:
    """Return the lines at this level with all these words that are not Prometheus'."""
    lines = read_log(part.log.read_text())
    return [each for each in lines if each.is_ours and each.level == level and each.has(*words)]


def bare_messages(replica: Replica, level: str) -> list[str]:
    """Return the messages of its log at this level that have no fields beside."""
    return [each.message for each in own_lines(replica, level) if not each.fields]


def rejections(replica: Replica) -> list[str]:
    """Return the lines of its log that refuse a configuration, each with its reason."""
    return [each.text for each in own_lines(replica, "error", " reason=")]


def cause_of(replica: Replica) -> str:
    """Return why it has its role, in the one word of its status."""
    return str(requests.get(f"{replica.api}/_elector/status", timeout=2).json()["cause"])


def promotions(replica: Replica) -> int:
    """Return how often it has become leader."""
    return len(lines_of(replica, " role=leader cause="))


def demotions(replica: Replica) -> int:
    """Return how often it has become a follower."""
    return len(lines_of(replica, " role=follower cause="))


def is_dead(process: psutil.Process) -> bool:
    """Tell whether a process has ended, waited for or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def await_turns(fleet: Fleet, *names: str) -> None:
    """Wait until the last of these writes; they wrote one after the other, and nobody else did."""
    last = names[-1]
    wait_until(lambda: fleet.log.turns()[-1:] == [last], 10, f"{last} writes")
    assert fleet.log.turns() == list(names)
