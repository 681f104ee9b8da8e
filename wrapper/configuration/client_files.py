"""Files that a configuration names for clients: certificates, keys, passwords, tokens; pure.

Their places are those of ``config_paths``. Prometheus reads most of them at each request and runs
without them. It reads those of ``google_iam``, and of ``tls_config`` in ``NEEDED``, when it loads a
configuration, and refuses it if one is missing (2.42 and 3.16; 2.42 does not need tracing's).
promtool checks none of them. Not included: files of service discovery, and those that included
files name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.config_paths import ANY_KEY, PATH, PLACES, Places
from wrapper.documents.source_spans import whole_items
from wrapper.documents.yaml_nodes import entries, is_null

REMOTE_WRITE, ALERTMANAGERS = "remote_write", "alertmanagers"
NEEDED = frozenset({REMOTE_WRITE, "remote_read", ALERTMANAGERS, "tracing"})
_OF_CLIENTS = ("remote_write", "remote_read", "alerting", "tracing", "scrape_configs")
_GOOGLE = "google_iam"
_FURTHER: dict[str, Places] = {  # Prometheus takes these as relative to its working directory
    REMOTE_WRITE: [{_GOOGLE: {"credentials_file": PATH}}]
}
_NO_CLIENT = frozenset({"scrape_failure_log_file"})
_IN_TLS = 3  # remote_write[0], tls_config, ca_file


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file's path and the place that names it: input, line and column from 1, keys."""

    path: str
    name: str
    line: int
    column: int
    trail: tuple[str, ...]

    @property
    def is_needed(self) -> bool:
        """Whether Prometheus refuses a configuration when it cannot read this file."""
        kind = self.trail[-_IN_TLS].partition("[")[0] if len(self.trail) >= _IN_TLS else ""
        return kind in NEEDED and self.trail[-2] in {"tls_config", _GOOGLE}

    @property
    def is_pem(self) -> bool:
        """Whether it must contain a certificate or key in PEM form."""
        return self.trail[-2] == "tls_config"

    @property
    def place(self) -> str:
        """The place as text: ``remote_write[0].tls_config.ca_file``."""
        return ".".join(self.trail)

    def under(self, folder: str) -> str:
        """Return the path that Prometheus opens if its configuration is in this folder."""
        if self.trail[-2] == _GOOGLE:
            return self.path
        return posixpath.normpath(posixpath.join(folder, self.path))


def client_files(section: MappingNode, names: Iterable[str] = _OF_CLIENTS) -> list[ClientFile]:
    """Return the files that these top-level entries name, in their order."""
    found = entries(section)
    return [
        file
        for name in names
        if name in found
        for places in (PLACES[name], _FURTHER.get(name))
        if places is not None
        for file in _below(found[name][1], places, (name,), None)
    ]


def _below(
    node: Node, places: Places, trail: tuple[str, ...], place: Node | None
) -> Iterator[ClientFile]:
    """Yield the files named below a node; ``place`` replaces the node that has the place."""
    if isinstance(places, dict) and isinstance(node, MappingNode):
        for name, (_, value) in entries(node).items():
            below = places.get(name, places.get(ANY_KEY))
            if below is not None and not name.endswith("_sd_configs") and name not in _NO_CLIENT:
                yield from _below(value, below, (*trail, name), place)
    elif isinstance(places, list) and isinstance(node, SequenceNode):
        *above, last = trail
        for number, (item, whole) in enumerate(whole_items(node)):
            at = place if place is not None or item is whole else item
            yield from _below(whole, places[0], (*above, f"{last}[{number}]"), at)
    elif places == PATH and isinstance(node, ScalarNode) and node.value and not is_null(node):
        mark = (place or node).start_mark
        yield ClientFile(node.value, mark.name, mark.line + 1, mark.column + 1, trail)
