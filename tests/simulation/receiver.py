"""A receiver of remote_write: it stores samples, and knows which gates have requests in flight.

A strict one behaves as Prometheus without an out-of-order window: it refuses a whole request with
400 if one sample is older than the newest of its series, or has the same time and differs. A
lenient one stores everything. Both may be unreachable or slow, refuse temporarily, and lose answers
after storing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.hub import Hub
from tests.simulation.samples import Sample, unpacked
from wrapper.gate.decisions import Answer

if TYPE_CHECKING:
    from tests.simulation.gate import GateProcess

NETWORK_S = 0.002


@dataclass
class Condition:
    """The condition of the receiver; seconds and probabilities."""

    is_away: bool = False
    answer_s: float = 0.01
    status: int = 0  # the answer to all requests; 0: the correct answer
    retry_after_s: float = 0.0
    loses_answers: float = 0.0


@dataclass(eq=False)
class Request:
    """A request from a gate, at the receiver."""

    sender: GateProcess
    answer: Callable[[Answer], None]
    is_over: bool = False
    store: Callable[[], Answer] | None = None  # None once the samples are stored


@dataclass
class Receiver:
    """Holds samples by series, in the order of their arrival."""

    hub: Hub
    rng: random.Random
    is_strict: bool
    on_request: Callable[[], None]
    condition: Condition = field(default_factory=Condition)
    stored: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    arrived: list[Sample] = field(default_factory=list)
    in_flight: list[Request] = field(default_factory=list)
    refused: int = 0
    _newest: dict[str, Sample] = field(default_factory=dict)

    def request(
        self, sender: GateProcess, body: bytes, answer: Callable[[Answer], None]
    ) -> Request:
        """Accept a request; ``answer`` is called once, unless the request is cut."""
        request = Request(sender, answer)
        self.in_flight.append(request)
        self.on_request()
        request.store = lambda: self._store(body)
        self.hub.after(NETWORK_S * self.rng.random(), lambda: self._arrive(request))
        return request

    def cut(self, request: Request) -> None:
        """End a request from the sender's side; the receiver may have read it, and then stores it.

        It stores it at once: fencing cannot prevent a receiver from storing much later.
        """
        if request.is_over:
            return
        self._end(request)
        if request.store is not None and not self.condition.is_away and self.rng.random() < 0.5:
            request.store()

    def _arrive(self, request: Request) -> None:
        if request.is_over:
            return
        if self.condition.is_away:
            self._reply(request, Answer(None, problem="connection refused"))
            return
        takes_s = self.condition.answer_s * self.rng.random()
        self.hub.after(takes_s * self.rng.random(), lambda: self._take(request, takes_s))

    def _take(self, request: Request, takes_s: float) -> None:
        if request.is_over or request.store is None:
            return
        if self.condition.status:
            answer = Answer(self.condition.status, self.condition.retry_after_s)
        else:
            answer = request.store()
        request.store = None
        if self.rng.random() < self.condition.loses_answers:
            answer = Answer(None, problem="connection reset")
        self.hub.after(takes_s * self.rng.random(), lambda: self._reply(request, answer))

    def _reply(self, request: Request, answer: Answer) -> None:
        if not request.is_over:
            self._end(request)
            request.answer(answer)

    def _end(self, request: Request) -> None:
        request.is_over = True
        self.in_flight.remove(request)

    # --- storing ---

    def _store(self, body: bytes) -> Answer:
        samples = unpacked(body)
        if self.is_strict and not self._fits(samples):
            self.refused += len(samples)
            return Answer(400, problem="out of order sample")
        for sample in samples:
            newest = self._newest.get(sample.series)
            if self.is_strict and sample == newest:
                continue
            self.arrived.append(sample)
            self.stored[sample.series].append(sample)
            if newest is None or sample.at >= newest.at:
                self._newest[sample.series] = sample
        return Answer(204)

    def _fits(self, samples: list[Sample]) -> bool:
        """Return whether each sample is newer than the newest of its series, or equal to it."""
        newest = dict(self._newest)
        for sample in samples:
            last = newest.get(sample.series)
            if last is not None and sample.at <= last.at and sample != last:
                return False
            newest[sample.series] = sample
        return True
