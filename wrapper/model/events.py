"""Events: facts that threads, signal handlers and the performer report; data types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrapper.model.configuration import Evidence, Rendering, Renderings, SavedRenderings
from wrapper.model.gate import GateReport
from wrapper.model.lease import LeaseView
from wrapper.model.pause import Pause


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """The supervisor received a signal."""

    number: int


@dataclass(frozen=True, slots=True)
class ChildExited:
    """Prometheus has exited; ``status`` is as in ``subprocess`` (negative: killed by a signal)."""

    status: int


@dataclass(frozen=True, slots=True)
class WebExited:
    """The web server has exited; ``status`` is as in ``subprocess``."""

    status: int


@dataclass(frozen=True, slots=True)
class WebStarted:
    """The web server has been started."""

    pid: int


@dataclass(frozen=True, slots=True)
class GateStarted:
    """The gate has been started; ``time`` is the wall time, in seconds since 1970."""

    pid: int
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class GateExited:
    """The gate has exited; ``status`` is as in ``subprocess``."""

    status: int


@dataclass(frozen=True, slots=True)
class GateReported:
    """The gate with this process ID has reported its state."""

    pid: int
    report: GateReport


@dataclass(frozen=True, slots=True)
class ReadinessProbed:
    """The result of a readiness probe; ``detail`` is the answer if Prometheus is not ready."""

    is_ready: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthProbed:
    """The result of a health probe; ``detail`` is the answer if Prometheus is not healthy."""

    is_healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseReported:
    """The elector's view of the lease has changed; ``time`` is as in ``GateStarted``."""

    view: LeaseView
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class LeaseAsked:
    """A request to the lease's lock has ended.

    ``is_renewal`` means that the request acquires or renews the lease. ``error`` is the reason of a
    failure as one short word, "" after a success. A write conflict is not an error.
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
    """The inputs were read and are invalid; the last valid configuration stays in force.

    ``problem`` has one line for each problem.
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
class RenderingsSaved:
    """An attempt to save renderings for the next start has ended.

    ``problem`` is why it failed, "" after a success.
    """

    renderings: SavedRenderings
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReloadAnswered:
    """A reload request over HTTP has ended; ``status`` is 0 if Prometheus did not answer.

    ``was_sent`` is false if there was no thread to send it.
    """

    fingerprint: str
    sent_at: float
    status: int
    problem: str = ""
    duration_s: float = 0.0
    was_sent: bool = True


@dataclass(frozen=True, slots=True)
class LoadedObserved:
    """Prometheus has reported what it has loaded."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class FenceChecked:
    """The result of the fencing check.

    ``obstacle`` is why killing the child process would not stop Prometheus, "" if it would.
    """

    obstacle: str


@dataclass(frozen=True, slots=True)
class PodLabelAnswered:
    """A request to set or remove the pod's label has ended.

    ``problem`` is why it failed, "" after a success. ``retry_after_s`` is the delay that the server
    requested.
    """

    problem: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PauseRead:
    """The pause file was read; ``pause`` is None if no pause is in effect."""

    pause: Pause | None


@dataclass(frozen=True, slots=True)
class ChildMeasured:
    """The resource usage of the Prometheus process, by name; in bytes, seconds, or as counts."""

    usage: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ReloadWanted:
    """A thread requests a reload of Prometheus; requests are numbered from 1 up.

    ``has_changed_files`` means that files which Prometheus reads (rules, for example) have changed
    since it last loaded them. A refusal then does not prove that the configuration is invalid.
    """

    number: int
    has_changed_files: bool


@dataclass(frozen=True, slots=True)
class FeedReported:
    """The state of a feed, with the fields of ``FeedState``; ``state["file"]`` is its path."""

    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueueReported:
    """The state of the message broker's queue, with the fields of ``QueueState``."""

    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ThreadEnded:
    """A thread of this program has ended unexpectedly; ``problem`` is the cause."""

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
    | RenderingsSaved
    | ReloadAnswered
    | LoadedObserved
    | FenceChecked
    | PodLabelAnswered
    | PauseRead
    | ChildMeasured
    | ReloadWanted
    | FeedReported
    | QueueReported
    | ThreadEnded
)
