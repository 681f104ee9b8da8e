"""A requested reload: when it is sent, and what counts as its outcome."""

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
    """Return the state after a request, an observation of Prometheus, and the reload."""
    seen = reloads.observed(wanted(is_reloading=is_reloading), OLD)
    return reloads.sent(seen, NOW + 0.3)


def answer(status: int, sent_at: float = NOW + 0.3) -> ReloadAnswered:
    """Return an answer to our reload request."""
    return ReloadAnswered("f", sent_at, status, "" if status == 200 else "no")


def test_without_a_request_nothing_happens() -> None:
    """Without a request, nothing is due or reported, and evidence and answers are ignored."""
    state = RequestedReload()
    assert not state.is_pending
    assert not state.has_news
    assert not state.may_explain_refusal
    assert not reloads.is_due(state, NOW, 10.0)
    assert reloads.observed(state, NEW) == reloads.answered(state, answer(500)) == state


def test_reload_waits_for_a_quiet_time_and_for_evidence() -> None:
    """A reload is due after a quiet time and an observation, or after a longer time without one."""
    state = wanted()
    assert reloads.due_at(state) == NOW + QUIET_S
    assert not reloads.is_due(reloads.observed(state, OLD), NOW + QUIET_S / 2, 10.0)
    assert not reloads.is_due(state, NOW + QUIET_S, 10.0)
    assert reloads.is_due(reloads.observed(state, OLD), NOW + QUIET_S, 10.0)
    assert reloads.is_due(state, NOW + LOOK_S, 10.0)


def test_long_burst_of_requests_does_not_delay_the_reload_for_ever() -> None:
    """Requests in close succession share one reload, which is due after a limited time."""
    state = wanted()
    for number in range(2, 25):
        state = wanted(state, number, NOW + 0.1 * (number - 1))
    assert reloads.due_at(state) == NOW + reloads.BURST_S
    assert state.number == 24


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, Verdict.LOADED), (500, Verdict.REFUSED), (403, None), (0, None)],
)
def test_answer_to_our_request_is_the_verdict(status: int, verdict: Verdict | None) -> None:
    """Status 200 and 500 are verdicts; 403 and no answer are not."""
    state = reloads.answered(sent(), answer(status))
    assert state.verdict is verdict
    assert state.has_news is (verdict is not None)


def test_answer_to_an_older_request_is_ignored() -> None:
    """An answer to a request from before the change is ignored: it concerns the old files."""
    assert reloads.answered(sent(), answer(200, NOW - 0.1)).is_pending


def test_later_success_time_confirms_the_reload() -> None:
    """After evidence since the change, a later success time confirms the reload."""
    assert reloads.observed(sent(), NEW).verdict is Verdict.LOADED
    assert reloads.observed(sent(), replace(OLD, asked_at=NOW + 0.5)).is_pending


def test_evidence_that_overlaps_the_reload_confirms_it() -> None:
    """Evidence that was requested just before the reload may already show its success."""
    assert reloads.observed(sent(), replace(NEW, asked_at=NOW + 0.2)).verdict is Verdict.LOADED


def test_evidence_from_before_the_change_is_ignored() -> None:
    """Neither a success nor a failure from before the change counts."""
    for early in (replace(NEW, asked_at=NOW - 1), replace(FAILED, asked_at=NOW - 1)):
        assert reloads.observed(sent(), early) == sent()


def test_success_before_the_reload_was_sent_does_not_count() -> None:
    """A success before the reload was sent is another program's, and only updates the evidence."""
    state = reloads.observed(reloads.observed(wanted(), OLD), NEW)
    assert state.is_pending
    assert reloads.observed(reloads.sent(state, NOW + 0.6), NEW).is_pending


def test_reload_beside_one_of_ours_needs_two_successes() -> None:
    """If one of our reloads is in progress, two successes are needed.

    The first one may be that of a reload that has read the files from before the change.
    """
    state = reloads.observed(sent(is_reloading=True), NEW)
    assert state.is_pending
    newest = replace(NEW, success_time=3.0, asked_at=NOW + 0.7)
    assert reloads.observed(state, newest).verdict is Verdict.LOADED


def test_request_during_a_reload_needs_one_more_success() -> None:
    """A reload in progress for the first request proves nothing about the second."""
    second = reloads.observed(wanted(sent(), 2, NOW + 0.35), replace(OLD, asked_at=NOW + 0.4))
    second = reloads.sent(second, NOW + 0.6)
    assert reloads.observed(second, replace(NEW, asked_at=NOW + 0.7)).is_pending


def test_failure_after_the_evidence_is_a_refusal() -> None:
    """If the metrics change from success to failure, the reload was refused."""
    state = reloads.observed(sent(), FAILED)
    assert (state.verdict, state.may_explain_refusal) == (Verdict.REFUSED, True)


def test_unanswered_reload_is_repeated_then_given_up() -> None:
    """A reload without an outcome is repeated, and is unconfirmed after its time limit."""
    state = sent()
    assert not reloads.is_due(state, NOW + 5.0, 10.0)
    assert reloads.is_due(state, NOW + 10.3, 10.0)
    state = reloads.sent(state, NOW + 10.3)
    assert not reloads.is_expired(state, NOW + 20.2, 20.0)
    assert reloads.is_expired(state, NOW + 20.3, 20.0)
    assert reloads.given_up(state).verdict is Verdict.UNCONFIRMED


def test_reload_without_evidence_is_sent_once() -> None:
    """If Prometheus can be neither observed nor answers, it is reloaded once.

    For example, its password is not known.
    """
    blind = reloads.sent(wanted(), NOW + LOOK_S)
    assert not reloads.is_due(blind, NOW + 30, 10.0)
    answered = reloads.answered(blind, answer(403, NOW + LOOK_S))
    assert reloads.is_due(answered, NOW + 30, 10.0)


def test_reload_that_failed_before_and_after_is_refused() -> None:
    """If the metrics showed a failure before and still do, the reload is refused when given up."""
    state = reloads.sent(reloads.observed(wanted(), FAILED), NOW + 0.6)
    state = reloads.observed(state, replace(FAILED, asked_at=NOW + 1))
    assert state.is_pending
    assert reloads.given_up(state).verdict is Verdict.REFUSED


def test_changed_files_may_explain_a_refusal_until_restored() -> None:
    """Refused files may explain a refusal until the old ones are put back and reloaded."""
    refused = reloads.answered(sent(), answer(500))
    back = wanted(refused, 2, NOW + 1, has_changes=False)
    assert refused.may_explain_refusal
    assert back.may_explain_refusal
    again = reloads.sent(back, NOW + 1.3)
    for status in (200, 500):
        answered = reloads.answered(again, answer(status, NOW + 1.3))
        assert not answered.may_explain_refusal


def test_files_that_are_still_changed_may_explain_a_refusal() -> None:
    """If changed files are refused again, they explain it again; after a success they do not."""
    refused = reloads.answered(sent(), answer(500))
    mere = reloads.sent(wanted(refused, 2, NOW + 1), NOW + 1.3)
    assert reloads.answered(mere, answer(500, NOW + 1.3)).may_explain_refusal
    assert not reloads.answered(mere, answer(200, NOW + 1.3)).may_explain_refusal


def test_unconfirmed_reload_explains_no_refusal() -> None:
    """A reload that is given up has no known outcome, and explains no refusal."""
    assert not reloads.given_up(sent()).may_explain_refusal


def test_reload_without_changed_files_explains_no_refusal() -> None:
    """A reload without changed files explains no refusal, except beside one that has them."""
    assert not wanted(has_changes=False).may_explain_refusal
    taken_over = wanted(wanted(), 2, has_changes=False)
    assert taken_over.may_explain_refusal
    taken_over = reloads.sent(taken_over, NOW + 0.3)
    assert not reloads.answered(taken_over, answer(500)).may_explain_refusal


def test_verdict_is_sent_once() -> None:
    """After the verdict has been sent, there is none to send."""
    state = reloads.answered(sent(), answer(200))
    assert state.has_news
    assert not reloads.verdict_sent(state).has_news
