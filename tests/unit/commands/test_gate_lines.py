"""The lines of ``status`` about the replicas' gates."""

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
def test_gate_has_one_line(gate: dict[str, Any], line: str) -> None:
    """The line has the gate's state, what it holds since when, the delay, and problems."""
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
def test_missing_or_unknown_gate_has_no_line(gate: Any) -> None:
    """A gate in another form, e.g. of another version, has no line."""
    assert lines(gate) == []


@pytest.mark.parametrize("replica", [{}, {"status": None}, {"status": {"identity": "a"}}])
def test_replica_without_an_answer_has_no_line(replica: dict[str, Any]) -> None:
    """A replica that does not answer, or is too old to have a gate, has no line."""
    assert list(gate_lines([replica])) == []
