"""Makes the relative file paths in a Prometheus configuration absolute; pure.

Prometheus resolves relative paths against the folder of its configuration file. If the output is in
another folder than the input, the paths have to be made absolute.

``PLACES`` has exactly the places that Prometheus resolves in any version from 2.42 to 3.16 (those
of ec2 and lightsail since 3.12 only). A label or a parameter called ``x_file`` is no such place, so
it is not changed. Nor are the few paths that Prometheus resolves against its working directory.
"""

from __future__ import annotations

import posixpath
import re

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.yaml_nodes import MERGE_TAG, TEXT_TAG, is_null, with_items

PATH = "path"
ANY_KEY = "*"
Places = str | dict[str, "Places"] | list["Places"]  # PATH; places by key; the places of each item

_TLS: dict[str, Places] = {"ca_file": PATH, "cert_file": PATH, "key_file": PATH}
_CLIENT: dict[str, Places] = {
    "authorization": {"credentials_file": PATH},
    "basic_auth": {"username_file": PATH, "password_file": PATH},
    "bearer_token_file": PATH,
    "http_headers": {ANY_KEY: {"files": [PATH]}},
    "oauth2": {"client_secret_file": PATH, "tls_config": _TLS},
    "tls_config": _TLS,
}
# Service discoveries with the files of any HTTP client, and no others. azure, dns, gce … have none.
_OF_A_CLIENT = (
    "aws consul digitalocean docker dockerswarm ec2 ecs elasticache eureka hetzner http ionos kuma "
    "lightsail linode msk nomad puppetdb rds stackit uyuni vultr"
)
_DISCOVERIES: dict[str, dict[str, Places]] = {
    **dict.fromkeys(_OF_A_CLIENT.split(), _CLIENT),
    "file": {"files": [PATH]},
    "kubernetes": _CLIENT | {"kubeconfig_file": PATH},
    "marathon": _CLIENT | {"auth_token_file": PATH},
    "oci": _CLIENT | {"key_file": PATH, "key_passphrase_file": PATH},
    "openstack": {"tls_config": _TLS},
    "outscale": _CLIENT | {"secret_key_file": PATH},
    "scaleway": _CLIENT | {"secret_key_file": PATH},
    "triton": {"tls_config": _TLS},
}
_TARGETS: dict[str, Places] = {
    **_CLIENT,
    **{f"{name}_sd_configs": [places] for name, places in _DISCOVERIES.items()},
}
PLACES: dict[str, Places] = {
    "global": {"query_log_file": PATH, "scrape_failure_log_file": PATH},
    "rule_files": [PATH],
    "scrape_config_files": [PATH],
    "scrape_configs": [_TARGETS | {"scrape_failure_log_file": PATH}],
    "alerting": {"alertmanagers": [_TARGETS]},
    "remote_write": [_CLIENT],
    "remote_read": [_CLIENT],
    "tracing": {"tls_config": _TLS},
}

_ESCAPE = re.compile(rb"\\[xuU\s]")  # an escaped letter, or a line break that YAML removes


def may_name_a_file(text: bytes) -> bool:
    """Return whether a mapping's text may contain a file path.

    All keys of paths contain "file"; a quoted key may contain escapes instead.
    """
    return b"file" in text or (b"\\" in text and _ESCAPE.search(text) is not None)


def resolve_paths(section: MappingNode, folder: str) -> MappingNode:
    """Return a copy of the section with relative paths resolved against an absolute folder.

    Without relative paths, the section itself is returned.
    """
    resolved = _Resolution(folder).node(section, PLACES)
    return resolved if isinstance(resolved, MappingNode) else section


class _Resolution:
    """Resolves the paths below a node. A node that aliases share stays shared."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._done: dict[tuple[int, int], Node] = {}

    def node(self, node: Node, places: Places) -> Node:
        """Return a node with its paths resolved; the same node if there are none."""
        identity = (id(node), id(places))
        if identity not in self._done:
            self._done[identity] = self._resolved(node, places)
        return self._done[identity]

    def _resolved(self, node: Node, places: Places) -> Node:
        if isinstance(places, dict) and isinstance(node, MappingNode):
            return self._mapping(node, places)
        if isinstance(places, list) and isinstance(node, SequenceNode):
            return self._list(node, places[0])
        if isinstance(places, str) and isinstance(node, ScalarNode):
            return self._path(node)
        return node

    def _mapping(self, node: MappingNode, places: dict[str, Places]) -> MappingNode:
        pairs = [(key, self._value(key, value, places)) for key, value in node.value]
        if all(new is old for (_, new), (_, old) in zip(pairs, node.value, strict=True)):
            return node
        return with_items(node, pairs)

    def _value(self, key: Node, value: Node, places: dict[str, Places]) -> Node:
        """Return an entry's value with its paths resolved.

        The mappings of a merge key have the same places as the mapping that they are merged into.
        """
        if key.tag == MERGE_TAG and isinstance(value, SequenceNode):
            return self._list(value, places)
        if key.tag == MERGE_TAG:
            return self.node(value, places)
        below = places.get(key.value if isinstance(key, ScalarNode) else "", places.get(ANY_KEY))
        return value if below is None else self.node(value, below)

    def _list(self, node: SequenceNode, places: Places) -> SequenceNode:
        items = [self.node(item, places) for item in node.value]
        return node if items == node.value else with_items(node, items)

    def _path(self, node: ScalarNode) -> ScalarNode:
        """Return the absolute path that Prometheus would use. An empty path is not changed."""
        if is_null(node) or not node.value or posixpath.isabs(node.value):
            return node
        path = posixpath.normpath(posixpath.join(self._folder, node.value))
        return ScalarNode(TEXT_TAG, path, node.start_mark, node.end_mark, style=node.style)
