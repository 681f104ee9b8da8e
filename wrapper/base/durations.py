"""Converts durations of Go and of Prometheus to and from seconds; pure.

The grammar of Go's durations (``1m30s``, ``500ms``, ``1.5s``) is that of ``time.ParseDuration``, to
the nanosecond. Text that is written here has no fractions, since Prometheus' own parser does not
accept them.
"""

from __future__ import annotations

import math
import re

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, and below U+03BC: Go accepts both
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(rf"([0-9]{{1,20}}(?:\.[0-9]*)?|\.[0-9]+)({'|'.join(_NANOSECONDS)})")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")
_PROMETHEUS_S = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_PROMETHEUS = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in (*_PROMETHEUS_S, "ms")))
_LIMIT_NS = 2**63  # Go counts nanoseconds in an int64
_WRITTEN_US = {"h": 3600 * 10**6, "m": 60 * 10**6, "s": 10**6, "ms": 10**3, "us": 1}


def parse_duration(text: str) -> float:
    """Return a Go duration in seconds; raise ValueError with the cause and the cure."""
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"not a duration; {_cure(text)}")
    total = sum(round(float(number) * _NANOSECONDS[unit]) for number, unit in _PART.findall(text))
    if total >= _LIMIT_NS:
        raise ValueError("longer than 292 years; write a shorter one, for example 10s")
    return (-total if text.startswith("-") else total) / 10**9


def _cure(text: str) -> str:
    """Return how to write what was probably meant."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return f"it has no unit: write {text}s for seconds"
    if re.fullmatch(r"[0-9]{1,9}[dw]", text):
        return f"the largest unit is h: write {int(text[:-1]) * (24 if text[-1] == 'd' else 168)}h"
    return "write numbers with units (h, m, s, ms, us), for example 15s, 1m30s or 500ms"


def parse_prometheus_duration(text: str) -> float:
    """Return a duration of Prometheus' configuration (``1d12h``, ``100ms``) in seconds.

    Raises ValueError with the cause and the cure.
    """
    if text == "0":
        return 0.0
    found = _PROMETHEUS.fullmatch(text) if text else None
    if found is None:
        cure = "write whole numbers with units (d, h, m, s, ms), for example 30s or 1m30s"
        raise ValueError(f"not a duration; {cure}")
    sizes = (*_PROMETHEUS_S.values(), 0.001)
    return sum(int(count or 0) * size for count, size in zip(found.groups(), sizes, strict=True))


def go_duration(seconds: float) -> str:
    """Return a Go duration (``1m30s``, ``600ms``, ``0s``), to the whole microsecond."""
    rest = round(abs(seconds) * 10**6)
    text = "-" if seconds < 0 and rest else ""
    for unit, size in _WRITTEN_US.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def prometheus_duration(seconds: float) -> str:
    """Return a duration for Prometheus, in whole milliseconds: rounded down, at least 1 ms."""
    milliseconds = math.floor(round(seconds * 1000, 3))
    return go_duration(max(1, milliseconds) / 1000)
