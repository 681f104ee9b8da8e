"""Three replicas with one Lease and one receiver, and the collected data about them."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests import remote_write
from tests.promgen import TARGETS
from tests.real.faults import Proxy
from tests.real.ingress import Ingress, Passed
from tests.real.parts import Namespace, program
from tests.real.replica import QUICK, Replica, on_lease
from tests.real.scraped import Target
from tests.soak.check_config import Edit, Seen
from tests.soak.config_map import ConfigMap
from tests.soak.facts import FOREVER, Away, Figures, Reign, Taken, Write
from tests.soak.family import Life
from tests.soak.network import Network
from tests.soak.shim import Shim
from tests.support import free_port, now

LEASE_S = 3.0
DEADLINE_S = 1.0  # of a batch
QUEUE = f"batch_send_deadline: {DEADLINE_S:g}s, retry_on_http_429: true"
SHORT = ("--healthcheck-period=1s", "--healthcheck-timeout=1s", "--cool-down=2s")
CLOCK_S = 5.0  # from the correction of a replica's clock until all its written times are correct
BASE = ("scraped", "promgen")
CONFIG = """\
follower:
  global: {{scrape_interval: 1s, evaluation_interval: 1s}}
  scrape_configs:
  - {{{scraped}}}
  - job_name: promgen
    scrape_interval: 1h
    file_sd_configs: [{{files: ['{targets}']}}]
    relabel_configs: [{{target_label: election, replacement: {election}}}]
  - job_name: edit-{number}
leader:
  remote_write:
  - {{url: '{url}', name: receiver, queue_config: {{{queue}}}}}
{more}"""
LEAD = """\
  scrape_configs:
  - job_name: lead-{number}
"""


@dataclass
class Known:
    """The data about a group; threads append to its lists; times are as in ``facts``."""

    taken: list[Taken] = field(default_factory=list)
    lease_reigns: list[Reign] = field(default_factory=list)
    loaded_reigns: list[Reign] = field(default_factory=list)
    aways: list[Away] = field(default_factory=list)
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    figures: dict[tuple[str, str, Life], list[Figures]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Parts:
    """What all groups use: the URLs of receiver, Promgen and broker, and the shim library."""

    network: Network
    write_url: str
    promgen_url: str
    broker_url: str
    shim: Path | None


class Member(Replica):
    """A replica with its configuration in a ConfigMap; ``way`` leads to the API server."""

    def __init__(self, group: Group, name: str) -> None:
        self.group = group
        place = group.parts.network.place(name)
        self.way = Proxy(
            group.namespace.server, group.folder / name / "way", group.parts.network.host
        )
        (group.folder / name / "out").mkdir(parents=True)
        library = group.parts.shim
        self.shim = Shim(library, group.folder / name / "shim") if library else None
        self.clock_wrong_until = 0.0
        self.targets = group.folder / name / "targets.json"
        gate = f"--remote-write-gate-listen-address=127.0.0.1:{free_port()}"
        flags = (*on_lease(group.namespace, self.way.kubeconfig(group.namespace)), *QUICK, *SHORT)
        super().__init__(
            group.folder,
            name,
            *flags,
            *(("--remote-write-gate", gate) if group.has_gate else ()),
            f"--targets-url={group.parts.promgen_url}{TARGETS}={self.targets}",
            "--targets-interval=15s",
            "--targets-timeout=5s",
            environment={
                "ELECTOR_TARGETS_BROKER": group.parts.broker_url,
                **(self.shim.variables if self.shim else {}),
            },
            output=group.folder / name / "out" / "prometheus.yml",
            prometheus=program("prometheus@newest"),
            host=place.host,
            network=place.namespace,
        )
        self.map = ConfigMap(group.folder / name / "config", self.text(0))
        self.argv[self.argv.index(f"--config={self.config}")] = f"--config={self.map.file}"
        self.config.unlink()
        self.config = self.map.file
        self.is_wanted = False  # whether the keeper starts it again
        self.starts = 0
        self.loaded: Seen | None = None

    def start(self) -> None:
        """Start it; its scrapes may be lost until it is ready."""
        self.starts += 1
        super().start()

    def text(self, number: int) -> str:
        """Return the configuration of an edit."""
        return CONFIG.format(
            scraped=self.group.target.job(self.name, 1.0),
            targets=self.targets,
            election=self.group.name,  # else both elections would write the same series
            number=number,
            url=self.group.ingress.url(self.name),
            queue=QUEUE,
            more="" if self.group.has_gate else LEAD.format(number=number),
        )

    @property
    def newest_edit(self) -> int:
        """The number of its newest valid edit."""
        return self.group.known.edits[self.name][-1].number

    def tell_shim(self, *, wrong_s: float = 0.0, slow_s: float = 0.0) -> None:
        """Make its clock wrong or its disk slow; without arguments, neither."""
        assert self.shim is not None
        self.shim.tell(wrong_s=wrong_s, slow_s=slow_s)
        self.clock_wrong_until = FOREVER if wrong_s else now() + CLOCK_S

    @property
    def is_ready(self) -> bool:
        """Whether it runs and reports that it is ready."""
        with contextlib.suppress(OSError):
            return self.is_running and requests.get(f"{self.api}/_elector/readyz", timeout=2).ok
        return False


class Group:
    """The replicas of one election, with or without the gate; the data are in ``known``."""

    def __init__(
        self,
        folder: Path,
        namespace: Namespace,
        parts: Parts,
        *,
        has_gate: bool,
    ) -> None:
        self.parts = parts
        self.name = "gate" if has_gate else "plain"
        self.folder, self.namespace, self.has_gate = folder / self.name, namespace, has_gate
        self.known = Known()
        self.target = Target(5, parts.network.host)
        self.ingress = Ingress(
            parts.write_url, self._took if has_gate else None, parts.network.host
        )
        self.members = [Member(self, f"{self.name}-{letter}") for letter in "abc"]
        peers = ",".join(member.api for member in self.members)
        for member in self.members:
            member.add_flags(f"--peers={peers}")
            self.known.edits[member.name] = [Edit(0, now())]

    def by_name(self, name: str) -> Member | None:
        """Return the member with this name."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def leader(self) -> Member | None:
        """The member that was last seen as holder of the lease, unless it is released."""
        reigns = self.known.lease_reigns
        return self.by_name(reigns[-1].replica) if reigns else None

    def writes(self, since: float = 0.0) -> list[Write]:
        """Return the requests in the order of their arrival."""
        passed = [each for each in tuple(self.ingress.passed) if each.until >= since]
        found = [
            Write(each.replica, each.since, each.until, each.status, each.is_abandoned)
            for each in passed
        ]
        return sorted(found, key=lambda each: each.at)

    def taken_at(self, since: float = 0.0) -> list[float]:
        """Return the times at which the receiver accepted requests."""
        return sorted(
            each.until
            for each in tuple(self.ingress.passed)
            if each.status // 100 == 2 and each.until >= since
        )

    def is_calm(self, since: float) -> bool:
        """Return whether all are ready, and the receiver has accepted a request since a time."""
        return all(member.is_ready for member in self.members) and bool(self.taken_at(since))

    def close(self) -> None:
        """End the parts that run in this process."""
        for member in self.members:
            member.way.close()
        self.ingress.close()
        self.target.close()

    def _took(self, passed: Passed, body: bytes) -> None:
        at = now()
        found = [
            Taken(_name(labels), ms, value, passed.replica, at)
            for labels, samples in remote_write.series_of(body)
            for ms, value in samples
        ]
        with self.known.lock:
            self.known.taken += sorted(found, key=lambda each: each.ms)


def _name(labels: dict[str, str]) -> str:
    rest = ",".join(f"{k}={v}" for k, v in sorted(labels.items()) if k not in ("__name__", "job"))
    return f"{labels.get('__name__', '')}{{{rest}}}"
