"""Actions: what the plan wants done; shapes only."""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.model.configuration import Kept, Rendering
from wrapper.model.gate import GateOrder
from wrapper.model.roles import Verdict


@dataclass(frozen=True, slots=True)
class ArmSwitch:
    """Set the dead-man's switch to kill the supervisor at this moment."""

    at: float


@dataclass(frozen=True, slots=True)
class DisarmSwitch:
    """Disarm the dead-man's switch."""


@dataclass(frozen=True, slots=True)
class WriteRendering:
    """Write a rendering to the output file; from this decision on it may be loaded."""

    rendering: Rendering


@dataclass(frozen=True, slots=True)
class KeepRenderings:
    """Save what Prometheus has in force beside the output, for the next start."""

    kept: Kept


@dataclass(frozen=True, slots=True)
class ReloadPrometheus:
    """Reload Prometheus; ``fingerprint`` is of the rendering in the output file."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class SignalPrometheus:
    """Send Prometheus a signal; ``reason`` is for the log if the signal ends it."""

    number: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReadConfiguration:
    """Read the inputs again and render them."""


@dataclass(frozen=True, slots=True)
class ReadPause:
    """Read the pause file."""


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Put the leader's label on our pod, or remove it."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class AnswerReload:
    """Answer all requests for a reload up to this number.

    ``is_ambiguous``: the refusal may be about a configuration that was being loaded as well.
    """

    number: int
    verdict: Verdict
    problem: str = ""
    is_ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class StartWeb:
    """Start the web server."""


@dataclass(frozen=True, slots=True)
class StopWeb:
    """Stop the web server in order."""


@dataclass(frozen=True, slots=True)
class StartGate:
    """Start the gate."""


@dataclass(frozen=True, slots=True)
class OrderGate:
    """Send the gate an order."""

    order: GateOrder


@dataclass(frozen=True, slots=True)
class KillGate:
    """Kill the gate, which certainly ends its requests."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Exit with this status.

    ``starts_over``: this program executes itself again, to start Prometheus with the configuration
    that was last in force.
    """

    status: int
    starts_over: bool = False


Action = (
    ArmSwitch
    | DisarmSwitch
    | WriteRendering
    | KeepRenderings
    | ReloadPrometheus
    | SignalPrometheus
    | ReadConfiguration
    | ReadPause
    | LabelPod
    | AnswerReload
    | StartWeb
    | StopWeb
    | StartGate
    | OrderGate
    | KillGate
    | Exit
)
