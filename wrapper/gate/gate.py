"""The gate: what becomes of each request, as of the newest order; pure.

One thread calls it. It passes requests on only before the deadline of the order less ``CUT_S``,
holds them when closed, and sends on what it holds when it opens, before it passes anything new.
``now`` is in boot seconds, ``wall_ms`` in ms since 1970.
"""

from __future__ import annotations

from wrapper.gate.held import Batch
from wrapper.gate.samples import Span
from wrapper.gate.verdicts import Answer, Decoding, Keep, Pass, Refuse, SendOn
from wrapper.model.gate import Endpoint, GateOrder, GateReport, Marks


class Gate:
    """The gate as one object; see the module."""

    order: GateOrder
    clock_offset_s: float | None

    def __init__(self, memory_bytes: int) -> None:
        raise NotImplementedError

    def obey(self, order: GateOrder, now: float, wall_ms: int) -> None:
        """Take the newest order: open, close, hand over; release by its marks."""
        raise NotImplementedError

    def learn(self, marks: Marks, offset_s: float | None = None) -> None:
        """Take marks of the leader, and its wall clock less ours if measured: release."""
        raise NotImplementedError

    def endpoint(self, name: str) -> Endpoint | None:
        """Return the endpoint of a name, as of the newest order."""
        raise NotImplementedError

    def receive(self, name: str, batch: Batch, now: float, wall_ms: int) -> Pass | Keep | Refuse:
        """Say what to do with a request that has just come."""
        raise NotImplementedError

    def ended(self, passed: Pass, answer: Answer, now: float, wall_ms: int) -> None:
        """Take what the receiver said to a request that was passed on, or that it said nothing."""
        raise NotImplementedError

    def next_to_send_on(self, name: str, now: float, wall_ms: int) -> SendOn | float | None:
        """Return what to send of what is held, the seconds to wait before asking again, or None.

        None: there is nothing to send just now. What is returned counts as under way.
        """
        raise NotImplementedError

    def sent_on(self, sent: SendOn, answer: Answer, now: float, wall_ms: int) -> None:
        """Take what came of what was sent on."""
        raise NotImplementedError

    def to_decode(self, now: float) -> Decoding | None:
        """Return the next batch to decode in the background."""
        raise NotImplementedError

    def decoded(self, decoding: Decoding, span: Span | None) -> None:
        """Take the span of a batch; None also if it cannot be decoded."""
        raise NotImplementedError

    @property
    def closes_at(self) -> float | None:
        """When requests under way are cut (boot seconds); None: at once, it is closed."""
        raise NotImplementedError

    def is_open(self, now: float) -> bool:
        """Tell whether it passes requests on, or one of them is under way."""
        raise NotImplementedError

    def notices(self) -> list[str]:
        """Return what the log should say since the last call."""
        raise NotImplementedError

    def report(self, now: float, wall_ms: int) -> GateReport:
        """Return the state of all endpoints; moves the marks."""
        raise NotImplementedError
