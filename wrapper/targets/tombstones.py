"""Cleaning tombstones: Prometheus removes from its disk what was deleted, as Promgen's admin asks.

That is Prometheus' admin API, which is closed unless ``--web.enable-admin-api`` opens it. Where it
is closed, or Prometheus has said no, asking again brings nothing; it is told in the log. So is what
becomes of a cleaning that takes longer than ``BEGUN_S``: nobody waits for that, or a broker would
deliver its task again, and it would be done twice. Where it ends: a Prometheus that takes longer
than ``LIMIT_S`` goes on with it.
"""

from __future__ import annotations

import logging
import threading

from wrapper.base.with_timeout import with_timeout
from wrapper.supervision.prometheus import PrometheusAnswer, PrometheusApi

LOG = logging.getLogger(__name__)
PATH = "/api/v1/admin/tsdb/clean_tombstones"
LIMIT_S = 600.0  # it writes whole blocks anew
BEGUN_S = 20.0  # it refuses at once: one that takes longer has begun
_DONE = (200, 204)
_CLOSED = "admin APIs disabled"  # as Prometheus says it, with the status 500
_FLAG = "start Prometheus with --web.enable-admin-api"


class Tombstones:
    """Those of one Prometheus."""

    def __init__(self, api: PrometheusApi) -> None:
        self._api = api
        self._said = ""

    def clean(self) -> str:
        """Have them cleaned; return why to ask again, "" where that is done, or is in vain."""
        if not self._api.knows_status:
            self._say_once("it is not known where Prometheus answers: see --notify-http-url")
            return ""
        has_begun = threading.Event()
        try:
            return with_timeout(lambda: self._clean(has_begun), BEGUN_S)
        except TimeoutError:
            has_begun.set()
            return ""

    def _clean(self, has_begun: threading.Event) -> str:
        """Do it, however long that takes; where it has not begun, return why to ask again."""
        answer = self._api.ask("POST", self._api.url(PATH), LIMIT_S)
        if answer.is_not_yet and not has_begun.is_set():
            return f"tombstones cannot be cleaned yet: {answer.summary}"
        if answer.status in _DONE:
            self._said = ""
            LOG.info("Prometheus has cleaned its tombstones, as Promgen asked")
        else:
            self._say_once(_refusal(answer))
        return ""

    def _say_once(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            extra = {"reason": reason}
            LOG.warning("Prometheus does not clean its tombstones, as Promgen asked", extra=extra)


def _refusal(answer: PrometheusAnswer) -> str:
    """Say why Prometheus does not, with the cure where that is known."""
    return f"its admin API is closed; {_FLAG}" if _CLOSED in answer.detail else answer.summary
