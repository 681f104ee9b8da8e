"""The times of requested fetches: soon, but few."""

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
    """Return the times of requests that a fetch causes: none."""
    return iter(())


def echo_until(end: float) -> Echo:
    """Return a function that causes a request at the end of each fetch, until a time.

    Promgen does so while it saves objects.
    """

    def echo(_began_at: float, ended_at: float) -> Iterator[float]:
        if ended_at < end:
            yield ended_at - 0.01

    return echo


def fetches(
    asks: Iterable[float], echo: Echo = no_echo, last_ended_at: float = -60.0
) -> list[float]:
    """Return the times at which fetches begin, for these requests and those that fetches cause."""
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
    """Return times from 0 to the end, in steps."""
    return [number * step for number in range(int(end / step) + 1)]


def test_request_after_a_quiet_time_is_fetched_at_once() -> None:
    """A request after a quiet time is fetched at once, also a second one a little later."""
    assert fetches([0.0]) == [0.0]
    assert fetches([0.0, 3.0, 6.0]) == [0.0, 3.0, 6.0]


def test_simultaneous_requests_share_a_fetch() -> None:
    """Requests at one time share a fetch, and those during a fetch share the next one."""
    assert fetches([0.0] * 1000) == [0.0]
    assert fetches([0.0, *[0.1] * 1000]) == [0.0, FETCH_S + APART_S]


def test_request_after_a_periodic_fetch_waits_a_little() -> None:
    """A request right after a periodic fetch waits, as after any other fetch."""
    assert fetches([0.0], last_ended_at=-0.1) == [pytest.approx(APART_S - 0.1)]


@pytest.mark.parametrize("step", [0.01, 0.1, 0.9])
def test_burst_of_requests_leads_to_few_fetches(step: float) -> None:
    """A burst leads to a few fetches, the last of them soon after its end."""
    begun = fetches(every(step, BURST_S))
    assert len(begun) <= MOST_IN_A_BURST
    assert begun[-1] + FETCH_S <= BURST_S + LATE_S


def test_burst_that_fetches_cause_leads_to_few_fetches() -> None:
    """A burst that shows only as a request after each fetch leads to a few fetches as well."""
    begun = fetches([0.0, BURST_S], echo_until(BURST_S))
    assert len(begun) <= MOST_IN_A_BURST
    assert BURST_S <= begun[-1] <= BURST_S + LATE_S - FETCH_S


@pytest.mark.parametrize("end", [step / 20 for step in range(1, 130)])
def test_end_of_a_short_burst_is_fetched_soon(end: float) -> None:
    """The end of a short burst is fetched soon, also if it coincides with a fetch."""
    for asks in ([0.0, end], [0.0]):
        begun = fetches(asks, echo_until(end))
        assert begun[-1] >= end or not any(echo_until(end)(0.0, begun[-1] + FETCH_S))
        assert begun[-1] <= end + LATE_S - FETCH_S


def test_long_burst_leads_to_few_fetches() -> None:
    """A burst of ten minutes leads to about one fetch every ten seconds."""
    most = 600 / FAR_S + MOST_IN_A_BURST
    assert len(fetches(every(0.1, 600.0))) <= most
    assert len(fetches([0.0, 600.0], echo_until(600.0))) <= most


@given(st.lists(st.floats(0.0, 60.0), min_size=1, max_size=40), st.floats(0.0, 60.0))
def test_each_request_is_followed_by_a_fetch(asks: list[float], end: float) -> None:
    """Each request is followed by a fetch within the longest pause; fetches keep their distance."""
    begun = fetches(asks, echo_until(end))
    for at in asks:
        later = [each for each in begun if each >= at]
        assert later
        assert later[0] <= at + FETCH_S + FAR_S + 1e-6
    assert all(
        after >= before + FETCH_S + APART_S - 1e-6 for before, after in itertools.pairwise(begun)
    )
