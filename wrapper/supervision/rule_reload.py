"""A reload for what Prometheus reads beside its configuration, and how it went; pure.

Such a change does not show in what Prometheus tells of its configuration, so that it cannot be
confirmed by content (``confirm``). It counts as in force when our own request, sent after the
change, was answered by 200; or when, after a look that was later than the change, Prometheus' time
of success has moved on, and it says that the last reload succeeded. Where that ends: someone else's
reload that began before the change and ended after that look is taken for ours, which follows it
at once.

New rules are *suspect* until then: a refusal meanwhile is theirs, not that of the configuration;
also while the rules from before are put back, whose reload clears or ends the suspicion. Beside a
configuration that is not known to be in force it is in *doubt*: they are put back all the same, so
that each is judged by itself, and may be tried again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model import (
    Action,
    AnswerReload,
    Event,
    Evidence,
    LoadedObserved,
    ReloadAnswered,
    ReloadPrometheus,
    ReloadWanted,
)
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.targets.feed import Verdict

QUIET_S = 0.2  # changes that follow each other so closely share one reload
BURST_S = 2.0  # one that goes on is reloaded this often
LOOK_S = 1.0  # so long a look is waited for before the reload is asked for without one
_OK, _REFUSED = 200, 500


@dataclass(frozen=True, slots=True)
class RuleReload:
    """The newest request for such a reload, by its number, and what is known of it.

    ``wanted_at`` is when it came, ``first_at`` when the first of its burst did; ``seen`` is a look
    at Prometheus from since the change, ``successes`` how many more reloads have to succeed: two,
    where one of ours was under way already. ``verdict`` None: it is under way.
    """

    number: int = 0
    wanted_at: float = 0.0
    first_at: float = 0.0
    is_suspect: bool = False
    is_put_back: bool = False
    seen: Evidence | None = None
    successes: int = 1
    sent_at: float | None = None
    sent_first_at: float | None = None
    verdict: Verdict | None = Verdict.LOADED
    problem: str = ""
    is_in_doubt: bool = False
    told: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether a request waits for its verdict."""
        return self.verdict is None

    @property
    def suspects_rules(self) -> bool:
        """Whether a refusal is laid at new rules' door."""
        has_judged = self.verdict is not None and self.is_put_back
        return self.is_suspect and self.verdict in {None, Verdict.REFUSED} and not has_judged

    @property
    def told_verdict(self) -> Verdict | None:
        """The verdict as who asked is told it."""
        is_doubted = self.is_in_doubt and self.verdict is Verdict.REFUSED
        return Verdict.DOUBTED if is_doubted else self.verdict

    @property
    def has_news(self) -> bool:
        """Whether who asked has not been told the verdict."""
        return self.verdict is not None and self.told < self.number


def fold(
    state: RuleReload, happened: Event | Action, now: float, configuration: ConfigurationState
) -> RuleReload:
    """Return it with one event, or action, taken in; ``configuration`` is that from before."""
    match happened:
        case ReloadWanted(number, has_new_rules):
            is_reloading = configuration.loading.is_reloading
            return wanted(state, number, now, is_suspect=has_new_rules, is_reloading=is_reloading)
        case ReloadPrometheus():
            return sent(state, now)
        case ReloadAnswered():
            return _doubted(answered(state, happened), state, configuration)
        case LoadedObserved(evidence):
            return _doubted(observed(state, evidence), state, configuration)
        case AnswerReload():
            return told(state)
        case _:
            return state


def _doubted(
    after: RuleReload, before: RuleReload, configuration: ConfigurationState
) -> RuleReload:
    """Note that a configuration is under way, which a refusal now may be about."""
    is_clear = configuration.is_in_force or not before.is_pending
    is_refused = after.verdict is Verdict.REFUSED
    return replace(after, is_in_doubt=True) if is_refused and not is_clear else after


def waited(
    state: RuleReload, configuration: ConfigurationState, now: float, limit_s: float
) -> RuleReload:
    """Return it as it is, or given up where its outcome has been waited for long enough."""
    if not is_hopeless(state, now, limit_s):
        return state
    return _doubted(given_up(state), state, configuration)


def wanted(
    state: RuleReload, number: int, now: float, *, is_suspect: bool, is_reloading: bool
) -> RuleReload:
    """Note a request; it takes over from one that waits.

    ``is_reloading``: another reload of ours may be under way, which has read what was before.
    """
    is_sent = state.is_pending and state.sent_at is not None
    return RuleReload(
        number=number,
        wanted_at=now,
        first_at=state.first_at if state.is_pending and not is_sent else now,
        is_suspect=is_suspect or state.suspects_rules,
        is_put_back=not is_suspect
        and state.suspects_rules
        and (not state.is_pending or state.is_put_back),
        successes=2 if is_sent or is_reloading else 1,
        verdict=None,
        told=state.told,
    )


def sent(state: RuleReload, now: float) -> RuleReload:
    """Note that Prometheus was told to reload, for whichever reason."""
    if not state.is_pending:
        return state
    first_at = now if state.sent_first_at is None else state.sent_first_at
    return replace(state, sent_at=now, sent_first_at=first_at)


def answered(state: RuleReload, answer: ReloadAnswered) -> RuleReload:
    """Take in the answer to a reload request that was sent since the change."""
    if not state.is_pending or answer.sent_at < state.wanted_at:
        return state
    if answer.status == _OK:
        return replace(state, verdict=Verdict.LOADED, problem="")
    refused = Verdict.REFUSED if answer.status == _REFUSED else None
    return replace(state, verdict=refused, problem=answer.problem)


def observed(state: RuleReload, evidence: Evidence) -> RuleReload:
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


def _succeeded(state: RuleReload, evidence: Evidence) -> RuleReload:
    if state.successes > 1:
        return replace(state, seen=evidence, successes=state.successes - 1)
    return replace(state, verdict=Verdict.LOADED, problem="")


def is_due(state: RuleReload, now: float, retry_s: float) -> bool:
    """Tell whether Prometheus is to be told to reload; again where it can tell what came of it."""
    if not state.is_pending:
        return False
    if state.sent_at is not None:
        can_tell = state.seen is not None or bool(state.problem)
        return can_tell and now >= state.sent_at + retry_s
    is_quiet = now >= min(state.wanted_at + QUIET_S, state.first_at + BURST_S)
    return is_quiet and (state.seen is not None or now >= state.wanted_at + LOOK_S)


def due_at(state: RuleReload) -> float | None:
    """Return when it may be due, None where nothing but an event can make it so."""
    if not state.is_pending or state.sent_at is not None:
        return None
    return min(state.wanted_at + QUIET_S, state.first_at + BURST_S)


def is_hopeless(state: RuleReload, now: float, limit_s: float) -> bool:
    """Tell whether its outcome has been waited for long enough."""
    first_at = state.sent_first_at
    return state.is_pending and first_at is not None and now >= first_at + limit_s


def given_up(state: RuleReload) -> RuleReload:
    """Note that no more is to be expected; what still says no, has refused."""
    is_refused = state.seen is not None and not state.seen.is_successful
    verdict = Verdict.REFUSED if is_refused else Verdict.UNCONFIRMED
    return replace(state, verdict=verdict, problem=state.problem or "its reload was not confirmed")


def told(state: RuleReload) -> RuleReload:
    """Note that who asked has been told."""
    return replace(state, told=state.number)
