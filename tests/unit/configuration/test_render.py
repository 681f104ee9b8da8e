"""Rendering: golden cases, unchanged scalars, merge rules, and messages for invalid input."""

from __future__ import annotations

import copy
import gc
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from yaml.nodes import MappingNode, Node, ScalarNode

from tests.unit.given_documents import (
    ClashError,
    compose,
    key_node,
    merged,
    sections,
    shape,
    tags,
    values_of,
    written,
)
from wrapper.configuration.render import Rendered, WholeFile, fingerprint, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.model.roles import Role

GOLDEN = json.loads((Path(__file__).parents[2] / "vectors" / "merge.json").read_text("utf-8"))
RETYPED_KEYS = {"y": "true"}  # the peer reads this key as a boolean; here it stays as written


def rendered_of(content: str | bytes) -> Rendered:
    """Render a one-file input."""
    return render(Source("x.yml", content.encode() if isinstance(content, str) else content))


def overridden(base: bytes, *overrides: tuple[str, bytes]) -> Rendered:
    """Render a whole file, ``p.yml``, and its overrides (name, content)."""
    return WholeFile().render(Source("p.yml", base), [Source(*override) for override in overrides])


def text(rendered: Rendered, role: Role = Role.LEADER) -> str:
    """Return a role's rendering as text."""
    return rendered.renderings.of(role).content.decode()


def leader(content: str) -> str:
    """Return the leader's rendering of a one-file input."""
    return text(rendered_of(content))


def follower(content: str) -> str:
    """Return the follower's rendering of a one-file input."""
    return text(rendered_of(content), Role.FOLLOWER)


def problems(content: str | bytes) -> tuple[str, ...]:
    """Return the problems of an invalid input."""
    with pytest.raises(ConfigurationError) as raised:
        rendered_of(content)
    return raised.value.problems


# --- golden cases ---------------------------------------------------------------------------------


def renamed(value: Any) -> Any:
    """Return loaded YAML with the types of keys that the peer gives them."""
    if isinstance(value, dict):
        return {RETYPED_KEYS.get(key, key): renamed(item) for key, item in value.items()}
    return [renamed(item) for item in value] if isinstance(value, list) else value


def scalars(node: Node) -> Iterator[tuple[str, str]]:
    """Yield tag and text of every scalar in a graph."""
    if isinstance(node, ScalarNode):
        yield node.tag, node.value
    else:
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                yield from scalars(part)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_case(case: dict[str, Any], role: Role) -> None:
    """Each golden case has the peer's structure with the input's scalars, or is an error."""
    if f"{role}_error" in case or "leader_error" in case:
        (problem, *_) = problems(case["input"])
        line = re.search(r"line (\d+):", case["leader_error"])
        assert line is None or problem.startswith(f"x.yml:{line[1]}:")
        return
    content = rendered_of(case["input"]).renderings.of(role).content
    assert renamed(yaml.safe_load(content)) == case[role]
    assert set(scalars(compose(content))) <= set(scalars(first_document(case["input"])))


def first_document(content: str) -> Node:
    """Return the root of the first document."""
    root: Node = next(yaml.compose_all(content, Loader=yaml.CSafeLoader))
    return root


def test_there_are_41_golden_cases() -> None:
    """The file of golden cases is complete."""
    assert len(GOLDEN) == 41


# --- unchanged documents: generated ones ----------------------------------------------------------


@pytest.mark.parametrize("style", ["|", ">"])
@pytest.mark.parametrize("ending", ["\n", "\x85", "\u2028", "\u2029"])
def test_value_with_a_final_line_break_is_followed_by_the_next_key(style: str, ending: str) -> None:
    """A value that keeps its final line break, of any kind, does not end the document.

    libyaml ends a document after such a value.
    """
    text = "tag:yaml.org,2002:str"
    values = [ScalarNode(text, f"a{ending}{ending}", style=style), ScalarNode(text, "b")]
    entries = [(key_node(name), value) for name, value in zip("ab", values, strict=True)]
    section = MappingNode("tag:yaml.org,2002:map", entries, flow_style=False)
    content = written(follower=section)
    assert shape(compose(follower(content))) == shape(compose(content).value[0][1])


@given(sections)
def test_follower_is_the_same_graph_as_its_input(section: MappingNode) -> None:
    """The follower's rendering parses to the same tags and texts as its input."""
    content = written(follower=section)
    original = compose(content).value[0][1]
    assert shape(compose(follower(content))) == shape(original)
    assert tags(follower(content)) <= tags(content)


@given(sections, sections)
def test_leader_without_overrides_is_the_follower(section: MappingNode, other: MappingNode) -> None:
    """Without overrides, both renderings are the same bytes."""
    content = written(follower=section)
    rendered = rendered_of(content).renderings
    assert rendered.leader.content == rendered.follower.content
    assert not rendered.has_overrides
    whole = written(only=other).encode()
    given = overridden(whole, ("y.yml", b""), ("z.yml", b"# none\n"))
    assert not given.renderings.has_overrides


@given(sections, sections)
def test_merge_of_nodes_is_the_merge_of_values(one: MappingNode, two: MappingNode) -> None:
    """Merging graphs gives the same result as merging values, and the follower is unchanged."""
    content = written(follower=one, leader=two)
    root = compose(content)
    before, override = (values_of(section) for _, section in root.value)
    try:
        expected = merged(copy.deepcopy(before), override)
    except ClashError:
        assert problems(content)
        return
    assert values_of(compose(leader(content))) == expected
    assert tags(leader(content)) <= tags(content)
    assert values_of(compose(follower(content))) == before


# --- unchanged documents: single cases ------------------------------------------------------------


LINES = "a: 1.10\nn: yes\nb: 010\nc: 1:30\nd: 2024-01-01\ne: ~\nf: 'yes'\ng: \"x\"\nh: !!str 5\n"


def test_scalars_and_comments_stay_as_written() -> None:
    """Scalars keep type and quotes, comments stay, and a section's indentation is removed."""
    section = "".join(f"   {line} # why\n" for line in LINES.splitlines())
    content = f"follower:\n{section}\n  # more\nleader: {{}}\n"
    expected = LINES.replace("\n", " # why\n") + "\n# more\n"
    assert (follower(content), leader(content)) == (expected, expected)


def test_scalars_that_are_written_again_stay_as_written() -> None:
    """Scalars keep type and quotes also in what the leader overrides."""
    section = "".join(f"    {line}\n" for line in LINES.splitlines())
    content = f"follower:\n  x:\n{section}leader: {{x: {{z: 1}}}}\n"
    rendered = leader(content).replace("\n  ", "\n")
    assert rendered == "x:\n" + LINES.replace("!!str 5", "'5'") + "z: 1\n"


def test_empty_flow_scalar_becomes_null() -> None:
    """An empty value in flow style becomes null: Prometheus refuses libyaml's own form."""
    assert follower("follower: {a: , b: 1}") == "{a: null, b: 1}\n"
    assert follower("follower:\n  a:\n  b: 1\n") == "a:\nb: 1\n"


def test_base_60_in_flow_style_is_text() -> None:
    """``1:30`` is text, as in Prometheus, which refuses libyaml's ``!!int '1:30'``."""
    section = "[1:30, 2024-01-01 10:00:00, 10:30.5]"
    assert follower(f"follower: {{a: {section}, b: 1}}\n") == (
        "{a: ['1:30', '2024-01-01 10:00:00', '10:30.5'], b: 1}\n"
    )


def test_null_tagged_as_text_keeps_its_tag() -> None:
    """A null tagged as text keeps its tag: Prometheus 3.16 reads a quoted null as no regex."""
    for value in ("!!str null", "!!str ~", "'null'", '"~"', "null"):
        merged = leader(f"follower:\n  x: {{a: {value}}}\nleader: {{x: {{z: 1}}}}\n")
        assert merged == f"x: {{a: {value}, z: 1}}\n"
        merged = leader(f"follower:\n  x:\n    a: {value}\nleader: {{x: {{z: 1}}}}\n")
        assert merged == f"x:\n  a: {value}\n  z: 1\n"


def test_empty_scalar_from_an_alias_in_flow_style_becomes_null() -> None:
    """An empty scalar becomes null if it is written in flow style, wherever it was read."""
    content = "leader:\n  x: &x\n    a:\nfollower:\n  y: [*x]\n"
    assert "!" not in follower(content)
    assert yaml.safe_load(follower(content)) == {"y": [{"a": None}]}


def test_bom_and_crlf_are_read() -> None:
    """A file with a byte order mark and CRLF line breaks, as from Windows, has the same content."""
    content = "\ufefffollower:\r\n  a: |\r\n    one\r\n    two\r\n  b: x\r\n"
    assert follower(content) == "a: |\r\n  one\r\n  two\r\nb: x\r\n"
    assert follower("# &\r\n" + content[1:]) == "a: |\n  one\n  two\nb: x\n"


def test_long_lines_are_not_folded() -> None:
    """A scalar of 5,000 columns stays on one line."""
    words = "word " * 1000 + "end"
    assert follower(f"follower:\n  a: {words}\n  b: '{words}'\n") == f"a: {words}\nb: '{words}'\n"


def test_literal_with_final_lines_does_not_end_the_document() -> None:
    """A ``|+`` scalar before other keys leaves one document."""
    content = "follower:\n  a: |+\n    x\n\n  b: 1\n"
    assert yaml.safe_load(follower(content)) == {"a": "x\n\n", "b": 1}


def test_anchor_may_be_redefined() -> None:
    """An alias refers to the last anchor before it, as in Prometheus."""
    content = "follower:\n  a: &x 1\n  b: *x\n  c: &x 2\n  d: *x\n"
    assert yaml.safe_load(follower(content)) == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_merge_keys_stay_without_overrides() -> None:
    """Merge keys stay where nothing is overridden: Prometheus expands them."""
    content = "follower:\n  a: &a {x: 1}\n  b: {<<: *a, y: 2}\n"
    assert follower(content) == "a: &id001 {x: 1}\nb: {<<: *id001, y: 2}\n"
    assert leader(content) == follower(content)


def test_merge_keys_are_expanded_where_the_leader_overrides() -> None:
    """An override precedes the values of a merge key; the anchored mapping is unchanged."""
    content = (
        "follower:\n  a: &a {x: 1, z: {p: 1}}\n  b:\n    <<: *a\n    y: 2\n"
        "leader:\n  b: {x: 9, z: {q: 2}}\n"
    )
    expected = {"a": {"x": 1, "z": {"p": 1}}, "b": {"x": 9, "z": {"p": 1, "q": 2}, "y": 2}}
    assert yaml.safe_load(leader(content)) == expected


def test_merge_keys_of_the_leader_override_too() -> None:
    """A merge key in an override adds its entries; of several mappings the first counts."""
    content = "follower:\n  a: {x: 1}\nleader:\n  a: {<<: [{x: 2}, {x: 3, y: 3}]}\n"
    assert yaml.safe_load(leader(content)) == {"a": {"x": 2, "y": 3}}


def test_merge_key_after_a_key_wins_as_in_prometheus() -> None:
    """A merge key after a key replaces its value, as in go-yaml v2."""
    content = "follower:\n  a: {x: 1, <<: {x: 2}}\nleader:\n  a: {y: 3}\n"
    assert leader(content) == "a: {x: 2, y: 3}\n"


def test_shared_node_is_overridden_in_one_place_only() -> None:
    """An override of an aliased mapping or list does not change its other uses."""
    content = "follower:\n  a: &a {x: [1]}\n  b: *a\nleader:\n  b: {x: [2], y: 1}\n"
    assert yaml.safe_load(leader(content)) == {"a": {"x": [1]}, "b": {"x": [1, 2], "y": 1}}


def test_block_style_override_of_flow_style_keeps_empty_values() -> None:
    """A merged value is in flow style only if both sides are."""
    content = "follower:\n  a: {x: 1, l: [1]}\nleader:\n  a:\n    y:\n    z: {p: }\n    l:\n    -\n"
    assert leader(content) == "a:\n  x: 1\n  l:\n  - 1\n  -\n  y:\n  z: {p: null}\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("x", "{}", {}),
        ("[1]", "{}", {}),
        ("", "{}", {}),
        ("", "[]", []),
        ("x", "{b: 1}", {"b": 1}),
        ("{b: {c: 1}}", "{b: {}}", {"b": {"c": 1}}),
        ("{b: 1}", "{c: {}, d: []}", {"b": 1, "c": {}, "d": []}),
        ("{b: 1}", "x", "x"),
        ("[1]", "", None),
    ],
)
def test_merge_rules_beyond_the_golden_cases(old: str, new: str, expected: Any) -> None:
    """Other merges have the result of the peer's merge library (mergo 1.0)."""
    content = f"follower:\n  a: {old}\nleader:\n  a: {new}\n"
    assert yaml.safe_load(leader(content)) == {"a": expected}


@pytest.mark.parametrize(("old", "new"), [("x", "[]"), ("{}", "[]"), ("{}", "[1]"), ("''", "[1]")])
def test_list_over_another_type_is_refused(old: str, new: str) -> None:
    """A list cannot be appended to a mapping or a single value, not even to an empty one."""
    (problem,) = problems(f"follower:\n  a: {old}\nleader:\n  a: {new}\n")
    assert re.fullmatch(r'x\.yml:4:6: "a" is a list here and .* at x\.yml:2; make .*', problem)


# --- renderings -----------------------------------------------------------------------------------


def test_empty_section_renders_as_an_empty_map() -> None:
    """A follower without configuration is ``{}``, never an empty file."""
    assert follower("follower: {}\nleader: {a: 1}\n") == "{}\n"


def test_fingerprint_is_of_the_bytes() -> None:
    """The fingerprint is the SHA-256 of the rendering's content."""
    rendering = rendered_of("follower: {}").renderings.follower
    assert rendering.fingerprint == fingerprint(b"{}\n")
    assert rendering.fingerprint.startswith(
        "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b6"
    )


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{remote_write: [{url: http://r}]}", True),
        ("{<<: {remote_write: [{url: http://r}]}}", True),
        ("{remote_write: []}", False),
        ("{remote_write: }", False),
        ("{remote_writes: [{url: http://r}]}", False),
        ("{a: {remote_write: [{url: http://r}]}}", False),
    ],
)
def test_rendering_with_remote_write_writes(section: str, *, expected: bool) -> None:
    """A rendering writes if its top level has a non-empty ``remote_write``, merged in or not."""
    rendered = rendered_of(f"follower: {{}}\nleader: {section}\n").renderings
    assert rendered.leader.writes_remotely is expected
    assert rendered.follower.writes_remotely is False
    assert (rendered.follower.role, rendered.leader.role) == (Role.FOLLOWER, Role.LEADER)


def test_overrides_of_a_whole_file_are_merged_in_order() -> None:
    """Overrides of a whole Prometheus file are merged one after the other."""
    rendered = overridden(
        b"global: {a: 1}\nrule_files: [a]\n",
        ("1.yml", b"rule_files: [b]\n"),
        ("2.yml", b""),
        ("3.yml", b"global: {a: 2}\n"),
    )
    assert text(rendered, Role.FOLLOWER) == "global: {a: 1}\nrule_files: [a]\n"
    assert text(rendered) == "global: {a: 2}\nrule_files: [a, b]\n"


def test_anchors_belong_to_their_file() -> None:
    """The same anchor in base and override refers to two values."""
    rendered = overridden(b"a: &x 1\nb: *x\n", ("o.yml", b"c: &x 2\nd: *x\n"))
    assert yaml.safe_load(text(rendered)) == {"a": 1, "b": 1, "c": 2, "d": 2}


# --- messages for invalid input -------------------------------------------------------------------


def test_all_problems_of_a_file_are_reported() -> None:
    """Each problem has its line, in the order of the file, with cause and remedy."""
    content = (
        "folower: {}\nleader:\n  a: [1]\n  a: [2]\nfollower:\n  a: x\n  b: {c: {d: 1, d: 2}}\n"
        "  e: {<<: 1}\n  f: {{ x }}\n"
    )
    assert problems(content) == (
        'x.yml:1:1: unknown key "folower"; did you mean "follower"?',
        'x.yml:4:3: the key "a" is already on line 3; keep one of them',
        'x.yml:4:6: "a" is a list here and a single value at x.yml:6; make both lists',
        'x.yml:7:17: the key "d" is already on line 7; keep one of them',
        "x.yml:8:11: << must be a mapping, not a single value; write the alias of one",
        "x.yml:9:7: a mapping cannot be a key; quote a value with braces",
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", 'x.yml:1:1: no configuration under "follower"'),
        ("# x\n", 'x.yml:1:1: no configuration under "follower"'),
        ("leader: {}\n", 'x.yml:1:1: no configuration under "follower"'),
        ("leader: {}\nfollower:\n", 'x.yml:2:1: no configuration under "follower"'),
        ("- a\n", "x.yml:1:1: the file must be a mapping, not a list"),
        ("follower: x\n", "x.yml:1:11: follower must be a mapping, not a single value"),
        ("follower: {}\nleader: [x]\n", "x.yml:2:9: leader must be a mapping, not a list"),
        ("follower: [\n", "x.yml:1:12: not YAML: while parsing a flow node did not find"),
        ("follower:\n\ta: 1\n", "x.yml:2:1: not YAML: while scanning for the next token found"),
        ("follower: 'abc\n\n", "x.yml:1:11: not YAML: while scanning a quoted scalar"),
        ("follower: a: b\n", "x.yml:1:12: not YAML: mapping values are not allowed"),
        ("follower:\n- *secret\n", "x.yml:2:3: not YAML: found undefined alias; define"),
        ("a: &x 1\nb: &x 2\nc: *secret\n", "x.yml:3:4: not YAML: found undefined alias; define"),
        ("follower:\n  a: &a [*a]\n", "x.yml:2:6: the value contains itself"),
        (b"follower:\n  \xc3\xa9: \xff\n", "x.yml:2:6: not text (invalid leading UTF-8 octet)"),
        ("follower: {a: \x01}\n", "x.yml:1:15: not text (control characters are not allowed)"),
        ("follower: " + "[" * 300 + "]" * 300, "x.yml:1:210: more than 200 levels deep"),
        ("follower: " + "[" * 900, "x.yml:1:210: more than 200 levels deep"),
        ("follower: &a 1\nleader: &a\n" + "- " * 100_000, "x.yml:3:399: more than 200 levels"),
        ("? " * 100_000, "x.yml:1:401: more than 200 levels deep"),
        ("{'fol\\nlower': 1, follower: {}}", 'x.yml:1:2: unknown key "fol'),
    ],
)
def test_each_problem_is_one_line(content: str | bytes, expected: str) -> None:
    """Each kind of invalid input is one line with its place, cause and remedy."""
    (problem,) = problems(content)
    assert problem.startswith(expected)
    assert "; " in problem
    assert "\n" not in problem


def nested(form: str, times: int) -> str:
    """Return ten lines, each with several aliases of the one before: billions of values."""
    lines = ["  a0: &a0 {x: 1}"]
    for number in range(1, 10):
        aliases = [f"*a{number - 1}"] * times
        parts = [f"k{at}: {alias}" for at, alias in enumerate(aliases)]
        inner = f"<<: [{', '.join(aliases)}]" if form == "merge keys" else ", ".join(parts)
        lines.append(f"  a{number}: &a{number} {{{inner}}}")
    return "\n".join(lines)


@pytest.mark.parametrize("form", ["merge keys", "mappings"])
def test_aliases_are_never_expanded(form: str) -> None:
    """Each mapping is merged once, however often aliases refer to it."""
    both = f"follower:\n{nested(form, 3)}\nleader:\n{nested(form, 3).replace('x: 1', 'x: 2')}\n"
    leader = rendered_of(both).renderings.leader.content
    assert len(leader) < 10_000
    small = f"follower:\n{nested(form, 2)}\nleader:\n  a9: {{y: 1}}\n"
    loaded = yaml.safe_load(rendered_of(small).renderings.leader.content)
    assert loaded["a9"].pop("y") == 1
    assert loaded == yaml.safe_load(small)["follower"]


@pytest.mark.parametrize("form", ["merge keys", "mappings"])
@pytest.mark.parametrize("section", ["follower", "leader"])
def test_aliases_of_billions_of_values_are_refused(form: str, section: str) -> None:
    """Aliases that expand to billions of values are refused unexpanded, as in Prometheus."""
    follower = "follower: {}\n" if section == "leader" else ""
    (problem,) = problems(f"{follower}{section}:\n{nested(form, 9)}\n")
    assert "aliases expand to " in problem


@pytest.mark.parametrize("item", ["{{<<: *a{}, z: 1}}", "{{k: *a{}}}", "[*a{}]"])
def test_levels_behind_aliases_count(item: str) -> None:
    """A chain of aliases counts for the limit of levels; one within the limit is rendered."""
    chain = ["  - &a0 {job_name: x}"]
    chain += [f"  - &a{at + 1} {item.format(at)}" for at in range(3000)]

    def of(count: int) -> str:
        parts = ["follower:", "  list:", *chain[:count], f"  last: {{x: *a{count - 1}}}"]
        return "\n".join([*parts, "leader:", "  last: {x: {y: 1}}", ""])

    problem = next(iter(problems(of(3000))))
    assert "more than 200 levels deep" in problem
    assert rendered_of(of(197)).renderings.leader.content


def test_prometheus_file_in_place_of_sections() -> None:
    """For a plain Prometheus file, the problems name the flag, or where its keys belong."""
    first, second = problems("global: {}\n")
    assert first == (
        'x.yml:1:1: no "follower" and no "leader"; if this is a whole Prometheus configuration, '
        "name a file with what the leader adds: --leader-config=FILE"
    )
    assert second == (
        'x.yml:1:1: unknown key "global"; '
        'move it under "follower" or "leader", the only keys at the top level'
    )


def test_problems_of_all_files_are_reported() -> None:
    """Base and overrides are all read, also if one of them is not YAML."""
    with pytest.raises(ConfigurationError) as raised:
        overridden(b"a: [\n", ("o.yml", b"a: 1\na: 2\n"), ("q.yml", b"a: b: c\n"))
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "o.yml",
        "p.yml",
        "q.yml",
    ]


def test_empty_whole_file_is_refused() -> None:
    """A file without content is refused: an editor may have just truncated it. ``{}`` is valid."""
    with pytest.raises(ConfigurationError, match=r"p\.yml:1:1: no configuration; write {}"):
        overridden(b"# nothing\n")
    assert text(overridden(b"{}\n")) == "{}\n"


def test_override_that_is_no_mapping_is_refused() -> None:
    """An override that is no mapping is refused with its place."""
    with pytest.raises(ConfigurationError, match=r"o\.yml:1:1: the file must be a mapping"):
        overridden(b"{}", ("o.yml", b"- a\n"))


@pytest.mark.parametrize(
    "content",
    [
        "follower: hunter2\n",
        "follower: {a: [hunter2, *hunter2]}\n",
        "follower: {a: 'hunter2\n",
        "follower: {p: hunter2, p: hunter2}\n",
        "follower: {p: hunter2}\nleader: {p: [hunter2]}\n",
        "follower: {<<: hunter2}\n",
        "follower: {[hunter2]: hunter2}\n",
    ],
)
def test_messages_have_no_values(content: str) -> None:
    """Messages show no values, because a value may be a secret."""
    assert not any("hunter2" in problem for problem in problems(content))


def test_remote_writes_is_a_likely_mistake() -> None:
    """The common misspelling is reported with its place, in either section."""
    content = "follower: {}\nleader:\n  remote_writes: [{url: http://r}]\n"
    rendered = rendered_of(content)
    said = ('x.yml:3:3: unknown key "remote_writes"; did you mean "remote_write"?',)
    assert rendered.likely_mistakes == said
    assert rendered_of("follower: {remote_write: []}").likely_mistakes == ()
    given = overridden(b"remote_writes: []", ("o.yml", b"remote_writes: []"))
    assert [line[:10] for line in given.likely_mistakes] == ["o.yml:1:1:", "p.yml:1:1:"]


def test_section_inside_a_part_is_a_likely_mistake() -> None:
    """A section inside a part is reported.

    Prometheus would refuse it, in the leader's part only when a replica leads.
    """
    said = (
        "move its content one level up, or, if the file has both parts, leave --leader-config out"
    )
    given = overridden(b"follower: {}\nleader: {}", ("o.yml", b"leader: {remote_write: []}"))
    assert given.likely_mistakes == (
        f'o.yml:1:1: unknown key "leader"; {said}',
        f'p.yml:1:1: unknown key "follower"; {said}',
        f'p.yml:2:1: unknown key "leader"; {said}',
    )
    assert rendered_of("follower: {a: {leader: {}}}").likely_mistakes == ()
    (line,) = rendered_of("follower: {}\nleader: {leader: {}}").likely_mistakes
    assert line.startswith('x.yml:2:10: unknown key "leader"')


@pytest.mark.parametrize(
    ("value", "kind"), [("{url: http://r}", "a mapping"), ("http://r", "a single value")]
)
def test_mapping_in_place_of_a_list_is_a_likely_mistake(value: str, kind: str) -> None:
    """A mapping or value in place of a list is reported.

    Prometheus would refuse it, in the leader's part only when a replica leads.
    """
    rendered = rendered_of(f"follower: {{}}\nleader:\n  remote_write: {value}\n")
    said = f"x.yml:3:3: remote_write must be a list, not {kind}; write a dash before each item"
    assert rendered.likely_mistakes == (said,)
    assert rendered_of("follower: {rule_files: , scrape_configs: []}").likely_mistakes == ()


@pytest.mark.parametrize(
    "fault",
    ["follower: {a: 1, a: 2}\n", "folower: {}\nfollower: {}\n", "follower: [1]\n", ""],
)
def test_likely_mistakes_are_reported_with_other_problems(fault: str) -> None:
    """A likely mistake is reported beside other problems."""
    found = problems(f"{fault}leader:\n  remote_writes: []\n")
    assert len(found) >= 2
    assert sum("remote_writes" in line for line in found) == 1


# --- the garbage collector -----------------------------------------------------------------------


def test_garbage_collector_is_restored() -> None:
    """The garbage collector runs after a rendering and an error, unless it was off before."""
    rendered_of("follower: {}")
    problems("- a")
    assert gc.isenabled()
    gc.disable()
    try:
        rendered_of("follower: {}")
        assert not gc.isenabled()
    finally:
        gc.enable()
