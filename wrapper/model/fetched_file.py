"""A feed: a URL of ``--targets-url`` and the file that it becomes; shapes only.

The content follows from the file's name, as for Prometheus: ``.json`` are targets
(``file_sd_configs``), ``.yml`` and ``.yaml`` are rules (``rule_files``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from urllib.parse import urlsplit

ENDINGS = (".json", ".yml", ".yaml")


class FileKind(StrEnum):
    """What a feed contains: Promgen has a path, and a task, for each."""

    TARGETS = "targets"
    URLS = "urls"  # targets too, of the blackbox exporter
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class Feed:
    """The URL to fetch, and the file to write."""

    url: str
    path: str

    @property
    def kind(self) -> FileKind:
        """What it contains, by the names of the file and of the URL's path."""
        if not self.path.endswith(".json"):
            return FileKind.RULES
        is_urls = urlsplit(self.url).path.rstrip("/").endswith("/urls")
        return FileKind.URLS if is_urls else FileKind.TARGETS

    @property
    def source(self) -> str:
        """The URL without user name, password and query, as it may be shown."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def __str__(self) -> str:
        return f"{self.source}={self.path}"


def has_known_ending(path: str) -> bool:
    """Tell whether a file has one of the known endings."""
    return PurePath(path).name.endswith(ENDINGS)


# --- their state, as others see it -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeedState:
    """The state of one feed; times are wall time, 0 for never since the start.

    ``targets`` counts rules if the file has rules. ``problem`` is why the last fetch failed, "" if
    it succeeded; ``errors`` are counts by a short word for the reason.
    """

    file: str
    source: str
    kind: str
    groups: int = 0
    targets: int = 0
    last_success_time: float = 0.0
    last_change_time: float = 0.0
    problem: str = ""
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of the broker's queue; ``messages`` are counts by result.

    ``unannounced_changes`` are changes that scheduled fetches found since the last message.
    """

    queue: str
    is_connected: bool = False
    problem: str = ""
    messages: Mapping[str, int] = field(default_factory=dict)
    unannounced_changes: int = 0
