"""What rendering has to know of the gate; shapes only, pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from wrapper.model.gate import PATH


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gate's URL, and the settings that the configuration has to fit.

    ``folder`` is the output's, which relative paths are below. ``identity`` is this replica's, ""
    if not known; ``lease_s`` is the lease's duration.
    """

    url: str
    folder: str
    memory_bytes: int = 64 << 20
    lease_s: float = 15.0
    identity: str = ""

    def url_of(self, name: str) -> str:
        """Return the URL of an endpoint at the gate."""
        return self.url + path_of(name)


def path_of(name: str) -> str:
    """Return the path of an endpoint's URL at the gate."""
    return PATH + quote(name, safe="")
