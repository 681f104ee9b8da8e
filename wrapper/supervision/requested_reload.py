"""A reload that somebody asks for, and its verdict: loaded, refused, or not confirmed; pure.

It is asked for where something has changed that Prometheus reads beside its configuration. Such a
change does not show in what Prometheus tells of its configuration, so that it cannot be confirmed
by content (``confirm``). It counts as in force when our own request, sent after the change, was
answered by 200; or when, after a look that was later than the change, Prometheus' time of success
has moved on, and it says that the last reload succeeded. Where that ends: someone else's reload
that began before the change and ended after that look is taken for ours, which follows it at once.

Whoever asks says whether files have changed since Prometheus last loaded them. If so, a refusal is
no evidence against the configuration (``excuses_configuration``): until the reload has succeeded,
or one has ended that was asked for with the files as they were. A refusal beside a configuration
that is not known to be in force is ambiguous: it may be about either, and who asked is told so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.actions import Action, AnswerReload, ReloadPrometheus
from wrapper.model.configuration import Evidence
from wrapper.model.events import Event, LoadedObserved, ReloadAnswered, ReloadWanted
from wrapper.model.roles import Verdict
from wrapper.supervision.configuration_state import ConfigurationState

QUIET_S = 0.2  # changes that follow each other so closely share one reload
BURST_S = 2.0  # one that goes on is reloaded this often
LOOK_S = 1.0  # so long a look is waited for before the reload is asked for without one
_OK, _REFUSED = 200, 500


@dataclass(frozen=True, slots=True)
class RequestedReload:
    """The newest request for such a reload, by its number, and what is known of it.

    ``wanted_at`` is when it came, ``first_at`` when the first of its burst did; ``seen`` is a look
    at Prometheus from since the change, ``successes`` how many more reloads have to succeed: two,
    where one of ours was under way already. ``verdict`` None: it is under way. ``was_excused``: an
    earlier request, whose reload may still be under way, excused the configuration.
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
    told: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether a request waits for its verdict."""
        return self.verdict is None

    @property
    def excuses_configuration(self) -> bool:
        """Whether a refusal is no evidence against the configuration, since files have changed."""
        if self.verdict is None:
            return self.has_changed_files or self.was_excused
        return self.has_changed_files and self.verdict is Verdict.REFUSED

    @property
    def has_news(self) -> bool:
        """Whether who asked has not been told the verdict."""
        return self.verdict is not None and self.told < self.number


def fold(
    state: RequestedReload, happened: Event | Action, now: float, configuration: ConfigurationState
) -> RequestedReload:
    """Return it with one event, or action, taken in; ``configuration`` is that from before."""
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
            return told(state)
        case _:
            return state


def _marked(
    after: RequestedReload, before: RequestedReload, configuration: ConfigurationState
) -> RequestedReload:
    """Note whether a configuration is under way, which a refusal now may be about as well."""
    is_clear = configuration.is_in_force or not before.is_pending
    is_refused = after.verdict is Verdict.REFUSED
    return replace(after, is_ambiguous=True) if is_refused and not is_clear else after


def waited(
    state: RequestedReload, configuration: ConfigurationState, now: float, limit_s: float
) -> RequestedReload:
    """Return it as it is, or given up where its outcome has been waited for long enough."""
    if not is_hopeless(state, now, limit_s):
        return state
    return _marked(given_up(state), state, configuration)


def wanted(
    state: RequestedReload, request: ReloadWanted, now: float, *, is_reloading: bool
) -> RequestedReload:
    """Note a request; it takes over from one that waits.

    ``is_reloading``: another reload of ours may be under way, which has read what was before.
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
        told=state.told,
    )


def sent(state: RequestedReload, now: float) -> RequestedReload:
    """Note that Prometheus was told to reload, for whichever reason."""
    if not state.is_pending:
        return state
    first_at = now if state.sent_first_at is None else state.sent_first_at
    return replace(state, sent_at=now, sent_first_at=first_at)


def answered(state: RequestedReload, answer: ReloadAnswered) -> RequestedReload:
    """Take in the answer to a reload request that was sent since the change."""
    if not state.is_pending or answer.sent_at < state.wanted_at:
        return state
    if answer.status == _OK:
        return replace(state, verdict=Verdict.LOADED, problem="")
    refused = Verdict.REFUSED if answer.status == _REFUSED else None
    return replace(state, verdict=refused, problem=answer.problem)


def observed(state: RequestedReload, evidence: Evidence) -> RequestedReload:
    """Take in what Prometheus says of its last reload."""
    if not state.is_pending or evidence.asked_at < state.wanted_at:
        return state
    if state.seen is None or state.sent_at is None:
        return replace(state, seen=evidence)
    if evidence.is_successful and evidence.success_time != state.seen.success_time:
        return _succeeded(state, evidence)
    if state.seen.is_successful and not evidence.is_successful:
        return replace(state, verdict=Verdict.REFUSED, problem="its own log says why")
    return state


def _succeeded(state: RequestedReload, evidence: Evidence) -> RequestedReload:
    if state.successes > 1:
        return replace(state, seen=evidence, successes=state.successes - 1)
    return replace(state, verdict=Verdict.LOADED, problem="")


def is_due(state: RequestedReload, now: float, retry_s: float) -> bool:
    """Tell whether Prometheus is to be told to reload; again where it can tell what came of it."""
    if not state.is_pending:
        return False
    if state.sent_at is not None:
        can_tell = state.seen is not None or bool(state.problem)
        return can_tell and now >= state.sent_at + retry_s
    is_quiet = now >= min(state.wanted_at + QUIET_S, state.first_at + BURST_S)
    return is_quiet and (state.seen is not None or now >= state.wanted_at + LOOK_S)


def due_at(state: RequestedReload) -> float | None:
    """Return when it may be due, None where nothing but an event can make it so."""
    if not state.is_pending or state.sent_at is not None:
        return None
    return min(state.wanted_at + QUIET_S, state.first_at + BURST_S)


def is_hopeless(state: RequestedReload, now: float, limit_s: float) -> bool:
    """Tell whether its outcome has been waited for long enough."""
    first_at = state.sent_first_at
    return state.is_pending and first_at is not None and now >= first_at + limit_s


def given_up(state: RequestedReload) -> RequestedReload:
    """Note that no more is to be expected; what still says no, has refused."""
    is_refused = state.seen is not None and not state.seen.is_successful
    verdict = Verdict.REFUSED if is_refused else Verdict.UNCONFIRMED
    return replace(state, verdict=verdict, problem=state.problem or "its reload was not confirmed")


def told(state: RequestedReload) -> RequestedReload:
    """Note that who asked has been told."""
    return replace(state, told=state.number)
