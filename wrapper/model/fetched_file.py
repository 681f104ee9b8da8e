"""A feed: a URL of ``--targets-url``, and the file that its content is written to.

Data types only. The file's extension defines the kind of content: ``.json`` has targets, for
``file_sd_configs`` of Prometheus; ``.yml`` and ``.yaml`` have rules, for ``rule_files``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

ENDINGS = (".json", ".yml", ".yaml")
_OF_PROMGEN = re.compile(
    r"/(?:api/v1/(?:targets|urls|rules)|(?:rest/)?(?:service|project)/[^/]+/(?:targets|rules)/?)\Z"
)


class FileKind(StrEnum):
    """What a feed contains; Promgen has a URL path and a task for each kind."""

    TARGETS = "targets"
    URLS = "urls"  # also targets: those that the blackbox exporter probes
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class Feed:
    """The URL to fetch, and the file to write."""

    url: str
    path: str

    @property
    def kind(self) -> FileKind:
        """The kind of content, derived from the file's extension and the URL's path."""
        if not self.path.endswith(".json"):
            return FileKind.RULES
        is_urls = urlsplit(self.url).path.rstrip("/").endswith("/urls")
        return FileKind.URLS if is_urls else FileKind.TARGETS

    @property
    def is_of_promgen(self) -> bool:
        """Whether the URL's path is one of Promgen's, also behind a prefix."""
        return _OF_PROMGEN.search(urlsplit(self.url).path) is not None

    @property
    def source(self) -> str:
        """The URL as it may be shown: without user name, password and query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def __str__(self) -> str:
        return f"{self.source}={self.path}"


def has_known_ending(path: str) -> bool:
    """Return whether a file has one of the extensions in ``ENDINGS``."""
    return path.endswith(ENDINGS)


# --- the state that is reported to the supervisor ----------------------------------------------


@dataclass(frozen=True, slots=True)
class FeedState:
    """The state of one feed. Times are wall time, 0 if it has not happened since the start.

    - ``file``, ``source``: the file's path, and the URL without secrets.
    - ``groups``, ``targets``: how many the file has; ``targets`` counts rules if it has rules.
    - ``problem``: why the last fetch failed, "" if it succeeded.
    - ``errors``: the number of failures by reason, which is one short word.
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
    """The state of the message broker's queue.

    - ``queue``: its name.
    - ``messages``: the number of messages by result.
    - ``unannounced_changes``: how many changes scheduled fetches have found since the last message.
    """

    queue: str
    is_connected: bool = False
    problem: str = ""
    messages: Mapping[str, int] = field(default_factory=dict)
    unannounced_changes: int = 0
