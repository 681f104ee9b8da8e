"""What an ordered hand-over does to a batch: up to its moment it passes, the rest is held; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.gate.held import Batch
from wrapper.gate.pieces import split_at
from wrapper.gate.samples import Protocol, Span, Undecodable, span


@dataclass(frozen=True, slots=True)
class HandOver:
    """The moment of the order: in boot seconds, and in ms since 1970."""

    at: float
    until_ms: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A batch in two: what to send, None for nothing, and what to hold; and the times of both."""

    body: bytes | None
    late: Batch | None
    times: Span | None = None


def cut(batch: Batch, until_ms: int) -> Cut:
    """Cut a batch at a time; one that cannot be decoded is held."""
    came = max(batch.came, until_ms + 1)  # so that it does not go before what was held earlier
    try:
        early, late = split_at(batch.body, batch.protocol, until_ms)
        times = span(batch.body, batch.protocol)
    except Undecodable:
        return Cut(None, replace(batch, came=came))
    if late is None:
        return Cut(batch.body, None, times)
    told = late.counts if batch.protocol is Protocol.V2 else None
    held = replace(batch, body=late.body, came=came, counts=told)
    return Cut(early.body if early else None, held, times)


def times_of(batch: Batch) -> Span | None:
    """Return the times of a batch, None without any, or if it cannot be decoded."""
    try:
        return span(batch.body, batch.protocol)
    except Undecodable:
        return None
