"""The soak finds silences that no fault explains, and those that last longer than they may."""

from __future__ import annotations

import pytest

from tests.soak.check_time import silence_after, silences
from tests.soak.facts import Fault, Violation

STEADY_S = 3.0


def found(*writes: float, faults: tuple[Fault, ...] = (), now: float = 0.0) -> list[Violation]:
    """Return the silences, with the last write as now unless another is given."""
    return list(silences("g", writes, faults, steady_s=STEADY_S, now=now or writes[-1]))


def fault(since: float, excused_until: float) -> Fault:
    """Return a fault that excuses for so long."""
    return Fault(1, "g", "kill", ("a",), since, excused_until, is_crash=True)


def test_steady_writes() -> None:
    """Writes within the time are fine."""
    assert found(1.0, 3.0, 5.9, 8.0) == []


def test_a_silence_is_found() -> None:
    """One that is longer is found, with when the next had to come."""
    [violation] = found(1.0, 2.0, 7.0)
    assert violation.at == 2.0
    assert violation.text == "no write was taken after 2.0; the next one had to come by 5.0"


def test_a_silence_until_now_is_found() -> None:
    """Also where no write has ended it yet."""
    assert found(1.0, now=3.9) == []
    assert [each.at for each in found(1.0, now=4.1)] == [1.0]


@pytest.mark.parametrize("at", [12.9, 13.1])
def test_a_fault_excuses_until_its_end(at: float) -> None:
    """A writer that is too late after a fault is found, too."""
    assert bool(found(3.0, at, faults=(fault(4.0, 13.0),))) == (at > 13.0)


def test_a_fault_that_comes_later_excuses_nothing() -> None:
    """The silence had begun before: the write was due already."""
    assert found(1.0, 6.0, faults=(fault(4.5, 9.0),)) != []


def test_a_fault_that_is_over_excuses_nothing() -> None:
    """After the end of one, the usual time counts."""
    assert found(9.5, 14.0, faults=(fault(2.0, 9.0),)) != []


def test_faults_that_follow_each_other() -> None:
    """One that begins while another excuses extends it; not one that begins later."""
    first = fault(2.0, 9.0)
    assert found(2.0, 14.0, faults=(first, fault(8.0, 15.0))) == []
    assert found(2.0, 14.0, faults=(first, fault(10.0, 15.0))) != []


def test_a_fault_that_touches_no_writer() -> None:
    """It excuses nothing."""
    assert found(1.0, 6.0, faults=(fault(1.0, 0.0),)) != []


def test_the_silence_after_a_moment() -> None:
    """It ends with the first write."""
    assert silence_after([1.0, 2.0, 5.0], 2.5) == 2.5
    assert silence_after([1.0], 2.5) is None
