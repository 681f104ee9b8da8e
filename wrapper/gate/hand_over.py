"""Split a batch at the moment of an ordered hand-over; pure.

Samples up to this moment are passed on. Later ones are held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.gate.held import Batch
from wrapper.gate.samples import Protocol, Span, Undecodable, span
from wrapper.gate.splitting import split_at


@dataclass(frozen=True, slots=True)
class HandOver:
    """The moment of a hand-over.

    ``at`` is in seconds on CLOCK_BOOTTIME, ``until_ms`` in ms since 1970.
    """

    at: float
    until_ms: int


@dataclass(frozen=True, slots=True)
class Split:
    """The two parts of a batch.

    - ``body``: what to send now; None for nothing.
    - ``late``: what to hold; None for nothing.
    - ``times``: the time span of the whole batch.
    """

    body: bytes | None
    late: Batch | None
    times: Span | None = None


def split(batch: Batch, until_ms: int) -> Split:
    """Split a batch at a time in ms; a batch that cannot be decoded is held."""
    came = max(batch.came, until_ms + 1)  # else the hand-over would send it, or its mark release it
    try:
        early, late = split_at(batch.body, batch.protocol, until_ms)
        times = span(batch.body, batch.protocol)
    except Undecodable:
        return Split(None, replace(batch, came=came))
    if late is None:
        return Split(batch.body, None, times)
    told = late.counts if batch.protocol is Protocol.V2 else None
    held = replace(batch, body=late.body, came=came, counts=told)
    return Split(early.body if early else None, held, times)


def times_of(batch: Batch) -> Span | None:
    """Return the time span of a batch; None if it has no samples, or cannot be decoded."""
    try:
        return span(batch.body, batch.protocol)
    except Undecodable:
        return None
