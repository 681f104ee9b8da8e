"""The status of a replica: exactly the documented fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import FOLLOWER, Web, following, leading
from tests.web.test_metrics import FRESH_GATE, RICH
from wrapper.base import clock
from wrapper.model.snapshot import HandOver
from wrapper.web.status import status_of

PAGE = Path(__file__).parent.parent.parent / "wrapper/docs/reference.md"
HISTORY = (
    HandOver(1.7e9, "prometheus-1", "", "prometheus-1 held the lease when it was first read"),
    HandOver(1.7e9 + 60, "prometheus-0", "prometheus-1", "prometheus-0 took over <b>&"),
)
FULL: dict[str, Any] = {
    **RICH,
    "history": HISTORY,
    "child_start_time": 1.7e9,
    "paused_until_time": 1.9e9,
}
TYPES = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


def fields_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and type of each field; for a list, those of its first item."""
    if path:
        yield path, "null" if value is None else TYPES[type(value)]
    if isinstance(value, dict):
        for name, below in value.items():
            yield from fields_of(below, f"{path}.{name}" if path else name)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for name, below in value[0].items():
            yield from fields_of(below, f"{path}[].{name}")


def documented() -> dict[str, str]:
    """Return the types of the fields in the reference's table."""
    text = PAGE.read_text(encoding="utf-8")
    part = text.split("\n## Status fields\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", part, re.MULTILINE))


def test_every_field_is_documented_with_its_type() -> None:
    """A status with all fields has exactly those of the table, with their types."""
    status = status_of(leading(**FULL), clock.now())
    found = dict(fields_of(status))
    assert found == {name: kind.removesuffix(" or null") for name, kind in documented().items()}


@pytest.mark.parametrize(
    "snapshot",
    [
        FOLLOWER,
        replace(FOLLOWER, election="none", written_role=""),
        replace(FOLLOWER, gate=FRESH_GATE),
        replace(FOLLOWER, lease_transitions=None),
    ],
)
def test_null_fields_are_documented(snapshot: Any) -> None:
    """Fields that are null in a minimal status are documented as such."""
    table = documented()
    for name, kind in fields_of(status_of(snapshot, clock.now())):
        assert kind in table[name].split(" or "), name


def test_the_newest_hand_over_comes_first(web: Web) -> None:
    """The status lists the newest hand-over first."""
    web.tell(leading(**FULL))
    told = web.get("/_elector/status").json()
    assert told["hand_overs"][0] == {
        "time": "2023-11-14T22:14:20+00:00",
        "leader": "prometheus-0",
        "previous": "prometheus-1",
        "reason": "prometheus-0 took over <b>&",
    }
    assert told["is_leader"] is True
    assert told["leader"] == "prometheus-0"


def test_a_follower_reports_holder_and_expiry(web: Web) -> None:
    """The status of a follower has the holder of the lease, and its remaining time."""
    web.tell(following())
    lease = web.get("/_elector/status").json()["lease"]
    assert lease["holder"] == "prometheus-1"
    assert 0 < lease["expires_in_s"] <= 3600


def test_marks_and_time_of_the_gate_are_reported(web: Web) -> None:
    """The status has the gate's marks as text and in milliseconds, and the time of the answer.

    The gates of other replicas read these.
    """
    web.tell(leading(**FULL))
    before_ms = clock.wall() * 1000
    gate = web.get("/_elector/status").json()["gate"]
    assert before_ms - 1 <= gate["time_ms"] <= clock.wall() * 1000 + 1
    assert isinstance(gate["time_ms"], int)
    [endpoint] = gate["endpoints"]
    assert endpoint["mark"] == "2023-11-14T22:13:20.125+00:00"
    assert endpoint["mark_ms"] == 1_700_000_000_125
    assert endpoint["held_since"] == "2023-11-14T22:13:20+00:00"
    assert (gate["is_running"], gate["is_open"], gate["is_handing_over"]) == (True, True, False)


def test_without_a_gate_its_field_is_null(web: Web) -> None:
    """Without a gate, its field in the status is null."""
    web.tell(following())
    assert web.get("/_elector/status").json()["gate"] is None


@pytest.mark.parametrize("mark", [10**17, -(10**17), 10**400])
def test_an_impossible_mark_has_no_date(mark: int) -> None:
    """A mark without a valid date is reported only as a number.

    Whoever can write the lease can write any number.
    """
    [endpoint] = FRESH_GATE["endpoints"]
    gate = {**FRESH_GATE, "endpoints": [{**endpoint, "mark": mark}]}
    told = status_of(following(gate=gate), clock.now())["gate"]["endpoints"][0]
    assert (told["mark"], told["mark_ms"]) == (None, mark)


def test_the_status_of_a_stale_snapshot_is_503(web: Web) -> None:
    """The status of a stale snapshot is a 503."""
    web.tell(leading(**FULL), age_s=6.0)
    assert web.get("/_elector/status").status_code == 503
