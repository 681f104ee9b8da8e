"""Text that is copied from an input has the same meaning as text that is written again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from yaml.nodes import MappingNode

from tests.unit.given_documents import compose, shape
from wrapper.configuration.render import WholeFile, render
from wrapper.configuration.sections import read_base, read_both
from wrapper.documents.problems import ConfigurationError, Problems
from wrapper.documents.source import Source
from wrapper.documents.source_spans import copyable_text, entry_texts
from wrapper.model.configuration import Renderings

UNCUT = "# &\n"  # a comment that may be an anchor: nothing is copied from such an input


def both(content: str, folder: str = "") -> Renderings | None:
    """Render a file with both sections; return None if it is refused."""
    try:
        return render(Source("x.yml", content.encode(), folder)).renderings
    except ConfigurationError:
        return None


def whole(base: str, override: str, folder: str = "") -> Renderings | None:
    """Render a whole file; return None if it is refused."""
    sources = Source("p.yml", base.encode(), folder), [Source("l.yml", override.encode(), folder)]
    try:
        return WholeFile().render(*sources).renderings
    except ConfigurationError:
        return None


def meaning(renderings: Renderings | None) -> object:
    """Return the meaning of both renderings, without their style."""
    if renderings is None:
        return None
    return [
        shape(compose(one.content)) for one in (renderings.follower, renderings.leader)
    ], renderings.has_overrides


# --- generated texts ------------------------------------------------------------------------------


plain = st.sampled_from(["1.10", "a b", "'x'  # c", '"y"', "~", "", "rel/x.yml", "- 1"[2:], "é😀"])
words = st.sampled_from(["b", "# b", "- b", "b: c", "", "%b", "...b", "--- b", "1.10"])
columns = st.integers(0, 7)


@st.composite
def quoted(draw: st.DrawFn, _column: int) -> str:
    """Draw a quoted scalar of several lines, which may start in any column."""
    quote = draw(st.sampled_from(["'", '"']))
    lines = draw(st.lists(st.tuples(columns, words), max_size=3))
    end = draw(st.sampled_from(["", "\\"])) if quote == '"' else ""
    text = "".join(f"{end}\n{' ' * column}{word}" for column, word in lines)
    return f"{quote}a{text}{quote}\n"


@st.composite
def block(draw: st.DrawFn, column: int) -> str:
    """Draw a literal or folded scalar with lines deeper than this column."""
    step = draw(st.integers(1, 3))
    number = draw(st.sampled_from(["", str(step)]))
    head = draw(st.sampled_from(["|", ">"])) + number + draw(st.sampled_from(["", "-", "+"]))
    lines = draw(st.lists(words | st.sampled_from([" x", "\tz"]), max_size=4))
    blanks = draw(st.lists(columns, max_size=2))
    text = "".join(f"{' ' * (column + step)}{line}\n" if line else "\n" for line in lines)
    return f"{head}\n{text}" + "".join(" " * blank + "\n" for blank in blanks)


@st.composite
def flow(draw: st.DrawFn, _column: int) -> str:
    """Draw a collection in flow style over several lines."""
    gaps = draw(st.lists(columns, min_size=2, max_size=2))
    first, second = (f"\n{' ' * gap}" for gap in gaps)
    return draw(st.sampled_from(["{{a: 1,{}b: [x,{}y]}}\n", "[1:30,{} {{c: }},{}]\n"])).format(
        first, second
    )


def scalars(column: int) -> st.SearchStrategy[str]:
    """Draw what follows a key or dash in this column, with the end of its last line."""
    texts = plain.map(lambda text: f" {text}\n")
    others: list[Callable[[int], st.SearchStrategy[str]]] = [quoted, block, flow]
    return st.one_of(texts, *(other(column).map(lambda text: f" {text}") for other in others))


@st.composite
def comments(draw: st.DrawFn) -> str:
    """Draw blank lines and comments, in most cases none."""
    lines = draw(st.lists(st.tuples(columns, st.sampled_from(["#", "# - a", "# a: b", ""]))))
    text = "".join(f"{' ' * column}{line}\n" for column, line in lines)
    return draw(st.sampled_from(["", "", text]))


@st.composite
def lists(draw: st.DrawFn, column: int, depth: int) -> str:
    """Draw a list in block style at this column."""
    items = []
    for _ in range(draw(st.integers(1, 3))):
        if depth and draw(st.booleans()):
            gap = draw(st.integers(1, 3))
            inner = draw(mappings(column + 1 + gap, depth - 1))
            items.append(f"{' ' * column}-{' ' * gap}{inner.lstrip(' ')}")
        else:
            items.append(f"{' ' * column}-{draw(scalars(column))}")
        items.append(draw(comments()))
    return "".join(items)


@st.composite
def mappings(draw: st.DrawFn, column: int, depth: int = 2) -> str:
    """Draw a mapping in block style at this column; no comment precedes its first line."""
    entries = []
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)):
        key = f"{' ' * column}{name}:"
        kind = draw(st.sampled_from(["scalar", "list", "mapping"])) if depth else "scalar"
        if kind == "list":
            inner = draw(lists(column + draw(st.integers(0, 3)), depth - 1))
            entries.append(f"{key}\n{draw(comments())}{inner}")
        elif kind == "mapping":
            inner = draw(mappings(column + draw(st.integers(1, 3)), depth - 1))
            entries.append(f"{key}\n{inner}")
        else:
            entries.append(key + draw(scalars(column)))
        entries.append(draw(comments()))
    return "".join(entries)


def unended(text: str) -> str:
    """Remove the last line's end."""
    return text.removesuffix("\n")


indented = st.integers(1, 4).flatmap(mappings)
disguises = st.sampled_from(
    [
        lambda text: text,
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "...\n# tail\n",
        unended,
    ]
)


def is_yaml(text: str) -> bool:
    """Return whether libyaml reads the text: not each drawn text is valid."""
    try:
        compose(text)
    except yaml.YAMLError:
        return False
    return True


@given(indented, indented, disguises, st.sampled_from(["", "/f"]))
def test_file_with_both_sections(
    follower: str, leader: str, disguise: Callable[[str], str], folder: str
) -> None:
    """Both sections in one file, at any indentation and in either order, keep their meaning."""
    for parts in (
        ("follower", follower, "leader", leader),
        ("leader", leader, "follower", follower),
    ):
        content = disguise("{}:\n{}{}:\n{}".format(*parts))
        assume(is_yaml(content))
        assert meaning(both(content, folder)) == meaning(both(UNCUT + content, folder))


@example("b:\n- a: |+\n \n", "a: 1.10\n", unended, "")  # spaces without a line break are no line
@example("b:\n- >+\n\n  \n", "a: 1.10\n", unended, "")
@given(mappings(0), mappings(0), disguises, st.sampled_from(["", "/f"]))
def test_whole_file_with_an_override(
    base: str, override: str, disguise: Callable[[str], str], folder: str
) -> None:
    """A whole file with an override keeps its meaning."""
    assume(is_yaml(disguise(base)) and is_yaml(override))
    cut = whole(disguise(base), override, folder)
    assert meaning(cut) == meaning(whole(UNCUT + disguise(base), UNCUT + override, folder))


@given(mappings(0))
def test_copied_entry_has_its_own_value(content: str) -> None:
    """An entry that is copied alone has the same value as in its document."""
    assume(is_yaml(content))
    root = compose(content)
    assert isinstance(root, MappingNode)
    text = copyable_text(content.encode())
    if text is None:
        return
    texts = entry_texts(lambda start, end: text[start:end], root)
    for key, value in root.value:
        alone = MappingNode(root.tag, [(key, value)])
        if (id(key), id(value)) in texts:
            assert shape(compose(texts[id(key), id(value)])) == shape(alone)


# --- single cases ---------------------------------------------------------------------------------


JOBS = """\
follower:
   scrape_configs:
     # the first
     - job_name: a    # why
       x: |2
          y

     # the second
     -  job_name: b
        params: {p: [1:30, ]}
     - {job_name: c}
   # what else
   global: {}
leader:
   scrape_configs:
"""


def patched(items: str) -> str:
    """Return the leader's rendering of the jobs with these items as override."""
    rendered = both(JOBS + "".join(f"    {line}\n" for line in items.splitlines()))
    assert rendered is not None
    return rendered.leader.content.decode()


A = "- job_name: a    # why\n  x: |2\n     y\n\n# the second\n"
B = "-  job_name: b\n   params: {p: [1:30, ]}\n"
C = "- {job_name: c}\n"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("- job_name: d\n", A + B + C + "- job_name: d\n"),
        ("- {job_name: b, $patch: delete}\n", A + C),
        (
            "- {job_name: b, $patch: replace, x: 1}\n- y\n",
            A + "- {job_name: b, x: 1}\n" + C + "- y\n",
        ),
        ("- {job_name: c, $patch: delete}\n", A + B),
        ("- $patch: replace\n- y\n", "- y\n"),
    ],
)
def test_items_stay_as_written(items: str, expected: str) -> None:
    """Items stay as written, also in a list that the leader changes, except for indentation."""
    assert patched(items) == f"scrape_configs:\n{expected}global: {{}}\n"


@pytest.mark.parametrize(
    "content",
    [
        "a: &x 1\n",
        "# R & D\na: 1\n",
        "%YAML 1.1\n---\na: 1\n",
        "a: 1\rb: 2\n",
        "a: é\x85b: 2\n",
        "a: 'x\n  --- y'\n",
        "a: |\n  x\n  ...\n",
    ],
)
def test_nothing_is_copied_from_doubtful_texts(content: str) -> None:
    """Nothing is copied if parts depend on each other, or line breaks are ambiguous."""
    assert copyable_text(content.encode()) is None


@pytest.mark.parametrize(
    "follower",
    [
        "\n  ? a\n  : - 1\n    - 2\n  ? b\n  : 3\n",
        " !own\n  a:\n  - 1\n  - 2\n  b: 3\n",
        "\n  a: !!seq\n  - 1\n  - 2\n  b: 3\n",
        " {a: [1,\n 2], b: 3}\n",
        "\n  <<:\n  - {a: [1, 2]}\n  b: 3\n",
        "\n  <<: {a: [1, 2]}\n  b: 3\n",
        "\n  'a':\n     -\n       1\n     -  # -\n       # - 3\n       2\n  b: 3\n",
        "\n  a: [1, 2]\n  b: '3'",
        "\n  b: 3\n  a:\n  - 1\n  - 2",
    ],
)
def test_unusual_forms_are_written_again(follower: str) -> None:
    """Parts that cannot be copied are written again, with the same meaning."""
    rendered = both(f"leader: {{a: [4], c: 5}}\nfollower:{follower}")
    assert rendered is not None
    values = [numbers(one.content) for one in (rendered.follower, rendered.leader)]
    assert values == [{"a": [1, 2], "b": 3}, {"a": [1, 2, 4], "b": 3, "c": 5}]


def test_list_with_a_tag_is_written_again() -> None:
    """A list with a tag is written again: the start of its items is not known."""
    jobs = "  l: !!seq\n  - x: 1\n    y: 2\n  - x: 3\n    y: 4\n"
    rendered = both(f"follower:\n{jobs}leader: {{l: [5]}}\n")
    assert rendered is not None
    expected = {"l": [{"x": 1, "y": 2}, {"x": 3, "y": 4}, 5]}
    assert yaml.safe_load(rendered.leader.content) == expected


@pytest.mark.parametrize("end", ["", "\n", "\n ", "\n\n  ", "\n# end", " "])
def test_list_at_the_end_of_a_file_stays_as_written(end: str) -> None:
    """A list at the end of a file stays as written, with any end of the last line."""
    rendered = whole(f"b:  # why\n- a:  1{end}", "c: 2\n")
    assert rendered is not None
    written = f"b:  # why\n- a:  1{end}".rstrip(" ").removesuffix("\n")
    assert rendered.leader.content.decode() == f"{written}\nc: 2\n"


def numbers(content: bytes) -> dict[str, list[int] | int]:
    """Return a rendering's values without tags."""
    loaded = yaml.safe_load(content.replace(b"!own", b""))
    return {
        key: [int(item) for item in value] if key == "a" else int(value)
        for key, value in loaded.items()
    }


def test_all_nodes_exist_if_requested() -> None:
    """If nodes are requested, the items of lists are nodes and not texts."""
    problems, content = Problems(), "follower:\n  l:\n  - a: 1\n  - b\n"
    follower, _ = read_both(Source("x.yml", content.encode()), problems, as_nodes=True)
    whole_file = read_base(Source("x.yml", content.encode()), problems, as_nodes=True)
    expected = shape(compose(content))
    assert shape(whole_file.node) == expected
    assert shape(follower.node) == shape(compose("l:\n- a: 1\n- b\n"))


def test_problems_in_items_have_their_places() -> None:
    """An item is checked before it is copied, and its problem has its place."""
    content = (
        "follower:\n  l:\n  - a: 1\n    a: 2\n  - {b: {[c]: d}}\n  - e: {f: , f: }\nleader: {}\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        render(Source("x.yml", content.encode()))
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "x.yml:4:5:",
        "x.yml:5:10:",
        "x.yml:6:14:",
    ]


def test_item_that_names_a_file_has_its_path_resolved() -> None:
    """The path of an item is resolved; the items around it stay as written."""
    content = (
        "follower:\n  scrape_configs:\n  - job_name:  a\n  - job_name:  b\n"
        "    bearer_token_file: t\n  - job_name:  c\nleader:\n  scrape_configs: [{job_name: d}]\n"
    )
    rendered = both(content, "/f")
    assert rendered is not None
    jobs = "- job_name:  a\n- job_name: b\n  bearer_token_file: /f/t\n- job_name:  c\n"
    assert rendered.follower.content.decode() == f"scrape_configs:\n{jobs}"
    assert rendered.leader.content.decode() == f"scrape_configs:\n{jobs}- {{job_name: d}}\n"


def test_item_that_names_a_file_by_escapes() -> None:
    """A key that names a file is recognised if it is written with escapes."""
    content = 'follower:\n  scrape_configs:\n  - "bearer_token_fil\\x65": t\nleader: {}\n'
    rendered = both(content, "/f")
    assert rendered is not None
    expected = {"scrape_configs": [{"bearer_token_file": "/f/t"}]}
    assert yaml.safe_load(rendered.follower.content) == expected


@pytest.mark.parametrize("gap", ["", " ", "    ", "       "])
def test_item_with_less_indented_lines(gap: str) -> None:
    """Empty lines and comments may be less indented than their item, also in a text."""
    block = f"      |\n        one\n{gap}\n        two\n"
    content = f"follower:\n     l:\n     - a: {block}{gap}# x\n     - b\nleader: {{l: [c]}}\n"
    rendered = both(content)
    assert rendered is not None
    expected = {"l": [{"a": "one\n\ntwo\n"}, "b", "c"]}
    assert yaml.safe_load(rendered.leader.content) == expected
