"""Measures whether this machine is too slow for the leases of the soak test.

The program must not be blamed for a slow machine: a lease is lost if the API server does not answer
within 0.8 of the retry period several times in a row. So the probe renews its own Lease in the same
way, and measures by how much this process is delayed.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from tests.real.faults import Proxy
from tests.real.parts import ADMIN_TOKEN, Namespace, bearer
from tests.soak.actor import Actor
from tests.soak.facts import Fault
from tests.soak.record import Record
from tests.support import now

SLOW_S = 0.25  # above this, renewals of the replicas, which have 0.4 s, may fail
APART_S = 3.0  # slow periods that are nearer to each other count as one
EXCUSED_S = 12.0  # the time without a writer afterwards, as after a leader that vanished
PATH = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/probe"


class Pulse(Actor):
    """Measures by how much this process is delayed, which makes its records late."""

    pause_s = 0.05
    KEPT = 4_000

    def __init__(self, record: Record) -> None:
        super().__init__("pulse", record)
        self._late: list[tuple[float, float]] = []
        self._due = 0.0

    def turn(self) -> None:
        """Record how late this turn is."""
        at = now()
        late_s = max(at - self._due, 0.0) if self._due else 0.0
        self._due = at + self.pause_s
        self._late = [*self._late[-self.KEPT :], (at, late_s)]
        if late_s > SLOW_S:
            record_slow(self.record, at - late_s, f"held up for {late_s:.2f} s")

    def late_s(self, since: float) -> float:
        """Return the largest delay since a time."""
        return max((late for at, late in self._late if at >= since), default=0.0)


class Probe(Actor):
    """Writes a Lease as replicas do, and records when that is slow."""

    pause_s = 0.4

    def __init__(self, namespace: Namespace, folder: Path, record: Record) -> None:
        super().__init__("probe", record)
        self.way = Proxy(namespace.server, folder)
        self._url = self.way.url + PATH.format(namespace.name)
        context = ssl.create_default_context(cafile=str(namespace.server.ca_file))
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        body = {"metadata": {"name": "probe"}, "spec": {"holderIdentity": "probe"}}
        namespace.server.make(f"{namespace.leases_path}", body)
        self._transitions = 0

    def turn(self) -> None:
        """Write the Lease once."""
        since = now()
        self._transitions += 1
        body = json.dumps({"spec": {"leaseTransitions": self._transitions}}).encode()
        header = {**bearer(ADMIN_TOKEN), "Content-Type": "application/merge-patch+json"}
        request = urllib.request.Request(self._url, body, header, method="PATCH")
        with contextlib.suppress(OSError):
            self._opener.open(request, timeout=2).close()
        if now() - since > SLOW_S:
            record_slow(self.record, since, f"the API server took {now() - since:.2f} s")

    def close(self) -> None:
        """End the probe and its proxy."""
        super().close()
        self.way.close()


def record_slow(record: Record, since: float, why: str) -> None:
    """Record that the machine was slow from a time until now."""
    last = record.slow[-1] if record.slow else None
    if last is None or last.until + APART_S < since:
        excused_until = now() + EXCUSED_S
        last = Fault(0, "all", "slow machine", (), since, excused_until, True)  # noqa: FBT003
        record.slow.append(last)
        record.note("slow machine", why=why)
    last.until = now()
    last.excused_until = now() + EXCUSED_S
