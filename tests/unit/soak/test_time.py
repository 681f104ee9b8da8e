"""The soak finds times without writes that no fault explains, or that are too long."""

from __future__ import annotations

import pytest

from tests.soak.check_time import silence_after, silences
from tests.soak.facts import Fault, Violation

STEADY_S = 3.0


def found(*writes: float, faults: tuple[Fault, ...] = (), now: float = 0.0) -> list[Violation]:
    """Return the silences; the last write is the current time unless ``now`` is given."""
    return list(silences("g", writes, faults, steady_s=STEADY_S, now=now or writes[-1]))


def fault(since: float, excused_until: float) -> Fault:
    """Return a fault that explains silences until a time."""
    return Fault(1, "g", "kill", ("a",), since, excused_until, is_crash=True)


def test_steady_writes_are_accepted() -> None:
    """Writes within the time limit are accepted."""
    assert found(1.0, 3.0, 5.9, 8.0) == []


def test_silence_is_found() -> None:
    """A longer silence is found, with the time at which a write was due."""
    [violation] = found(1.0, 2.0, 7.0)
    assert violation.at == 2.0
    assert violation.text == "no write was taken after 2.0; the next one had to come by 5.0"


def test_silence_until_now_is_found() -> None:
    """A silence is found also before a write has ended it."""
    assert found(1.0, now=3.9) == []
    assert [each.at for each in found(1.0, now=4.1)] == [1.0]


@pytest.mark.parametrize("at", [12.9, 13.1])
def test_fault_explains_a_silence_until_its_end(at: float) -> None:
    """A fault explains a silence until its end; a later write is found."""
    assert bool(found(3.0, at, faults=(fault(4.0, 13.0),))) == (at > 13.0)


def test_later_fault_explains_nothing() -> None:
    """A fault does not explain a silence in which a write was due before."""
    assert found(1.0, 6.0, faults=(fault(4.5, 9.0),)) != []


def test_fault_that_is_over_explains_nothing() -> None:
    """After the end of a fault, the usual time limit applies."""
    assert found(9.5, 14.0, faults=(fault(2.0, 9.0),)) != []


def test_consecutive_faults_extend_each_other() -> None:
    """A fault that begins during another extends it; one that begins later does not."""
    first = fault(2.0, 9.0)
    assert found(2.0, 14.0, faults=(first, fault(8.0, 15.0))) == []
    assert found(2.0, 14.0, faults=(first, fault(10.0, 15.0))) != []


def test_fault_without_a_writer_explains_nothing() -> None:
    """A fault that does not affect a writer explains nothing."""
    assert found(1.0, 6.0, faults=(fault(1.0, 0.0),)) != []


def test_silence_after_a_time() -> None:
    """The silence after a time ends with the first write."""
    assert silence_after([1.0, 2.0, 5.0], 2.5) == 2.5
    assert silence_after([1.0], 2.5) is None
