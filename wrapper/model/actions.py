"""Actions: what the loop orders; shapes only."""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.model.configuration import Kept, Rendering
from wrapper.model.roles import Verdict


@dataclass(frozen=True, slots=True)
class ArmSwitch:
    """Set the dead-man's switch to kill the supervisor at this moment."""

    at: float


@dataclass(frozen=True, slots=True)
class DisarmSwitch:
    """Take the dead-man's switch back."""


@dataclass(frozen=True, slots=True)
class WriteRendering:
    """Put a rendering in the place of the output file; from this decision on it may be loaded."""

    rendering: Rendering


@dataclass(frozen=True, slots=True)
class KeepRenderings:
    """Keep what Prometheus has in force beside the output, for the next start."""

    kept: Kept


@dataclass(frozen=True, slots=True)
class ReloadPrometheus:
    """Tell Prometheus to read its file again; the fingerprint is of what stands there."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class SignalPrometheus:
    """Send Prometheus a signal; ``reason`` is for the log where it is one that ends it."""

    number: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReadConfiguration:
    """Read the inputs again and render them."""


@dataclass(frozen=True, slots=True)
class ReadPause:
    """Read whether this replica is to keep out of the election."""


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Put the leader's label on our pod, or take it off."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class AnswerReload:
    """Tell who wanted a reload (up to this number) what has become of it.

    ``is_ambiguous``: a refusal may be about a configuration that was under way at the same time.
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
    """End the web server in order."""


@dataclass(frozen=True, slots=True)
class Exit:
    """Leave with this exit status.

    ``starts_over``: this program is started again in its own place, to have Prometheus run with the
    last configuration that it had in force.
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
    | Exit
)
