"""Cleans tombstones for Promgen: requests that Prometheus removes deleted series from its disk.

This needs Prometheus' admin API (``--web.enable-admin-api``). If the API is disabled, or Prometheus
refuses, the task is not repeated, and the log has the reason.

A request that takes longer than ``BEGUN_S`` has started the cleaning, and the task then counts as
done: the broker would deliver a longer task again, and it would run twice. The result is logged,
unless it takes longer than ``LIMIT_S``.
"""

from __future__ import annotations

import logging
import threading

from wrapper.base.with_timeout import with_timeout
from wrapper.supervision.prometheus_api import PrometheusAnswer, PrometheusApi

LOG = logging.getLogger(__name__)
PATH = "/api/v1/admin/tsdb/clean_tombstones"
LIMIT_S = 600.0  # Prometheus rewrites whole blocks
BEGUN_S = 20.0  # Prometheus refuses at once: a request that takes longer has begun
_DONE = (200, 204)
_CLOSED = "admin APIs disabled"  # Prometheus' own text, with the status 500
_FLAG = "start Prometheus with --web.enable-admin-api"


class Tombstones:
    """The tombstones of one Prometheus."""

    def __init__(self, api: PrometheusApi) -> None:
        self._api = api
        self._said = ""

    def clean(self) -> str:
        """Clean them; return why to repeat that; "" if it is done, or can never be done."""
        if not self._api.knows_status:
            self._say_once("the address of Prometheus is not known: set --notify-http-url")
            return ""
        has_begun = threading.Event()
        try:
            return with_timeout(lambda: self._clean(has_begun), BEGUN_S)
        except TimeoutError:
            has_begun.set()
            return ""
        except OSError as error:  # no thread
            return f"tombstones cannot be cleaned yet: {error.strerror}"

    def _clean(self, has_begun: threading.Event) -> str:
        """Clean them within LIMIT_S; return why to repeat that if Prometheus is not ready."""
        answer = self._api.ask("POST", self._api.url(PATH), LIMIT_S)
        if answer.is_not_ready and not has_begun.is_set():
            return f"tombstones cannot be cleaned yet: {answer.summary}"
        if answer.status in _DONE:
            self._said = ""
            LOG.info("Prometheus has cleaned its tombstones for Promgen")
        else:
            self._say_once(_refusal(answer))
        return ""

    def _say_once(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            extra = {"reason": reason}
            LOG.warning("Prometheus has not cleaned its tombstones for Promgen", extra=extra)


def _refusal(answer: PrometheusAnswer) -> str:
    """Return why Prometheus refuses, with the cure if one is known."""
    return f"its admin API is closed; {_FLAG}" if _CLOSED in answer.detail else answer.summary
