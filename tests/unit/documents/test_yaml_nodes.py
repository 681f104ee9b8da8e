"""The nodes of a document equal those of PyYAML, although a faster loader makes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yaml.nodes import CollectionNode, MappingNode, Node, SequenceNode

from tests.unit.given_documents import NASTY
from tests.unit.given_documents import compose as composed_by_pyyaml
from wrapper.documents.yaml_nodes import _KEPT_TAGS, MAX_DEPTH, UnusableError, compose

SCALARS = (
    *("yes", "No", "on", "OFF", "true", "FALSE", "y", "n", "null", "Null", "~", "", "=", "<<"),
    *("0", "-1", "+1_000", "0x1F", "0b1", "017", "190:20:30", "1.5", "-.5", "1e3", ".inf", "-.INF"),
    *(".nan", "1:30.5", "2024-01-01", "2024-01-01T00:00:00Z", "text", "tru", "1.2.3", "é"),
)


def described(node: Node | None) -> Iterator[tuple[object, ...]]:
    """Yield the content of a graph, without the names of its marks."""
    assert node is not None
    place = (node.start_mark.index, node.end_mark.index)
    if not isinstance(node, CollectionNode):
        yield type(node), node.tag, node.value, place
        return
    yield type(node), node.tag, node.flow_style, place
    for child in node.value:
        for each in child if isinstance(node, MappingNode) else [child]:
            yield from described(each)


def are_same(content: str) -> bool:
    """Return whether a document is read as by PyYAML."""
    ours = compose(content.encode(), "x.yml")
    return list(described(ours)) == list(described(composed_by_pyyaml(content)))


@pytest.mark.parametrize("scalar", SCALARS)
def test_scalar_is_read_as_by_pyyaml(scalar: str) -> None:
    """A plain, quoted or tagged scalar is read as by PyYAML, as value, key and item, repeatedly."""
    assert are_same(f"a: {scalar}\nb: '{scalar}'\nc: !!str {scalar}\nd: ! {scalar}\ne: {scalar}\n")
    assert are_same(f"- {scalar}\n- '{scalar}'\n- {scalar}\n")
    if scalar:
        assert are_same(f"{scalar}: 1\n? '{scalar}'\n: 2\n")


@given(st.lists(st.sampled_from(SCALARS + NASTY) | st.text(max_size=9), min_size=1))
def test_output_of_pyyaml_is_read_as_by_pyyaml(values: list[str]) -> None:
    """PyYAML's output, with strings quoted where necessary, is read as by PyYAML."""
    text = yaml.safe_dump([values, {"a": values, "b": dict.fromkeys(values, 1)}])
    assert are_same(text)


def test_more_scalars_than_are_remembered() -> None:
    """Beyond the number of remembered tags, scalars are still read as by PyYAML."""
    numbers = range(2 * _KEPT_TAGS)
    content = "".join(f"- {number}\n- a{number}\n" for number in [*numbers, *numbers])
    assert are_same(content)


def test_items_are_reported_with_the_keys_above_them() -> None:
    """Items are reported when the next one begins or the list ends, with the keys above them."""
    content = b"a:\n- 1\n- {x: [8, 9]}\nb: 2\nc: [3]\nd:\n  e:\n  - 4\nf:\n- 5\n- - 6\n"
    seen = []

    def note(keys: tuple[str, ...], items: SequenceNode) -> None:
        seen.append((*keys, len(items.value), items.end_mark is None))

    compose(content, "x.yml", note, 1)
    expected = [("a", 1, True), ("a", 2, False), ("c", 1, False), ("f", 1, True), ("f", 2, False)]
    assert seen == expected


@pytest.mark.parametrize("depth", [MAX_DEPTH, 100_000])
@pytest.mark.parametrize("has_items", [False, True])
@pytest.mark.parametrize("start", [b"a:\n- 1\n- ", b"a: &a 1\nb: &a\n- "])
def test_nesting_is_limited(depth: int, start: bytes, *, has_items: bool) -> None:
    """Deep nesting is refused before libyaml's recursion ends the process.

    This also holds with a callback for items and with a repeated anchor.
    """
    content = start + b"[" * depth + b"]" * depth
    at_item = (lambda _keys, _items: None) if has_items else None
    with pytest.raises(UnusableError, match="levels deep"):
        compose(content, "x.yml", at_item, 1)
