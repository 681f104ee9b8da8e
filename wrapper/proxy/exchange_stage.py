"""The stages of an exchange; pure."""

from __future__ import annotations

from enum import Enum, auto


class Stage(Enum):
    """The progress of an exchange."""

    WAITING = auto()  # for the request's body, or for a leader
    ASKING = auto()  # the request is sent; the client has not got a byte of the answer
    ANSWERING = auto()
    COMPLETE = auto()
