"""The soak finds a Prometheus that has loaded a wrong configuration, or the right one too late."""

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
    """Return what a Prometheus has loaded at a time."""
    return Seen("a", at, at + 0.01, ("base", *jobs), has_remote_write)


def is_right(given: Seen, *, has_gate: bool = False) -> bool:
    """Return whether the check finds nothing."""
    return not list(wrong("g", given, EDITS, ("base",), has_gate=has_gate))


@pytest.mark.parametrize(("more", "has"), [("remote_write:\n- url: x", True), ("", False)])
def test_loaded_configuration_is_read(more: str, *, has: bool) -> None:
    """Jobs and ``remote_write`` are read from the configuration that Prometheus shows."""
    assert seen("a", 1.0, 2.0, YAML.format(more=more)) == Seen(
        "a", 1.0, 2.0, ("base", "edit-2"), has
    )


def test_both_renderings_are_accepted() -> None:
    """The follower's rendering has no ``remote_write``, the leader's has it."""
    assert is_right(what("edit-2", at=15.0))
    assert is_right(what("edit-2", "lead-2", at=15.0, has_remote_write=True))


def test_mixed_rendering_is_found() -> None:
    """A rendering with a part of the other role's is found."""
    assert not is_right(what("edit-2", at=15.0, has_remote_write=True))
    assert not is_right(what("edit-2", "lead-2", at=15.0))
    assert not is_right(what("edit-2", "lead-1", at=15.0, has_remote_write=True))
    assert not is_right(what(at=15.0))


def test_with_the_gate_both_renderings_write() -> None:
    """With the gate, a follower without ``remote_write`` is found."""
    assert is_right(what("edit-2", at=15.0, has_remote_write=True), has_gate=True)
    assert not is_right(what("edit-2", at=15.0), has_gate=True)


def test_old_edit_is_accepted_until_the_new_one_is_due() -> None:
    """An old edit is accepted until the new one is due; a new one is not before it was made."""
    assert current(EDITS, 9.0, 9.0) == {1, 2}
    assert current(EDITS, 15.0, 15.0) == {1, 2}
    assert current(EDITS, 26.0, 26.0) == {2, 3}
    assert current([EDITS[0], Edit(2, 8.0, 10.0)], 11.0, 11.0) == {2}
    assert current(EDITS, 5.0, 5.0) == {1}
    assert EDITS[-1].due == FOREVER


def test_edit_that_is_too_old_is_found() -> None:
    """An old edit is found once the new one is due."""
    assert is_right(what("edit-1", at=9.0))
    assert not is_right(what("edit-1", at=26.0))
    assert not is_right(what("edit-3", at=15.0))
