"""Which answers are accepted as files of targets or rules, and why others are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.promgen import group, rules, targets
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.targets.answer_check import (
    LARGEST_RULES,
    Content,
    Unacceptable,
    may_replace,
    read_answer,
)

BOTH = targets(group("a:1", "b:1"), group("c:1", shard="other"))


def refusal(kind: FileKind, body: bytes) -> str:
    """Return the reason for which a body is refused."""
    with pytest.raises(Unacceptable) as caught:
        read_answer(kind, body)
    assert caught.value.reason == "shape"
    return str(caught.value)


# --- targets --------------------------------------------------------------------------------------


def test_valid_targets_are_unchanged() -> None:
    """Valid targets keep the bytes of the answer; groups and targets are counted."""
    assert read_answer(FileKind.TARGETS, BOTH) == Content(BOTH, 2, 3)
    assert read_answer(FileKind.URLS, b"[]\n") == Content(b"[]\n", 0, 0)


def test_null_is_an_empty_list_or_object() -> None:
    """As in Prometheus, null is an empty list or object; Go's servers send it for unset values."""
    body = b'[{"targets": ["a:1"], "labels": null}, {"targets": null, "labels": {}}]'
    assert read_answer(FileKind.TARGETS, body) == Content(body, 2, 1)
    assert read_answer(FileKind.TARGETS, body, "none").others == ("",)


def test_shard_keeps_only_its_own_groups() -> None:
    """With a shard, groups of other shards and those without the label are left out."""
    body = targets(group("a:1", "b:1"), group("c:1", shard="other"), {"targets": ["d:1"]})
    content = read_answer(FileKind.TARGETS, body, "other")
    assert json.loads(content.data) == [group("c:1", shard="other")]
    assert (content.groups, content.targets, content.others) == (1, 1, ())
    nothing = read_answer(FileKind.TARGETS, body, "none")
    assert (nothing.is_empty, nothing.others) == (True, ("", "other", "promshard"))
    assert read_answer(FileKind.TARGETS, b"[]", "none").others == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the answer is empty"),
        (b" \n", "the answer is empty"),
        (b"<!DOCTYPE html><p>Log in", "a web page"),
        (BOTH[: len(BOTH) // 2], "not JSON"),
        (b"\xef\xbb\xbf[]", "not JSON"),
        (b"[\xff]", "not text in UTF-8 (byte 1)"),
        (b"[NaN]", "NaN"),
        (b"[" * 100_000, "nested"),
        (b"{}", "not a list"),
        (b'{"error": "no"}', "not a list"),
        (b"null", "not a list"),
        (b"[null]", "target group 1 of 1: not an object"),
        (b'[{"labels": {}}]', "targets is not a list"),
        (b'[{"targets": "a:1"}]', "targets is not a list"),
        (b'[{"targets": [1]}]', "targets is not a list"),
        (b'[{"targets": [""]}]', "targets is not a list"),
        (b'[{"targets": 0}]', "targets is not a list"),
        (b'[{"targets": [], "labels": []}]', "labels is not an object"),
        (b'[{"targets": [], "labels": {"a": 1}}]', "labels is not an object"),
        (b'[{"targets": [], "labels": {"a-b": "c"}}]', 'label "a-b"'),
        (b'[{"targets": []}, {"targets": [], "name": "x"}]', 'group 2 of 2: unknown field "name"'),
    ],
)
def test_invalid_targets_are_refused(body: bytes, said: str) -> None:
    """Each invalid form is refused with its reason."""
    assert said in refusal(FileKind.TARGETS, body)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_only_lists_of_groups_are_accepted(value: Any) -> None:
    """JSON without a group is refused, except for the empty list."""
    body = json.dumps(value).encode()
    if value == []:
        assert read_answer(FileKind.TARGETS, body).is_empty
    else:
        refusal(FileKind.TARGETS, body)


# --- rules ----------------------------------------------------------------------------------------


def test_valid_rules_are_unchanged() -> None:
    """Valid rules keep the bytes of the answer; expressions are not checked here."""
    body = rules("nonsense (")
    assert read_answer(FileKind.RULES, body) == Content(body, 1, 1)
    assert read_answer(FileKind.RULES, b"groups: []").is_empty
    assert read_answer(FileKind.RULES, b"groups: [{name: a}, {name: b, rules: }]").groups == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><body>no</body></html>", "a web page"),
        (b"{}", "groups is missing, or not a list"),
        (b"groups:", "groups is missing, or not a list"),
        (b"error: no", "groups is missing, or not a list"),
        (b"- a", "groups is missing, or not a list"),
        (b"just words", "groups is missing, or not a list"),
        (b"a: [", "1:5: not YAML"),
        (b"groups: [a]", "1:10: a group has to be a mapping"),
        (b"groups: [{rules: []}]", "needs a name"),
        (b"groups: [{name: a}, {name: a}]", "1:21: a group needs a name that no other group has"),
        (b"groups: [{name: a, rules: {}}]", "rules has to be a list"),
        (b"groups: [{name: a, rules: [x]}]", "either alert or record"),
        (b"groups: [{name: a, rules: [{expr: up}]}]", "either alert or record"),
        (b"groups: [{name: a, rules: [{alert: x, record: y, expr: up}]}]", "either alert or"),
        (b"groups: [{name: a, rules: [{alert: x}]}]", "needs an expr"),
        (b"groups: []\ngroups: []", "2:1"),
    ],
)
def test_invalid_rules_are_refused(body: bytes, said: str) -> None:
    """Each invalid form is refused with its reason, and with line and column if they are known."""
    assert said in refusal(FileKind.RULES, body)


# --- suddenly empty answers -----------------------------------------------------------------------

FULL, NONE = Content(b"", 2, 3), Content(b"", 0, 0)


@pytest.mark.parametrize(
    ("content", "before", "is_confirmed", "may"),
    [
        (NONE, FULL, False, False),
        (NONE, FULL, True, True),
        (NONE, NONE, False, True),
        (NONE, None, False, True),
        (FULL, FULL, False, True),
        (Content(b"", 2, 0), FULL, False, False),
    ],
)
def test_empty_answer_after_targets_must_be_confirmed(
    content: Content, before: Content | None, is_confirmed: bool, may: bool
) -> None:
    """An answer without targets replaces targets only if it is confirmed."""
    assert may_replace(content, before, is_confirmed=is_confirmed) is may


# --- kinds of feeds -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path", "kind"),
    [
        ("http://promgen/api/v1/targets", "/p/promgen.json", FileKind.TARGETS),
        ("http://promgen/service/1/targets", "/p/promgen.json", FileKind.TARGETS),
        ("http://promgen/api/v1/urls/", "/p/blackbox.json", FileKind.URLS),
        ("http://promgen/api/v1/rules", "/p/promgen.rule.yml", FileKind.RULES),
        ("http://promgen/api/v1/rules", "/p/promgen.rule.yaml", FileKind.RULES),
    ],
)
def test_kind_of_a_feed_depends_on_its_names(url: str, path: str, kind: FileKind) -> None:
    """The file's name means rules; the URL's path distinguishes urls from targets."""
    assert Feed(url, path).kind is kind


@pytest.mark.parametrize(
    ("url", "is_of_promgen"),
    [
        ("http://promgen/api/v1/targets", True),
        ("http://promgen/api/v1/urls?x=1", True),
        ("https://u:p@all/promgen/api/v1/rules", True),
        ("http://promgen/rest/service/%E6%B1%BA/targets/", True),
        ("http://promgen/rest/project/shop/rules/", True),
        ("http://promgen/service/1/targets", True),
        ("http://promgen/?x=/api/v1/targets", False),
        ("http://other/targets.json", False),
        ("http://other/api/v1/targets/all", False),
        ("http://other/api/v1/sd", False),
        ("http://other", False),
    ],
)
def test_path_of_the_url_shows_a_feed_of_promgen(url: str, is_of_promgen: bool) -> None:
    """Only feeds with Promgen's paths are announced by messages."""
    assert Feed(url, "/p/t.json").is_of_promgen is is_of_promgen


def test_feed_shows_no_secret() -> None:
    """A feed is shown without its password and its query."""
    feed = Feed("https://me:hunter2@promgen/api/v1/targets?token=hunter2", "/p/t.json")
    assert str(feed) == "https://promgen/api/v1/targets=/p/t.json"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FileKind.TARGETS, b"[" + b"[]," * 600_000 + b"[]]"),
        (FileKind.TARGETS, b"[" + b"{}," * 600_000 + b"{}]"),
        (FileKind.TARGETS, b'[{"targets": [' + b'"a",' * 1_000_001 + b'"a"]}]'),
        (FileKind.RULES, b"groups: [" + b"[]," * 300_000 + b"]"),
        (FileKind.RULES, b"groups:\n" + b"- a\n" * 300_000),
        (FileKind.RULES, b"groups: []\n#" + b"x" * LARGEST_RULES),
    ],
)
def test_answer_that_takes_long_to_read_is_refused(kind: FileKind, body: bytes) -> None:
    """A small answer with very long lists is refused.

    It would fill the memory, and delay all other threads.
    """
    with pytest.raises(Unacceptable) as caught:
        read_answer(kind, body)
    assert caught.value.reason == "too_large"


def test_twenty_thousand_groups_are_read() -> None:
    """20,000 groups are read, also if they are short, with the labels of Promgen."""
    labels = dict.fromkeys(("__shard", "service", "project", "farm", "job", "__scheme__"), "x")
    groups = [{"labels": labels, "targets": ["a:1", "b:1"]}] * 20_000
    assert read_answer(FileKind.TARGETS, json.dumps(groups).encode()).groups == 20_000
