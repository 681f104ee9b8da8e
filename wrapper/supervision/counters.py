"""The totals that the supervisor counts for the metrics; pure.

Each total has the name of its metric, without the prefix. A metric with a label has one total for
each value of the label (``NAME:VALUE``). All totals start at 0 when the supervisor starts.

Guarantee: label values come from fixed sets, so input from outside cannot add series.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping

from wrapper.model.actions import Action, ReloadPrometheus, SignalPrometheus
from wrapper.model.events import (
    Event,
    LeaseAsked,
    LoadedObserved,
    PodLabelAnswered,
    ReloadAnswered,
    WebStarted,
    WriteFailed,
)
from wrapper.model.label_values import DURATION_BUCKETS, LEASE_ERRORS, RELOAD_FAILURES
from wrapper.model.roles import Cause
from wrapper.supervision.loaded_rendering import Outcome
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan

_OK, _REFUSED = 200, 500  # what Prometheus answers to a reload
_NO_ANSWER = 0


class Counters:
    """The totals since the start."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {
            **{f"role_transitions_total:{cause}": 0.0 for cause in Cause},
            **{f"lease_errors_total:{word}": 0.0 for word in LEASE_ERRORS},
            **{f"reloads_failed_total:{word}": 0.0 for word in RELOAD_FAILURES},
        }
        self._leaderless_since: float | None = None

    @property
    def totals(self) -> Mapping[str, float]:
        """All totals by name; a total that is still 0 may be missing."""
        return self._totals

    def count(
        self,
        happened: Event | Plan,
        before: Observation,
        after: Observation,
        now: float,
        wall: float,
    ) -> None:
        """Count an event, or a plan, and what it has changed; ``wall`` is the wall time."""
        match happened:
            case Plan():
                self._count_decision(before, happened)
            case LeaseAsked():
                self._count_lease(happened)
            case ReloadAnswered():
                self._count_answer(happened)
            case WebStarted():
                self._add("web_starts_total")
            case WriteFailed():
                self._add("config_write_failures_total")
            case PodLabelAnswered(problem) if problem:
                self._add("pod_label_failures_total")
            case _:
                pass
        self._count_loading(happened, before, after, now, wall)

    def _count_decision(self, before: Observation, plan: Plan) -> None:
        """Count changes of the role, reloads, and kills of a possible writer."""
        if plan.role is not before.role:
            self._add(f"role_transitions_total:{plan.cause}")
        for action in plan.actions:
            if isinstance(action, ReloadPrometheus):
                self._add("notifier_calls_total")
            elif _is_fencing(action, before):
                self._add("fencing_kills_total")

    def count_leaderless(self, leader: str | None, now: float) -> None:
        """Count the time without a known leader; ``leader`` is "" for nobody, None if not known."""
        if self._leaderless_since is not None:
            self._add("leaderless_seconds_total", now - self._leaderless_since)
        self._leaderless_since = None if leader else now

    def _count_lease(self, request: LeaseAsked) -> None:
        if request.error:
            word = request.error if request.error in LEASE_ERRORS else "other"
            self._add(f"lease_errors_total:{word}")
        elif request.is_renewal:
            self._observe("lease_renew_duration_seconds", request.duration_s)

    def _count_answer(self, answer: ReloadAnswered) -> None:
        self._observe("notifier_calls_duration_seconds", answer.duration_s)
        if answer.status == _OK:
            return
        self._add("notifier_calls_errors")
        words = {_REFUSED: "refused", _NO_ANSWER: "no_answer"}
        self._add(f"reloads_failed_total:{words.get(answer.status, 'failed')}")

    def _count_loading(
        self, event: Event | Plan, before: Observation, after: Observation, now: float, wall: float
    ) -> None:
        """Count confirmed reloads, and refusals that only Prometheus' own metrics show.

        The configuration that Prometheus was started with does not count as a reload.
        """
        was, is_ = before.configuration.loading, after.configuration.loading
        if is_.is_loaded and not was.is_loaded:
            self._totals["config_last_reload_success_timestamp_seconds"] = wall
            if "notifier_calls_total" in self._totals:
                self._add("reloads_confirmed_total")
                self._observe("reload_duration_seconds", now - is_.written_at)
        is_refused = is_.outcome is Outcome.REFUSED and was.outcome is not Outcome.REFUSED
        if is_refused and isinstance(event, LoadedObserved):
            self._add("notifier_calls_errors")
            self._add("reloads_failed_total:refused")

    def _observe(self, name: str, value: float, bounds: Iterable[float] = DURATION_BUCKETS) -> None:
        """Add a value to a histogram; buckets are cumulative."""
        self._add(f"{name}_sum", value)
        self._add(f"{name}_count")
        for bound in bounds:
            if value <= bound:
                self._add(f"{name}_bucket_le_{bound}")

    def _add(self, name: str, amount: float = 1.0) -> None:
        self._totals[name] = self._totals.get(name, 0.0) + amount


def _is_fencing(action: Action, before: Observation) -> bool:
    """Return whether the action kills a Prometheus that may write; kills of gates do not count."""
    is_kill = isinstance(action, SignalPrometheus) and action.number == signal.SIGKILL
    return is_kill and before.rendered_file.may_write
