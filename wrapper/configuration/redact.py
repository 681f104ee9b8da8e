"""Hides the secrets of a configuration that is shown to people; pure.

These count as secrets:

- values that Prometheus itself shows as ``<secret>``, in any version from 2.42 to 3.16;
- values that Prometheus shows although they may be secret: those of HTTP headers, and of the
  parameters of OAuth 2;
- values below a key with the name of a secret, and an HTTP client's secrets in any service
  discovery, since newer versions have places that ``PLACES`` lacks;
- in any text, the user information of a URL, and URL parameters with the name of a secret.

Each is shown as ``<secret N>``. Equal secrets have the same number. So a changed secret can be
seen, and redacting before a merge has the same result as redacting after it.

Limitation: a secret elsewhere, such as in the value of a label, is not recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.config_paths import ANY_KEY, Places
from wrapper.documents.yaml_nodes import (
    MERGE_TAG,
    TEXT_TAG,
    UnusableError,
    compose,
    is_null,
    with_items,
)

SECRET = "secret"  # noqa: S105 - a mark in the table
_LEAST = 4  # shorter secrets are not searched in messages: they occur in any text
_NAME = (
    r"(?:pass(?:word|wd|phrase)|secret|token|credential|signature"
    r"|(?:api|access|account|consumer|private|secret|shared)[-_]?key)s?"
)
_NAMED = re.compile(rf"{_NAME}$", re.IGNORECASE)
# The second form is a mistake: a password with a slash or the like that is not escaped. It is told
# from a port, after which an @ may be part of the path.
_USER = re.compile(
    r"(?<=://)(?:[^/?#\s\"'`]+|[^/?#\s\"'`:@\[]*:(?![0-9]*(?:[/?#\s\"'`]|\Z))[^\s\"'`]{1,300})(?=@)"
)
_PARAMETER = re.compile(rf"(?<=[?&])([^=?&#\s]*{_NAME}=)([^&#\s\"'`]+)", re.IGNORECASE)
_GO_PORT = re.compile(r'(invalid port) ".*?" (?=after host)')
_GO_VALUE = re.compile(r"(cannot unmarshal !!\S+) `.*?` (?=into )", re.DOTALL)

_TLS: dict[str, Places] = {"key": SECRET}
_PROXY: dict[str, Places] = {"proxy_connect_header": {ANY_KEY: [SECRET]}}
_CLIENT: dict[str, Places] = {
    **_PROXY,
    "authorization": {"credentials": SECRET},
    "basic_auth": {"password": SECRET},
    "bearer_token": SECRET,
    "http_headers": {ANY_KEY: {"secrets": [SECRET], "values": [SECRET]}},
    "oauth2": {
        **_PROXY,
        "client_certificate_key": SECRET,
        "client_secret": SECRET,
        "endpoint_params": {ANY_KEY: SECRET},
        "tls_config": _TLS,
    },
    "tls_config": _TLS,
}
_AWS: dict[str, Places] = {"secret_key": SECRET}
_DISCOVERIES: dict[str, dict[str, Places]] = {  # beside the places of _CLIENT, which all may have
    **dict.fromkeys(["aws", "ec2", "ecs", "elasticache", "lightsail", "msk", "rds"], _AWS),
    "azure": {"client_secret": SECRET},
    "consul": {"token": SECRET, "password": SECRET},
    "marathon": {"auth_token": SECRET},
    "oci": {"key_passphrase": SECRET},
    "openstack": {"application_credential_secret": SECRET, "password": SECRET},
    "outscale": {"secret_key": SECRET},
    "ovhcloud": {"application_secret": SECRET, "consumer_key": SECRET},
    "scaleway": {"secret_key": SECRET},
    "stackit": {"private_key": SECRET, "service_account_key": SECRET},
    "uyuni": {"password": SECRET},
}
_DISCOVERY = "_sd_configs"  # the end of these lists' names
_OTHER_DISCOVERY: list[Places] = [_CLIENT]
_TARGETS: dict[str, Places] = {
    **_CLIENT,
    **{f"{name}{_DISCOVERY}": [_CLIENT | own] for name, own in _DISCOVERIES.items()},
}
_REMOTE: dict[str, Places] = _CLIENT | {"headers": {ANY_KEY: SECRET}}
_AZURE: dict[str, Places] = {
    "certificate": {"certificate_password": SECRET},
    "oauth": {"client_secret": SECRET},
}
PLACES: dict[str, Places] = {
    "scrape_configs": [_TARGETS | {"params": {"key": [SECRET]}}],
    "alerting": {"alertmanagers": [_TARGETS | {"sigv4": _AWS}]},
    "remote_write": [_REMOTE | {"azuread": _AZURE, "sigv4": _AWS}],
    "remote_read": [_REMOTE],
    "tracing": {"headers": {ANY_KEY: SECRET}, "tls_config": _TLS},
}
_NO_PLACES: dict[str, Places] = {}


def message_without_secrets(content: bytes, words: str) -> str:
    """Return a program's message about a rendering, on one line and without secrets."""
    redaction = Redaction()
    try:
        root = compose(content, "")
    except (yaml.YAMLError, UnusableError, RecursionError):
        root = None
    if isinstance(root, MappingNode):
        redaction.section(root)
    lines = re.sub(r":\s*\n\s*", ": ", redaction.text(words).strip())
    return re.sub(r"\s*\n\s*", "; ", lines)


class Redaction:
    """Hides the secrets of sections, and of messages about them, with the same numbers.

    The values of ``variables`` whose name is that of a secret are hidden everywhere.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._numbers: dict[str, int] = {}
        self._variables = [
            value
            for name, value in (variables or {}).items()
            if _NAMED.search(name) and len(value) >= _LEAST
        ]
        # By the ids of a node and its places; holds the node, so that its id stays unique.
        self._done: dict[tuple[int, int], tuple[Node, Node]] = {}

    def section(self, section: MappingNode) -> MappingNode:
        """Return a copy of a section without its secrets."""
        hidden = self._node(section, PLACES)
        return hidden if isinstance(hidden, MappingNode) else section

    def text(self, text: str) -> str:
        """Return a message without the secrets of the sections redacted so far, and of its URLs.

        Values that go-yaml quotes are removed: it shortens them, so that a secret among them would
        not be recognised. So are invalid ports: they may be the beginning of a password.
        """
        for value in sorted(self._numbers, key=len, reverse=True):
            if len(value) >= _LEAST:
                for written in (value, json.dumps(value)[1:-1]):
                    text = text.replace(written, self._mark(value))
        return self._without_credentials(_GO_PORT.sub(r"\1 ", _GO_VALUE.sub(r"\1 ", text)))

    def _node(self, node: Node, places: Places) -> Node:
        """Return a node without its secrets. A node that aliases share stays shared."""
        identity = (id(node), id(places))
        if identity not in self._done:
            self._done[identity] = (node, self._redacted(node, places))
        return self._done[identity][1]

    def _redacted(self, node: Node, places: Places) -> Node:
        if isinstance(node, SequenceNode):
            items = []
            for item in node.value:  # a comprehension would make the stack deeper
                items.append(self._node(item, _of_item(places)))  # noqa: PERF401
            return with_items(node, items)
        if isinstance(node, MappingNode):
            pairs = []
            for key, value in node.value:
                pairs.append((key, self._node(value, _below(key, _of_item(places)))))
            return with_items(node, pairs)
        if isinstance(node, ScalarNode):
            is_secret = bool(_of_item(places))  # also if a mapping was expected
            return self._scalar(node, is_secret=is_secret)
        return node

    def _scalar(self, node: ScalarNode, *, is_secret: bool) -> ScalarNode:
        """Return a scalar without secrets. Empty values are not changed."""
        if is_null(node) or not node.value:
            return node
        if is_secret:
            return ScalarNode(TEXT_TAG, self._mark(node.value), node.start_mark, node.end_mark)
        text = self._without_variables(self._without_credentials(node.value))
        if text == node.value:
            return node
        return ScalarNode(node.tag, text, node.start_mark, node.end_mark, style=node.style)

    def _without_credentials(self, text: str) -> str:
        """Return a text without user information and secret parameters in URLs."""
        if "://" not in text and "?" not in text:
            return text
        text = _USER.sub(lambda found: self._mark(found[0]), text)
        return _PARAMETER.sub(lambda found: found[1] + self._mark(found[2]), text)

    def _without_variables(self, text: str) -> str:
        for value in self._variables:
            if value in text:
                text = text.replace(value, self._mark(value))
        return text

    def _mark(self, value: str) -> str:
        """Return the text shown for a secret; a text that is one already is not changed."""
        if re.fullmatch("<secret [0-9]+>", value):
            return value
        return f"<secret {self._numbers.setdefault(value, len(self._numbers) + 1)}>"


def _of_item(places: Places) -> Places:
    """Return the places in a list's items; for other kinds, the same places."""
    return places[0] if isinstance(places, list) else places


def _below(key: Node, places: Places) -> Places:
    """Return the places below a key; below a merge key, the mapping's own."""
    if key.tag == MERGE_TAG or isinstance(places, str):
        return places
    name = key.value if isinstance(key, ScalarNode) else ""
    known = places.get(name, places.get(ANY_KEY)) if isinstance(places, dict) else None
    if known is not None:
        return known
    if name.endswith(_DISCOVERY):
        return _OTHER_DISCOVERY
    return SECRET if _NAMED.search(name) else _NO_PLACES
