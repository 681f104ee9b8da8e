"""A requested reload and its verdict: loaded, refused, or not confirmed; pure.

A reload is requested when a file that the configuration refers to has changed (rules, for example).
Such a change does not show in Prometheus' configuration, so it cannot be confirmed by content
(``confirm``). It counts as in force once our own request, sent after the change, was answered by
200; or once Prometheus' time of the last successful reload has changed since it was first read
after the change, and the last reload succeeded. Limit: someone else's reload that began before the
change and ended after that first reading is taken for ours, which follows at once.

A request says whether files have changed since Prometheus last loaded them. If so, a refusal is not
evidence against the configuration (``excuses_configuration``), until the reload has succeeded or
one that was requested with unchanged files has ended. A refusal while the configuration is not
known to be in force is ambiguous: it may be about either, and the answer says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.actions import Action, AnswerReload, ReloadPrometheus
from wrapper.model.configuration import Evidence
from wrapper.model.events import Event, LoadedObserved, ReloadAnswered, ReloadWanted
from wrapper.model.roles import Verdict
from wrapper.supervision.configuration_state import ConfigurationState

QUIET_S = 0.2  # requests within this time share one reload
BURST_S = 2.0  # the longest delay by a series of requests
LOOK_S = 1.0  # how long to wait for evidence before a reload is sent without it
_OK, _REFUSED = 200, 500


@dataclass(frozen=True, slots=True)
class RequestedReload:
    """The newest request, by its number, and its state.

    ``wanted_at`` is when it came, ``first_at`` when the first of its series came; ``seen`` is
    Prometheus' evidence from after the change, ``successes`` how many more reloads have to succeed:
    two if one of ours was already under way. ``verdict`` is None while it is under way.
    ``was_excused``: an earlier request, whose reload may still be under way, excused the
    configuration. ``answered_number`` is the newest request whose verdict was sent.
    """

    number: int = 0
    wanted_at: float = 0.0
    first_at: float = 0.0
    has_changed_files: bool = False
    was_excused: bool = False
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
    def excuses_configuration(self) -> bool:
        """Whether a refusal may be about changed files and not the configuration."""
        if self.verdict is None:
            return self.has_changed_files or self.was_excused
        return self.has_changed_files and self.verdict is Verdict.REFUSED

    @property
    def has_news(self) -> bool:
        """Whether there is a verdict that has not been sent."""
        return self.verdict is not None and self.answered_number < self.number


def fold(
    state: RequestedReload, happened: Event | Action, now: float, configuration: ConfigurationState
) -> RequestedReload:
    """Fold in one event or action; ``configuration`` is the state from before."""
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
    """Mark a refusal as ambiguous if a configuration was being loaded as well."""
    is_clear = configuration.is_in_force or not before.is_pending
    is_refused = after.verdict is Verdict.REFUSED
    return replace(after, is_ambiguous=True) if is_refused and not is_clear else after


def waited(
    state: RequestedReload, configuration: ConfigurationState, now: float, limit_s: float
) -> RequestedReload:
    """Give up the request if its time limit has passed."""
    if not is_hopeless(state, now, limit_s):
        return state
    return _marked(given_up(state), state, configuration)


def wanted(
    state: RequestedReload, request: ReloadWanted, now: float, *, is_reloading: bool
) -> RequestedReload:
    """Note a request; it replaces one that is still pending.

    ``is_reloading``: a reload of ours may be under way that has read the files from before.
    """
    is_sent = state.is_pending and state.sent_at is not None
    return RequestedReload(
        number=request.number,
        wanted_at=now,
        first_at=state.first_at if state.is_pending and not is_sent else now,
        has_changed_files=request.has_changed_files,
        was_excused=state.excuses_configuration,
        successes=2 if is_sent or is_reloading else 1,
        verdict=None,
        answered_number=state.answered_number,
    )


def sent(state: RequestedReload, now: float) -> RequestedReload:
    """Note that a reload was sent, for any reason."""
    if not state.is_pending:
        return state
    first_at = now if state.sent_first_at is None else state.sent_first_at
    return replace(state, sent_at=now, sent_first_at=first_at)


def answered(state: RequestedReload, answer: ReloadAnswered) -> RequestedReload:
    """Fold in the answer to a reload that was sent after the change."""
    if not state.is_pending or answer.sent_at < state.wanted_at:
        return state
    if answer.status == _OK:
        return replace(state, verdict=Verdict.LOADED, problem="")
    refused = Verdict.REFUSED if answer.status == _REFUSED else None
    return replace(state, verdict=refused, problem=answer.problem)


def observed(state: RequestedReload, evidence: Evidence) -> RequestedReload:
    """Fold in Prometheus' metrics of its last reload."""
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
    """Tell whether to send a reload, for the first time or again."""
    if not state.is_pending:
        return False
    if state.sent_at is not None:
        can_tell = state.seen is not None or bool(state.problem)
        return can_tell and now >= state.sent_at + retry_s
    is_quiet = now >= min(state.wanted_at + QUIET_S, state.first_at + BURST_S)
    return is_quiet and (state.seen is not None or now >= state.wanted_at + LOOK_S)


def due_at(state: RequestedReload) -> float | None:
    """Return when a reload may be due, None if only an event can make it due."""
    if not state.is_pending or state.sent_at is not None:
        return None
    return min(state.wanted_at + QUIET_S, state.first_at + BURST_S)


def is_hopeless(state: RequestedReload, now: float, limit_s: float) -> bool:
    """Tell whether the time limit for its verdict has passed."""
    first_at = state.sent_first_at
    return state.is_pending and first_at is not None and now >= first_at + limit_s


def given_up(state: RequestedReload) -> RequestedReload:
    """Give up: the verdict is refused if Prometheus reports a failed reload, else unconfirmed."""
    is_refused = state.seen is not None and not state.seen.is_successful
    verdict = Verdict.REFUSED if is_refused else Verdict.UNCONFIRMED
    return replace(state, verdict=verdict, problem=state.problem or "its reload was not confirmed")


def verdict_sent(state: RequestedReload) -> RequestedReload:
    """Note that the verdict has been sent."""
    return replace(state, answered_number=state.number)
