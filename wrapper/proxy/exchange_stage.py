"""How far an exchange has come; pure."""

from __future__ import annotations

from enum import Enum, auto


class Stage(Enum):
    """The progress of an exchange."""

    WAITING = auto()  # for the request's body, or for a target
    ASKING = auto()  # no byte of an answer has been sent to the client
    ANSWERING = auto()
    WHOLE = auto()
