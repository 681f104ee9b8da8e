"""Values between the gate's rules and its I/O: decisions, work to do, receivers' answers; pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from wrapper.gate.held import Batch, Fields
from wrapper.gate.samples import Counts, Protocol

ABORT_MARGIN_S = (
    0.25  # requests are aborted this long before the deadline: a busy machine needs time for it
)
_TOO_MANY = 429


class Outcome(enum.Enum):
    """The result of a request to the receiver."""

    ACKED = "acknowledged"
    REJECTED = "refused for good"
    RETRY = "to be sent again"
    UNANSWERED = "not answered, so to be sent again"

    @property
    def is_final(self) -> bool:
        """Whether the request is finished, so that it need not be sent again."""
        return self in (Outcome.ACKED, Outcome.REJECTED)


def outcome(status: int | None) -> Outcome:
    """Return the outcome of an HTTP status, None for no answer.

    The rules are those of Prometheus with ``retry_on_http_429``.
    """
    if status is None:
        return Outcome.UNANSWERED
    if status == _TOO_MANY or status >= 500:  # noqa: PLR2004 - as in the specification of remote write
        return Outcome.RETRY
    return Outcome.ACKED if 200 <= status < 300 else Outcome.REJECTED  # noqa: PLR2004 - HTTP's classes


@dataclass(frozen=True, slots=True)
class Answer:
    """The receiver's answer to a request.

    - ``status``: the HTTP status; None if there was no answer.
    - ``retry_after_s``: the pause that the receiver requests, in seconds.
    - ``written``: how many samples the receiver reports as written; None if it does not report it.
    - ``problem``: why the request was not acknowledged, without secrets.
    """

    status: int | None
    retry_after_s: float = 0.0
    written: Counts | None = None
    problem: str = ""

    @property
    def outcome(self) -> Outcome:
        """The result that the status stands for."""
        return outcome(self.status)

    def ends_live(self, *, retries_429: bool) -> bool:
        """Return whether Prometheus does not send a request again that was answered so."""
        return self.outcome.is_final or (self.status == _TOO_MANY and not retries_429)


@dataclass(slots=True, eq=False)
class PassOn:
    """Decision: pass the request on to the receiver.

    The caller must always call ``Gate.ended`` afterwards, also after an error.

    - ``name``: the endpoint.
    - ``body``: what to send. In a hand-over, this may be only a part of the batch.
    - ``until``: when to abort the request (CLOCK_BOOTTIME, in seconds), unless ``Gate.closes_at``
      is later by then.
    - ``number``: identifies the request.
    - ``remainder``: the other part of the batch. It is held once the receiver has acknowledged
      ``body``, or refused it for good. Its counts are added to those in the receiver's answer, if
      that has any.
    """

    name: str
    body: bytes = field(repr=False)
    until: float
    number: int
    remainder: Batch | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Decision: the batch is held. Answer 204, with the counts if there are any."""

    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Decision: answer 503, with the reason and Retry-After."""

    reason: str
    retry_after_s: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """A request to send from a held batch.

    The caller must always call ``Gate.replayed`` afterwards, also after an error. ``until`` is when
    to abort the request (CLOCK_BOOTTIME, in seconds).
    """

    name: str
    body: bytes = field(repr=False)
    fields: Fields
    until: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """A batch whose time span the gate needs.

    The caller calls ``samples.span``, and then ``Gate.decoded`` or ``Gate.undecodable``.
    """

    name: str
    number: int
    body: bytes = field(repr=False)
    protocol: Protocol
    is_thorough: bool
