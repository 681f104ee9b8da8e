"""Generated YAML documents for tests of rendering, and their expected results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode


def compose(content: str | bytes) -> Node:
    """Return the root of a document."""
    root = yaml.compose(content, Loader=yaml.CSafeLoader)
    assert root is not None
    return root


NASTY = (
    *("", "~", "null", "1.10", "010", "0o17", "1:30", "2024-01-01", "n", "y", "yes", ".inf", "1e3"),
    *("=", "<<", "$1", "*a", "&a", "!a", "# a", "a: b", "- a", "a #b", "%a", "@a", "'", '"', "{}"),
    *(" a", "a ", "a\nb", "a\n\nb\n\n", "\na", "  a\n b", "\ta", "é😀", "\x85", "\u2028", "\ufeff"),
    *("a\\nb", "x" * 200, "long words " * 30, "a\n  b\nc\n", "\x00", "...", "---", "?", "a:"),
)
RESOLVER: Any = yaml.SafeLoader("")
values = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def scalar_nodes(draw: st.DrawFn) -> ScalarNode:
    """Draw a scalar in any style, sometimes with a tag of its own."""
    value, style = draw(values), draw(st.sampled_from([None, "'", '"', "|", ">"]))
    tag = RESOLVER.resolve(ScalarNode, value, (style is None, style is not None))
    tag = draw(st.sampled_from([tag, tag, tag, "tag:yaml.org,2002:str", "!own"]))
    return ScalarNode(tag, value, style=style)


def key_node(value: str) -> ScalarNode:
    """Return a key, plain if possible."""
    return ScalarNode(RESOLVER.resolve(ScalarNode, value, (True, False)), value)


# Hypothesis also draws strings from the code under test, such as "$patch".
keys = st.sampled_from(["a", "b", "c", "1.10", "n", "010", "~", "", "é😀"]) | values.filter(
    lambda value: value not in {"<<", "$patch"}
)
flows = st.booleans()
NULL = ("tag:yaml.org,2002:null", "null")


def collections(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    """Extend a strategy by lists and mappings of its values."""
    lists = st.builds(
        lambda items, flow: SequenceNode("tag:yaml.org,2002:seq", items, flow_style=flow),
        st.lists(children, max_size=4),
        flows,
    )
    return lists | mappings(children)


def mappings(children: st.SearchStrategy[Node]) -> st.SearchStrategy[MappingNode]:
    """Draw mappings of the strategy's values; a child may occur twice, which makes an anchor."""
    return st.builds(
        lambda entries, again, flow: MappingNode(
            "tag:yaml.org,2002:map",
            [(key_node(key), child) for key, child in entries.items()]
            + [(key_node(f"again {index}"), child) for index, child in enumerate(again(entries))],
            flow_style=flow,
        ),
        st.dictionaries(keys, children, max_size=4),
        st.sampled_from([lambda _: (), lambda entries: tuple(entries.values())[:2]]),
        flows,
    )


sections = mappings(st.recursive(scalar_nodes(), collections, max_leaves=12))


def written(**parts: MappingNode) -> str:
    """Write sections as an input."""
    entries = [(key_node(name), part) for name, part in parts.items()]
    root = MappingNode("tag:yaml.org,2002:map", entries, flow_style=False)
    return str(yaml.serialize(root, Dumper=yaml.CSafeDumper, allow_unicode=True))


def understood(node: ScalarNode) -> tuple[str, str]:
    """Return tag and text; for Prometheus a number or time with a colon is text."""
    if node.tag == NULL[0]:
        return NULL
    numbers = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}
    is_text = node.tag in numbers and ":" in node.value
    return "tag:yaml.org,2002:str" if is_text else node.tag, node.value


def tags(content: str) -> set[str]:
    """Return the tags that are written in a document, without those that are inferred."""
    events: Iterator[Any] = yaml.parse(content, Loader=yaml.CSafeLoader)
    return {event.tag for event in events if getattr(event, "tag", None)}


def shape(node: Node) -> Any:
    """Return a graph as nested values of tags and texts, as Prometheus reads them."""
    if isinstance(node, ScalarNode):
        return understood(node)
    if isinstance(node, MappingNode):
        return node.tag, [(shape(key), shape(value)) for key, value in node.value]
    return node.tag, [shape(item) for item in node.value]


class ClashError(Exception):
    """A list would be appended to another type."""


def merged(old: Any, new: Any) -> Any:
    """Merge loaded values by the rules of the golden cases, to check the merge of nodes."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = {key: merged(old[key], new[key]) for key in old if key in new}
        return {**old, **new, **both}
    if isinstance(new, list) and old not in (None, NULL):
        if not isinstance(old, list):
            raise ClashError
        return old + new
    return new


def values_of(node: Node) -> Any:
    """Return a graph as dicts and lists of scalars with their tags."""
    if isinstance(node, ScalarNode):
        return understood(node)
    if isinstance(node, MappingNode):
        return {key.value or "null": values_of(value) for key, value in node.value}
    return [values_of(item) for item in node.value]
