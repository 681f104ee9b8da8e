"""The state of a requested reload, and its verdict: loaded, refused, or not confirmed; pure.

A thread requests a reload when a file that the configuration refers to has changed (rules, for
example). Prometheus' configuration does not show such a change, so the content cannot confirm it,
as it does in ``loaded_rendering``. The change counts as in force in one of two cases:

- Prometheus answered 200 to our own request, which was sent after the change.
- The last reload succeeded, and Prometheus' time of the last successful reload differs from the one
  that was first read after the change.

A request has the information whether files have changed since Prometheus last loaded them. If so, a
refusal does not prove that the configuration is invalid (``may_explain_refusal``). This ends when
the reload has succeeded, or when a reload that was requested with unchanged files has ended. A
refusal is ambiguous while the configuration is not known to be in force: it may be about the
configuration or about the files, and the answer reports this.

Limitation: another program's reload counts as ours if it began before the change and ended after
that first read. Our own reload follows at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.actions import Action, AnswerReload, ReloadPrometheus
from wrapper.model.configuration import Evidence
from wrapper.model.events import Event, LoadedObserved, ReloadAnswered, ReloadWanted
from wrapper.model.roles import Verdict
from wrapper.supervision.configuration_state import ConfigurationState

QUIET_S = 0.2  # requests within this time share one reload
BURST_S = 2.0  # a series of requests delays the reload by at most this time
LOOK_S = 1.0  # if Prometheus has not been queried within this time, the reload is sent anyway
_OK, _REFUSED = 200, 500


@dataclass(frozen=True, slots=True)
class RequestedReload:
    """The newest request and its state.

    - ``number``: the number of the request.
    - ``wanted_at``, ``first_at``: when it arrived, and when the first request of its series did.
    - ``has_changed_files``: files have changed since Prometheus last loaded them.
    - ``earlier_may_explain``: an earlier request, whose reload may still be in progress, may
      explain a refusal.
    - ``seen``: what Prometheus reported after the change, None before the first answer.
    - ``successes``: how many more reloads have to succeed; two if a reload of ours was already in
      progress.
    - ``sent_at``, ``sent_first_at``: when the last and the first reload for it were sent.
    - ``verdict``, ``problem``: the result; ``verdict`` is None while the request is pending.
    - ``is_ambiguous``: the refusal may be about a configuration that was loaded at the same time.
    - ``answered_number``: the newest request whose verdict was sent.
    """

    number: int = 0
    wanted_at: float = 0.0
    first_at: float = 0.0
    has_changed_files: bool = False
    earlier_may_explain: bool = False
    seen: Evidence | None = None
    successes: int = 1
    sent_at: float | None = None
    sent_first_at: float | None = None
    verdict: Verdict | None = Verdict.LOADED
    problem: str = ""
    is_ambiguous: bool = False
    answered_number: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether the request has no verdict yet."""
        return self.verdict is None

    @property
    def may_explain_refusal(self) -> bool:
        """Whether a refusal may be about the changed files instead of the configuration."""
        if self.verdict is None:
            return self.has_changed_files or self.earlier_may_explain
        return self.has_changed_files and self.verdict is Verdict.REFUSED

    @property
    def has_news(self) -> bool:
        """Whether there is a verdict that has not been sent."""
        return self.verdict is not None and self.answered_number < self.number


def fold(
    state: RequestedReload, happened: Event | Action, now: float, configuration: ConfigurationState
) -> RequestedReload:
    """Return the state after one event or action; ``configuration`` is the one before it."""
    match happened:
        case ReloadWanted():
            return wanted(state, happened, now, is_reloading=configuration.loading.is_reloading)
        case ReloadPrometheus():
            return sent(state, now)
        case ReloadAnswered():
            return _marked(answered(state, happened), state, configuration)
        case LoadedObserved(evidence):
            return _marked(observed(state, evidence), state, configuration)
        case AnswerReload():
            return verdict_sent(state)
        case _:
            return state


def _marked(
    after: RequestedReload, before: RequestedReload, configuration: ConfigurationState
) -> RequestedReload:
    """Return the state; a refusal is ambiguous if a configuration was loaded at the same time."""
    is_clear = configuration.is_in_force or not before.is_pending
    is_refused = after.verdict is Verdict.REFUSED
    return replace(after, is_ambiguous=True) if is_refused and not is_clear else after


def expire(
    state: RequestedReload, configuration: ConfigurationState, now: float, limit_s: float
) -> RequestedReload:
    """Return the state with a verdict if the request's time limit has passed."""
    if not is_expired(state, now, limit_s):
        return state
    return _marked(given_up(state), state, configuration)


def wanted(
    state: RequestedReload, request: ReloadWanted, now: float, *, is_reloading: bool
) -> RequestedReload:
    """Return the state after a new request; it replaces one that is still pending.

    ``is_reloading`` means that a reload of ours may be in progress which has read the old files.
    """
    is_sent = state.is_pending and state.sent_at is not None
    return RequestedReload(
        number=request.number,
        wanted_at=now,
        first_at=state.first_at if state.is_pending and not is_sent else now,
        has_changed_files=request.has_changed_files,
        earlier_may_explain=state.may_explain_refusal,
        successes=2 if is_sent or is_reloading else 1,
        verdict=None,
        answered_number=state.answered_number,
    )


def sent(state: RequestedReload, now: float) -> RequestedReload:
    """Return the state after a reload was sent, for any reason."""
    if not state.is_pending:
        return state
    first_at = now if state.sent_first_at is None else state.sent_first_at
    return replace(state, sent_at=now, sent_first_at=first_at)


def answered(state: RequestedReload, answer: ReloadAnswered) -> RequestedReload:
    """Return the state after an answer; it counts only if the reload was sent after the change."""
    if not state.is_pending or answer.sent_at < state.wanted_at:
        return state
    if answer.status == _OK:
        return replace(state, verdict=Verdict.LOADED, problem="")
    refused = Verdict.REFUSED if answer.status == _REFUSED else None
    return replace(state, verdict=refused, problem=answer.problem)


def observed(state: RequestedReload, evidence: Evidence) -> RequestedReload:
    """Return the state after Prometheus was queried about its last reload."""
    if not state.is_pending or evidence.asked_at < state.wanted_at:
        return state
    if state.seen is None or state.sent_at is None:
        return replace(state, seen=evidence)
    if evidence.is_successful and evidence.success_time != state.seen.success_time:
        return _succeeded(state, evidence)
    if state.seen.is_successful and not evidence.is_successful:
        return replace(state, verdict=Verdict.REFUSED, problem="see the log of Prometheus")
    return state


def _succeeded(state: RequestedReload, evidence: Evidence) -> RequestedReload:
    if state.successes > 1:
        return replace(state, seen=evidence, successes=state.successes - 1)
    return replace(state, verdict=Verdict.LOADED, problem="")


def is_due(state: RequestedReload, now: float, retry_s: float) -> bool:
    """Return whether to send a reload now, for the first time or as a retry."""
    if not state.is_pending:
        return False
    if state.sent_at is not None:
        can_tell = state.seen is not None or bool(state.problem)
        return can_tell and now >= state.sent_at + retry_s
    is_quiet = now >= min(state.wanted_at + QUIET_S, state.first_at + BURST_S)
    return is_quiet and (state.seen is not None or now >= state.wanted_at + LOOK_S)


def due_at(state: RequestedReload) -> float | None:
    """Return when the first reload becomes due, None if it has been sent or none is requested."""
    if not state.is_pending or state.sent_at is not None:
        return None
    return min(state.wanted_at + QUIET_S, state.first_at + BURST_S)


def is_expired(state: RequestedReload, now: float, limit_s: float) -> bool:
    """Return whether the time limit of a pending request has passed."""
    first_at = state.sent_first_at
    return state.is_pending and first_at is not None and now >= first_at + limit_s


def given_up(state: RequestedReload) -> RequestedReload:
    """Return the state after the time limit.

    The verdict is ``REFUSED`` if Prometheus reports a failed reload, else ``UNCONFIRMED``.
    """
    is_refused = state.seen is not None and not state.seen.is_successful
    verdict = Verdict.REFUSED if is_refused else Verdict.UNCONFIRMED
    return replace(state, verdict=verdict, problem=state.problem or "its reload was not confirmed")


def verdict_sent(state: RequestedReload) -> RequestedReload:
    """Return the state after the verdict was sent to the threads that requested it."""
    return replace(state, answered_number=state.number)
