"""Where overrides land, in words; and the difference that they make."""

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
    """Return what a file says."""
    problems = Problems()
    found = read_override(Source(name, content.encode()), problems).node
    assert not problems.lines
    return found


def effects(*overrides: str, base: str = BASE) -> list[str]:
    """Return where overrides land, each as ``NAME:LINE PATH: WORDS``."""
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
def test_one_override(override: str, expected: str | None) -> None:
    """Each kind in its words; one that says the same as is there already changes nothing."""
    said = expected or "global.scrape_interval: is 15s already: changes nothing"
    line = override.count("\n") + 1
    assert effects(override) == [f"1.yml:{line} {said}"]


def test_lines_are_those_of_the_keys_and_items() -> None:
    """Several of them, in the order of the input."""
    override = "global:\n\n  a: 1\n  b: 2\nscrape_configs:\n- job_name: x\n-\n  job_name: y\n"
    assert [each.partition(" ")[0] for each in effects(override)] == [
        "1.yml:3",
        "1.yml:4",
        "1.yml:6",
        "1.yml:8",
    ]


def test_a_mapping_over_something_else() -> None:
    """It is said that something goes, and what comes."""
    assert effects("rule_files: {a: {b: 1}}") == [
        "1.yml:1 rule_files: added, in place of a list: a mapping",
        "1.yml:1 rule_files.a.b: added: 1",
    ]


def test_patches_and_additions_are_counted_in_the_result() -> None:
    """Paths and items added are those of the result, items replaced or removed those of before."""
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


def test_a_whole_list_is_replaced() -> None:
    """Nothing of the follower's stays."""
    assert effects("scrape_configs: [{$patch: replace}, {job_name: x}]") == [
        "1.yml:1 scrape_configs: removes all 3 items that were there",
        "1.yml:1 scrape_configs[0]: added as item 1 (job_name: x)",
    ]


def test_what_a_merge_key_brings_in() -> None:
    """It stands where the anchor says it."""
    override = "x: &x\n  a: 1\nglobal:\n  <<: *x\n"
    assert effects(override) == ["1.yml:2 x.a: added: 1", "1.yml:2 global.a: added: 1"]


def test_long_values_are_cut() -> None:
    """One line is one line."""
    (said,) = effects(f"a: {'x' * 200}")
    assert said == f"1.yml:1 a: added: {'x' * 60}…"


# --- several --------------------------------------------------------------------------------------


def test_a_later_override_of_the_same_value() -> None:
    """The first one is told too, with what becomes of it."""
    assert effects("global: {a: 1}", "global: {a: 2}", "global: {a: 2}") == [
        "1.yml:1 global.a: added: 1; overridden later",
        "2.yml:1 global.a: set to 2, was 1",
        "3.yml:1 global.a: is 2 already: changes nothing",
    ]


def test_items_that_a_later_override_moves_or_takes_away() -> None:
    """Paths are those of the end."""
    first = "scrape_configs: [{job_name: x}, {job_name: y}]"
    second = "scrape_configs: [{job_name: a, $patch: delete}, {job_name: x, $patch: delete}]"
    assert effects(first, second) == [
        "1.yml:1 scrape_configs[3]: appended as item 4 (job_name: x); overridden later",
        "1.yml:1 scrape_configs[2]: appended as item 5 (job_name: y)",
        "2.yml:1 scrape_configs: removes item 1 (job_name: a)",
        "2.yml:1 scrape_configs: removes item 4 (job_name: x)",
    ]


def test_an_alias_twice_in_a_list() -> None:
    """Both are told, each at its own place."""
    override = "x: &x {job_name: x}\nrule_files: [*x, *x]\n"
    assert [each.split(": ")[0] for each in effects(override)][1:] == [
        "1.yml:1 rule_files[1]",
        "1.yml:1 rule_files[2]",
    ]


@given(sections, sections)
def test_it_merges_as_merge_does(one: MappingNode, two: MappingNode) -> None:
    """The result is the same, and each effect stands where it says."""
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
def test_paths(trail: tuple[str | int, ...], path: str) -> None:
    """As people write them; what would be misread is quoted."""
    assert path_of(trail) == path


# --- the difference -------------------------------------------------------------------------------


def difference(base: str, *overrides: str) -> list[str]:
    """Return what the leader's lines differ in, without the head and the hunks' numbers."""
    found = compare(section(base), [section(text) for text in overrides], Redaction())
    return [line for line in found.difference if line[0] in "+-" and line[1:3] not in ("++", "--")]


def test_the_difference_is_one_of_meaning() -> None:
    """Neither style nor anchors nor comments make one."""
    base = "x: &x {a: [1, 2], b: 'c'}\ny: *x\nz: {<<: *x, d: 1}\n"
    assert difference(base, "z: {d: 2}") == ["-  d: 1", "+  d: 2"]
    assert difference("a: 1 # secret\n", "b: # none\n") == ["+b:"]
    assert difference("a: 1\n", "a: '1'\n") == ["-a: 1", "+a: '1'"]


def test_nothing_to_compare() -> None:
    """Without overrides there is no difference; over nothing, everything is one."""
    assert difference("a: 1") == []
    assert difference("{}", "a: 1") == ["+a: 1"]
    assert compare(section("a: 1"), [section("")], Redaction()).effects == ()


def test_a_changed_secret_is_a_difference() -> None:
    """It is seen that it has changed, not to what."""
    assert difference("a: {token: one, b: 1}", "a: {token: two}") == [
        "-  token: <secret 1>",
        "+  token: <secret 2>",
    ]
    assert difference("a: {token: one}", "a: {token: one}") == []


def test_landings_show_no_secrets() -> None:
    """Neither what is set nor what was there."""
    found = compare(section("u: http://a:b@h"), [section("u: http://a:c@h")], Redaction())
    assert [each.what for each in found.effects] == [
        "set to http://<secret 2>@h, was http://<secret 1>@h"
    ]


def test_aliases_of_aliases_are_not_written_out() -> None:
    """A few lines that would unfold to billions are shown as they are, should any get so far."""
    lines = ["x0: &x0 [a]", *(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]" for i in range(1, 40))]
    base = yaml.compose("\n".join(lines))
    assert isinstance(base, MappingNode)
    assert compare(base, [section("y: 1")], Redaction()).difference[-1] == "+y: 1"
