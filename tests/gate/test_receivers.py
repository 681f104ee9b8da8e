"""The answers of common receivers, and that the gate works with them.

The table of receivers in wrapper/docs/operation.md is based on these tests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests import remote_write
from tests.gate.test_faults import Outage, account_of
from tests.real import outages
from tests.real.conftest import MakeWriters
from tests.real.fleet import LEASE_S
from tests.real.parts import program, started
from tests.real.receivers import PrometheusStore, Store, VictoriaStore
from tests.real.scalable import CortexStore, ThanosStore
from tests.remote_write import Series
from tests.support import wait_until

JOB = "known"
WRITTEN = "X-Prometheus-Remote-Write-Samples-Written"
SCALABLE = pytest.mark.parametrize("store", [CortexStore, ThanosStore])


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver's answer: status, samples written if it reports them, and what it then has."""

    status: int
    written: str | None
    has: tuple[str, ...]


class SampleWriter:
    """Writes samples of few series to a receiver, and returns the result."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = round(time.time() * 1000) - 60_000

    def send(self, *series: str, protocol: int = 1) -> Answer:
        """Send samples ``name@second=value``; return the answer, and what the receiver then has."""
        answer = remote_write.post(
            self.store.write_url, [self._series(each) for each in series], protocol
        )
        names = [each.partition("@")[0] for each in series]
        return Answer(answer.status_code, answer.headers.get(WRITTEN), tuple(self._has(names)))

    def _series(self, text: str) -> Series:
        name, _, rest = text.partition("@")
        second, _, value = rest.partition("=")
        labels = {"__name__": name, "job": JOB}
        return labels, [(self.now + 1000 * int(second), float(value))]

    def _has(self, names: list[str]) -> Iterator[str]:
        found = self.store.samples(JOB)
        for name in names:
            samples = found.get(f'{name}{{job="{JOB}"}}', [])
            yield from (f"{name}@{(at - self.now) // 1000}={value:g}" for at, value in samples)


def test_the_answers_of_prometheus(tmp_path: Path) -> None:
    """In protocol 1, Prometheus stores nothing of a request that it refuses."""
    with started(PrometheusStore(tmp_path)) as store:
        writer = SampleWriter(store)
        assert writer.send("a@0=1") == Answer(204, None, ("a@0=1",))
        assert writer.send("b@0=1", "a@0=1") == Answer(204, None, ("b@0=1", "a@0=1"))
        assert writer.send("c@0=1", "a@-1=1") == Answer(400, None, ("a@0=1",))
        assert writer.send("d@0=1", "a@0=9") == Answer(400, None, ("a@0=1",))


def test_the_answers_of_a_new_prometheus_in_protocol_2(tmp_path: Path) -> None:
    """In protocol 2, Prometheus stores and counts the valid samples of a refused request."""
    with started(PrometheusStore(tmp_path, program("prometheus@newest"))) as store:
        writer = SampleWriter(store)
        assert writer.send("a@0=1", protocol=2) == Answer(204, "1", ("a@0=1",))
        assert writer.send("b@0=1", "a@0=1", protocol=2) == Answer(204, "2", ("b@0=1", "a@0=1"))
        assert writer.send("c@0=1", "a@-1=1", protocol=2) == Answer(400, "1", ("c@0=1", "a@0=1"))


def test_the_answers_of_victoria_metrics(tmp_path: Path) -> None:
    """VictoriaMetrics accepts all of protocol 1, also duplicates; of protocol 2 it stores nothing.

    It answers 204 in both cases.
    """
    with started(VictoriaStore(tmp_path)) as store:
        writer = SampleWriter(store)
        assert writer.send("a@0=1") == Answer(204, None, ("a@0=1",))
        both = ("b@0=1", "a@-1=1", "a@0=1")
        assert writer.send("b@0=1", "a@-1=1") == Answer(204, None, both)
        assert writer.send("c@0=1", protocol=2) == Answer(204, None, ())


def test_the_answers_of_cortex(tmp_path: Path) -> None:
    """Cortex stores the valid samples of a refused request, and reports none as written."""
    with started(CortexStore(tmp_path)) as store:
        writer = SampleWriter(store)
        assert writer.send("a@0=1") == Answer(200, None, ("a@0=1",))
        assert writer.send("b@0=1", "a@0=1") == Answer(200, None, ("b@0=1", "a@0=1"))
        assert writer.send("c@0=1", "a@-1=1") == Answer(400, None, ("c@0=1", "a@0=1"))
        assert writer.send("d@0=1", "a@0=9") == Answer(400, None, ("d@0=1", "a@0=1"))
        assert writer.send("e@0=1", protocol=2) == Answer(204, "1", ("e@0=1",))
        assert writer.send("f@0=1", "e@-1=1", protocol=2) == Answer(400, "0", ("f@0=1", "e@0=1"))


def test_the_answers_of_thanos(tmp_path: Path) -> None:
    """Thanos stores the valid samples of a refused request, and nothing of protocol 2."""
    with started(ThanosStore(tmp_path)) as store:
        writer = SampleWriter(store)
        wait_until(lambda: writer.send("a@0=1").has, 30, "the querier knows of the receiver")
        assert writer.send("a@0=1") == Answer(200, None, ("a@0=1",))
        assert writer.send("b@0=1", "a@0=1") == Answer(200, None, ("b@0=1", "a@0=1"))
        assert writer.send("c@0=1", "a@-1=1") == Answer(409, None, ("c@0=1", "a@0=1"))
        assert writer.send("d@0=1", "a@0=9") == Answer(409, None, ("d@0=1", "a@0=1"))
        assert writer.send("e@0=1", protocol=2) == Answer(200, None, ())


OUTAGES: dict[str, Outage] = {
    "machine gone": outages.machine_gone,
    "stopped": outages.stopped,
    "receiver away": partial(outages.receiver_away_and_leader_gone, away_s=30.0),
}


@SCALABLE
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_the_successor_continues(writers: MakeWriters, store: type, outage: Outage) -> None:
    """When the leader vanishes or stops, the other replica sends what the receiver lacks."""
    found = account_of(writers(store), outage, is_exact=outage is outages.stopped)
    assert found.hole.seconds < LEASE_S, found


@pytest.mark.parametrize("outage", [outages.machine_gone, outages.stopped])
def test_cortex_in_protocol_2(writers: MakeWriters, outage: Outage) -> None:
    """Cortex reports no sample as written if it knew one; nothing is lost by that."""
    fleet = writers(CortexStore, prometheus=program("prometheus@newest"), protocol=2)
    account_of(fleet, outage, is_exact=outage is outages.stopped)
    assert fleet.gate_total("samples_unconfirmed_total") == 0
