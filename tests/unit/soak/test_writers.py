"""The soak finds two writers in what it knows, and none where there was one at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.check_writers import intruders, overlaps, sent
from tests.soak.facts import Fault, Reign, Write

REIGNS = [Reign("a", 10.0, 20.0), Reign("b", 21.0, 30.0), Reign("a", 31.0, 40.0)]


def test_one_after_the_other() -> None:
    """Reigns that follow each other are as they must be."""
    assert list(overlaps("g", REIGNS)) == []


@pytest.mark.parametrize(("since", "until"), [(19.0, 25.0), (12.0, 13.0), (5.0, 50.0)])
def test_two_at_a_time_are_found(since: float, until: float) -> None:
    """Whoever leads while another does is found, wherever in its time."""
    [found] = overlaps("g", [Reign("a", 10.0, 20.0), Reign("b", since, until)])
    assert found.at == max(since, 10.0)
    assert "a and b both led" in found.text


def test_a_replica_does_not_disturb_itself() -> None:
    """Two reigns of one replica may overlap: the second was seen before the first was over."""
    assert list(overlaps("g", [Reign("a", 10.0, 20.0), Reign("a", 15.0, 25.0)])) == []


def test_writes_of_the_leader_and_between_reigns() -> None:
    """Whoever leads writes; and where nobody certainly leads, each may."""
    writes = [Write("a", 15.0, 15.1, 204), Write("b", 20.5, 20.6, 204), Write("a", 30.5, 30.6, 0)]
    assert list(intruders("g", writes, REIGNS)) == []


@pytest.mark.parametrize("status", [204, 503, 0])
def test_a_write_in_the_time_of_another_is_found(status: int) -> None:
    """Whatever it was answered: it was sent."""
    [found] = intruders("g", [Write("a", 25.0, 25.1, status)], REIGNS)
    assert found.text == "a wrote at 25.00 while b led, since 21.00"


def test_what_may_have_come_before_is_none() -> None:
    """A write that was noted late may be one of before."""
    write = [Write("a", 21.2, 21.3, 204)]
    assert list(intruders("g", write, REIGNS)) != []
    assert list(intruders("g", write, REIGNS, late_s=0.3)) == []


def test_what_the_network_delivers_late() -> None:
    """After a partition what its client has hung up on is no write of then; all else is."""
    cut = Fault(1, "g", "partition", ("a",), 10.0, 0.0, is_crash=True, until=20.0)
    late = Write("a", 25.0, 25.1, 0, is_abandoned=True)
    assert list(sent([late], [cut])) == []
    assert list(sent([replace(late, at=90.0)], [cut])) != []
    assert list(sent([replace(late, replica="b")], [cut])) != []
    assert list(sent([replace(late, is_abandoned=False)], [cut])) != []
    assert list(sent([late], [])) == [late]
