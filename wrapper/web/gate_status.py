"""The gate's part of the status: ``gate`` of ``/_elector/status``.

The gates of the other replicas read the marks here. From ``time_ms`` they measure the offset of
their clocks to this one. ``gate_metrics`` has the gate's counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wrapper.base import clock

Json = dict[str, Any]


def gate_of(gate: Mapping[str, Any]) -> Json | None:
    """Return the state of a snapshot's gate for JSON; None without a gate."""
    if not gate:
        return None
    return {
        "is_running": gate["pid"] is not None,
        "is_open": gate["is_open"],
        "is_handing_over": gate["is_handing_over"],
        "memory_bytes": gate["memory_bytes"],
        "clock_offset_s": gate["clock_offset_s"],
        "restarts": gate["restarts"],
        "problem": gate["problem"],
        "time_ms": round(clock.wall() * 1000),
        "endpoints": [_endpoint(each) for each in gate["endpoints"]],
    }


def _endpoint(each: Mapping[str, Any]) -> Json:
    mark, since = each["mark"], each["held_since"]
    return {
        "name": each["name"],
        "url": each["url"],
        "mark": None if mark is None else clock.iso_ms(mark),
        "mark_ms": mark,
        "held_bytes": each["held_bytes"],
        "held_batches": each["held_batches"],
        "held_since": None if since is None else clock.iso(since),
        "behind_s": each["behind_s"],
        "problem": each["problem"],
    }
