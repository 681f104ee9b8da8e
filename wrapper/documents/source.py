"""An input: its name, its bytes and its folder; pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """An input: its name for messages, its bytes, and where its relative paths begin.

    ``folder`` "": they are left as they are, since the output lies in the same folder.
    """

    name: str
    content: bytes = field(repr=False)
    folder: str = ""
