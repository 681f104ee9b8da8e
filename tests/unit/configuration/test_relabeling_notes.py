"""Notes about relabeling rules with a quoted null, which Prometheus takes for no value."""

from __future__ import annotations

import pytest

from wrapper.configuration.relabeling_notes import relabeling_notes
from wrapper.documents.source import Source


def places(text: str) -> list[str]:
    """Return the line and column of each note."""
    return [":".join(note.split(":")[1:3]) for note in relabeling_notes(Source("p", text.encode()))]


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        ("'null'", ["1:35"]),
        ('"null"', ["1:35"]),
        ("'~'", ["1:35"]),
        ("&a 'null'", ["1:35"]),
        ("null", []),
        ("(null)", []),
        ("'(null)'", []),
        ("'(?:null)'", []),
        ("'Null'", []),
        ("!!str null", []),
        ("''", []),
        ("['null']", []),
    ],
)
def test_quoted_null_is_noted(regex: str, expected: list[str]) -> None:
    """A quoted null as regex is noted; other values are not.

    Observed with Prometheus 3.16.
    """
    assert places(f"metric_relabel_configs: [{{regex:  {regex}}}, 'null']") == expected


def test_note_has_place_cause_and_remedy() -> None:
    """The note has its place, the cause, and the expression with the intended meaning."""
    text = "alerting:\n  alert_relabel_configs:\n  - regex: '~'\n"
    (note,) = relabeling_notes(Source("p.yml", text.encode()))
    assert note.startswith("p.yml:3:12: Prometheus takes a quoted null for no value")
    assert "write regex: '(?:~)', which" in note


def test_each_rule_is_noted_once() -> None:
    """In each section and list, each rule is noted once, also behind anchors and merge keys."""
    text = (
        "follower:\n"
        "  scrape_configs:\n"
        "  - relabel_configs: &rules [{regex: 'null'}, {regex: a}]\n"
        "    metric_relabel_configs: *rules\n"
        "  - metric_relabel_configs: [{<<: {regex: '~'}, action: drop}]\n"
        "leader:\n"
        "  remote_write:\n"
        '  - write_relabel_configs: [{regex: "null"}]\n'
    )
    assert places(text) == ["3:38", "5:43", "8:37"]


def test_other_keys_named_regex_are_ignored() -> None:
    """A label or parameter named ``regex`` is no rule."""
    assert places("static_configs: [{labels: {regex: 'null'}}]\nregex: 'null'\n") == []
    assert places("relabel_configs: 'null'\nx_relabel_configs: ['null', [{regex: 'null'}]]\n") == []
    assert places("# regex: 'null'\n") == []
