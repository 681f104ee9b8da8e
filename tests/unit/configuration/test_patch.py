"""Items of a leader's list that replace or remove the follower's, by name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from wrapper.configuration.render import WholeFile, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

FOLLOWER = """\
scrape_configs:
- job_name: a
  scheme: http
- job_name: b
- job_name: c
"""
KEY = '"scrape_configs"'


def leader(override: str, base: str = FOLLOWER) -> Any:
    """Return the leader's configuration as values."""
    overrides = [Source("l.yml", override.encode())]
    rendered = WholeFile().render(Source("p.yml", base.encode()), overrides)
    return yaml.safe_load(rendered.renderings.leader.content)


def jobs(override: str, base: str = FOLLOWER) -> Any:
    """Return the leader's jobs."""
    return leader(override, base)["scrape_configs"]


def problems(override: str, base: str = FOLLOWER) -> tuple[str, ...]:
    """Return the problems of an override."""
    with pytest.raises(ConfigurationError) as raised:
        leader(override, base)
    return raised.value.problems


def test_replace_takes_the_place_of_the_item_with_its_name() -> None:
    """An item with ``$patch: replace`` takes the place of the follower's; others are appended."""
    override = "scrape_configs: [{job_name: b, $patch: replace, scheme: https}, {job_name: d}]\n"
    assert jobs(override) == [
        {"job_name": "a", "scheme": "http"},
        {"job_name": "b", "scheme": "https"},
        {"job_name": "c"},
        {"job_name": "d"},
    ]


def test_delete_removes_the_item() -> None:
    """Items with ``$patch: delete`` are removed, wherever they are in the list."""
    override = "scrape_configs: [{$patch: delete, job_name: c}, {job_name: a, $patch: 'delete'}]\n"
    assert jobs(override) == [{"job_name": "b"}]


@pytest.mark.parametrize("name", ["name", "url"])
def test_items_are_found_by_name_or_url(name: str) -> None:
    """Items of remote endpoints are found by name or URL, also in nested lists."""
    base = f"alerting: {{alertmanagers: [{{{name}: x, a: 1}}, {{{name}: y}}]}}\n"
    override = f"alerting: {{alertmanagers: [{{{name}: x, $patch: replace, b: 2}}]}}\n"
    expected = {"alerting": {"alertmanagers": [{name: "x", "b": 2}, {name: "y"}]}}
    assert leader(override, base) == expected


def test_name_precedes_the_url() -> None:
    """An item with a name and a URL is found by its name."""
    base = "remote_write: [{name: x, url: http://a}, {name: y, url: http://a}]\n"
    override = "remote_write: [{url: http://a, name: y, $patch: delete}]\n"
    assert problems(override, base) == (
        "l.yml:1:41: $patch: delete needs the name alone; remove the other keys",
    )
    override = "remote_write: [{name: y, $patch: delete}]\n"
    assert leader(override, base) == {"remote_write": [{"name": "x", "url": "http://a"}]}


def test_replace_alone_replaces_the_list() -> None:
    """``$patch: replace`` alone, as the first item, removes all items, also single values."""
    override = "rule_files:\n- $patch: replace\n- b.yml\n"
    assert leader(override, "rule_files: [a.yml]\n") == {"rule_files": ["b.yml"]}
    assert jobs("scrape_configs: [{$patch: replace}]\n") == []
    assert leader(override, "{}") == {"rule_files": ["b.yml"]}


def test_overrides_see_the_result_of_earlier_ones() -> None:
    """A later override can replace and remove items that an earlier one has added."""
    overrides = [
        Source("1.yml", b"scrape_configs: [{job_name: d}, {job_name: a, $patch: delete}]\n"),
        Source("2.yml", b"scrape_configs: [{job_name: d, $patch: replace, scheme: https}]\n"),
    ]
    rendered = WholeFile().render(Source("p.yml", FOLLOWER.encode()), overrides)
    loaded = yaml.safe_load(rendered.renderings.leader.content)
    assert loaded["scrape_configs"] == [
        {"job_name": "b"},
        {"job_name": "c"},
        {"job_name": "d", "scheme": "https"},
    ]


def test_patch_in_a_file_with_both_sections() -> None:
    """A patch works in the ``leader`` section too, and the follower is unchanged."""
    content = b"follower: {a: [{name: x}]}\nleader: {a: [{name: x, $patch: delete}]}\n"
    rendered = render(Source("x.yml", content)).renderings
    assert yaml.safe_load(rendered.leader.content) == {"a": []}
    assert yaml.safe_load(rendered.follower.content) == {"a": [{"name": "x"}]}


def test_names_are_compared_without_quotes() -> None:
    """``1.10`` and ``'1.10'`` are the same name; ``1.1`` is not."""
    base = "scrape_configs: [{job_name: 1.10}]\n"
    assert jobs("scrape_configs: [{job_name: '1.10', $patch: delete}]\n", base) == []
    assert problems("scrape_configs: [{job_name: 1.1, $patch: delete}]\n", base)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("{job_name: x, $patch: replace}", f"nothing to replace: no item of {KEY} has this job_n"),
        ("{job_name: x, $patch: delete}", f"nothing to delete: no item of {KEY} has this job_name"),
        ("{job_name: a, $patch: merge}", "$patch must be replace or delete; write one of them"),
        ("{job_name: a, $patch: [delete]}", "$patch must be replace or delete; write one of them"),
        ("{job_name: a, $patch: delete, scheme: x}", "$patch: delete needs the job_name alone"),
        (
            "{$patch: delete}",
            "$patch: delete does not say which item; write job_name, name or url beside",
        ),
        (
            "{$patch: replace, scheme: x}",
            "$patch: replace does not say which item; write job_name, name or",
        ),
        ("{static_configs: [{$patch: delete}]}", "$patch has no effect here; write it in an item"),
        ("{job_name: [a], $patch: delete}", f"nothing to delete: no item of {KEY} has this job_n"),
    ],
)
def test_invalid_directive_is_refused(item: str, expected: str) -> None:
    """An invalid directive is refused with its place, never ignored."""
    (problem,) = problems(f"scrape_configs: [{item}]\n")
    assert problem.partition(": ")[2].startswith(expected)
    assert problem.startswith(f"l.yml:1:{len('scrape_configs: [') + item.index('$patch') + 1}: ")
    assert "; " in problem


def test_replace_alone_must_be_the_first_item() -> None:
    """``$patch: replace`` alone after other items is refused: it would remove them."""
    (problem,) = problems("scrape_configs: [{job_name: d}, {$patch: replace}]\n")
    assert problem == (
        "l.yml:1:34: $patch: replace alone replaces the whole list; make it the first item"
    )


def test_ambiguous_name_is_refused() -> None:
    """If two items have the name, the patch is refused, without values."""
    base = "remote_write: [{url: http://u:hunter2@a}, {url: http://u:hunter2@a, name: b}]\n"
    override = "remote_write: [{url: http://u:hunter2@a, $patch: delete}]\n"
    (problem,) = problems(override, base)
    assert problem.startswith('l.yml:1:42: more than one item of "remote_write" has this url; ')
    assert "hunter2" not in problem


@pytest.mark.parametrize("place", ["$patch: delete", "global: {$patch: replace}", "a: {$patch: x}"])
def test_directive_outside_a_list_is_refused(place: str) -> None:
    """A ``$patch`` outside a list is refused: mappings are overridden key by key."""
    (problem,) = problems(f"{place}\n", "global: {a: 1}\n")
    assert "$patch has no effect here; write it in an item of a list of the leader" in problem


def test_patch_key_of_the_follower_is_left_to_prometheus() -> None:
    """A ``$patch`` in the follower's part has no effect and stays as written."""
    base = "a: [{name: x, $patch: delete}]\n"
    assert leader("b: 1\n", base) == {"a": [{"name": "x", "$patch": "delete"}], "b": 1}
