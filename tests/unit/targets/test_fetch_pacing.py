"""Fetches for those who ask: soon, few, and never none."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.targets import fetch_pacing
from wrapper.targets.fetch_pacing import APART_S, FAR_S, FetchPace

FETCH_S = 0.2
MOST_IN_A_BURST, BURST_S = 5, 16.0
LATE_S = 3.0
Echo = Callable[[float, float], Iterable[float]]


def no_echo(_began_at: float, _ended_at: float) -> Iterator[float]:
    """Return when somebody asks because of a fetch: never."""
    return iter(())


def echo_until(end: float) -> Echo:
    """Return what asks once at the end of each fetch, as Promgen does while it saves objects."""

    def echo(_began_at: float, ended_at: float) -> Iterator[float]:
        if ended_at < end:
            yield ended_at - 0.01

    return echo


def fetches(
    asks: Iterable[float], echo: Echo = no_echo, last_ended_at: float = -60.0
) -> list[float]:
    """Return when the fetches begin for those who ask at these times, and because of fetches."""
    state, waiting, begun = FetchPace(last_ended_at), sorted(asks), list[float]()
    while True:
        due = fetch_pacing.due_at(state)
        if waiting and (due is None or waiting[0] <= due):
            state = fetch_pacing.asked(state, waiting.pop(0))
        elif due is not None:
            begun.append(due)
            ended_at = due + FETCH_S
            state = fetch_pacing.fetched(state, ended_at)
            waiting = sorted([*waiting, *echo(due, ended_at)])
            while waiting and waiting[0] <= ended_at:
                state = fetch_pacing.asked(state, waiting.pop(0))
        else:
            return begun


def every(step: float, end: float) -> list[float]:
    """Return times from 0 to the end."""
    return [number * step for number in range(int(end / step) + 1)]


def test_who_asks_after_a_quiet_time_is_answered_at_once() -> None:
    """Also who asks again a little later."""
    assert fetches([0.0]) == [0.0]
    assert fetches([0.0, 3.0, 6.0]) == [0.0, 3.0, 6.0]


def test_many_at_once_are_one_fetch_and_those_during_it_one_more() -> None:
    """However many."""
    assert fetches([0.0] * 1000) == [0.0]
    assert fetches([0.0, *[0.1] * 1000]) == [0.0, FETCH_S + APART_S]


def test_who_asks_right_after_a_fetch_at_the_interval_waits_a_little() -> None:
    """As after any other."""
    assert fetches([0.0], last_ended_at=-0.1) == [pytest.approx(APART_S - 0.1)]


@pytest.mark.parametrize("step", [0.01, 0.1, 0.9])
def test_a_burst_is_a_handful_of_fetches(step: float) -> None:
    """With somebody who asks all the time, and the last of them answered soon after."""
    begun = fetches(every(step, BURST_S))
    assert len(begun) <= MOST_IN_A_BURST
    assert begun[-1] + FETCH_S <= BURST_S + LATE_S


def test_a_burst_that_only_our_own_fetches_show_is_a_handful_too() -> None:
    """Each is followed by a task; at the end of the burst comes one more."""
    begun = fetches([0.0, BURST_S], echo_until(BURST_S))
    assert len(begun) <= MOST_IN_A_BURST
    assert BURST_S <= begun[-1] <= BURST_S + LATE_S - FETCH_S


@pytest.mark.parametrize("end", [step / 20 for step in range(1, 130)])
def test_whenever_a_short_burst_ends_it_is_answered_soon(end: float) -> None:
    """Up to six seconds: also where its end falls together with a fetch."""
    for asks in ([0.0, end], [0.0]):
        begun = fetches(asks, echo_until(end))
        assert begun[-1] >= end or not any(echo_until(end)(0.0, begun[-1] + FETCH_S))
        assert begun[-1] <= end + LATE_S - FETCH_S


def test_a_long_burst_is_not_many_fetches() -> None:
    """Ten minutes of it, of either kind: about one each ten seconds."""
    most = 600 / FAR_S + MOST_IN_A_BURST
    assert len(fetches(every(0.1, 600.0))) <= most
    assert len(fetches([0.0, 600.0], echo_until(600.0))) <= most


@given(st.lists(st.floats(0.0, 60.0), min_size=1, max_size=40), st.floats(0.0, 60.0))
def test_everybody_is_answered_by_a_fetch_that_begins_later(asks: list[float], end: float) -> None:
    """Whoever asks whenever: within the longest pause and a fetch, and fetches keep apart."""
    begun = fetches(asks, echo_until(end))
    for at in asks:
        later = [each for each in begun if each >= at]
        assert later
        assert later[0] <= at + FETCH_S + FAR_S + 1e-6
    assert all(
        after >= before + FETCH_S + APART_S - 1e-6 for before, after in itertools.pairwise(begun)
    )
