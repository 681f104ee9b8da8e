"""A rendering that Prometheus judges as it would the original, and that reaches nobody; pure.

Each remote_write, and each token for one, goes to a URL of this machine that nobody listens on,
equal ones to equal ones, and no alert goes to any Alertmanager: a Prometheus that is started for a
moment must neither write beside the leader nor wake anybody. Targets and traces are left as they
are: to be scraped once more harms nobody. Where it ends: a URL that is none stays, for Prometheus
to refuse.
"""

from __future__ import annotations

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


def harmless(content: bytes, address: str) -> bytes:
    """Return the rendering with what it sends led to this address, which nobody listens on.

    A rendering that sends nothing comes back as it is, byte for byte. Raises what ``compose``
    raises.
    """
    root = compose(content, "")
    if not isinstance(root, MappingNode):
        return content
    writes = _items(value_of(root, "remote_write"))
    managers = _items(value_of(value_of(root, "alerting"), "alertmanagers"))
    if not writes and not managers:
        return content
    away = _Away(address)
    for entry in writes:
        away.lead(entry)
    for manager in managers:
        _drop_all(manager)
    return Serializer({}, is_tied=True).write(root)


def _items(value: Node | None) -> list[MappingNode]:
    """Return the mappings in a list."""
    items = value.value if isinstance(value, SequenceNode) else []
    return [item for item in items if isinstance(item, MappingNode)]


class _Away:
    """Leads URLs to one address; different ones stay different, and keep their user's name."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers: dict[str, int] = {}
        self._done: set[int] = set()  # an alias shares its node

    def lead(self, entry: MappingNode) -> None:
        """Have an entry of remote_write send there."""
        for name, (_, value) in entries(entry).items():
            if name == "oauth2" and isinstance(value, MappingNode):
                self.lead(value)
            if name in _URLS and isinstance(value, ScalarNode) and id(value) not in self._done:
                self._done.add(id(value))
                value.value = self._led(value.value)

    def _led(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return url
        user, at, host = parts.netloc.rpartition("@")
        known = f"{parts.scheme}://{host}{parts.path}?{parts.query}"
        number = self._numbers.setdefault(known, len(self._numbers))
        return f"{parts.scheme}://{user}{at}{self._address}/{number}"


def _drop_all(manager: MappingNode) -> None:
    """Have no Alertmanager be found."""
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
