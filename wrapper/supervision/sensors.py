"""Sensors: the threads that observe Prometheus and report what they see as events.

They observe readiness, health, the loaded configuration, and resource usage. Each thread runs one
loop, and each request has a time limit.

Guarantee: sensors decide nothing, and change nothing in Prometheus.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from wrapper.base import clock
from wrapper.base.process import why_kill_is_insufficient
from wrapper.model.configuration import Evidence
from wrapper.model.events import (
    ChildMeasured,
    Event,
    FenceChecked,
    HealthProbed,
    LoadedObserved,
    ReadinessProbed,
)
from wrapper.options.settings import HealthChecks
from wrapper.supervision.child_usage import usage
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.supervision.unexpected_flags import unexpected_flags

LOG = logging.getLogger(__name__)
Report = Callable[[Event], None]

FIRST_POLL_S = 0.02
POLL_GROWTH = 1.03  # so the pause is about 3 % of the time waited so far
EVIDENCE_FIRST_S = 0.01
EVIDENCE_MOST_S = 0.1
EVIDENCE_TIMEOUT_S = 10.0
LOG_WAITING_EVERY_S = 5.0


class PrometheusWatch:
    """Waits until Prometheus is ready, then probes its health; ``run`` is the thread's body.

    The event ``ready`` is set once Prometheus is ready. ``end`` sets it too, so that no thread
    waits forever.
    """

    def __init__(
        self,
        api: PrometheusApi,
        health_checks: HealthChecks,
        fence: Fence,
        report: Report,
        *,
        may_reload: bool = False,
    ) -> None:
        """Store the parts; ``report`` receives events; ``may_reload``: see ``unexpected_flags``."""
        self.api = api
        self._may_reload = may_reload
        self._health_checks = health_checks
        self._fence = fence
        self._report = report
        self._ended = threading.Event()
        self.ready = threading.Event()

    def run(self) -> None:
        """Send probes and report the answers, until ``end`` is called."""
        if not self._await_readiness():
            return
        obstacle = self._fence.obstacle()
        self._report(FenceChecked(obstacle))
        self._report(ReadinessProbed(is_ready=True))
        self.ready.set()
        self._look_at_flags()
        health_checks = self._health_checks
        while not self._ended.wait(
            health_checks.health_period_s if health_checks.health_url else None
        ):
            answer = self.api.probe(health_checks.health_url, health_checks.health_timeout_s)
            detail = "" if answer.is_ok else answer.summary
            self._report(HealthProbed(answer.is_ok, detail))
            # It may have been of the check itself: no descriptor was left, for example.
            if obstacle and (obstacle := self._fence.obstacle()) == "":
                self._report(FenceChecked(obstacle))

    def end(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self.ready.set()

    def _look_at_flags(self) -> None:
        """Log warnings about flags that the start could not see: a sidecar's, or a script's."""
        if self.api.knows_status:
            flags = self.api.flags(self._health_checks.readiness_timeout_s)
            for line in unexpected_flags(flags, may_reload=self._may_reload):
                LOG.warning(line)

    def _await_readiness(self) -> bool:
        """Poll until Prometheus is ready; return False if ``end`` was called before.

        The pause between probes begins at ``FIRST_POLL_S`` and grows to the readiness period.
        """
        health_checks = self._health_checks
        pause_s = 0.0 if health_checks.readiness_url else None
        began_at = logged_at = clock.now()
        while pause_s is not None and not self._ended.wait(pause_s):
            answer = self.api.probe(health_checks.readiness_url, health_checks.readiness_timeout_s)
            if answer.is_ok:
                break
            self._report(ReadinessProbed(is_ready=False, detail=answer.summary))
            if clock.now() - logged_at >= LOG_WAITING_EVERY_S:
                logged_at = clock.now()
                waited_s = logged_at - began_at
                _log_waiting(self.api, answer.summary, waited_s, health_checks.readiness_timeout_s)
            pause_s = min(
                max(pause_s * POLL_GROWTH, FIRST_POLL_S), health_checks.readiness_period_s
            )
        return not self._ended.is_set()


def _log_waiting(api: PrometheusApi, detail: str, waited_s: float, timeout_s: float) -> None:
    """Log how long this program has waited, and the progress of Prometheus' WAL replay."""
    extra: dict[str, object] = {"waited_s": round(waited_s), "reason": detail}
    if replay := api.replay(timeout_s):
        extra["wal_replay"] = replay
    LOG.info("waiting for Prometheus to be ready", extra=extra)


@dataclass(frozen=True, slots=True)
class Fence:
    """The check whether killing Prometheus would stop its writes.

    ``pid`` is the process that this program started, None for a sidecar. ``port`` is the port on
    which Prometheus listens.
    """

    pid: int | None
    port: int

    def obstacle(self) -> str:
        """Return why killing the child process would not stop Prometheus, "" if it would."""
        return why_kill_is_insufficient(self.pid, self.port) if self.pid is not None else ""


class LoadedSensor:
    """Queries what Prometheus has loaded, while ``want`` enables it; at first often, then less."""

    def __init__(self, api: PrometheusApi, report: Report) -> None:
        """Store the parts; ``run`` is the thread's body."""
        self._api = api
        self._report = report
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._pause_s = EVIDENCE_FIRST_S

    def want(self, is_wanted: bool) -> None:
        """Start or stop the queries."""
        if is_wanted and not self._wanted.is_set():
            self.hurry()
            self._wanted.set()
        elif not is_wanted:
            self._wanted.clear()

    def hurry(self) -> None:
        """Reset the pause between queries to its minimum, for example before a reload."""
        self._pause_s = EVIDENCE_FIRST_S

    def end(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self._wanted.set()

    def run(self) -> None:
        """Send queries and report the answers, until ``end`` is called."""
        while self._wanted.wait() and not self._ended.is_set():
            asked_at = clock.now()
            evidence = self._api.evidence(EVIDENCE_TIMEOUT_S)
            if evidence is not None:
                self._report(LoadedObserved(evidence))
            self._rest(evidence, took_s=clock.now() - asked_at)
            self._pause_s = min(self._pause_s * 1.5, EVIDENCE_MOST_S)

    def _rest(self, evidence: Evidence | None, took_s: float) -> None:
        """Wait before the next query: at least twice the time that the last answer took.

        The answer for a large configuration is large. Prometheus takes the time for it from the
        reload itself (0.13 s of CPU for 1,000 jobs, 3.16). A query whether a reload has ended is
        cheap; when one has ended, the wait ends too.
        """
        end_at = clock.now() + max(self._pause_s, 2 * took_s)
        while (left_s := end_at - clock.now()) > 0:
            if self._ended.wait(min(self._pause_s, left_s)) or left_s <= self._pause_s:
                return
            if evidence and self._api.has_reloaded_since(evidence, EVIDENCE_TIMEOUT_S):
                return


def measure_child(pid: int, period_s: float, report: Report, ended: threading.Event) -> None:
    """Report a process' resource usage every ``period_s``, if it can be read, until ``ended``."""
    while not ended.is_set():
        with suppress(OSError):  # it has exited, or for example no descriptor is free for a moment
            report(ChildMeasured(usage(pid)))
        ended.wait(period_s)
