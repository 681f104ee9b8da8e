"""The HTTP API of one Prometheus: readiness, health, reloads, and what it has loaded.

Every call blocks for at most its time limit and raises nothing: errors are part of the answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from wrapper.access.http_client import KeptConnections
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.request_errors import AskedServer, trouble, trust_by, without_credentials
from wrapper.base import clock
from wrapper.model.configuration import Evidence

_OK = 200
_UNAVAILABLE = 503
_FORBIDDEN = 403
_SUCCESSFUL = "prometheus_config_last_reload_successful"
_SUCCESS_TIME = "prometheus_config_last_reload_success_timestamp_seconds"
# Newer versions (3.16) then answer with these alone; others with all, 26 MB for 10,000 jobs.
_METRICS = f"/metrics?name%5B%5D={_SUCCESSFUL}&name%5B%5D={_SUCCESS_TIME}"
# Patterns for large answers begin with letters: that is fast, and no other thread runs meanwhile.
_VALUES = {
    name: re.compile(rf"{name}(?:(?<=\n{name})|(?<=\A{name})) (\S+)$".encode(), re.MULTILINE)
    for name in (_SUCCESSFUL, _SUCCESS_TIME)
}
# As Prometheus prints its configuration: the YAML is one JSON string, remote_write a top-level key.
_REMOTE_WRITE = re.compile(rb'remote_write:(?:(?<="remote_write:)|(?<=\\nremote_write:))')
_LONGEST_ANSWER = 1000
MOST_BYTES = 16 << 20  # of an answer
MOST_BYTES_SHOWN = 256 << 20  # of the configuration with all defaults, and of all metrics
_BRIEF = 4096  # bytes of the metrics, if only those that are read are sent
_TRUST = trust_by("--prometheus-http-config")


@dataclass(frozen=True, slots=True)
class PrometheusAnswer:
    """An HTTP status and text; without an answer, ``status`` is 0 and ``detail`` the reason."""

    status: int
    detail: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == _OK

    @property
    def is_not_yet(self) -> bool:
        """Whether Prometheus is starting or does not answer; a proxy's errors do not count."""
        return self.status in {0, _UNAVAILABLE}

    @property
    def summary(self) -> str:
        """The status and the first line of the detail, for messages."""
        first_line = self.detail.partition("\n")[0]
        return f"HTTP {self.status} {first_line}".rstrip() if self.status else first_line


class PrometheusApi:
    """Sends requests to one Prometheus; ``timeout_s`` limits each."""

    def __init__(self, base_url: str = "", access: PrometheusAccess | None = None) -> None:
        """Take the URL that paths are added to, e.g. ``http://127.0.0.1:9090/prefix``."""
        self._base_url = base_url.rstrip("/")
        self._access = access or PrometheusAccess()
        self._connections = KeptConnections()
        self._is_brief = False

    @property
    def knows_status(self) -> bool:
        """Whether the URL of Prometheus' API is known."""
        return bool(self._base_url)

    def url(self, path: str) -> str:
        """Return the URL of one of Prometheus' paths."""
        return self._base_url + path

    def probe(self, url: str, timeout_s: float) -> PrometheusAnswer:
        """GET a URL and return the answer."""
        return self.ask("GET", url, timeout_s)

    def ask(self, method: str, url: str, timeout_s: float) -> PrometheusAnswer:
        """Send a request without a body; follow no redirect, use no proxy."""
        try:
            status, content = self._request(method, url, timeout_s)
        except Exception as error:  # noqa: BLE001 - any error is the answer
            server = AskedServer(without_credentials(url), "Prometheus", _TRUST)
            return PrometheusAnswer(0, trouble(error, server, timeout_s).text)
        text = content[: 4 * _LONGEST_ANSWER].decode(errors="replace")
        return PrometheusAnswer(status, text.strip()[:_LONGEST_ANSWER])

    def reload(self, method: str, url: str, timeout_s: float) -> PrometheusAnswer:
        """Request a reload; add the cure to 403, which a missing flag of Prometheus causes."""
        answer = self.ask(method, url, timeout_s)
        if answer.status != _FORBIDDEN:
            return answer
        detail = answer.detail.rstrip(".")
        why = f"{without_credentials(url)} answered 403{f' ({detail})' if detail else ''}"
        cure = "Prometheus reloads by HTTP only when it is started with --web.enable-lifecycle"
        return PrometheusAnswer(answer.status, f"{why}: {cure}")

    def evidence(self, timeout_s: float) -> Evidence | None:
        """Return what Prometheus says that it has loaded, None without a complete answer."""
        asked_at = clock.now()
        try:
            # The metrics first: the configuration read after them is not older than that reload.
            timed, metrics = self._request("GET", self.url(_METRICS), timeout_s, MOST_BYTES_SHOWN)
            self._is_brief = len(metrics) <= _BRIEF
            showed, shown = self._request(
                "GET", self.url("/api/v1/status/config"), timeout_s, MOST_BYTES_SHOWN
            )
            return read_evidence(shown, metrics, asked_at) if timed == showed == _OK else None
        except Exception:  # noqa: BLE001 - it will be asked again
            return None

    def has_reloaded_since(self, evidence: Evidence, timeout_s: float) -> bool:
        """Tell whether a reload has ended since; False too if asking for that would cost much."""
        if not self._is_brief:
            return False
        try:
            status, metrics = self._request("GET", self.url(_METRICS), timeout_s)
        except Exception:  # noqa: BLE001 - it will be asked again
            return False
        now = _metric(_SUCCESSFUL, metrics) == 1.0, _metric(_SUCCESS_TIME, metrics)
        return status == _OK and now != (evidence.is_successful, evidence.success_time)

    def replay(self, timeout_s: float) -> str:
        """Return the progress of the WAL replay, "" if Prometheus does not say."""
        if not self.knows_status:
            return ""
        answer = self.ask("GET", self.url("/api/v1/status/walreplay"), timeout_s)
        return read_replay(answer.detail) if answer.is_ok else ""

    def flags(self, timeout_s: float) -> dict[str, str]:
        """Return the flags that Prometheus runs with, by name; none if it does not say."""
        try:
            status, shown = self._request("GET", self.url("/api/v1/status/flags"), timeout_s)
            data = json.loads(shown)["data"] if status == _OK else {}
            return {str(name): str(value) for name, value in data.items()}
        except Exception:  # noqa: BLE001 - they are only for warnings
            return {}

    def close(self) -> None:
        """Close the connections that are kept."""
        self._connections.close()

    def _request(
        self, method: str, url: str, timeout_s: float, most_bytes: int = MOST_BYTES
    ) -> tuple[int, bytes]:
        access = self._access.current()
        return self._connections.request(method, urlsplit(url), timeout_s, access, most_bytes)


def read_evidence(shown: bytes, metrics: bytes, asked_at: float) -> Evidence:
    """Read the answers of ``/api/v1/status/config`` and ``/metrics``."""
    return Evidence(
        image=hashlib.sha256(shown).hexdigest(),
        writes_remotely=bool(_REMOTE_WRITE.search(shown)),
        is_successful=_metric(_SUCCESSFUL, metrics) == 1.0,
        success_time=_metric(_SUCCESS_TIME, metrics),
        asked_at=asked_at,
    )


def read_replay(shown: str) -> str:
    """Return the progress from the answer of ``/api/v1/status/walreplay``."""
    numbers = [re.search(rf'"{name}":([0-9]+)', shown) for name in ("min", "current", "max")]
    first, now, last = (int(found[1]) if found else 0 for found in numbers)
    return f"segment {now - first + 1} of {last - first + 1}" if first <= now <= last > 0 else ""


def _metric(name: str, metrics: bytes) -> float:
    found = _VALUES[name].search(metrics)
    return float(found[1]) if found else 0.0
