"""A reload for rules: when it is asked for, and what counts as its outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wrapper.model import Evidence, ReloadAnswered
from wrapper.supervision import rule_reload
from wrapper.supervision.rule_reload import LOOK_S, QUIET_S, RuleReload
from wrapper.targets.feed import Verdict

NOW = 100.0
OLD = Evidence("i", writes_remotely=False, is_successful=True, success_time=1.0, asked_at=NOW + 0.1)
NEW = replace(OLD, success_time=2.0, asked_at=NOW + 0.5)
FAILED = replace(OLD, is_successful=False, asked_at=NOW + 0.5)


def wanted(
    state: RuleReload | None = None,
    number: int = 1,
    at: float = NOW,
    *,
    is_suspect: bool = True,
    is_reloading: bool = False,
) -> RuleReload:
    """Return the state after a request."""
    return rule_reload.wanted(
        state or RuleReload(), number, at, is_suspect=is_suspect, is_reloading=is_reloading
    )


def sent(*, is_reloading: bool = False) -> RuleReload:
    """Return the state after a request, a look and the reload."""
    seen = rule_reload.observed(wanted(is_reloading=is_reloading), OLD)
    return rule_reload.sent(seen, NOW + 0.3)


def answer(status: int, sent_at: float = NOW + 0.3) -> ReloadAnswered:
    """Return an answer to our request."""
    return ReloadAnswered("f", sent_at, status, "" if status == 200 else "no")


def test_at_first_nothing_is_wanted() -> None:
    """Without a request there is nothing to do, to tell or to suspect."""
    state = RuleReload()
    assert not state.is_pending
    assert not state.has_news
    assert not state.suspects_rules
    assert not rule_reload.is_due(state, NOW, 10.0)
    assert rule_reload.observed(state, NEW) == rule_reload.answered(state, answer(500)) == state


def test_it_waits_until_a_burst_is_over_and_for_a_look() -> None:
    """It is due when nothing has followed for a moment, after a look at what was before."""
    state = wanted()
    assert rule_reload.due_at(state) == NOW + QUIET_S
    assert not rule_reload.is_due(rule_reload.observed(state, OLD), NOW + QUIET_S / 2, 10.0)
    assert not rule_reload.is_due(state, NOW + QUIET_S, 10.0)
    assert rule_reload.is_due(rule_reload.observed(state, OLD), NOW + QUIET_S, 10.0)
    assert rule_reload.is_due(state, NOW + LOOK_S, 10.0)


def test_a_burst_that_goes_on_does_not_put_it_off_for_ever() -> None:
    """Requests that follow each other closely share one reload, soon."""
    state = wanted()
    for number in range(2, 25):
        state = wanted(state, number, NOW + 0.1 * (number - 1))
    assert rule_reload.due_at(state) == NOW + rule_reload.BURST_S
    assert state.number == 24


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, Verdict.LOADED), (500, Verdict.REFUSED), (403, None), (0, None)],
)
def test_the_answer_to_our_request_is_the_verdict(status: int, verdict: Verdict | None) -> None:
    """200 and 500 say what became of it; no answer says nothing."""
    state = rule_reload.answered(sent(), answer(status))
    assert state.verdict is verdict
    assert state.has_news is (verdict is not None)


def test_an_answer_to_an_older_request_says_nothing() -> None:
    """What was sent before the change has read what was there before."""
    assert rule_reload.answered(sent(), answer(200, NOW - 0.1)).is_pending


def test_a_time_of_success_that_moves_on_confirms() -> None:
    """After a look since the change, the next success is its own."""
    assert rule_reload.observed(sent(), NEW).verdict is Verdict.LOADED
    assert rule_reload.observed(sent(), replace(OLD, asked_at=NOW + 0.5)).is_pending


def test_a_look_that_overlaps_the_reload_confirms_too() -> None:
    """It may have been begun before the reload and yet show its success."""
    assert rule_reload.observed(sent(), replace(NEW, asked_at=NOW + 0.2)).verdict is Verdict.LOADED


def test_what_was_looked_at_before_the_change_says_nothing() -> None:
    """Neither a success nor a failure from before counts."""
    for early in (replace(NEW, asked_at=NOW - 1), replace(FAILED, asked_at=NOW - 1)):
        assert rule_reload.observed(sent(), early) == sent()


def test_a_success_before_it_was_sent_is_somebody_elses() -> None:
    """It is not taken for ours, and the look is renewed."""
    state = rule_reload.observed(rule_reload.observed(wanted(), OLD), NEW)
    assert state.is_pending
    assert rule_reload.observed(rule_reload.sent(state, NOW + 0.6), NEW).is_pending


def test_beside_a_reload_of_ours_two_have_to_succeed() -> None:
    """The first may have read what was before the change."""
    state = rule_reload.observed(sent(is_reloading=True), NEW)
    assert state.is_pending
    newest = replace(NEW, success_time=3.0, asked_at=NOW + 0.7)
    assert rule_reload.observed(state, newest).verdict is Verdict.LOADED


def test_a_request_during_a_reload_needs_one_more() -> None:
    """What is under way for the first says nothing of the second."""
    second = rule_reload.observed(wanted(sent(), 2, NOW + 0.35), replace(OLD, asked_at=NOW + 0.4))
    second = rule_reload.sent(second, NOW + 0.6)
    assert rule_reload.observed(second, replace(NEW, asked_at=NOW + 0.7)).is_pending


def test_a_failure_since_the_look_refuses() -> None:
    """The metrics turn bad: the reload did not succeed."""
    state = rule_reload.observed(sent(), FAILED)
    assert (state.verdict, state.suspects_rules) == (Verdict.REFUSED, True)


def test_it_is_asked_again_and_given_up_at_last() -> None:
    """Unanswered it is repeated, for a while; then whoever asked is told so."""
    state = sent()
    assert not rule_reload.is_due(state, NOW + 5.0, 10.0)
    assert rule_reload.is_due(state, NOW + 10.3, 10.0)
    state = rule_reload.sent(state, NOW + 10.3)
    assert not rule_reload.is_hopeless(state, NOW + 20.2, 20.0)
    assert rule_reload.is_hopeless(state, NOW + 20.3, 20.0)
    assert rule_reload.given_up(state).verdict is Verdict.UNCONFIRMED


def test_one_that_nobody_can_look_at_is_asked_once() -> None:
    """A Prometheus whose password is not known, say, is not reloaded again and again."""
    blind = rule_reload.sent(wanted(), NOW + LOOK_S)
    assert not rule_reload.is_due(blind, NOW + 30, 10.0)
    answered = rule_reload.answered(blind, answer(403, NOW + LOOK_S))
    assert rule_reload.is_due(answered, NOW + 30, 10.0)


def test_what_failed_before_and_still_fails_has_refused() -> None:
    """Its metrics could not turn, so that time had to tell."""
    state = rule_reload.sent(rule_reload.observed(wanted(), FAILED), NOW + 0.6)
    state = rule_reload.observed(state, replace(FAILED, asked_at=NOW + 1))
    assert state.is_pending
    assert rule_reload.given_up(state).verdict is Verdict.REFUSED


def test_suspicion_lasts_until_the_old_rules_are_back() -> None:
    """Refused, they are suspect while the last good ones are put back, and no longer."""
    refused = rule_reload.answered(sent(), answer(500))
    back = wanted(refused, 2, NOW + 1, is_suspect=False)
    assert refused.suspects_rules
    assert back.suspects_rules
    again = rule_reload.sent(back, NOW + 1.3)
    for status in (200, 500):
        assert not rule_reload.answered(again, answer(status, NOW + 1.3)).suspects_rules


def test_a_mere_reload_beside_the_old_rules_ends_suspicion_too() -> None:
    """Whichever comes first after the refusal: with both answered, the next is about others."""
    refused = rule_reload.answered(sent(), answer(500))
    both = wanted(wanted(refused, 2, NOW + 1, is_suspect=False), 3, NOW + 1.1, is_suspect=False)
    assert both.suspects_rules
    again = rule_reload.sent(both, NOW + 1.4)
    assert not rule_reload.answered(again, answer(500, NOW + 1.4)).suspects_rules


def test_a_mere_reload_suspects_nothing() -> None:
    """Somebody asks for one: a refusal is about the configuration."""
    assert not wanted(is_suspect=False).suspects_rules
    assert wanted(wanted(), 2, is_suspect=False).suspects_rules


def test_told_once_is_enough() -> None:
    """After the news there is none."""
    state = rule_reload.answered(sent(), answer(200))
    assert state.has_news
    assert not rule_reload.told(state).has_news
