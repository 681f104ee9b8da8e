"""Of the series of a refused part, some are sent alone, and the others according to the answers."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.gate.probes import changes, groups, probes


@pytest.mark.parametrize(
    ("count", "sent"), [(0, 0), (1, 1), (32, 32), (33, 32), (500, 62), (2000, 250)]
)
def test_so_many_are_sent_alone(count: int, sent: int) -> None:
    """All of few; of many, an eighth, with both ends; only indexes that were given."""
    indexes = range(7, 7 + 3 * count, 3)
    found = probes(indexes)
    assert (len(found), found) == (sent, sorted(set(found) & set(indexes)))
    assert not found or (found[0], found[-1]) == (indexes[0], indexes[-1])


@pytest.mark.parametrize("period", [2, 3, 4, 5, 8, 16])
def test_the_probes_find_what_alternates(period: int) -> None:
    """Each series of a shard, of so many, is in the same place of the period."""
    assert {at % period for at in probes(range(500))} == set(range(period))


def test_a_cut_is_known_on_one_side() -> None:
    """The others are sent together, and the series around the cut alone."""
    accepted = {0: False, 3: False, 6: True, 9: True}
    assert changes(accepted) == 1
    assert groups(12, accepted) == [[7, 8, 10, 11], [4], [5]]
    other = {0: True, 3: False, 5: False}
    assert groups(6, other) == [[1], [2]]


def test_nothing_is_sent_if_all_are_known() -> None:
    """All are sent together if all are new."""
    assert groups(9, dict.fromkeys((0, 4, 8), False)) == []
    assert groups(9, dict.fromkeys((0, 4, 8), True)) == [[1, 2, 3, 5, 6, 7]]


@given(st.dictionaries(st.integers(0, 40), st.sampled_from([True, False, None]), min_size=1))
def test_only_a_cut_leaves_series_out(accepted: dict[int, bool | None]) -> None:
    """Each other series is sent once; also where it is not known what became of the probes."""
    sent = sorted(chain(accepted, *groups(41, accepted)))
    assert len(set(sent)) == len(sent)
    if changes(accepted) > 1 or False not in accepted.values():
        assert sent == list(range(41))
