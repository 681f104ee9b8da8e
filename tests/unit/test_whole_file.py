"""A whole Prometheus file with overrides: its bytes are kept, and it is read once."""

from __future__ import annotations

import copy
import gc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yaml.nodes import MappingNode, ScalarNode

from tests.unit.given_documents import (
    ClashError,
    compose,
    key_node,
    keys,
    merged,
    sections,
    values_of,
)
from wrapper.configuration.render import Rendered, WholeFile
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import compose as compose_with_anchors_anew
from wrapper.model.roles import Role

LEADER = Source("l.yml", b"remote_write:\n- url: http://r\n")
OTHER = Source("l.yml", b"remote_write:\n- url: http://s\n")


def base(content: str | bytes, folder: str = "") -> Source:
    """Return a whole file."""
    return Source("p.yml", content.encode() if isinstance(content, str) else content, folder)


def contents(rendered: Rendered) -> tuple[str, str]:
    """Return the follower's and the leader's rendering as text."""
    return (
        rendered.renderings.of(Role.FOLLOWER).content.decode(),
        rendered.renderings.of(Role.LEADER).content.decode(),
    )


# --- the bytes of the file ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"# first\nglobal: {}   # last",
        b"\xef\xbb\xbfglobal:\r\n  scrape_interval: 1s\r\n",
        b"a: &x 1\nb: *x\nb2: {<<: {c: }}\n",
        b"%YAML 1.1\n---\na: |+\n  x\n\n---\nb: 1\n",
        b"  a: 1\n  b: !!str 2\n",
        b"{a: , b: 1:30}",
        "a: é\n".encode("utf-16"),
    ],
)
def test_follower_has_the_file_unchanged(content: bytes) -> None:
    """The follower's rendering is the file, byte for byte, with or without overrides."""
    file = WholeFile()
    for overrides in ((), (LEADER,), (Source("e", b""),)):
        rendered = file.render(base(content), overrides)
        assert rendered.renderings.follower.content == content
    assert rendered.renderings.leader.content == content


def test_leader_keeps_entries_without_overrides() -> None:
    """Comments, quotes and line breaks stay; overridden entries are written again in place."""
    content = (
        "# head\nglobal:   # why\n  scrape_interval:  1s\r\nrule_files:\n- 'a'  # b\n\n# list\n"
        "scrape_configs: [\n  {job_name: a},\n]\n"
    )
    override = Source("l.yml", b"rule_files: [c]\ntracing: {a: b}\n")
    assert contents(WholeFile().render(base(content), [override]))[1] == (
        "global:   # why\n  scrape_interval:  1s\r\nrule_files:\n- 'a'  # b\n- c\n"
        "scrape_configs: [\n  {job_name: a},\n]\ntracing: {a: b}\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: 1", 1),
        ("a: 1  # b", 1),
        ("a: |\n  x", "x"),
        ("a: |\n  x\n", "x\n"),
        ("a: |+\n  x\n\n", "x\n\n"),
        ("a: |+\n  x\n\n...\n", "x\n\n"),
        ("a: {b: [1,\n 2]}", {"b": [1, 2]}),
        ("a: |-\n  ...\n", "..."),
        ("{a: '...'}", "..."),
        ("a:\n- >+\n  x\n\n---\nb: 1\n", ["x\n\n"]),
        ("a: 'x\n\n  y'\n# z", "x\ny"),
        ("a: é\x85", "é"),
    ],
)
def test_end_of_the_file_keeps_its_meaning(content: str, expected: object) -> None:
    """Entries that are added after the last value do not change it."""
    leader = contents(WholeFile().render(base(content), [LEADER]))[1]
    assert yaml.safe_load(leader) == {"a": expected, "remote_write": [{"url": "http://r"}]}


def test_overrides_with_final_line_breaks() -> None:
    """A ``|+`` value of an override does not end the document, wherever it is added."""
    override = Source("l.yml", b"a: |+\n  x\n\nc: |+\n  y\n\n")
    leader = contents(WholeFile().render(base("a: 1\nb: 2\n"), [override]))[1]
    assert yaml.safe_load(leader) == {"a": "x\n\n", "b": 2, "c": "y\n\n"}


@pytest.mark.parametrize(
    "content",
    ["a: &x 1\nb: *x\n", "{a: 1, b: 1}\n", " a: 1\n b: 1\n", "%YAML 1.1\n---\na: 1\nb: 1\n"],
)
def test_file_whose_entries_depend_on_each_other_is_written_again(content: str) -> None:
    """With anchors, flow style, indentation or directives, the leader is written again whole."""
    leader = contents(WholeFile().render(base(content), [LEADER]))[1]
    assert yaml.safe_load(leader) == {"a": 1, "b": 1, "remote_write": [{"url": "http://r"}]}


def test_override_with_equal_values_has_no_effect() -> None:
    """If an override has the follower's values, the leader has the same bytes."""
    content = "global:\n  a:  1s # x\nrule_files: [a]\n"
    override = Source("l.yml", b"global: {a: 1s}\nrule_files: []\n")
    assert not WholeFile().render(base(content), [override]).renderings.has_overrides


bodies = st.dictionaries(keys.filter(bool), sections, min_size=1, max_size=4)


def whole(entries: dict[str, MappingNode], comment: str) -> str:
    """Write a file entry by entry, with comments between them."""
    pieces = []
    for number, (key, value) in enumerate(entries.items()):
        entry = MappingNode("tag:yaml.org,2002:map", [(key_node(key), value)], flow_style=False)
        text = yaml.serialize(entry, Dumper=yaml.CSafeDumper, allow_unicode=True)
        for mark in "&*":
            text = text.replace(f"{mark}id", f"{mark}in{number}id")
        pieces.append(comment + text.removesuffix("...\n"))
    return "".join(pieces)


@given(bodies, sections, st.sampled_from(["", "# c\n", "\n"]), st.booleans())
def test_leader_is_the_merge_of_values(
    entries: dict[str, MappingNode],
    override: MappingNode,
    comment: str,
    has_line_end: bool,
) -> None:
    """The leader's rendering has the values of the merge, also at the second rendering."""
    content = whole(entries, comment)
    content = content if has_line_end else content.removesuffix("\n")
    text = str(yaml.serialize(override, Dumper=yaml.CSafeDumper, allow_unicode=True))
    old, new = values_of(compose(content)), values_of(compose(text))
    file = WholeFile()
    try:
        expected = merged(copy.deepcopy(old), new)
    except ClashError:
        with pytest.raises(ConfigurationError):
            file.render(base(content), [Source("o.yml", text.encode())])
        return
    for _ in range(2):
        follower, leader = contents(file.render(base(content), [Source("o.yml", text.encode())]))
        assert follower == content
        read = compose_with_anchors_anew(leader.encode(), "leader")
        assert read is not None
        assert values_of(read) == expected


# --- the cache ------------------------------------------------------------------------------------


MANY = "global: {a: 1}\nscrape_configs:\n" + "".join(f"- {{job_name: j{i}}}\n" for i in range(500))


def scalars_in_memory() -> int:
    """Return the number of scalars in memory."""
    return sum(isinstance(thing, ScalarNode) for thing in gc.get_objects())


def test_changed_override_does_not_read_the_file_again() -> None:
    """After a change of an override, the parsed file is used again, and only the leader changes."""
    file = WholeFile()
    first = file.render(base(MANY), [LEADER])
    known = file._base
    second = file.render(base(MANY), [OTHER])
    assert file._base is known is not None
    assert second == WholeFile().render(base(MANY), [OTHER])
    assert second.renderings.follower == first.renderings.follower
    assert second.renderings.leader != first.renderings.leader


def test_only_text_of_list_items_is_kept() -> None:
    """Only the text of list items is kept in memory, also if an override changes the list."""
    before, file = scalars_in_memory(), WholeFile()
    file.render(base(MANY), [Source("l.yml", b"scrape_configs: [{job_name: x}]\n")])
    assert scalars_in_memory() - before < 20


def test_override_of_another_entry_is_rendered_like_the_first() -> None:
    """What is not in the cache is read again, everything if the override has anchors."""
    file = WholeFile()
    for override in (
        b"global: {a: 2}\n",
        b"scrape_configs: [{job_name: x}]\n",
        b"x: &a {b: 1}\ny: *a\n",
        b"",
        b"scrape_configs: [{job_name: y}]\n",
    ):
        rendered = file.render(base(MANY), [Source("l.yml", override)])
        assert rendered == WholeFile().render(base(MANY), [Source("l.yml", override)])
        expected = merged(yaml.safe_load(MANY), yaml.safe_load(override) or {})
        assert yaml.safe_load(contents(rendered)[1]) == expected


def test_invalid_override_keeps_the_cache() -> None:
    """After an invalid override, the file stays in the cache for the next one."""
    file = WholeFile()
    file.render(base(MANY), [LEADER])
    known = file._base
    for bad in (b"a: [", b"a: 1\na: 2\n"):
        with pytest.raises(ConfigurationError):
            file.render(base(MANY), [Source("l.yml", bad)])
    assert file._base is known
    assert file.render(base(MANY), [OTHER]) == WholeFile().render(base(MANY), [OTHER])


def test_invalid_file_is_not_cached() -> None:
    """A file with problems is reported each time, and a corrected one is used."""
    file = WholeFile()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="already on line 1"):
            file.render(base("a: 1\na: 2\n"), [LEADER])
    assert contents(file.render(base("a: 1\n"), []))[0] == "a: 1\n"


def test_writes_remotely_is_right_with_a_cached_file() -> None:
    """``writes_remotely`` is right also if no override concerns ``remote_write``."""
    file = WholeFile()
    for override in (OTHER, Source("l.yml", b"a: 1\n"), OTHER):
        rendered = file.render(base("remote_write: [{url: http://r}]\nb: 1\n"), [override])
        assert rendered.renderings.follower.writes_remotely
        assert rendered.renderings.leader.writes_remotely


# --- paths ----------------------------------------------------------------------------------------


def test_only_entries_with_relative_paths_are_written_again() -> None:
    """For another folder, only entries with relative paths change; others keep their comments."""
    content = "# a\nglobal:  {}  # b\nrule_files:\n- r.yml  # c\n- /x\nscrape_configs: []  # d\n"
    file = WholeFile()
    for override in (LEADER, OTHER):
        follower, leader = contents(file.render(base(content, "/etc/prom"), [override]))
        assert follower == (
            "global:  {}  # b\nrule_files:\n- /etc/prom/r.yml\n- /x\nscrape_configs: []  # d\n"
        )
        assert leader == follower + override.content.decode()


def test_text_of_a_freed_node_is_not_used_for_another() -> None:
    """The text of a rewritten entry is not reused, although memory addresses are."""
    for number in range(50):
        override = Source("l.yml", f"rule_files: [b{number}]\n".encode())
        rendered = WholeFile().render(base("rule_files: [a]\n", "/etc"), [override])
        assert contents(rendered) == (
            "rule_files: [/etc/a]\n",
            f"rule_files: [/etc/a, b{number}]\n",
        )


def test_paths_of_an_override_are_relative_to_its_folder() -> None:
    """The relative paths of each input are relative to the folder of that input."""
    rendered = WholeFile().render(
        base("rule_files: [a]\n", "/base"),
        [Source("l.yml", b"rule_files: [b]\n", "/one"), Source("m.yml", b"rule_files: [c]\n")],
    )
    expected = {"rule_files": ["/base/a", "/one/b", "c"]}
    assert yaml.safe_load(contents(rendered)[1]) == expected


def test_merge_keys_at_the_top_level() -> None:
    """Entries from a merge key are overridden like others, at each rendering."""
    content = "x: &x\n  rule_files: [a]\n<<: *x\nglobal: {a: 1}\n"
    flat = "<<: {rule_files: [a]}\nglobal: {a: 1}\n"
    for text in (content, flat):
        file = WholeFile()
        for name in (b"b", b"c"):
            rendered = file.render(
                base(text, "/etc"), [Source("l.yml", b"rule_files: [" + name + b"]\n")]
            )
            leader = yaml.safe_load(contents(rendered)[1])
            assert leader["rule_files"] == ["/etc/a", name.decode()]
            assert leader["global"] == {"a": 1}
