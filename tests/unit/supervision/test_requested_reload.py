"""A reload that is asked for: when it is asked for, and what counts as its outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wrapper.model.configuration import Evidence
from wrapper.model.events import ReloadAnswered, ReloadWanted
from wrapper.model.roles import Verdict
from wrapper.supervision import requested_reload as reloads
from wrapper.supervision.requested_reload import LOOK_S, QUIET_S, RequestedReload

NOW = 100.0
OLD = Evidence("i", writes_remotely=False, is_successful=True, success_time=1.0, asked_at=NOW + 0.1)
NEW = replace(OLD, success_time=2.0, asked_at=NOW + 0.5)
FAILED = replace(OLD, is_successful=False, asked_at=NOW + 0.5)


def wanted(
    state: RequestedReload | None = None,
    number: int = 1,
    at: float = NOW,
    *,
    has_changes: bool = True,
    is_reloading: bool = False,
) -> RequestedReload:
    """Return the state after a request."""
    request = ReloadWanted(number, has_changed_files=has_changes)
    return reloads.wanted(state or RequestedReload(), request, at, is_reloading=is_reloading)


def sent(*, is_reloading: bool = False) -> RequestedReload:
    """Return the state after a request, a look and the reload."""
    seen = reloads.observed(wanted(is_reloading=is_reloading), OLD)
    return reloads.sent(seen, NOW + 0.3)


def answer(status: int, sent_at: float = NOW + 0.3) -> ReloadAnswered:
    """Return an answer to our request."""
    return ReloadAnswered("f", sent_at, status, "" if status == 200 else "no")


def test_at_first_nothing_is_wanted() -> None:
    """Without a request there is nothing to do, to tell or to excuse."""
    state = RequestedReload()
    assert not state.is_pending
    assert not state.has_news
    assert not state.may_explain_refusal
    assert not reloads.is_due(state, NOW, 10.0)
    assert reloads.observed(state, NEW) == reloads.answered(state, answer(500)) == state


def test_it_waits_until_a_burst_is_over_and_for_a_look() -> None:
    """It is due when nothing has followed for a moment, after a look at what was before."""
    state = wanted()
    assert reloads.due_at(state) == NOW + QUIET_S
    assert not reloads.is_due(reloads.observed(state, OLD), NOW + QUIET_S / 2, 10.0)
    assert not reloads.is_due(state, NOW + QUIET_S, 10.0)
    assert reloads.is_due(reloads.observed(state, OLD), NOW + QUIET_S, 10.0)
    assert reloads.is_due(state, NOW + LOOK_S, 10.0)


def test_a_burst_that_goes_on_does_not_put_it_off_for_ever() -> None:
    """Requests that follow each other closely share one reload, soon."""
    state = wanted()
    for number in range(2, 25):
        state = wanted(state, number, NOW + 0.1 * (number - 1))
    assert reloads.due_at(state) == NOW + reloads.BURST_S
    assert state.number == 24


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, Verdict.LOADED), (500, Verdict.REFUSED), (403, None), (0, None)],
)
def test_the_answer_to_our_request_is_the_verdict(status: int, verdict: Verdict | None) -> None:
    """200 and 500 say what became of it; no answer says nothing."""
    state = reloads.answered(sent(), answer(status))
    assert state.verdict is verdict
    assert state.has_news is (verdict is not None)


def test_an_answer_to_an_older_request_says_nothing() -> None:
    """What was sent before the change has read what was there before."""
    assert reloads.answered(sent(), answer(200, NOW - 0.1)).is_pending


def test_a_time_of_success_that_moves_on_confirms() -> None:
    """After a look since the change, the next success is its own."""
    assert reloads.observed(sent(), NEW).verdict is Verdict.LOADED
    assert reloads.observed(sent(), replace(OLD, asked_at=NOW + 0.5)).is_pending


def test_a_look_that_overlaps_the_reload_confirms_too() -> None:
    """It may have been begun before the reload and yet show its success."""
    assert reloads.observed(sent(), replace(NEW, asked_at=NOW + 0.2)).verdict is Verdict.LOADED


def test_what_was_looked_at_before_the_change_says_nothing() -> None:
    """Neither a success nor a failure from before counts."""
    for early in (replace(NEW, asked_at=NOW - 1), replace(FAILED, asked_at=NOW - 1)):
        assert reloads.observed(sent(), early) == sent()


def test_a_success_before_it_was_sent_is_somebody_elses() -> None:
    """It is not taken for ours, and the look is renewed."""
    state = reloads.observed(reloads.observed(wanted(), OLD), NEW)
    assert state.is_pending
    assert reloads.observed(reloads.sent(state, NOW + 0.6), NEW).is_pending


def test_beside_a_reload_of_ours_two_have_to_succeed() -> None:
    """The first may have read what was before the change."""
    state = reloads.observed(sent(is_reloading=True), NEW)
    assert state.is_pending
    newest = replace(NEW, success_time=3.0, asked_at=NOW + 0.7)
    assert reloads.observed(state, newest).verdict is Verdict.LOADED


def test_a_request_during_a_reload_needs_one_more() -> None:
    """What is under way for the first says nothing of the second."""
    second = reloads.observed(wanted(sent(), 2, NOW + 0.35), replace(OLD, asked_at=NOW + 0.4))
    second = reloads.sent(second, NOW + 0.6)
    assert reloads.observed(second, replace(NEW, asked_at=NOW + 0.7)).is_pending


def test_a_failure_since_the_look_refuses() -> None:
    """The metrics turn bad: the reload did not succeed."""
    state = reloads.observed(sent(), FAILED)
    assert (state.verdict, state.may_explain_refusal) == (Verdict.REFUSED, True)


def test_it_is_asked_again_and_given_up_at_last() -> None:
    """Unanswered it is repeated, for a while; then whoever asked is told so."""
    state = sent()
    assert not reloads.is_due(state, NOW + 5.0, 10.0)
    assert reloads.is_due(state, NOW + 10.3, 10.0)
    state = reloads.sent(state, NOW + 10.3)
    assert not reloads.is_expired(state, NOW + 20.2, 20.0)
    assert reloads.is_expired(state, NOW + 20.3, 20.0)
    assert reloads.given_up(state).verdict is Verdict.UNCONFIRMED


def test_one_that_nobody_can_look_at_is_asked_once() -> None:
    """A Prometheus whose password is not known, say, is not reloaded again and again."""
    blind = reloads.sent(wanted(), NOW + LOOK_S)
    assert not reloads.is_due(blind, NOW + 30, 10.0)
    answered = reloads.answered(blind, answer(403, NOW + LOOK_S))
    assert reloads.is_due(answered, NOW + 30, 10.0)


def test_what_failed_before_and_still_fails_has_refused() -> None:
    """Its metrics could not turn, so that time had to tell."""
    state = reloads.sent(reloads.observed(wanted(), FAILED), NOW + 0.6)
    state = reloads.observed(state, replace(FAILED, asked_at=NOW + 1))
    assert state.is_pending
    assert reloads.given_up(state).verdict is Verdict.REFUSED


def test_changed_files_excuse_the_configuration_until_they_are_as_they_were() -> None:
    """Refused, they do so while those from before are put back and loaded, and no longer."""
    refused = reloads.answered(sent(), answer(500))
    back = wanted(refused, 2, NOW + 1, has_changes=False)
    assert refused.may_explain_refusal
    assert back.may_explain_refusal
    again = reloads.sent(back, NOW + 1.3)
    for status in (200, 500):
        answered = reloads.answered(again, answer(status, NOW + 1.3))
        assert not answered.may_explain_refusal


def test_files_that_are_still_changed_excuse_it_still() -> None:
    """Somebody else asks for a reload before those from before are back."""
    refused = reloads.answered(sent(), answer(500))
    mere = reloads.sent(wanted(refused, 2, NOW + 1), NOW + 1.3)
    assert reloads.answered(mere, answer(500, NOW + 1.3)).may_explain_refusal
    assert not reloads.answered(mere, answer(200, NOW + 1.3)).may_explain_refusal


def test_a_reload_that_is_given_up_excuses_nothing() -> None:
    """Nothing is known of it, neither good nor bad."""
    assert not reloads.given_up(sent()).may_explain_refusal


def test_a_mere_reload_excuses_nothing() -> None:
    """Somebody asks for one: with nothing else under way a refusal is its own."""
    assert not wanted(has_changes=False).may_explain_refusal
    taken_over = wanted(wanted(), 2, has_changes=False)
    assert taken_over.may_explain_refusal
    taken_over = reloads.sent(taken_over, NOW + 0.3)
    assert not reloads.answered(taken_over, answer(500)).may_explain_refusal


def test_told_once_is_enough() -> None:
    """After the news there is none."""
    state = reloads.answered(sent(), answer(200))
    assert state.has_news
    assert not reloads.verdict_sent(state).has_news
