"""Both configurations and their difference, without secrets, for the status page.

They go to the web side in a place of their own beside the snapshots, since they are large and
change seldom. The guarantee: nothing is in it that ``redact`` would hide. Where it ends: inputs or
texts that are too large are not shown, and the reason stands in their place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from wrapper.base.shared_memory import SharedReader, SharedWriter

PLACE = 1  # in the memfd of the snapshots
LARGEST_INPUT = 256 << 10  # bytes of all inputs together
LARGEST_TEXT = 512 << 10  # characters of all that is shown together
ELSEWHERE = "see prometheus-elector check"


@dataclass(frozen=True, slots=True)
class ConfigView:
    """Texts of YAML and their unified diff, as lines; ``omitted`` is why there are none."""

    follower: str = ""
    leader: str = ""
    difference: tuple[str, ...] = ()
    omitted: str = ""


class ConfigViewWriter:
    """Publishes what is shown; one writer."""

    def __init__(self, fd: int) -> None:
        self._slot = SharedWriter(fd, PLACE)

    def publish(self, exhibit: ConfigView) -> None:
        """Make this the newest; one that is too large is replaced by the word that it is."""
        self._slot.write(json.dumps(asdict(_bounded(exhibit))).encode())


class ConfigViewReader:
    """Reads what is shown; unchanged, it is not parsed again."""

    def __init__(self, fd: int) -> None:
        self._slot = SharedReader(fd, PLACE)
        self._exhibit: ConfigView | None = None

    def read(self) -> ConfigView | None:
        """Return the newest, None while nothing has been published."""
        payload = self._slot.news()
        if payload is not None:
            values = json.loads(payload)
            values["difference"] = tuple(values["difference"])
            self._exhibit = ConfigView(**values)
        return self._exhibit


def _bounded(exhibit: ConfigView) -> ConfigView:
    texts: Sequence[str] = (exhibit.follower, exhibit.leader, *exhibit.difference)
    size = sum(map(len, texts))
    if size <= LARGEST_TEXT:
        return exhibit
    return ConfigView(omitted=f"{size:,} characters are too many to show here: {ELSEWHERE}")
