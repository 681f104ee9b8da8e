"""Entries of remote_write and of remote_read that Prometheus takes for one, and refuses; pure.

Prometheus tells such entries apart by a hash of what it shows of them, in which every secret is
``<secret>`` and every password of a URL ``xxxxx`` (``ApplyConfig`` in its storage/remote; 2.42 and
3.16 alike). promtool does not look at it. Where it ends: entries that mean the same and are written
differently, one with a default written out, say, are only found by Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Hashable

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.problems import Problems
from wrapper.documents.source_spans import whole_items
from wrapper.documents.yaml_nodes import entries, is_null, value_of

LISTS = ("remote_write", "remote_read")
_Hidden = dict[str, "_Hidden"] | None  # by key; None: every value at this place, and below
_TLS: _Hidden = {"key": None}
HIDDEN: dict[str, _Hidden] = {
    "authorization": {"credentials": None},
    "azuread": {"oauth": {"client_secret": None}},
    "basic_auth": {"password": None},
    "bearer_token": None,
    "http_headers": {"*": {"secrets": None}},
    "oauth2": {"client_secret": None, "proxy_connect_header": None, "tls_config": _TLS},
    "proxy_connect_header": None,
    "sigv4": {"secret_key": None},
    "tls_config": _TLS,
}
_NOTHING: dict[str, _Hidden] = {}
_URLS = frozenset({"url", "proxy_url"})
_PASSWORD = re.compile(r"(?<=://)([^/?#@:]*):[^/?#]*@")


def note_duplicates(section: MappingNode, problems: Problems) -> None:
    """Note each entry that Prometheus would take for one before it."""
    for name in LISTS:
        value = value_of(section, name)
        if isinstance(value, SequenceNode) and len(value.value) > 1:
            _note_in_list(name, value, problems)


def _note_in_list(name: str, items: SequenceNode, problems: Problems) -> None:
    seen: dict[Hashable, Node] = {}
    for item, node in whole_items(items):
        shown = _shown(node, HIDDEN)
        before = seen.setdefault(shown, item)
        if before is not item:
            mark = before.start_mark
            problems.at(
                item,
                f"Prometheus takes this entry of {name} for the one at {mark.name}:{mark.line + 1}"
                " and refuses both, since it compares entries without their secrets; remove one, "
                "or give each a name of its own (name: …)",
            )


def _shown(node: Node, hidden: _Hidden, key: str = "") -> Hashable:
    """Return what Prometheus compares of a node."""
    if is_null(node):
        return None
    if isinstance(node, ScalarNode):
        if hidden is None:
            return "<secret>" if node.value else ""
        return _PASSWORD.sub(r"\1:@", node.value) if key in _URLS else node.value
    if isinstance(node, SequenceNode):
        return tuple(_shown(item, hidden) for item in node.value)
    if not isinstance(node, MappingNode):
        return None
    return frozenset(
        (name, _shown(value, _below(hidden, name), name))
        for name, (_, value) in entries(node).items()
    )


def _below(hidden: _Hidden, name: str) -> _Hidden:
    return None if hidden is None else hidden.get(name, hidden.get("*", _NOTHING))
