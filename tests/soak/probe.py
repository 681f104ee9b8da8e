"""Finds out whether this machine is too slow for the leases of the soak, whoever makes it so.

What the soak blames on the program must not be the machine's: a lease is lost if the API server
does not answer within 0.8 of the retry period several times in a row. So the probe renews a Lease
of its own by the same way, and finds out by how much this process is held up.
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

SLOW_S = 0.25  # from which on renewals of the replicas may fail, which have 0.4 s
APART_S = 3.0  # times of slowness that are nearer to each other are one
EXCUSED_S = 12.0  # after it there may be no writer for so long: as after a leader that vanished
PATH = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/probe"


class Pulse(Actor):
    """Finds out by how much this process is held up, which makes what it notes late."""

    pause_s = 0.05
    KEPT = 4_000

    def __init__(self, record: Record) -> None:
        super().__init__("pulse", record)
        self._late: list[tuple[float, float]] = []
        self._due = 0.0

    def turn(self) -> None:
        """Note how late this turn is."""
        at = now()
        late_s = max(at - self._due, 0.0) if self._due else 0.0
        self._due = at + self.pause_s
        self._late = [*self._late[-self.KEPT :], (at, late_s)]
        if late_s > SLOW_S:
            tell_slow(self.record, at - late_s, f"held up for {late_s:.2f} s")

    def late_s(self, since: float) -> float:
        """Return the worst since a moment."""
        return max((late for at, late in self._late if at >= since), default=0.0)


class Probe(Actor):
    """Writes a Lease as replicas do, and notes when that is slow."""

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
        """Write once."""
        since = now()
        self._transitions += 1
        body = json.dumps({"spec": {"leaseTransitions": self._transitions}}).encode()
        header = {**bearer(ADMIN_TOKEN), "Content-Type": "application/merge-patch+json"}
        request = urllib.request.Request(self._url, body, header, method="PATCH")
        with contextlib.suppress(OSError):
            self._opener.open(request, timeout=2).close()
        if now() - since > SLOW_S:
            tell_slow(self.record, since, f"the API server took {now() - since:.2f} s")

    def close(self) -> None:
        """End it, and its way."""
        super().close()
        self.way.close()


def tell_slow(record: Record, since: float, why: str) -> None:
    """Note that the machine was slow from a moment until now."""
    last = record.slow[-1] if record.slow else None
    if last is None or last.until + APART_S < since:
        excused_until = now() + EXCUSED_S
        last = Fault(0, "all", "slow machine", (), since, excused_until, True)  # noqa: FBT003
        record.slow.append(last)
        record.note("slow machine", why=why)
    last.until = now()
    last.excused_until = now() + EXCUSED_S
