"""A feed: a URL whose answers become a file that Prometheus reads; what is said and known of it.

Only shapes belong here. What a file holds follows from its name, as for Prometheus: ``.json`` are
targets (``file_sd_configs``), ``.yml`` and ``.yaml`` are rules (``rule_files``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from urllib.parse import urlsplit

LONGEST_TEXT = 300
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
ENDINGS = (".json", ".yml", ".yaml")


class FileKind(StrEnum):
    """What a feed brings: Promgen has a path, and a task, for each."""

    TARGETS = "targets"
    URLS = "urls"  # targets too, of the blackbox exporter
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class Feed:
    """Where to fetch from, and the file that it becomes."""

    url: str
    path: str

    @property
    def kind(self) -> FileKind:
        """What it brings, by the names of the file and of the URL's path."""
        if not self.path.endswith(".json"):
            return FileKind.RULES
        is_urls = urlsplit(self.url).path.rstrip("/").endswith("/urls")
        return FileKind.URLS if is_urls else FileKind.TARGETS

    @property
    def source(self) -> str:
        """The URL as it may be shown: without a name, a password or a query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def __str__(self) -> str:
        return f"{self.source}={self.path}"


def in_short(text: str) -> str:
    """Return what may have come from outside as it may be shown: one line, printable, not long."""
    words = " ".join(text.split())[:LONGEST_TEXT]
    return "".join(each if each.isprintable() else UNPRINTABLE for each in words)


def has_known_ending(path: str) -> bool:
    """Tell whether a file's name says what it holds."""
    return PurePath(path).name.endswith(ENDINGS)


# --- what is known of them, for the outside ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeedState:
    """How one feed goes; times are wall time, 0 for never since the start.

    ``targets`` are rules in a file of rules. ``problem`` is why the last fetch changed nothing that
    it should have, "" when it went well; ``errors`` are counts by a short word for the reason.
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
    """How the broker's queue goes; ``messages`` are counts by what became of them.

    ``unannounced_changes`` are those that were found at the interval since the last message.
    """

    queue: str
    is_connected: bool = False
    problem: str = ""
    messages: Mapping[str, int] = field(default_factory=dict)
    unannounced_changes: int = 0
