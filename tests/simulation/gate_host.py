"""A supervisor's handling of its gate, as `wrapper.supervision.gate_process`; state of all gates.

The supervisor holds the listening socket, where requests wait while no gate runs.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.gate import LINE_S, GateProcess
from tests.simulation.receiver import Receiver
from tests.simulation.remote_write import Attempt
from tests.simulation.samples import Sample
from wrapper.model.events import Event, GateStarted
from wrapper.model.gate import GateOrder

if TYPE_CHECKING:
    from tests.simulation.replica import Process

KILL_S = 0.03


@dataclass
class Gates:
    """The state that all gates of a history share."""

    receiver: Receiver
    memory_bytes: int
    late_s: float = 0.0
    peers_are_deaf: bool = False
    check: Callable[[], None] = lambda: None
    violate: Callable[[str], None] = lambda _what: None
    lost: dict[int, set[Sample]] = field(default_factory=dict)  # held by dead gates, by life

    def lose(self, life: int, samples: set[Sample]) -> None:
        """Record the samples that a gate held when it died."""
        self.lost.setdefault(life, set()).update(samples)


class GateHost:
    """The supervisor's side of the gate, and the listening socket."""

    def __init__(self, process: Process, gates: Gates, life: int) -> None:
        self.process = process
        self.gates = gates
        self.life = life
        self.gate: GateProcess | None = None
        self.deaths = 0
        self.waiting: list[Attempt] = []
        self._pid = 0

    @property
    def running(self) -> GateProcess | None:
        """The gate, if it is alive."""
        return self.gate if self.gate is not None and self.gate.is_alive else None

    def start(self) -> Event:
        """Start a gate process."""
        self._pid += 1
        self.gate = GateProcess(self, self._pid)
        return GateStarted(self._pid)

    def order(self, order: GateOrder) -> None:
        """Send an order."""
        if (gate := self.running) is not None:
            gate.orders.send(self.random(), lambda: gate.run(lambda: gate.apply_order(order)))

    def kill(self, reason: str) -> None:
        """Kill the process, which takes a moment."""
        if (gate := self.running) is not None:
            self.process.world.log(f"{self.process} kills its gate: {reason}")
            self.process.world.hub.after(KILL_S * self.random(), lambda: gate.die(-signal.SIGKILL))

    def connect(self, attempt: Attempt) -> None:
        """Accept a request of Prometheus, which waits if no gate runs."""
        if (gate := self.running) is not None:
            gate.after(LINE_S * self.random(), lambda: gate.receive(attempt))
        elif self.process.is_alive:
            self.waiting.append(attempt)
        else:
            attempt.reply(None)

    def random(self) -> float:
        """Return a number from 0 to 1."""
        return self.process.world.rng.random()
