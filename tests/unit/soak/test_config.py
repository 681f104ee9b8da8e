"""The soak finds a Prometheus that has loaded what it must not, or too late."""

from __future__ import annotations

import pytest

from tests.soak.check_config import Edit, Seen, current, seen, wrong
from tests.soak.facts import FOREVER

EDITS = [Edit(1, 0.0, 10.0), Edit(2, 8.0, 25.0), Edit(3, 20.0)]
YAML = """\
global:
  scrape_interval: 1s
scrape_configs:
- job_name: base
  static_configs:
  - targets:
    - job_name
- job_name: edit-2
{more}
"""


def what(*jobs: str, at: float, has_remote_write: bool = False) -> Seen:
    """Return what a Prometheus has loaded at a moment."""
    return Seen("a", at, at + 0.01, ("base", *jobs), has_remote_write)


def is_right(given: Seen, *, has_gate: bool = False) -> bool:
    """Tell whether the check finds nothing."""
    return not list(wrong("g", given, EDITS, ("base",), has_gate=has_gate))


@pytest.mark.parametrize(("more", "has"), [("remote_write:\n- url: x", True), ("", False)])
def test_what_prometheus_says(more: str, *, has: bool) -> None:
    """Jobs and remote_write are read of what it prints."""
    assert seen("a", 1.0, 2.0, YAML.format(more=more)) == Seen(
        "a", 1.0, 2.0, ("base", "edit-2"), has
    )


def test_both_renderings_are_right() -> None:
    """The follower's without remote_write, the leader's with it."""
    assert is_right(what("edit-2", at=15.0))
    assert is_right(what("edit-2", "lead-2", at=15.0, has_remote_write=True))


def test_half_of_a_rendering_is_found() -> None:
    """Each of them with something of the other."""
    assert not is_right(what("edit-2", at=15.0, has_remote_write=True))
    assert not is_right(what("edit-2", "lead-2", at=15.0))
    assert not is_right(what("edit-2", "lead-1", at=15.0, has_remote_write=True))
    assert not is_right(what(at=15.0))


def test_with_the_gate_both_write() -> None:
    """The follower's without remote_write is none."""
    assert is_right(what("edit-2", at=15.0, has_remote_write=True), has_gate=True)
    assert not is_right(what("edit-2", at=15.0), has_gate=True)


def test_edits_take_their_time() -> None:
    """An old one is right until the new one is due; a new one is not before it is made."""
    assert current(EDITS, 9.0, 9.0) == {1, 2}
    assert current(EDITS, 15.0, 15.0) == {1, 2}
    assert current(EDITS, 26.0, 26.0) == {2, 3}
    assert current([EDITS[0], Edit(2, 8.0, 10.0)], 11.0, 11.0) == {2}
    assert current(EDITS, 5.0, 5.0) == {1}
    assert EDITS[-1].due == FOREVER


def test_an_old_edit_is_found() -> None:
    """Where the new one was due."""
    assert is_right(what("edit-1", at=9.0))
    assert not is_right(what("edit-1", at=26.0))
    assert not is_right(what("edit-3", at=15.0))
