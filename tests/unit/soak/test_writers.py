"""The soak finds two writers at a time, and accepts one after another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.check_writers import intruders, overlaps, sent
from tests.soak.facts import Fault, Reign, Write

REIGNS = [Reign("a", 10.0, 20.0), Reign("b", 21.0, 30.0), Reign("a", 31.0, 40.0)]


def test_consecutive_reigns_are_accepted() -> None:
    """Reigns that follow each other are accepted."""
    assert list(overlaps("g", REIGNS)) == []


@pytest.mark.parametrize(("since", "until"), [(19.0, 25.0), (12.0, 13.0), (5.0, 50.0)])
def test_concurrent_reigns_are_found(since: float, until: float) -> None:
    """A replica that leads during another's reign is found, at any time of it."""
    [found] = overlaps("g", [Reign("a", 10.0, 20.0), Reign("b", since, until)])
    assert found.at == max(since, 10.0)
    assert "a and b both led" in found.text


def test_reigns_of_one_replica_may_overlap() -> None:
    """Two reigns of one replica may overlap: the second may be seen before the first has ended."""
    assert list(overlaps("g", [Reign("a", 10.0, 20.0), Reign("a", 15.0, 25.0)])) == []


def test_writes_of_the_leader_and_between_reigns_are_accepted() -> None:
    """The leader may write; while no leader is certain, each replica may."""
    writes = [Write("a", 15.0, 15.1, 204), Write("b", 20.5, 20.6, 204), Write("a", 30.5, 30.6, 0)]
    assert list(intruders("g", writes, REIGNS)) == []


@pytest.mark.parametrize("status", [204, 503, 0])
def test_write_during_the_reign_of_another_is_found(status: int) -> None:
    """A write during another's reign is found, whatever its answer: it was sent."""
    [found] = intruders("g", [Write("a", 25.0, 25.1, status)], REIGNS)
    assert found.text == "a wrote at 25.00 while b led, since 21.00"


def test_write_that_may_have_been_earlier_is_accepted() -> None:
    """A write that may have been recorded late is accepted."""
    write = [Write("a", 21.2, 21.3, 204)]
    assert list(intruders("g", write, REIGNS)) != []
    assert list(intruders("g", write, REIGNS, late_s=0.3)) == []


def test_late_delivery_by_the_network_is_accepted() -> None:
    """After a partition, a late write that its client has abandoned is ignored; others are not."""
    cut = Fault(1, "g", "partition", ("a",), 10.0, 0.0, is_crash=True, until=20.0)
    late = Write("a", 25.0, 25.1, 0, is_abandoned=True)
    assert list(sent([late], [cut])) == []
    assert list(sent([replace(late, at=90.0)], [cut])) != []
    assert list(sent([replace(late, replica="b")], [cut])) != []
    assert list(sent([replace(late, is_abandoned=False)], [cut])) != []
    assert list(sent([late], [])) == [late]
