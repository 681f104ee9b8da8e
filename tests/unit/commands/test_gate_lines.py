"""What `status` prints about the replicas' gates."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.commands.gate_lines import gate_lines

STORE: dict[str, Any] = {
    "name": "store",
    "held_bytes": 0,
    "held_batches": 0,
    "held_since": None,
    "behind_s": None,
    "problem": "",
}
GATE: dict[str, Any] = {
    "is_running": True,
    "is_open": False,
    "is_handing_over": False,
    "problem": "",
    "endpoints": [STORE],
}
HELD = {"held_bytes": 3 << 20, "held_batches": 9, "held_since": "2026-11-25T20:01:02+00:00"}


def lines(gate: Any) -> list[str]:
    """Return the lines about one replica."""
    return list(gate_lines([{"url": "", "status": {"identity": "a", "gate": gate}}]))


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        (GATE, "holding; store nothing held"),
        (
            {**GATE, "endpoints": [{**STORE, **HELD}]},
            "holding; store 3 MiB held since 2026-11-25T20:01:02Z",
        ),
        (
            {**GATE, "is_open": True, "endpoints": [{**STORE, **HELD, "behind_s": 62}]},
            "sending held samples; store 3 MiB held since 2026-11-25T20:01:02Z, 62.0 s behind",
        ),
        (
            {
                **GATE,
                "is_open": True,
                "endpoints": [
                    {**STORE, "behind_s": 0.84},
                    {**STORE, "name": "b", "problem": "HTTP 503"},
                ],
            },
            "open; store 0.8 s behind; b nothing held (HTTP 503)",
        ),
        (
            {**GATE, "is_open": True, "is_handing_over": True, "endpoints": []},
            "handing over",
        ),
        (
            {**GATE, "is_running": False, "problem": "it was killed", "endpoints": []},
            "not running (it was killed)",
        ),
    ],
)
def test_a_gate_has_one_line(gate: dict[str, Any], line: str) -> None:
    """Its state, what it holds and since when, how far the receiver is behind, and problems."""
    assert lines(gate) == [f"gate of a: {line}"]


@pytest.mark.parametrize(
    "gate",
    [
        None,
        {},
        1,
        {**GATE, "is_running": 1},
        {**GATE, "endpoints": {}},
        {**GATE, "endpoints": [1]},
        {**GATE, "endpoints": [{**STORE, "held_bytes": "much"}]},
        {**GATE, "endpoints": [{**STORE, "behind_s": "much"}]},
        {**GATE, "endpoints": [{}]},
    ],
)
def test_without_a_gate_or_with_one_of_another_form_there_is_none(gate: Any) -> None:
    """Other replicas may be of another version, or lie."""
    assert lines(gate) == []


@pytest.mark.parametrize("replica", [{}, {"status": None}, {"status": {"identity": "a"}}])
def test_who_does_not_answer_has_none(replica: dict[str, Any]) -> None:
    """Nor has an older version, whose status lacks the field."""
    assert list(gate_lines([replica])) == []
