"""Unified diffs of configurations: correct, minimal and quick."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.configuration.diff import unified

NAMES = ("a", "b")
lines = st.lists(st.sampled_from(["a:", "b:", "- x", "- y", "  c: 1", "  d: 2", "    e", ""]))


def patched(old: list[str], difference: list[str]) -> list[str]:
    """Apply a diff to a text, with each hunk at the place that it names."""
    result, at = [], 0
    for line in difference[2:]:
        if line.startswith("@@"):
            start, _, length = line.split(" ")[1][1:].partition(",")
            begin = int(start) - (length != "0")
            result += old[at:begin]
            at = begin
        elif line[0] == "+":
            result.append(line[1:])
        else:
            assert old[at] == line[1:]
            result += [line[1:]] if line[0] == " " else []
            at += 1
    return result + old[at:]


@given(lines, lines)
def test_diff_turns_one_text_into_the_other(old: list[str], new: list[str]) -> None:
    """Applying the diff gives the new text; equal texts have no diff."""
    difference = list(unified(old, new, NAMES))
    assert patched(old, difference) == new
    assert bool(difference) == (old != new)


@pytest.mark.parametrize(
    ("at", "line"), [(0, "z:"), (1, "  z: 1"), (10, "  z: 1"), (20, "- z"), (40, "z:")]
)
def test_inserted_line_is_one_change(at: int, line: str) -> None:
    """An inserted line gives the same diff as ``difflib``, with three lines of context."""
    old = [text for number in range(10) for text in (f"a{number}:", "  c: 1", "- x", f"  {number}")]
    new = [*old[:at], line, *old[at:]]
    expected = list(difflib.unified_diff(old, new, *NAMES, lineterm=""))
    assert list(unified(old, new, NAMES)) == expected


def test_changes_among_many_similar_lines() -> None:
    """In ten thousand similar jobs, a change at each end is the whole diff."""
    old = [
        line
        for number in range(10_000)
        for line in (f"- job_name: {number}", "  scheme: http", f"  team: {number % 150}", "  a:")
    ]
    new = ["global:", *old[:-4], "remote_write:"]
    difference = list(unified(old, new, NAMES))
    assert [line for line in difference if line[0] in "+-"] == [
        "--- a",
        "+++ b",
        "+global:",
        *(f"-{line}" for line in old[-4:]),
        "+remote_write:",
    ]
