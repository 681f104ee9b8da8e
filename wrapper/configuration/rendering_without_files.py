"""Changes a rendering so that a check of it does not need the files of its clients; pure.

promtool refuses a rendering if the token file, client certificate or key of a scrape job does not
exist (2.42 to 3.5), even on a machine where only the configuration is checked. Its own
``--syntax-only`` would leave out the rules too.

Guarantee: all lines keep their number.

Limitation: a path that is written in a block scalar or with escapes stays.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.config_paths import ANY_KEY, PLACES, Places
from wrapper.documents.yaml_nodes import compose, entries, is_null

_NULL_DEVICE = "/dev/null"
# Files that are not credentials: promtool reads their content, or they are written.
_OTHERS = frozenset(
    {
        "file_sd_configs",
        "query_log_file",
        "rule_files",
        "scrape_config_files",
        "scrape_failure_log_file",
    }
)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def rendering_without_files(content: bytes) -> bytes:
    """Return a rendering with the null device in place of each file of a client.

    Raises what ``compose`` raises.
    """
    root = compose(content, "")
    if root is None or content.startswith(_UTF16):
        return content
    text = content.decode("utf-8-sig")
    found = {node.start_mark.index: node for node in _paths(root, PLACES)}
    parts, at = [], 0  # not one text for each path: there may be 20,000 in 4 MB
    for start, node in sorted(found.items()):
        end = node.end_mark.index
        before = text[start:end]
        for written in (f"'{node.value}'", f'"{node.value}"', node.value):
            if before.endswith(written):  # an anchor or a tag may be before it
                parts += [text[at : end - len(written)], _NULL_DEVICE]
                at = end
                break
    return "".join([*parts, text[at:]]).encode()


def _paths(node: Node, places: Places) -> Iterator[ScalarNode]:
    """Yield the paths of clients' files at and below a node."""
    if isinstance(places, dict) and isinstance(node, MappingNode):
        for name, (_, value) in entries(node).items():
            below = places.get(name, places.get(ANY_KEY))
            if below is not None and name not in _OTHERS:
                yield from _paths(value, below)
    elif isinstance(places, list) and isinstance(node, SequenceNode):
        for item in node.value:
            yield from _paths(item, places[0])
    elif isinstance(places, str) and isinstance(node, ScalarNode) and not is_null(node):
        yield node
