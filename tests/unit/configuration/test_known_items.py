"""A file whose known list items are not parsed again reads like one that is parsed whole."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration import known_items, sections
from wrapper.configuration.known_items import Items, KnownItems, by_text
from wrapper.configuration.render import OneFile, WholeFile
from wrapper.configuration.sections import Section, read_base, read_both
from wrapper.documents.outline import STAND_IN, Outline
from wrapper.documents.problems import ConfigurationError, Problems
from wrapper.documents.source import Source
from wrapper.documents.source_spans import TextItem
from wrapper.documents.yaml_nodes import compose


def described(node: Node, seen: dict[int, int]) -> Any:
    """Describe a graph: its content, the places of its nodes, and which nodes are shared."""
    mark = node.start_mark
    place = mark and (mark.name, mark.line, mark.column)
    if isinstance(node, TextItem):
        return "text", node.text, node.names, place
    if id(node) in seen:
        return seen[id(node)]
    seen[id(node)] = len(seen)
    if isinstance(node, ScalarNode):
        return node.tag, node.value, node.style, place
    assert isinstance(node, CollectionNode)
    children = node.value
    if isinstance(node, MappingNode):
        children = [child for entry in node.value for child in entry]
    return node.tag, node.flow_style, place, [described(child, seen) for child in children]


def described_section(section: Section) -> Any:
    """Describe a section."""
    texts = [section.texts.get((id(key), id(value))) for key, value in section.node.value]
    return described(section.node, {}), texts, section.content, section.is_tied


def read(content: bytes, folder: str, *, is_both: bool, before: Items | None = None) -> Any:
    """Read a document in one of the two forms; return a description of it, and its items."""
    problems = Problems()
    source = Source("x.yml", content, folder)
    if is_both:
        found = [*read_both(source, problems, before)]
    else:
        found = [read_base(source, problems, before)]
    said = [] if problems.is_broken else [described_section(section) for section in found]
    return (said, problems.lines, problems.is_broken), by_text(found[0].node)


def read_as_a_whole(content: bytes, folder: str, *, is_both: bool) -> Any:
    """Parse a document as a whole."""
    with mock.patch.object(sections, "outline_of", return_value=None):
        return read(content, folder, is_both=is_both)[0]


def same_in_both_ways(content: bytes, folder: str = "", before: bytes = b"") -> None:
    """Check a document in both forms, as the first one and after another one."""
    for is_both in (False, True):
        _, items = read(before, folder, is_both=is_both)
        expected = read_as_a_whole(content, folder, is_both=is_both)
        assert read(content, folder, is_both=is_both)[0] == expected
        assert read(content, folder, is_both=is_both, before=items)[0] == expected


def outlines(content: str, *, is_both: bool = False, folder: str = "") -> str | None:
    """Return the outline that is parsed instead of a document, or None if it is parsed whole."""
    found: list[Outline] = []
    take = Outline.take

    def taken(outline: Outline, items: SequenceNode) -> int:
        found.append(outline)
        return take(outline, items)

    with mock.patch.object(Outline, "take", taken):
        read(content.encode(), folder, is_both=is_both)
    return found[0].text if found and found[0].is_complete else None


# --- generated documents --------------------------------------------------------------------------


# Set DOCUMENT_SEEDS to more for a longer search.
EXAMPLES = int(os.environ.get("DOCUMENT_SEEDS", "150"))
WORDS = ("a", "b7", "service-12", "x_y.z", "1.10", "~", "null", "path/to.yml", "a_file")
NASTY = (
    *(
        "&x ",
        "*x",
        "!t ",
        "!!map ",
        "---\n",
        "\n---\n",
        "...\n",
        "\t",
        "\n\t",
        "\r\n",
        "\r",
        "\ufeff",
    ),
    *(
        "'",
        '"',
        "|",
        ">",
        "|2-\n",
        ">-\n",
        "#",
        " #",
        ": ",
        ":\n",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ",",
    ),
    *(
        "<<: ",
        "\\x41",
        "\\",
        "%YAML 1.1\n",
        "\x85",
        "\u2028",
        "\x00",
        "é",
        "\n",
        "\n\n",
        " ",
        "    ",
    ),
    *(
        "\n- ",
        "\n  - ",
        "\nb: ",
        "a: 1\n",
        "\nfollower:\n",
        "\nleader:\n",
        "job_name: x\n",
        "@",
        "`",
    ),
    *('"\\x4', STAND_IN, f"\n- {STAND_IN}\n", "_file: r\n", "Zz0", "a: 1, a: 2", "\ud800"),
)
# After a key or dash; {w} is a word, {i} the indentation of a continuation.
SCALARS = (
    *(" {w}", " {w}", " {w}", " {w}  # {w}", " '{w} {w}'", ' "{w}"', ' "\\x41{w}"'),
    *(" {w} {w}\n{i} {w}", " '{w}\n\n{i}{w}'", ' "{w}\n{w}"', " |\n{i}{w}\n{i} {w}: {w}\n{i}- {w}"),
    *(" >2-\n{i}  {w}\n\n", " |+\n{i}{w}\n\n", " [{w}, {w}]", " {{{w}: {w}, b: [{w}:{w}]}}"),
    *(
        ' ["{w}:9", "{w}:9",\n{i}{w}]',
        " {{{w}: {{{w}: [[{w}]]}}}}",
        "",
        " (.+):\\{w}",
        " {w}:{w}/?{w}&{w}",
    ),
)


class Drawing:
    """Draws random documents with long lists, often with a disturbing text in them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _any(self, choices: Sequence[str]) -> str:
        return self._random.choice(choices)

    def _scalar(self, column: int) -> str:
        text = self._any(SCALARS)
        while "{w}" in text:
            text = text.replace("{w}", self._any(WORDS), 1)
        return text.format(i=" " * (column + 1)) + "\n"

    def _mapping(self, column: int, depth: int) -> str:
        """Draw entries in this column; the first one continues a line."""
        keys = (
            "job_name",
            "name",
            "url",
            "bearer_token_file",
            "a",
            "b-c",
            '"q"',
            "1",
            "static_configs",
        )
        chosen = self._random.sample(keys, self._random.randint(1, 3))
        lines = []
        for key in chosen:
            kind = self._random.random()
            if depth and kind < 0.2:
                lines.append(f"{key}:\n{' ' * (column + 1)}{self._mapping(column + 1, depth - 1)}")
            elif depth and kind < 0.4:
                lines.append(f"{key}:\n" + self._items(column, depth - 1))
            else:
                lines.append(f"{key}:{self._scalar(column)}")
        return (" " * column).join(lines)

    def _items(self, column: int, depth: int) -> str:
        """Draw items in this column, most of which are copies of others with other words."""
        dash = " " * column + self._any(("- ", "- ", "-  "))
        kinds = [
            self._mapping(len(dash), depth) if self._random.random() < 0.9 else self._scalar(column)
            for _ in range(self._random.randint(1, 3))
        ]
        chosen = [self._any(kinds) for _ in range(self._random.randint(1, 7))]
        pattern = r"(?<=[ \[,\"'])(?:" + "|".join(map(re.escape, WORDS)) + r")(?=[\n,\]\"' ])"
        texts = [re.sub(pattern, lambda _: self._any(WORDS), text) for text in chosen]
        gaps = [
            "",
            "",
            "",
            "\n",
            "# c\n",
            f"{' ' * column}# - x\n",
            f"{' ' * (column + 3)}# c: d\n",
        ]
        return "".join(dash + text + self._any(gaps) for text in texts)

    def document(self) -> str:
        """Draw a document in one of the two forms."""
        column = self._random.choice([0, 0, 2, 3])
        entries = []
        keys = ["scrape_configs", "rule_files", "remote_write", "x"]
        for key in self._random.sample(keys, self._random.randint(1, 3)):
            at = column + self._random.choice([0, 0, 2])
            entries.append(f"{key}:{self._any(['', ' ', '  # c'])}\n{self._items(at, 2)}")
            block = f"{key}_: |\n     - a\n     - b\n     - c\n"
            entries.append(self._any(("", "", f"{key}s: 1\n", block)))
        text = "".join(" " * column + entry for entry in entries if entry)
        if column:
            leader = f"leader:\n{' ' * column}x: [1]\n"
            text = self._any((f"follower:\n{text}{leader}", f"{leader}follower:  # f\n\n{text}"))
        for _ in range(self._random.choice([0, 0, 0, 1, 1, 2, 3])):
            at = self._random.randint(0, len(text))
            text = text[:at] + self._any(NASTY) + text[at + self._random.choice([0, 0, 1]) :]
        return self._any((text, text, text, text.replace("\n", "\r\n"), text.removesuffix("\n")))


def test_items_are_read_as_in_a_whole_parse() -> None:
    """Texts, names, places and problems are those of a whole parse, whatever was read before."""
    for seed in range(EXAMPLES):
        content, before = Drawing(seed).document(), Drawing(seed ^ 1).document()
        if seed % 3 == 0:  # an edit of the same file
            at = seed * 7919 % (len(content) + 1)
            before = content[:at] + NASTY[seed % len(NASTY)] + content[at:]
        first, second = (text.encode(errors="surrogatepass") for text in (before, content))
        same_in_both_ways(second, ["", "/f"][seed % 2], first)


# --- single cases ---------------------------------------------------------------------------------


def jobs(*items: str) -> str:
    """Return a file with these items between two others."""
    return "scrape_configs:\n" + "".join(f"- {item}\n" for item in ("job_name: z", *items, "u: 1"))


def test_items_of_one_shape_are_left_out_of_the_outline() -> None:
    """Items of one shape are left out; other lines keep their places, first and last item stay."""
    content = jobs(*(f"job_name: job-{n}\n  params: {{p: ['{n}']}}" for n in range(3))) + "x: 1\n"
    expected = f"scrape_configs:\n- job_name: z\n- {STAND_IN}\n\n\n\n\n\n- u: 1\nx: 1\n"
    assert outlines(content) == expected


def test_items_of_the_follower_section_are_left_out() -> None:
    """In a file with both sections, items of the follower are left out, at any indentation."""
    lists = "\n".join(f"    {line}" for line in jobs("job_name: b", "job_name: c").splitlines())
    content = f"# head\nleader:\n{lists}\n\nfollower: # why\n\n{lists}\n"
    outline = outlines(content, is_both=True)
    assert outline is not None
    assert outline.count(STAND_IN) == 1
    assert outline.index(STAND_IN) > outline.index("follower")


@pytest.mark.parametrize(
    "item",
    [
        "job_name: [b",  # invalid in an outline as well
        'job_name: "\\q"',
        "a: 1\n  a: 2",
        '"a": 1\n  a: 2',
        "job_name: b\n  a: !!merge b",
        "- b",
        "b",
    ],
)
def test_other_items_stay_in_the_outline(item: str) -> None:
    """Items of other shapes are parsed in their places, so that a problem has its place."""
    assert outlines(jobs("job_name: a", item, "job_name: b")) != outlines(
        jobs("job_name: a", "job_name: c", "job_name: b")
    )
    same_in_both_ways(jobs("job_name: a", item, "job_name: b").encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, b: 2}', '{"b": 1, b: 2}'),
        ('{"a": 1, "b": 2}', '{"b": 1, "b": 2}'),
        ("{? a : 1, b: 2}", "{? b : 1, b: 2}"),
        ('a: "\\x41"', 'a: "\\y41"'),
        ('a: "\\x41"', 'a: "\\x4"'),
        ("a: |2\n      b\n    c", "a: |4\n      b\n    c"),
        ("a: >-2\n      b\n    c", "a: >-4\n      b\n    c"),
        ("a: {b: 1}\n  c: 2", "a: {b: 1}\n  a: 2"),
        ("<<: {a: 1}", "<<: [a, b]"),
        ("a: !!str b", "a: !!map b"),
        ("!!str a: b", "!!merge a: b"),
        ("a: !c!d b", "a: !e!d b"),
        ("a: '\n    b'", "a: '\n    b"),
        ("a b: 1\n  c b: 2", "a b: 1\n  a b: 2"),
    ],
)
def test_items_that_differ_in_more_than_words(one: str, other: str) -> None:
    """An item that differs from a known one in more than words is not taken as known."""
    for pair in ((one, other), (other, one)):
        same_in_both_ways(jobs("job_name: a", *pair, "job_name: b").encode())


@pytest.mark.parametrize(
    "content",
    [
        "x: '\n- a: 1\n- a: 2\n- a: 3\n- a: 4\n'\n",
        "x:\n- |\n - a\n- a: 1\n- a: 2\n- a: 3\n",
        "x: |\n  y:\n  - a: 1\n  - a: 2\n  - a: 3\n  - a: 4\nscrape_configs: []\n",
        'x: "\ny:\n- a: 1\n- a: 2\n- a: 3\n- a: 4\n"\n',
        "x: {\ny:\n- a: 1\n- a: 2\n- a: 3\n- a: 4\n}\n",
        "follower: |\n  y:\n  - a: 1\n  - a: 2\n  - a: 3\n  - a: 4\n",
        "x: &a 1\ny:\n- a: 1\n- a: 2\n- a: *a\n- a: 4\n",
        "a: 1\n---\ny:\n- a: 1\n- a: 2\n- a: 3\n- a: 4\n",
        "y: !!seq\n- a: 1\n- a: 2\n- a: 3\n- a: 4\n",
        "y:\n- a: 1\n- a: 2\n- a: 3\n- a: 4\n- a: 5: 6\n",
        f"y:\n- a: 1\n- {STAND_IN}\n- a: 3\n- a: 4\n",
    ],
)
def test_texts_that_look_like_lists(content: str) -> None:
    """A document that an outline cannot represent is parsed whole."""
    same_in_both_ways(content.encode())


def test_bytes_that_are_no_text() -> None:
    """Bytes that are no text are refused, also in an item similar to others."""
    for wrong in (b"\xff", b"\xc3", b"\x01"):
        content = jobs("job_name: a", "job_name: b", "job_name: XX", "job_name: c").encode()
        same_in_both_ways(content.replace(b"XX", wrong))


def test_names_are_found_as_written() -> None:
    """Names of items are found as written, but not in texts that look like names."""
    text = "a: |\n    job_name: no\n  {}: '{}'\n  url: http://{}:1/x  # c"
    content = jobs(
        *(text.format("name", n, n) for n in ("b-1", "c-2", "d-3")), "job_name: e.4", "name: f"
    )
    _, items = read(content.encode(), "", is_both=False)
    names = [item.names for item in items["scrape_configs"].values()]
    assert {"job_name": "e.4"} in names
    assert {"name": "c-2", "url": "http://c-2:1/x"} in names
    same_in_both_ways(content.encode())


@pytest.mark.parametrize(
    "form", ["'{}'", '"{}"', "\"the '{}'\"", "'the \"{}\": no # 1'", '"é/{}"', "\"'{}'\""]
)
def test_names_in_quotes_are_found_without_parsing(form: str) -> None:
    """A name in quotes is found without parsing its item.

    A name of the leader's is compared with the names of all items.
    """
    content = jobs(*(f"job_name: {form.format(n)}" for n in ("b-1", "c-2", "d-3"))).encode()
    composed = mock.Mock(wraps=compose)
    with mock.patch.object(known_items, "compose", composed):
        _, items = read(content, "", is_both=False)
        names = [item.names for item in items["scrape_configs"].values()]
    assert {"job_name": form[1:-1].format("c-2")} in names
    assert not any(b"c-2" in call.args[0] for call in composed.call_args_list)
    same_in_both_ways(content)


@pytest.mark.parametrize("form", ["'it''s {}'", '"a\\t{}"', '"a\n  {}"', "'{}' # b", '"" #{}'])
def test_names_in_quotes_that_have_to_be_parsed(form: str) -> None:
    """A quoted name with escapes or several lines is read as in a whole parse."""
    content = jobs(*(f"job_name: {form.format(n)}" for n in ("b-1", "c-2", "d-3")))
    same_in_both_ways(content.encode())


def test_names_in_quoted_texts_are_ignored() -> None:
    """A line of a quoted text that looks like a name is not one."""
    content = jobs(*(f"a: \"\n  name: {n}\n  \"\n  name: 'c'" for n in "xyz"))
    _, items = read(content.encode(), "", is_both=False)
    names = [item.names for item in items["scrape_configs"].values()]
    assert names.count({"name": "c"}) == 3


def test_only_changed_items_are_parsed() -> None:
    """After an edit of one of many different items, only that item is parsed."""
    items = [f"k{n}: |\n    - {'x' * n}\n" for n in range(40)]
    _, before = read(jobs(*items).encode(), "", is_both=False)
    items[20] = "edited: 1\n"
    known, asked = KnownItems.find, []

    def find(self: KnownItems, key: str, text: str) -> TextItem | None:
        found = known(self, key, text)
        asked.append((text, found in before["scrape_configs"].values()))
        return found

    with mock.patch.object(KnownItems, "find", find):
        read(jobs(*items).encode(), "", is_both=False, before=before)
    assert [text for text, is_known in asked if not is_known] == ["- edited: 1\n\n"]
    assert len(asked) == len(items)


def test_file_of_different_items_is_parsed_whole() -> None:
    """If all items are different, few of them are compared by shape, which would take time."""
    shapes = mock.Mock(return_value=None)
    known = KnownItems()
    with mock.patch("wrapper.configuration.known_items._names_by", shapes):
        for number in range(2000):
            known.find("scrape_configs", f"- k{number}: 1\n")
    assert shapes.call_count < 300


def test_paths_depend_on_the_folder() -> None:
    """An item with a path is known only for the same folder."""
    item = "job_name: b\n  bearer_token_file: t"
    content = jobs(item, item, item).encode()
    file = WholeFile()
    for folder in ("", "/f", "/g", "", "/g"):
        rendered = file.render(Source("x.yml", content, folder), [Source("l.yml", b"b: 1\n")])
        expected = f"bearer_token_file: {folder}/t".encode() if folder else b"bearer_token_file: t"
        assert rendered.renderings.leader.content.count(expected) == 3


def rendered(file: OneFile | WholeFile, content: bytes, override: bytes) -> Any:
    """Return both renderings of a file, or its problems."""
    source = Source("x.yml", content, "/f")
    try:
        if isinstance(file, OneFile):
            found = file.render(source).renderings
        else:
            found = file.render(source, [Source("l.yml", override)]).renderings
    except ConfigurationError as error:
        return error.problems
    return found.follower.content, found.leader.content, found


@pytest.mark.parametrize("file", [OneFile, WholeFile])
def test_item_with_a_problem_is_never_known(file: type[OneFile | WholeFile]) -> None:
    """An item with a problem is refused as long as it exists, whatever else is edited."""
    good = jobs("job_name: a", "job_name: b\n  u: 1", "job_name: c")
    if file is OneFile:
        good = "follower:\n" + "".join(f"  {line}\n" for line in good.splitlines())
    bad = good.replace("u: 1", "v: {u: 1, u: 2}", 1)
    kept = file()
    for text in (good, bad, f"{bad}\n", f"# edited\n{bad}", good):
        assert rendered(kept, text.encode(), b"") == rendered(file(), text.encode(), b"")


def test_edits_are_rendered_like_first_inputs() -> None:
    """Valid and invalid edits are rendered as by a new renderer, in both forms."""
    kept = OneFile(), WholeFile()
    override = b"scrape_configs:\n- job_name: n\n"
    outcomes = set()
    for number in range(EXAMPLES // 3):
        text = Drawing(number // 4).document()  # each four times: as it is, and edited
        at = number * 7919 % (len(text) + 1)
        text = text[:at] + ("", "a", "\n", NASTY[number % len(NASTY)])[number % 4] + text[at:]
        content = text.encode(errors="surrogatepass")
        for file in kept:
            now = rendered(file, content, override)
            assert now == rendered(type(file)(), content, override)
            outcomes.add((type(file), isinstance(now[0], bytes)))
    assert len(outcomes) == 4
