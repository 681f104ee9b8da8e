"""When changed files are read, as a table of changes and times."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.configuration.debounce import BURST_S, QUIET_S, SETTLE_S, WRITING_S, Change, Settling

FINISHED, INCOMPLETE, WRITING = Change.FINISHED, Change.INCOMPLETE, Change.WRITING
Happening = tuple[float, Change, str]


def looks(*happenings: Happening) -> list[float]:
    """Return the times at which a watch that is never late reads the files."""
    settling, found, now = Settling(), [], 0.0
    for at, change, path in [*happenings, (1000.0, WRITING, "the end")]:
        while (next_read_at := settling.next_read_at()) is not None and max(
            next_read_at, now
        ) <= at:
            found.append(max(next_read_at, now))
            settling.record_read(found[-1])
        now = at
        settling.note(change, path, now)
    return found


@pytest.mark.parametrize(
    ("happenings", "expected"),
    [
        ([], []),
        ([(1, FINISHED, "a")], [1]),
        ([(1, WRITING, "a"), (1.2, WRITING, "a"), (1.3, FINISHED, "a")], [1.3]),
        ([(1, WRITING, "a")], []),
        ([(1, INCOMPLETE, "a")], [1 + SETTLE_S]),
        ([(1, INCOMPLETE, "a"), (1.1, FINISHED, "a")], [1.1]),
        ([(1, INCOMPLETE, "a"), (1.1, WRITING, "a"), (9, FINISHED, "a")], [9]),
        ([(1, INCOMPLETE, "a"), (1.1, FINISHED, "b")], [1 + SETTLE_S]),
        ([(1, WRITING, "a"), (2, FINISHED, "b"), (3, FINISHED, "a")], [3]),
        ([(1, WRITING, "a"), (2, FINISHED, "b")], [1 + WRITING_S]),
        ([(1, FINISHED, "a"), (1.02, FINISHED, "b"), (1.04, FINISHED, "c")], [1, 1.04 + QUIET_S]),
        ([(1, FINISHED, "a"), (1.2, FINISHED, "a")], [1, 1.2]),
        ([(1, WRITING, "a"), (2, INCOMPLETE, "a")], [2 + SETTLE_S]),
    ],
)
def test_times_of_reads(happenings: list[Happening], expected: list[float]) -> None:
    """A finished change is read at once, further ones together, an unfinished one at its end."""
    assert looks(*happenings) == pytest.approx(expected)


def test_endless_burst_is_read_regularly() -> None:
    """During an endless burst, the files are read about once a second, and again at its end."""
    found = looks(*((1 + n / 20, FINISHED, "a") for n in range(60)))
    assert found[0] == 1
    assert found[-1] == pytest.approx(1 + 59 / 20 + QUIET_S)
    assert all(later - sooner <= BURST_S + QUIET_S for sooner, later in pairwise(found))
    assert len(found) <= 5


def test_other_reads_wait_for_an_unfinished_change() -> None:
    """A read for another reason is held while a file is being changed."""
    settling = Settling()
    settling.note(WRITING, "a", 1.0)
    assert settling.is_held(1.0)
    settling.record_read(2.0)
    assert settling.is_held(3.0)
    settling.note(FINISHED, "a", 4.0)
    assert not settling.is_held(4.0)


def test_file_that_is_no_input_any_more_delays_nothing() -> None:
    """A file that is no longer an input is not waited for."""
    settling = Settling()
    settling.note(WRITING, "old", 1.0)
    settling.note(FINISHED, "new", 1.0)
    assert settling.held == ("old",)
    assert settling.next_read_at() == 1.0 + WRITING_S
    settling.release(["old", "other"])
    assert settling.next_read_at() == 1.0


changes = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from(list(Change)), st.sampled_from("abc")), max_size=20
)


@given(changes)
def test_each_finished_change_is_read(happenings: list[Happening]) -> None:
    """After the last finished change, the files are read within the longest delay."""
    happenings.sort(key=lambda happening: happening[0])
    finished = [at for at, change, _ in happenings if change is not WRITING]
    found = looks(*happenings)
    assert bool(found) == bool(finished)
    if finished:
        assert finished[-1] <= found[-1] <= 100 + WRITING_S + BURST_S


@given(changes)
def test_file_that_is_being_written_is_not_read(happenings: list[Happening]) -> None:
    """Between the start and the end of a change nothing is read, within the time limit."""
    happenings.sort(key=lambda happening: happening[0])
    for look in looks(*happenings):
        last = {
            path: (at, change)
            for at, change, path in happenings
            if at < look or (at == look and change is not WRITING)
        }
        assert not any(change is WRITING and look < at + WRITING_S for at, change in last.values())
