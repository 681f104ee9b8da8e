"""What the gate says to a request of Prometheus, what it wants sent, and what came of it; pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from wrapper.gate.held import Batch, Fields
from wrapper.gate.samples import Counts, Protocol

CUT_S = 0.25  # before the deadline requests are cut, so that a busy machine has time for it


class Outcome(enum.Enum):
    """What came of a request to the receiver."""

    ACKED = "acknowledged"
    FINAL = "refused for good"
    AGAIN = "to be sent again"
    UNANSWERED = "not answered, so to be sent again"

    @property
    def is_over(self) -> bool:
        """Whether it need not be sent again."""
        return self in (Outcome.ACKED, Outcome.FINAL)


def outcome(status: int | None) -> Outcome:
    """Return what a status means, None being no answer; as Prometheus takes it."""
    if status is None:
        return Outcome.UNANSWERED
    if status == 429 or status >= 500:  # noqa: PLR2004 - as in the specification of remote write
        return Outcome.AGAIN
    return Outcome.ACKED if 200 <= status < 300 else Outcome.FINAL  # noqa: PLR2004 - HTTP's classes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said; status None if nothing, and ``problem`` why (no secrets in it).

    ``written`` is what it said that it wrote, None if it did not say.
    """

    status: int | None
    retry_after_s: float = 0.0
    written: Counts | None = None
    problem: str = ""

    @property
    def outcome(self) -> Outcome:
        """What it means."""
        return outcome(self.status)


@dataclass(slots=True, eq=False)
class Pass:
    """Pass a request on: ``body`` is what to send; then call ``Gate.ended``, whatever happens.

    ``until`` is when to cut it (boot seconds), unless ``Gate.closes_at`` is later by then.
    ``remainder`` is what is held once the receiver has answered the rest for good; its counts are
    to be added to those that the receiver answers, if it does.
    """

    name: str
    body: bytes = field(repr=False)
    until: float
    number: int
    remainder: Batch | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """The batch is held: answer 204, with the counts if there are any."""

    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 503, with the reason and Retry-After."""

    reason: str
    retry_after_s: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class SendOn:
    """Send this, which was held: then call ``Gate.sent_on``, whatever happens."""

    name: str
    body: bytes = field(repr=False)
    fields: Fields
    until: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """A batch whose span is wanted: call ``samples.span``, then the ``Gate``."""

    name: str
    number: int
    body: bytes = field(repr=False)
    protocol: Protocol
    is_thorough: bool
