"""Events: facts that threads, signal handlers and the performer report; shapes only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrapper.model.configuration import Evidence, Kept, Rendering, Renderings
from wrapper.model.gate import GateReport
from wrapper.model.lease import LeaseView
from wrapper.model.pause import Pause


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """A signal reached the supervisor."""

    number: int


@dataclass(frozen=True, slots=True)
class ChildExited:
    """Prometheus has exited; ``status`` is as in ``subprocess`` (negative: by a signal)."""

    status: int


@dataclass(frozen=True, slots=True)
class WebExited:
    """The web server has exited."""

    status: int


@dataclass(frozen=True, slots=True)
class WebStarted:
    """The web server has been started."""

    pid: int


@dataclass(frozen=True, slots=True)
class GateStarted:
    """The gate has been started, at this wall time (seconds)."""

    pid: int
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class GateExited:
    """The gate has exited; ``status`` is as in ``subprocess``."""

    status: int


@dataclass(frozen=True, slots=True)
class GateReported:
    """The gate of this process id has reported its state."""

    pid: int
    report: GateReport


@dataclass(frozen=True, slots=True)
class ReadinessProbed:
    """The result of a readiness probe; ``detail`` is the answer if it is not ready."""

    is_ready: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthProbed:
    """The result of a health probe; ``detail`` is the answer if it is not healthy."""

    is_healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseReported:
    """The elector's view of the lease has changed."""

    view: LeaseView


@dataclass(frozen=True, slots=True)
class LeaseAsked:
    """A request about the lease has ended; ``error`` is one short word, "" for success.

    ``is_renewal``: it was to acquire or renew. A write conflict is not an error.
    """

    is_renewal: bool
    duration_s: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationRead:
    """The inputs were read and are valid."""

    renderings: Renderings


@dataclass(frozen=True, slots=True)
class ConfigurationRejected:
    """The inputs were read and are invalid; the last valid ones stay in force.

    ``problem`` has a line for each mistake.
    """

    problem: str


@dataclass(frozen=True, slots=True)
class RenderingWritten:
    """A rendering was written to the output file."""

    rendering: Rendering


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """A rendering could not be written; the old file is unchanged."""

    rendering: Rendering
    problem: str


@dataclass(frozen=True, slots=True)
class RenderingsKept:
    """Renderings were saved for the next start; ``problem`` is why that failed, or ""."""

    kept: Kept
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReloadAnswered:
    """Prometheus answered our reload request, or did not (``status`` 0)."""

    fingerprint: str
    sent_at: float
    status: int
    problem: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadedObserved:
    """Prometheus said what it has loaded."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class FenceChecked:
    """The result of the fencing check: why killing the child would not stop the writer, or ""."""

    obstacle: str


@dataclass(frozen=True, slots=True)
class PodLabelAnswered:
    """The request about the pod's label has ended; ``problem`` is why it failed."""

    problem: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PauseRead:
    """The pause file was read; ``pause`` is None if there is no pause."""

    pause: Pause | None


@dataclass(frozen=True, slots=True)
class ChildMeasured:
    """The child's resource usage, by name (bytes, seconds, counts)."""

    usage: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ReloadWanted:
    """A thread requests a reload; requests are numbered from 1 up.

    ``has_changed_files``: files that Prometheus reads have changed since it last loaded them, so
    that a refusal would say nothing about the configuration.
    """

    number: int
    has_changed_files: bool


@dataclass(frozen=True, slots=True)
class FeedReported:
    """The state of a fetched file; ``state["file"]`` is its path."""

    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueueReported:
    """The state of the broker's queue."""

    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ActorEnded:
    """A thread of this program has ended unexpectedly; ``problem`` says how."""

    name: str
    problem: str


Event = (
    SignalReceived
    | ChildExited
    | WebExited
    | WebStarted
    | GateStarted
    | GateExited
    | GateReported
    | ReadinessProbed
    | HealthProbed
    | LeaseReported
    | LeaseAsked
    | ConfigurationRead
    | ConfigurationRejected
    | RenderingWritten
    | WriteFailed
    | RenderingsKept
    | ReloadAnswered
    | LoadedObserved
    | FenceChecked
    | PodLabelAnswered
    | PauseRead
    | ChildMeasured
    | ReloadWanted
    | FeedReported
    | QueueReported
    | ActorEnded
)
