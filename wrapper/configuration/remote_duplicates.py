"""Finds entries of remote_write and remote_read that Prometheus refuses as duplicates; pure.

Prometheus refuses two entries with the same name, and two that are the same: it compares a hash of
the entries as it shows them, with every secret as ``<secret>`` and every password in a URL as
``xxxxx`` (``ApplyConfig`` in its storage/remote; 2.42 and 3.16). promtool checks only the names.

Limitation: entries that are only equal after Prometheus has set its defaults are not found here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.problems import Problems
from wrapper.documents.source_spans import whole_items
from wrapper.documents.yaml_nodes import entries, is_null, value_of

LISTS = ("remote_write", "remote_read")
_Hidden = dict[str, "_Hidden"] | None  # by key; None: all values here and below
_TLS: _Hidden = {"key": None}
HIDDEN: dict[str, _Hidden] = {
    "authorization": {"credentials": None},
    "azuread": {
        "certificate": {"certificate_password": None},
        "oauth": {"client_secret": None},
    },
    "basic_auth": {"password": None},
    "bearer_token": None,
    "http_headers": {"*": {"secrets": None}},
    "oauth2": {
        "client_certificate_key": None,
        "client_secret": None,
        "proxy_connect_header": None,
        "tls_config": _TLS,
    },
    "proxy_connect_header": None,
    "sigv4": {"secret_key": None},
    "tls_config": _TLS,
}
_SAME = (
    "Prometheus refuses this entry of {} as a duplicate of the one at {}, since it compares "
    "entries without their secrets; remove one, or give each a name of its own (name: …)"
)
_SAME_NAME = (
    "Prometheus refuses this entry of {}, because the one at {} has its name; give it another, or "
    "remove one"
)
_NOTHING: dict[str, _Hidden] = {}
_URLS = frozenset({"url", "proxy_url"})
_PASSWORD = re.compile(r"(?<=://)([^/?#@:]*):[^/?#]*@")


def note_duplicates(section: MappingNode, problems: Problems, *, is_gated: bool = False) -> None:
    """Add a problem for each entry that is a duplicate of an earlier one.

    ``is_gated``: the names in remote_write are left to ``gate_entries``.
    """
    for name in LISTS:
        value = value_of(section, name)
        if isinstance(value, SequenceNode) and len(value.value) > 1:
            has_names = not (is_gated and name == "remote_write")
            _note_in_list(name, value, problems, has_names=has_names)


def _note_in_list(name: str, items: SequenceNode, problems: Problems, *, has_names: bool) -> None:
    seen: dict[Hashable, Node] = {}
    named: dict[str, Node] = {}
    for item, node in whole_items(items):
        same = seen.setdefault(_shown(node, HIDDEN), item)
        own_name = _name_of(node) if has_names else ""
        namesake = named.setdefault(own_name, item) if own_name else item
        if same is not item:
            problems.at(item, _SAME.format(name, _place(same)))
        elif namesake is not item:
            problems.at(item, _SAME_NAME.format(name, _place(namesake)))


def _place(item: Node) -> str:
    return f"{item.start_mark.name}:{item.start_mark.line + 1}"


def _name_of(entry: Node) -> str:
    """Return an entry's name; "" if it has none."""
    name = value_of(entry, "name")
    return name.value if isinstance(name, ScalarNode) and not is_null(name) else ""


def _shown(node: Node, hidden: _Hidden, key: str = "") -> Hashable:
    """Return a value that is equal for nodes that Prometheus takes as equal."""
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
