"""Answers to remote_write: what a receiver said, and what the gate says itself; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from wrapper.base.shown_text import printable
from wrapper.gate.samples import Counts
from wrapper.gate.verdicts import Answer

Fields = tuple[tuple[str, str], ...]
WRITTEN = {
    "samples": "X-Prometheus-Remote-Write-Samples-Written",
    "histograms": "X-Prometheus-Remote-Write-Histograms-Written",
    "exemplars": "X-Prometheus-Remote-Write-Exemplars-Written",
}
_RETURNED = frozenset(("content-type", "content-encoding", "retry-after"))
_RETURNED_PREFIX = "x-prometheus-remote-write-"
_LONGEST_REASON = 200  # characters
_MOST_DIGITS = 18
LONGEST_PAUSE_S = 3600.0  # whatever Retry-After says: it may be a slip of a proxy


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, header fields, and a body, which may be cut."""

    status: int
    fields: Fields = ()
    body: bytes = b""

    def field(self, name: str) -> str | None:
        """Return the first field of this name, which is in lower case."""
        return next((value for each, value in self.fields if each.lower() == name), None)


def error(status: int, text: str, *fields: tuple[str, str]) -> Reply:
    """Return an answer of the gate's own, whose reason Prometheus logs."""
    body = json.dumps({"status": "error", "error": text}, ensure_ascii=False).encode()
    return Reply(status, (("Content-Type", "application/json"), *fields), body)


def unavailable(text: str, retry_after_s: int = 1) -> Reply:
    """Return the answer at which Prometheus sends the same again, a little later."""
    return error(503, text, ("Retry-After", str(retry_after_s)))


def taken(counts: Counts | None) -> Reply:
    """Return the answer of a receiver that took all, with the counts that protocol 2 asks for."""
    fields = _written_fields(counts) if counts is not None else ()
    return Reply(204, fields)


def passed_back(reply: Reply, more: Counts | None, wall: float) -> Reply:
    """Return what Prometheus gets of a receiver's answer.

    ``more`` is what was held of the same batch: it is added where the receiver counts. ``wall`` is
    the time, in seconds.
    """
    fields = tuple(
        (name, _within_bounds(value, wall) if name.lower() == "retry-after" else value)
        for name, value in reply.fields
        if name.lower() in _RETURNED or name.lower().startswith(_RETURNED_PREFIX)
    )
    counted = written(reply)
    if more is not None and counted is not None:
        others = tuple(each for each in fields if each[0].lower() not in _WRITTEN_NAMES)
        fields = (*others, *_written_fields(_sum(counted, more)))
    return Reply(reply.status, fields, reply.body)


def answer_of(reply: Reply, wall: float) -> Answer:
    """Return what a receiver's answer at this wall time (seconds) means to the gate's rules."""
    is_taken = 200 <= reply.status < 300  # noqa: PLR2004 - HTTP's class of success
    return Answer(
        status=reply.status,
        retry_after_s=_retry_after_s(reply.field("retry-after"), wall),
        written=written(reply),
        problem="" if is_taken else _problem(reply),
    )


def written(reply: Reply) -> Counts | None:
    """Return what a receiver says that it wrote, None if it does not say."""
    said = {kind: reply.field(name.lower()) for kind, name in WRITTEN.items()}
    if all(text is None for text in said.values()):
        return None
    return Counts(**{kind: _number(text) for kind, text in said.items()})


def _number(text: str | None) -> int:
    """Return a number of at most 18 digits, 0 for anything else."""
    is_number = text and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text or "") if is_number else 0


def _written_fields(counts: Counts) -> Fields:
    return tuple((name, str(getattr(counts, kind))) for kind, name in WRITTEN.items())


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(**{kind: getattr(one, kind) + getattr(other, kind) for kind in WRITTEN})


def _retry_after_s(text: str | None, wall: float) -> float:
    """Return the seconds that a Retry-After says (a number, or a date), 0 if it says nothing.

    They are LONGEST_PAUSE_S at most.
    """
    if text is None:
        return 0.0
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE_S)
    try:
        pause_s = parsedate_to_datetime(text).timestamp() - wall
    except (ValueError, OverflowError):
        return 0.0
    return min(max(pause_s, 0.0), LONGEST_PAUSE_S)


def _within_bounds(retry_after: str, wall: float) -> str:
    """Return a Retry-After for Prometheus, which waits however long it is told to."""
    is_long = _retry_after_s(retry_after, wall) >= LONGEST_PAUSE_S
    return f"{LONGEST_PAUSE_S:.0f}" if is_long else retry_after


def _problem(reply: Reply) -> str:
    """Return the status and the first line of the body, as Prometheus logs them."""
    line = reply.body.partition(b"\n")[0].decode(errors="replace").strip()
    text = printable(line[:_LONGEST_REASON])
    return f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status}"


_WRITTEN_NAMES = frozenset(name.lower() for name in WRITTEN.values())
