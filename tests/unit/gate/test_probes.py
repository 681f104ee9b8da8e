"""Of the series of a refused part, some are probed, and the answers decide about the others."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.gate.probes import ROUNDS, are_mixed, changes, groups, probes


@pytest.mark.parametrize("attempt", [0, 1, 12345])
@pytest.mark.parametrize(("count", "sent"), [(0, 0), (1, 1), (64, 64), (65, 64), (2000, 64)])
def test_number_of_probes(count: int, sent: int, attempt: int) -> None:
    """Of few series all are probed, of many 64, including both ends."""
    indexes = range(7, 7 + 3 * count, 3)
    found = probes(indexes, 64, attempt)
    assert (len(found), found) == (sent, sorted(set(found) & set(indexes)))
    assert not found or (found[0], found[-1]) == (indexes[0], indexes[-1])


def test_probes_differ_by_round_and_attempt() -> None:
    """A second round has more probes, another attempt has others; the ends are always included."""
    first, more = (set(probes(range(2000), most, 3)) for most in ROUNDS)
    assert first < more
    assert more & set(probes(range(2000), ROUNDS[-1], 4)) == {0, 1999}


@pytest.mark.parametrize("period", [2, 3, 4, 5, 8, 16])
def test_probes_cover_each_phase_of_a_period(period: int) -> None:
    """The probes cover each phase of a short period, e.g. that of shards."""
    assert {at % period for at in probes(range(500), 64, 0)} == set(range(period))


def test_series_around_a_change_are_sent_alone() -> None:
    """Around one change of the answers, series are sent alone; the others are sent together."""
    accepted = {0: False, 3: False, 6: True, 9: True}
    assert changes(accepted) == 1
    assert groups(12, accepted) == [[7, 8, 10, 11], [4], [5]]
    other = {0: True, 3: False, 5: False}
    assert groups(6, other) == [[1], [2]]


def test_uniform_answers_need_no_single_series() -> None:
    """If all probes are known, nothing more is sent; if all are new, the others go together."""
    assert groups(9, dict.fromkeys((0, 4, 8), False)) == []
    assert groups(9, dict.fromkeys((0, 4, 8), True)) == [[1, 2, 3, 5, 6, 7]]


def test_few_new_series_do_not_make_all_be_sent() -> None:
    """For a few new series, or one run of them, only the series around them are sent."""
    accepted = dict.fromkeys(range(0, 400, 4), False)
    accepted |= {20: True, 200: True}
    assert not are_mixed(accepted)
    near = [*range(16, 24), *range(196, 204)]
    assert sorted(chain(*groups(397, accepted))) == [at for at in near if at % 4]
    assert are_mixed(accepted | {100: True, 300: True})
    assert not are_mixed(accepted | dict.fromkeys(range(20, 204, 4), True))


@given(st.dictionaries(st.integers(0, 40), st.sampled_from([True, False, None]), min_size=1))
def test_only_known_probes_leave_series_out(accepted: dict[int, bool | None]) -> None:
    """No series is sent twice, and series are left out only if probes were known."""
    sent = sorted(chain(accepted, *groups(41, accepted)))
    assert len(set(sent)) == len(sent)
    if are_mixed(accepted) or False not in accepted.values():
        assert sent == list(range(41))
