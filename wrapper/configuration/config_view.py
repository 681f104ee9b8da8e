"""Both configurations and their difference, without secrets, for the status page.

The supervisor passes them to the web process in shared memory. They have a region of their own
beside the snapshots, because they are large and seldom change. If they are too large, a reason is
shown instead.

Guarantee: they contain nothing that ``redact`` hides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from wrapper.base.shared_memory import SharedReader, SharedWriter

REGION = 1  # of the views; region 0 of the same memfd has the snapshots
LARGEST_INPUT = 256 << 10  # bytes of all inputs together
LARGEST_TEXT = 512 << 10  # characters of all texts together
ELSEWHERE = "see prometheus-elector check"


@dataclass(frozen=True, slots=True)
class ConfigView:
    """Both configurations as YAML and the lines of their diff, or the reason for their absence."""

    follower: str = ""
    leader: str = ""
    difference: tuple[str, ...] = ()
    omitted: str = ""


class ConfigViewWriter:
    """Publishes the view. There must be only one writer."""

    def __init__(self, fd: int) -> None:
        self._slot = SharedWriter(fd, REGION)

    def publish(self, view: ConfigView) -> None:
        """Publish a view, or a reason if it is too large."""
        self._slot.write(json.dumps(asdict(_bounded(view))).encode())


class ConfigViewReader:
    """Reads the published view, and parses it only when it has changed."""

    def __init__(self, fd: int) -> None:
        self._slot = SharedReader(fd, REGION)
        self._view: ConfigView | None = None

    def read(self) -> ConfigView | None:
        """Return the newest view; None until one has been published."""
        payload = self._slot.read_if_new()
        if payload is not None:
            values = json.loads(payload)
            values["difference"] = tuple(values["difference"])
            self._view = ConfigView(**values)
        return self._view


def _bounded(view: ConfigView) -> ConfigView:
    texts: Sequence[str] = (view.follower, view.leader, *view.difference)
    size = sum(map(len, texts))
    if size <= LARGEST_TEXT:
        return view
    return ConfigView(omitted=f"{size:,} characters are too many to show here: {ELSEWHERE}")
