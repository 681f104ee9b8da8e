"""The description of the effects of overrides, and the difference that they make."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from yaml.nodes import MappingNode

from tests.unit.given_documents import sections, shape, written
from wrapper.configuration.leader_difference import compare
from wrapper.configuration.merge import merge
from wrapper.configuration.override_trace import merge_traced, path_of
from wrapper.configuration.redact import Redaction
from wrapper.configuration.sections import read_override
from wrapper.documents.problems import Problems
from wrapper.documents.source import Source

BASE = """\
global:
  scrape_interval: 15s
  external_labels: {cluster: a}
scrape_configs:
- job_name: a
- job_name: b
- job_name: c
rule_files: [r.yml]
tracing:
"""


def section(content: str, name: str = "l.yml") -> MappingNode:
    """Return the root of a file."""
    problems = Problems()
    found = read_override(Source(name, content.encode()), problems).node
    assert not problems.lines
    return found


def effects(*overrides: str, base: str = BASE) -> list[str]:
    """Return the effects of overrides, each as ``NAME:LINE PATH: WORDS``."""
    nodes = [section(text, f"{number}.yml") for number, text in enumerate(overrides, 1)]
    _, found = merge_traced(section(base), nodes)
    return [f"{each.name}:{each.line} {each.path}: {each.what}" for each in found]


# --- one override ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("global: {scrape_interval: 5s}", "global.scrape_interval: set to 5s, was 15s"),
        ("global: {scrape_interval: '15s'}", None),
        ("global:\n  scrape_interval: 15s", None),
        ("global: {scrape_interval: }", "global.scrape_interval: set to null, was 15s"),
        ("global: {scrape_interval: ''}", 'global.scrape_interval: set to "", was 15s'),
        ("global: {evaluation_interval: 1m}", "global.evaluation_interval: added: 1m"),
        ("global: {external_labels: {a.b: 1.10}}", 'global.external_labels["a.b"]: added: 1.10'),
        ("tracing: {endpoint: a}", "tracing.endpoint: added: a"),
        ("storage: {tsdb: {x: 1}}", "storage.tsdb.x: added: 1"),
        ("storage: {}", "storage: added: a mapping"),
        ("global: 1", "global: set to 1, in place of a mapping"),
        ("rule_files: a", "rule_files: set to a, in place of a list"),
        ("rule_files: [a b]", 'rule_files[1]: appended as item 2 ("a b")'),
        ("rule_files: []", "rule_files: an empty list: changes nothing"),
        ("scrape_config_files: []", "scrape_config_files: set to an empty list"),
        ("tracing: []", "tracing: set to an empty list"),
        ("remote_write: [{url: http://a}]", "remote_write[0]: added as item 1 (url: http://a)"),
        ("scrape_configs: [{job_name: x}]", "scrape_configs[3]: appended as item 4 (job_name: x)"),
        ("scrape_configs: [{scheme: x}]", "scrape_configs[3]: appended as item 4"),
        ("scrape_configs: [[a]]", "scrape_configs[3]: appended as item 4"),
        (
            "scrape_configs: [{job_name: b, $patch: replace}]",
            "scrape_configs[1]: replaces item 2 (job_name: b)",
        ),
        (
            "scrape_configs: [{job_name: b, $patch: delete}]",
            "scrape_configs: removes item 2 (job_name: b)",
        ),
    ],
)
def test_each_kind_of_override_is_described(override: str, expected: str | None) -> None:
    """Each kind of override is described; one that repeats the value changes nothing."""
    said = expected or "global.scrape_interval: is 15s already: changes nothing"
    line = override.count("\n") + 1
    assert effects(override) == [f"1.yml:{line} {said}"]


def test_lines_of_keys_and_items() -> None:
    """Effects have the lines of their keys and items, in the order of the input."""
    override = "global:\n\n  a: 1\n  b: 2\nscrape_configs:\n- job_name: x\n-\n  job_name: y\n"
    assert [each.partition(" ")[0] for each in effects(override)] == [
        "1.yml:3",
        "1.yml:4",
        "1.yml:6",
        "1.yml:8",
    ]


def test_mapping_in_place_of_a_list() -> None:
    """If a mapping replaces a list, both what is removed and what is added are shown."""
    assert effects("rule_files: {a: {b: 1}}") == [
        "1.yml:1 rule_files: added, in place of a list: a mapping",
        "1.yml:1 rule_files.a.b: added: 1",
    ]


def test_indexes_of_patches_and_additions() -> None:
    """Added items have their index in the result, replaced or removed ones that of before."""
    override = """\
scrape_configs:
- {job_name: a, $patch: delete}
- {job_name: x}
- {job_name: c, scheme: https, $patch: replace}
- {job_name: c2}
"""
    assert effects(override) == [
        "1.yml:2 scrape_configs: removes item 1 (job_name: a)",
        "1.yml:3 scrape_configs[2]: appended as item 3 (job_name: x)",
        "1.yml:4 scrape_configs[1]: replaces item 3 (job_name: c)",
        "1.yml:5 scrape_configs[3]: appended as item 4 (job_name: c2)",
    ]


def test_whole_list_is_replaced() -> None:
    """If a whole list is replaced, the number of removed items is shown."""
    assert effects("scrape_configs: [{$patch: replace}, {job_name: x}]") == [
        "1.yml:1 scrape_configs: removes all 3 items that were there",
        "1.yml:1 scrape_configs[0]: added as item 1 (job_name: x)",
    ]


def test_values_from_a_merge_key() -> None:
    """A value from a merge key has the line of its anchor."""
    override = "x: &x\n  a: 1\nglobal:\n  <<: *x\n"
    assert effects(override) == ["1.yml:2 x.a: added: 1", "1.yml:2 global.a: added: 1"]


def test_long_values_are_cut() -> None:
    """A long value is cut to one line."""
    (said,) = effects(f"a: {'x' * 200}")
    assert said == f"1.yml:1 a: added: {'x' * 60}…"


# --- several overrides ----------------------------------------------------------------------------


def test_later_override_of_the_same_value() -> None:
    """An overridden effect is shown, with the remark that it is overridden later."""
    assert effects("global: {a: 1}", "global: {a: 2}", "global: {a: 2}") == [
        "1.yml:1 global.a: added: 1; overridden later",
        "2.yml:1 global.a: set to 2, was 1",
        "3.yml:1 global.a: is 2 already: changes nothing",
    ]


def test_items_that_a_later_override_moves_or_removes() -> None:
    """The paths of added items are those of the final result."""
    first = "scrape_configs: [{job_name: x}, {job_name: y}]"
    second = "scrape_configs: [{job_name: a, $patch: delete}, {job_name: x, $patch: delete}]"
    assert effects(first, second) == [
        "1.yml:1 scrape_configs[3]: appended as item 4 (job_name: x); overridden later",
        "1.yml:1 scrape_configs[2]: appended as item 5 (job_name: y)",
        "2.yml:1 scrape_configs: removes item 1 (job_name: a)",
        "2.yml:1 scrape_configs: removes item 4 (job_name: x)",
    ]


def test_alias_twice_in_a_list() -> None:
    """An alias that occurs twice in a list has two effects, each with its index."""
    override = "x: &x {job_name: x}\nrule_files: [*x, *x]\n"
    assert [each.split(": ")[0] for each in effects(override)][1:] == [
        "1.yml:1 rule_files[1]",
        "1.yml:1 rule_files[2]",
    ]


@given(sections, sections)
def test_traced_merge_equals_merge(one: MappingNode, two: MappingNode) -> None:
    """The traced merge gives the same result as the merge, and all its effects last."""
    base, override = section(written(a=one)), section(written(a=two))
    problems = Problems()
    expected = merge(base, override, problems)
    if problems:
        return
    merged, found = merge_traced(base, [override])
    assert shape(merged) == shape(expected)
    assert all("overridden later" not in each.what for each in found)


@pytest.mark.parametrize(
    ("trail", "path"),
    [
        (("a", 0), "a[0]"),
        (("a-b", "c_d"), "a-b.c_d"),
        (("a", "1.10"), 'a["1.10"]'),
        (("",), '[""]'),
        (("$patch", "é"), "$patch.é"),
    ],
)
def test_unusual_keys_in_paths_are_quoted(trail: tuple[str | int, ...], path: str) -> None:
    """Paths are written as usual; unusual keys are quoted."""
    assert path_of(trail) == path


# --- the difference -------------------------------------------------------------------------------


def difference(base: str, *overrides: str) -> list[str]:
    """Return the changed lines of the leader, without the diff's headers."""
    found = compare(section(base), [section(text) for text in overrides], Redaction())
    return [line for line in found.difference if line[0] in "+-" and line[1:3] not in ("++", "--")]


def test_only_differences_of_meaning_are_shown() -> None:
    """Style, anchors and comments make no difference."""
    base = "x: &x {a: [1, 2], b: 'c'}\ny: *x\nz: {<<: *x, d: 1}\n"
    assert difference(base, "z: {d: 2}") == ["-  d: 1", "+  d: 2"]
    assert difference("a: 1 # secret\n", "b: # none\n") == ["+b:"]
    assert difference("a: 1\n", "a: '1'\n") == ["-a: 1", "+a: '1'"]


def test_difference_without_overrides_is_empty() -> None:
    """Without overrides there is no difference; with an empty base, everything is one."""
    assert difference("a: 1") == []
    assert difference("{}", "a: 1") == ["+a: 1"]
    assert compare(section("a: 1"), [section("")], Redaction()).effects == ()


def test_changed_secret_is_a_difference() -> None:
    """A changed secret is shown as changed, without its value."""
    assert difference("a: {token: one, b: 1}", "a: {token: two}") == [
        "-  token: <secret 1>",
        "+  token: <secret 2>",
    ]
    assert difference("a: {token: one}", "a: {token: one}") == []


def test_effects_show_no_secrets() -> None:
    """Neither the new value nor the old one shows a secret."""
    found = compare(section("u: http://a:b@h"), [section("u: http://a:c@h")], Redaction())
    assert [each.what for each in found.effects] == [
        "set to http://<secret 2>@h, was http://<secret 1>@h"
    ]


def test_nested_aliases_are_not_expanded() -> None:
    """A few lines that would expand to billions of values are shown as written."""
    lines = ["x0: &x0 [a]", *(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]" for i in range(1, 40))]
    base = yaml.compose("\n".join(lines))
    assert isinstance(base, MappingNode)
    assert compare(base, [section("y: 1")], Redaction()).difference[-1] == "+y: 1"
