"""Answers to remote_write: those of the receiver, and the gate's own; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from wrapper.base.shown_text import printable
from wrapper.gate.decisions import Answer
from wrapper.gate.samples import Counts

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
LONGEST_PAUSE_S = 3600.0  # upper limit of Retry-After, which a proxy may set wrongly


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, header fields, and a body, which may be truncated."""

    status: int
    fields: Fields = ()
    body: bytes = b""

    def field(self, name: str) -> str | None:
        """Return the first field with this name (lower case), or None."""
        return next((value for each, value in self.fields if each.lower() == name), None)


def error(status: int, text: str, *fields: tuple[str, str]) -> Reply:
    """Return an answer of the gate itself; Prometheus logs its text."""
    body = json.dumps({"status": "error", "error": text}, ensure_ascii=False).encode()
    return Reply(status, (("Content-Type", "application/json"), *fields), body)


def unavailable(text: str, retry_after_s: int = 1) -> Reply:
    """Return a 503 answer, after which Prometheus sends the same request again."""
    return error(503, text, ("Retry-After", str(retry_after_s)))


def accepted(counts: Counts | None) -> Reply:
    """Return the answer for an accepted batch, with the counts that protocol 2 requires."""
    fields = _written_fields(counts) if counts is not None else ()
    return Reply(204, fields)


def for_prometheus(reply: Reply, more: Counts | None, wall: float) -> Reply:
    """Return the receiver's answer in the form that Prometheus gets.

    ``more`` counts the part of the batch that is held. It is added if the receiver's answer has
    counts. ``wall`` is the wall time in seconds.
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
    """Return a receiver's answer in the form that the gate's rules use.

    ``wall`` is the wall time in seconds.
    """
    is_taken = 200 <= reply.status < 300  # noqa: PLR2004 - HTTP's class of success
    return Answer(
        status=reply.status,
        retry_after_s=_retry_after_s(reply.field("retry-after"), wall),
        written=written(reply),
        problem="" if is_taken else _problem(reply),
    )


def written(reply: Reply) -> Counts | None:
    """Return the counts that a receiver reports as written; None if it reports none."""
    said = {kind: reply.field(name.lower()) for kind, name in WRITTEN.items()}
    if all(text is None for text in said.values()):
        return None
    return Counts(**{kind: _number(text) for kind, text in said.items()})


def _number(text: str | None) -> int:
    """Return a number of at most 18 digits; 0 for any other text."""
    is_number = text and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text or "") if is_number else 0


def _written_fields(counts: Counts) -> Fields:
    return tuple((name, str(getattr(counts, kind))) for kind, name in WRITTEN.items())


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(**{kind: getattr(one, kind) + getattr(other, kind) for kind in WRITTEN})


def _retry_after_s(text: str | None, wall: float) -> float:
    """Return the seconds of a Retry-After (a number, or a date), at most ``LONGEST_PAUSE_S``.

    Return 0 if there is none, or it is invalid.
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
    """Return a Retry-After for Prometheus, at most ``LONGEST_PAUSE_S``.

    Prometheus itself has no upper limit.
    """
    is_long = _retry_after_s(retry_after, wall) >= LONGEST_PAUSE_S
    return f"{LONGEST_PAUSE_S:.0f}" if is_long else retry_after


def _problem(reply: Reply) -> str:
    """Return the status and the first line of the body, as Prometheus logs them."""
    line = reply.body.partition(b"\n")[0].decode(errors="replace").strip()
    text = printable(line[:_LONGEST_REASON])
    return f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status}"


_WRITTEN_NAMES = frozenset(name.lower() for name in WRITTEN.values())
