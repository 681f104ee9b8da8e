"""A client of Prometheus' HTTP API: readiness, health, reloads, and the loaded configuration.

Guarantee: each call blocks for at most its time limit, and raises no error: an error is part of the
answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wrapper.access.http_client import KeptConnections
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.request_errors import ServerDescription, explain, trust_by, without_credentials
from wrapper.base import clock
from wrapper.base.shown_text import in_short
from wrapper.model.configuration import Evidence

_OK = 200
_UNAVAILABLE = 503
_FORBIDDEN = 403
_SUCCESSFUL = "prometheus_config_last_reload_successful"
_SUCCESS_TIME = "prometheus_config_last_reload_success_timestamp_seconds"
# Newer versions (3.16) return only these metrics; others return all, 26 MB for 10,000 jobs.
_METRICS = f"/metrics?name%5B%5D={_SUCCESSFUL}&name%5B%5D={_SUCCESS_TIME}"
# Patterns for large answers begin with letters, which makes the search fast: no other thread runs
# during the search.
_VALUES = {
    name: re.compile(rf"{name}(?:(?<=\n{name})|(?<=\A{name})) (\S+)$".encode(), re.MULTILINE)
    for name in (_SUCCESSFUL, _SUCCESS_TIME)
}
# In Prometheus' answer the YAML is one JSON string, in which remote_write is a top-level key. The
# bytes of a value may be the same (``_is_in_value``).
_REMOTE_WRITE = re.compile(rb'remote_write:(?:(?<="remote_write:)|(?<=\\nremote_write:))')
_LONGEST_ANSWER = 1000
_LONGEST_EXCERPT = 100  # characters
_OF_RELOAD = frozenset({0, 200, 403, 500})  # Prometheus' statuses for a reload; 0: no answer
MOST_BYTES = 16 << 20  # the limit for an answer
MOST_BYTES_SHOWN = 256 << 20  # the limit for the configuration with all defaults, and all metrics
_MOST_FILTERED = 4096  # bytes of an answer with only the two metrics that were requested
_TRUST = trust_by("--prometheus-http-config")


@dataclass(frozen=True, slots=True)
class PrometheusAnswer:
    """The HTTP status and text of an answer.

    If there was no answer, ``status`` is 0 and ``detail`` is the reason. ``url`` is that of the
    request, without credentials.
    """

    status: int
    detail: str = ""
    url: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == _OK

    @property
    def is_not_ready(self) -> bool:
        """Whether Prometheus is starting or does not answer; errors of a proxy do not count."""
        return self.status in {0, _UNAVAILABLE}

    @property
    def summary(self) -> str:
        """The URL, the status and a short excerpt, for messages; another program may answer."""
        if not self.status:
            return self.detail
        if self.is_web_page:
            return f"{self.url} answered {self.status} with a web page"
        excerpt = in_short(self.detail.partition("\n")[0])[:_LONGEST_EXCERPT].strip()
        return f"{self.url} answered {self.status}{f': {excerpt}' if excerpt else ''}"

    @property
    def is_web_page(self) -> bool:
        """Whether the text is that of a web page, as Prometheus' own answers never are."""
        return self.detail.startswith("<")


class PrometheusApi:
    """Sends requests to one Prometheus; ``timeout_s`` limits the time of each."""

    def __init__(self, base_url: str = "", access: PrometheusAccess | None = None) -> None:
        """Store the URL to which paths are appended, e.g. ``http://127.0.0.1:9090/prefix``."""
        self._base_url = base_url.rstrip("/")
        self._access = access or PrometheusAccess()
        self._connections = KeptConnections()
        self._filters_metrics = False

    @property
    def knows_status(self) -> bool:
        """Whether the URL of Prometheus' API is known."""
        return bool(self._base_url)

    def url(self, path: str) -> str:
        """Return the URL of a path of Prometheus."""
        return self._base_url + path

    def probe(self, url: str, timeout_s: float) -> PrometheusAnswer:
        """Send a GET request and return the answer."""
        return self.ask("GET", url, timeout_s)

    def ask(self, method: str, url: str, timeout_s: float) -> PrometheusAnswer:
        """Send a request without a body and return the answer; use no redirects and no proxy."""
        shown = without_credentials(url)
        try:
            status, content = self._request(method, url, timeout_s)
        except Exception as error:  # noqa: BLE001 - any error is the answer
            server = ServerDescription(shown, "Prometheus", _TRUST)
            return PrometheusAnswer(0, explain(error, server, timeout_s).text, shown)
        text = content[: 4 * _LONGEST_ANSWER].decode(errors="replace")
        return PrometheusAnswer(status, text.strip()[:_LONGEST_ANSWER], shown)

    def reload(self, method: str, url: str, timeout_s: float) -> PrometheusAnswer:
        """Request a reload and return the answer.

        Prometheus answers 403 if it lacks the flag ``--web.enable-lifecycle``; the text then says
        so. A web page with the status 200 is another program's, and proves no reload: the answer is
        then as if there were none.
        """
        answer = self.ask(method, url, timeout_s)
        if answer.is_ok and answer.is_web_page:
            return replace(answer, status=0, detail=answer.summary)
        if answer.status not in _OF_RELOAD or answer.is_web_page:
            return replace(answer, detail=answer.summary)
        if answer.status != _FORBIDDEN:
            return answer
        detail = answer.detail.rstrip(".")
        why = f"{answer.url} answered 403{f' ({detail})' if detail else ''}"
        cure = "Prometheus reloads by HTTP only when it is started with --web.enable-lifecycle"
        return replace(answer, detail=f"{why}: {cure}")

    def evidence(self, timeout_s: float) -> Evidence | None:
        """Return what Prometheus reports as loaded, None without a complete answer."""
        asked_at = clock.now()
        try:
            # The metrics first: then the configuration is not older than the reload in the metrics.
            timed, metrics = self._request("GET", self.url(_METRICS), timeout_s, MOST_BYTES_SHOWN)
            self._filters_metrics = len(metrics) <= _MOST_FILTERED
            showed, shown = self._request(
                "GET", self.url("/api/v1/status/config"), timeout_s, MOST_BYTES_SHOWN
            )
            return read_evidence(shown, metrics, asked_at) if timed == showed == _OK else None
        except Exception:  # noqa: BLE001 - the query is repeated
            return None

    def has_reloaded_since(self, evidence: Evidence, timeout_s: float) -> bool:
        """Return whether a reload has ended since; False also if that query would be expensive."""
        if not self._filters_metrics:
            return False
        try:
            status, metrics = self._request("GET", self.url(_METRICS), timeout_s)
        except Exception:  # noqa: BLE001 - the query is repeated
            return False
        now = _metric(_SUCCESSFUL, metrics) == 1.0, _metric(_SUCCESS_TIME, metrics)
        return status == _OK and now != (evidence.is_successful, evidence.success_time)

    def replay(self, timeout_s: float) -> str:
        """Return the progress of the WAL replay, "" if Prometheus does not report it."""
        if not self.knows_status:
            return ""
        answer = self.ask("GET", self.url("/api/v1/status/walreplay"), timeout_s)
        return read_replay(answer.detail) if answer.is_ok else ""

    def flags(self, timeout_s: float) -> dict[str, str]:
        """Return the flags that Prometheus runs with, by name; {} if it does not report them."""
        try:
            status, shown = self._request("GET", self.url("/api/v1/status/flags"), timeout_s)
            data = json.loads(shown)["data"] if status == _OK else {}
            return {str(name): str(value) for name, value in data.items()}
        except Exception:  # noqa: BLE001 - they are only for warnings
            return {}

    def close(self) -> None:
        """Close the kept connections."""
        self._connections.close()

    def _request(
        self, method: str, url: str, timeout_s: float, most_bytes: int = MOST_BYTES
    ) -> tuple[int, bytes]:
        access = self._access.current()
        return self._connections.request(method, urlsplit(url), timeout_s, access, most_bytes)


def read_evidence(shown: bytes, metrics: bytes, asked_at: float) -> Evidence:
    """Return the evidence from the answers of ``/api/v1/status/config`` and ``/metrics``."""
    return Evidence(
        shown_hash=hashlib.sha256(shown).hexdigest(),
        writes_remotely=_has_remote_write(shown),
        is_successful=_metric(_SUCCESSFUL, metrics) == 1.0,
        success_time=_metric(_SUCCESS_TIME, metrics),
        asked_at=asked_at,
    )


def _has_remote_write(shown: bytes) -> bool:
    """Return whether remote_write is a top-level key of the configuration in Prometheus' answer."""
    return any(not _is_in_value(shown, found.start()) for found in _REMOTE_WRITE.finditer(shown))


def _is_in_value(shown: bytes, at: int) -> bool:
    """Return whether what looks like the key remote_write at a position is a part of a value.

    In a JSON string, each backslash of a value is doubled, and each quote follows a backslash. So
    the number of backslashes is even before a quote that begins the string, and odd before the n
    of a line break.
    """
    start = end = at - 1
    while shown[start - 1 : start] == b"\\":
        start -= 1
    return (end - start) % 2 != (shown[end:at] == b"n")


def read_replay(shown: str) -> str:
    """Return the progress from the answer of ``/api/v1/status/walreplay``, "" if it has none."""
    numbers = [re.search(rf'"{name}":([0-9]+)', shown) for name in ("min", "current", "max")]
    first, now, last = (int(found[1]) if found else 0 for found in numbers)
    return f"segment {now - first + 1} of {last - first + 1}" if first <= now <= last > 0 else ""


def _metric(name: str, metrics: bytes) -> float:
    found = _VALUES[name].search(metrics)
    return float(found[1]) if found else 0.0
