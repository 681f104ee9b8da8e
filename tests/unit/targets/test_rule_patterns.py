"""Patterns of ``rule_files`` that also match the copy of a file's last good rules."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from wrapper.targets.rule_patterns import matches, patterns_in


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (b"", []),
        (b"rule_files: [a/*, 'b.yml']\nscrape_configs: []\n", ["a/*", "b.yml"]),
        (b"global: {}\nrule_files:\n- a\n# of b\n\n  # too\n- b\nscrape_configs:\n- x", ["a", "b"]),
        (b"rule_files:\n  - a\r\n  - 'b'\r\nglobal: {}\r\n", ["a", "b"]),
        (b"rule_files:\nglobal: {}\n", []),
        (b"rule_files: {a: b}\n", []),
        (b"rule_files: [[a], b]\n", ["b"]),
        (b"rule_files: [a\nglobal: {}\n", []),
        (b"rule_files: [*a]\n", []),
        (b"x:\n  rule_files: [a]\n", []),
        (b"rule_files: \xff\n", []),
    ],
)
def test_patterns_are_found(config: bytes, found: list[str]) -> None:
    """The patterns of the top level are found; invalid ones are ignored."""
    assert list(patterns_in(config)) == found


@pytest.mark.parametrize(
    ("pattern", "is_matched"),
    [
        ("/r/*", True),
        ("/r/.*", True),
        ("/r/*.good", True),
        ("/r/.a.yml.good", True),
        ("/r/*.yml", False),
        ("/r/a.yml", False),
        ("/r/a.*", False),
        ("/*", False),
        ("/r/s/*", False),
    ],
)
def test_pattern_matches_hidden_files(pattern: str, is_matched: bool) -> None:
    """A pattern matches hidden files as well, as in Go and unlike in a shell."""
    assert matches(PurePath(pattern), PurePath("/r/.a.yml.good")) is is_matched
