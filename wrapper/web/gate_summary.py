"""The state of a gate in words for people; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def state_of(gate: Mapping[str, Any]) -> str:
    """Return the state of a gate in a few words, from the field ``gate`` of a status."""
    if not gate["is_running"]:
        return "not running"
    if not gate["is_open"]:
        return "holding"
    if gate["is_handing_over"]:
        return "handing over"
    holds = any(each["held_batches"] for each in gate["endpoints"])
    return "sending held samples" if holds else "open"
