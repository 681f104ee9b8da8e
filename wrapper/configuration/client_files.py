"""Finds the files that a configuration names for its HTTP and gRPC clients; pure.

These are certificates, keys, passwords and tokens. Their places are those of ``config_paths``, and
some whose relative paths Prometheus resolves against its working directory.

Prometheus reads most of these files at each request, and runs without them. Some it reads when it
loads a configuration, which it refuses if one is missing: those of ``google_iam``, of
``azuread.certificate``, and of ``tls_config`` in the sections in ``NEEDED`` (2.42 and 3.16; 2.42
does not need those of tracing). promtool checks none of them.

Limitation: files of service discovery are not found, nor are files that included files name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from yaml.error import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.config_paths import ANY_KEY, PATH, PLACES, Places
from wrapper.documents.source_spans import whole_items
from wrapper.documents.yaml_nodes import entries, is_null

REMOTE_WRITE, ALERTMANAGERS = "remote_write", "alertmanagers"
NEEDED = frozenset({REMOTE_WRITE, "remote_read", ALERTMANAGERS, "tracing"})
_OF_CLIENTS = ("remote_write", "remote_read", "alerting", "tracing", "scrape_configs")
_NEEDED_PATH = "needed path"
_OAUTH2: dict[str, Places] = {"oauth2": {"client_certificate_key_file": PATH}}
FURTHER: dict[str, Places] = {  # paths that are relative to Prometheus' working directory
    REMOTE_WRITE: [
        _OAUTH2
        | {
            "azuread": {
                "certificate": {
                    "certificate_path": _NEEDED_PATH,
                    "certificate_key_path": _NEEDED_PATH,
                },
                "workload_identity": {"token_file_path": PATH},
            },
            "google_iam": {"credentials_file": _NEEDED_PATH},
        }
    ],
    "remote_read": [_OAUTH2],
    "alerting": {ALERTMANAGERS: [_OAUTH2]},
    "scrape_configs": [_OAUTH2],
}
_NO_CLIENT = frozenset({"scrape_failure_log_file"})
_IN_TLS = 3  # remote_write[0], tls_config, ca_file


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file that a configuration names, and the place that names it.

    - ``path``: the file's path as written;
    - ``name``, ``line``, ``column``: the input's name, and the position in it, counted from 1;
    - ``trail``: the keys that lead to the place;
    - ``is_needed``: Prometheus refuses the configuration if it cannot read this file;
    - ``is_resolved``: a relative path is relative to the folder of Prometheus' configuration, else
      to its working directory.
    """

    path: str
    name: str
    line: int
    column: int
    trail: tuple[str, ...]
    is_needed: bool
    is_resolved: bool

    @property
    def is_pem(self) -> bool:
        """Whether it must contain a certificate or key in PEM form."""
        return self.trail[-2] == "tls_config"

    @property
    def place(self) -> str:
        """The place as text, for example ``remote_write[0].tls_config.ca_file``."""
        return ".".join(self.trail)

    def under(self, folder: str) -> str:
        """Return the path that Prometheus opens if its configuration is in this folder."""
        return (
            posixpath.normpath(posixpath.join(folder, self.path)) if self.is_resolved else self.path
        )


def client_files(section: MappingNode, names: Iterable[str] = _OF_CLIENTS) -> list[ClientFile]:
    """Return the files that the entries with these top-level keys name, in this order."""
    found = entries(section)
    return [
        file
        for name in names
        if name in found
        for table in (PLACES, FURTHER)
        if name in table
        for file in _Search(is_resolved=table is PLACES).below(
            found[name][1], table[name], (name,), None
        )
    ]


@dataclass(frozen=True, slots=True)
class _Search:
    """Finds the files whose places are in one table."""

    is_resolved: bool

    def below(
        self, node: Node, places: Places, trail: tuple[str, ...], place: Node | None
    ) -> Iterator[ClientFile]:
        """Yield the files that are named below a node.

        ``place`` is the node whose position is reported; None: that of the path itself.
        """
        if isinstance(places, dict) and isinstance(node, MappingNode):
            for name, (_, value) in entries(node).items():
                below = places.get(name, places.get(ANY_KEY))
                if below is not None and not _is_left_out(name):
                    yield from self.below(value, below, (*trail, name), place)
        elif isinstance(places, list) and isinstance(node, SequenceNode):
            *above, last = trail
            for number, (item, whole) in enumerate(whole_items(node)):
                at = place if place is not None or item is whole else item
                yield from self.below(whole, places[0], (*above, f"{last}[{number}]"), at)
        elif isinstance(places, str) and isinstance(node, ScalarNode):
            yield from self._file(node, places, trail, (place or node).start_mark)

    def _file(
        self, node: ScalarNode, kind: str, trail: tuple[str, ...], mark: Mark
    ) -> Iterator[ClientFile]:
        if node.value and not is_null(node):
            is_needed = kind == _NEEDED_PATH or _is_needed(trail)
            at = (mark.name, mark.line + 1, mark.column + 1)
            yield ClientFile(node.value, *at, trail, is_needed, self.is_resolved)


def _is_left_out(name: str) -> bool:
    return name.endswith("_sd_configs") or name in _NO_CLIENT


def _is_needed(trail: tuple[str, ...]) -> bool:
    """Return whether a file is one of ``tls_config`` in a section in ``NEEDED``."""
    kind = trail[-_IN_TLS].partition("[")[0] if len(trail) >= _IN_TLS else ""
    return kind in NEEDED and trail[-2] == "tls_config"
