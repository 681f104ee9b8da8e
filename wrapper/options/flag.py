"""The definition of a flag: a row in the table of flags (``flags``); pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FlagKind(StrEnum):
    """The kind of a flag's value. The word is its placeholder in the help text."""

    FILE = "FILE"
    FILE_OR_FOLDER = "FILE|FOLDER"
    PROGRAM = "PROGRAM"
    NAME = "NAME"
    BOOLEAN = "BOOLEAN"
    COUNT = "NUMBER"  # a whole number from 1
    SIZE = "SIZE"  # in bytes; 0 if none is given
    PORT = "PORT"
    DURATION = "DURATION"
    ADDRESS = "HOST:PORT"
    URL = "URL"
    CHOICE = "CHOICE"
    LOCK = "auto[:PATH]|kubernetes|file:PATH|none"
    LABEL = "KEY=VALUE"
    MODE = "OCTAL"
    PEERS = "URL|NAME,…"
    FEED = "URL=FILE"
    BROKER = "amqp://…|redis://…"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    - ``kind``: the kind of its value;
    - ``default``: the default, as a user would write it;
    - ``choices``: the only allowed values, if any;
    - ``default_note``: the description of a default that depends on something else;
    - ``also_env``: variables that are used if the flag's own is not set;
    - ``may_be_zero``: a duration may be zero;
    - ``is_repeatable``: the value is all texts that were given, in order;
    - ``splits_on_whitespace``: one text may have several of them, separated by white space.
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
    splits_on_whitespace: bool = False

    @property
    def env(self) -> str:
        """The environment variable that sets the flag's default."""
        return "ELECTOR_" + self.name.upper().replace("-", "_")

    @property
    def placeholder(self) -> str:
        """The placeholder of the value in the help text: its choices if it has any, or its kind."""
        return "|".join(self.choices) or self.kind.value

    @property
    def shown_default(self) -> str:
        """The default as documented; "" if there is none."""
        return self.default_note or self.default
