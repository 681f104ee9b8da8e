"""Actions: the operations that the plan requests and the performer executes; data types only."""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.model.configuration import Rendering, SavedRenderings
from wrapper.model.gate import GateOrder
from wrapper.model.roles import Verdict


@dataclass(frozen=True, slots=True)
class ArmSwitch:
    """Arm the dead-man's switch: it kills the supervisor at this time, on CLOCK_BOOTTIME."""

    at: float


@dataclass(frozen=True, slots=True)
class DisarmSwitch:
    """Disarm the dead-man's switch."""


@dataclass(frozen=True, slots=True)
class WriteRendering:
    """Write a rendering to the output file; Prometheus may load it from this decision on."""

    rendering: Rendering


@dataclass(frozen=True, slots=True)
class SaveRenderings:
    """Save the renderings in force beside the output file, for the next start."""

    renderings: SavedRenderings


@dataclass(frozen=True, slots=True)
class ReloadPrometheus:
    """Reload Prometheus; ``fingerprint`` identifies the rendering in the output file."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class SignalPrometheus:
    """Send a signal to Prometheus; ``reason`` is logged if the signal ends the process."""

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
    """Set the leader's label on this replica's pod, or remove it."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class AnswerReload:
    """Answer all pending requests for a reload up to this number.

    ``is_ambiguous`` means that a configuration was being loaded at the same time, so the refusal
    may be about that configuration instead of the changed files.
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
    """Stop the web server gracefully, by SIGTERM."""


@dataclass(frozen=True, slots=True)
class StartGate:
    """Start the gate."""


@dataclass(frozen=True, slots=True)
class OrderGate:
    """Send the gate an order."""

    order: GateOrder


@dataclass(frozen=True, slots=True)
class KillGate:
    """Kill the gate: after that, none of its requests is in flight."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Exit with this status.

    If ``re_executes`` is true, this program executes itself again, to start Prometheus with the
    configuration that was last in force.
    """

    status: int
    re_executes: bool = False


Action = (
    ArmSwitch
    | DisarmSwitch
    | WriteRendering
    | SaveRenderings
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
