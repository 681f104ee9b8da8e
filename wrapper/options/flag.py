"""What a flag is: the shape of a row in the table of flags (``flags``); pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FlagKind(StrEnum):
    """What a flag's value is; the word is its placeholder in the help text."""

    TEXT = "TEXT"
    BOOLEAN = "BOOLEAN"
    COUNT = "NUMBER"  # 1 and up
    SIZE = "SIZE"  # of bytes; 0 for none given
    PORT = "PORT"
    DURATION = "DURATION"
    ADDRESS = "HOST:PORT"
    URL = "URL"
    CHOICE = "CHOICE"
    LOCK = "LOCK"
    LABEL = "KEY=VALUE"
    MODE = "OCTAL"
    PEERS = "LIST"
    FEED = "URL=FILE"
    BROKER = "BROKER"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. ``default`` is written as a user would write it; a value is of ``kind``.

    ``default_note`` describes a default that depends on something else. ``also_env`` are variables
    that count after the flag's own. A duration is above zero unless ``may_be_zero``. What
    ``is_repeatable`` has all the texts that were given, in order, as its value; with ``is_parted``
    one text may hold several, parted by white space.
    """

    name: str
    kind: FlagKind
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    default_note: str = ""
    also_env: tuple[str, ...] = ()
    may_be_zero: bool = False
    is_repeatable: bool = False
    is_parted: bool = False

    @property
    def env(self) -> str:
        """The environment variable that sets the flag's default."""
        return "ELECTOR_" + self.name.upper().replace("-", "_")

    @property
    def placeholder(self) -> str:
        """What stands for the value in the help text; the choices where there are any."""
        return "|".join(self.choices) or self.kind.value

    @property
    def shown_default(self) -> str:
        """The default as people are told; "" where there is none."""
        return self.default_note or self.default
