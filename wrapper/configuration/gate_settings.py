"""The settings of the gate that rendering needs, and the result of routing through it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from yaml.nodes import MappingNode, Node, SequenceNode

from wrapper.configuration.client_files import REMOTE_WRITE
from wrapper.configuration.patch import names_of
from wrapper.documents.yaml_nodes import value_of
from wrapper.model.gate import PATH, Endpoint


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The gate's URL, and the settings that the configuration has to fit.

    - ``url``: the gate's URL, without the path of an endpoint;
    - ``folder``: the output's folder, against which relative paths are resolved;
    - ``memory_bytes``: the value of ``--gate-memory``;
    - ``lease_s``: the lease's duration in seconds;
    - ``identity``: this replica's identity; "" if it is not known.
    """

    url: str
    folder: str
    memory_bytes: int = 64 << 20
    lease_s: float = 15.0
    identity: str = ""

    def url_of(self, name: str) -> str:
        """Return the URL of an endpoint at the gate."""
        return self.url + _path_of(name)


@dataclass(frozen=True, slots=True)
class GatedSections:
    """The result of routing ``remote_write`` through the gate.

    - ``follower``, ``leader``: the section of each role;
    - ``endpoints``: the receivers that the gate sends to;
    - ``notes``: a line for each reason why a failover may lose samples despite the gate.
    """

    follower: MappingNode
    leader: MappingNode
    endpoints: tuple[Endpoint, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()


def are_gated(section: MappingNode, endpoints: Iterable[Endpoint]) -> bool:
    """Return whether a section has remote_write, and each entry goes to one of these endpoints."""
    paths = tuple(_path_of(each.name) for each in endpoints)
    urls = [names_of(item).get("url", "") for item in entries_of(section)]
    return bool(urls and paths) and all(url.endswith(paths) for url in urls)


def entries_of(section: MappingNode) -> list[Node]:
    """Return the entries of a section's remote_write."""
    value = value_of(section, REMOTE_WRITE)
    return value.value if isinstance(value, SequenceNode) else []


def _path_of(name: str) -> str:
    return PATH + quote(name, safe="")
