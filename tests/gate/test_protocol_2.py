"""The newest Prometheus sends to the newest Prometheus, in protocols 1 and 2 of remote_write."""

from __future__ import annotations

from functools import partial

import pytest

from tests.gate.test_faults import Outage
from tests.real import outages
from tests.real.conftest import MakeWriters
from tests.real.parts import program
from tests.real.receivers import PrometheusStore
from tests.real.replica import Replica
from tests.remote_write import VERSION

OUTAGES = [outages.machine_gone, outages.stopped]


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("is_agent", [False, True], ids=["server", "agent"])
@pytest.mark.parametrize("protocol", [1, 2])
def test_a_new_prometheus(
    writers: MakeWriters, protocol: int, is_agent: bool, outage: Outage
) -> None:
    """In both protocols and modes, nothing is lost, and the successor's Prometheus logs no loss."""
    new = program("prometheus@newest")
    store = partial(PrometheusStore, binary=new)
    fleet = writers(store, prometheus=new, protocol=protocol, is_agent=is_agent)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outage(fleet)
    fleet.assert_whole(leader.name, other.name, is_exact=outage is outages.stopped)
    versions = {each.header[VERSION] for each in fleet.ingress.passed}
    assert versions == {"2.0.0" if protocol == 2 else "0.1.0"}
    assert not complaints(other)


def complaints(replica: Replica) -> list[str]:
    """Return the log lines of Prometheus about samples that it considers lost."""
    lines = replica.log.read_text().splitlines()
    return [line for line in lines if "non-recoverable" in line or "missing" in line]
