"""Changes a rendering so that a Prometheus started to check it writes and alerts nobody; pure.

Prometheus accepts or refuses the result as it would the original. Two things are changed:

- The URLs of remote_write, and of the tokens for it, are replaced by URLs of an address on this
  machine where nothing listens. Equal URLs stay equal. Invalid URLs are kept, so that Prometheus
  refuses them.
- All Alertmanagers are dropped by relabeling.

Guarantee: this Prometheus neither writes samples beside the leader nor sends alerts.

Limitation: it still scrapes, and sends traces.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.yaml_nodes import (
    LIST_TAG,
    MAP_TAG,
    TEXT_TAG,
    compose,
    entries,
    is_null,
    value_of,
)
from wrapper.documents.yaml_text import Serializer

_URLS = ("url", "proxy_url", "token_url")
# Control characters, a space at the beginning, and a percent sign in the path that is no escape.
_REFUSED = re.compile(r"^ |[\x00-\x1f\x7f]|^[^?#]*%(?![0-9A-Fa-f]{2})")


def rendering_for_check(content: bytes, address: str) -> bytes:
    """Return the rendering with its URLs replaced by those of an address where nothing listens.

    A rendering without remote_write and Alertmanagers is returned unchanged. Raises what
    ``compose`` raises.
    """
    root = compose(content, "")
    if not isinstance(root, MappingNode):
        return content
    writes = _items(value_of(root, "remote_write"))
    managers = _items(value_of(value_of(root, "alerting"), "alertmanagers"))
    if not writes and not managers:
        return content
    urls = _ReplacedUrls(address)
    for entry in writes:
        urls.replace(entry)
    for manager in managers:
        _drop_all(manager)
    return Serializer({}, is_tied=True).write(root)


def _items(value: Node | None) -> list[MappingNode]:
    """Return the mappings in a list; none if the node is no list."""
    items = value.value if isinstance(value, SequenceNode) else []
    return [item for item in items if isinstance(item, MappingNode)]


class _ReplacedUrls:
    """Replaces URLs by those of one address. Different URLs stay different, and keep the user."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers: dict[str, int] = {}
        self._done: set[int] = set()  # by id: an alias shares its node

    def replace(self, entry: MappingNode) -> None:
        """Replace the URLs of an entry of remote_write."""
        for name, (_, value) in entries(entry).items():
            if name == "oauth2" and isinstance(value, MappingNode):
                self.replace(value)
            if name in _URLS and isinstance(value, ScalarNode) and id(value) not in self._done:
                self._done.add(id(value))
                value.value = self._replaced(value.value)

    def _replaced(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return url
        user, at, host = parts.netloc.rpartition("@")
        if _is_refused(url, host):
            return url
        known = f"{parts.scheme}://{host}{parts.path}?{parts.query}"
        number = self._numbers.setdefault(known, len(self._numbers))
        return f"{parts.scheme}://{user}{at}{self._address}/{number}"


def _is_refused(url: str, host: str) -> bool:
    """Return whether Go surely refuses a URL that Python parses; ``host`` is its host and port."""
    _, colon, port = host.rpartition("]")[2].rpartition(":")
    is_no_port = bool(colon and port.strip("0123456789"))
    return is_no_port or " " in host or _REFUSED.search(url) is not None


def _drop_all(manager: MappingNode) -> None:
    """Drop all Alertmanagers of an entry by relabeling."""
    rule = MappingNode(
        MAP_TAG, [(_text("action"), _text("drop")), (_text("regex"), _text(".*"))], flow_style=True
    )
    value = value_of(manager, "relabel_configs")
    if isinstance(value, SequenceNode):
        value.value.append(rule)
    elif is_null(value):
        rules = SequenceNode(LIST_TAG, [rule], flow_style=False)
        kept = [pair for pair in manager.value if pair[0].value != "relabel_configs"]
        manager.value = [*kept, (_text("relabel_configs"), rules)]


def _text(text: str) -> ScalarNode:
    return ScalarNode(TEXT_TAG, text)
