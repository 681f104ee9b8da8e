"""Events: facts that threads, signals and performed actions report; shapes only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrapper.model.configuration import Evidence, Kept, Rendering, Renderings
from wrapper.model.lease import LeaseView


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """A signal reached the supervisor."""

    number: int


@dataclass(frozen=True, slots=True)
class ChildExited:
    """Prometheus has ended; ``status`` as ``subprocess`` gives it (negative: by a signal)."""

    status: int


@dataclass(frozen=True, slots=True)
class WebExited:
    """The web server has ended."""

    status: int


@dataclass(frozen=True, slots=True)
class WebStarted:
    """The web server has been started."""

    pid: int


@dataclass(frozen=True, slots=True)
class ReadinessProbed:
    """Prometheus was asked whether it is ready; ``detail`` is its answer when it is not."""

    is_ready: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthProbed:
    """Prometheus was asked whether it is healthy; ``detail`` is what was wrong."""

    is_healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseReported:
    """The elector's knowledge of the lease has changed."""

    view: LeaseView


@dataclass(frozen=True, slots=True)
class LeaseAsked:
    """A request about the lease has ended; ``error`` is one short word, "" for success.

    ``is_renewal``: it would acquire or renew. Whoever else was faster is no error.
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
    """The inputs were read and cannot be used; the last good ones stay in force.

    ``problem`` is a line for each that is wrong with them.
    """

    problem: str


@dataclass(frozen=True, slots=True)
class RenderingWritten:
    """A rendering stands in the output file."""

    rendering: Rendering


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """A rendering could not be written; the old file is unchanged."""

    rendering: Rendering
    problem: str


@dataclass(frozen=True, slots=True)
class RenderingsKept:
    """Renderings were kept for the next start; ``problem`` is why they could not be, or ""."""

    kept: Kept
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReloadAnswered:
    """Prometheus answered our reload request, or nothing came (``status`` 0)."""

    fingerprint: str
    sent_at: float
    status: int
    problem: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadedObserved:
    """Prometheus was asked what it has loaded."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class FenceChecked:
    """It was checked whether killing the child ends what writes; ``obstacle`` says why not."""

    obstacle: str


@dataclass(frozen=True, slots=True)
class PodLabelAnswered:
    """The request about the pod's label has ended; ``problem`` is why it failed."""

    problem: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A time out of the election that was asked for; ``until_time`` is its end as wall time."""

    until_at: float
    until_time: float


@dataclass(frozen=True, slots=True)
class PauseRead:
    """It was read whether this replica is to keep out of the election."""

    pause: Pause | None


@dataclass(frozen=True, slots=True)
class ChildMeasured:
    """The child's use of the machine, by name (bytes, seconds, counts)."""

    usage: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ReloadWanted:
    """Something that Prometheus reads beside its configuration has changed, or somebody asks.

    ``has_changed_files``: files are not as they were when Prometheus last loaded them, so that a
    refusal would say nothing about the configuration. Requests are numbered from 1 up.
    """

    number: int
    has_changed_files: bool


@dataclass(frozen=True, slots=True)
class FeedReported:
    """A file was fetched, or could not be; ``state`` says how that goes, its ``file`` which."""

    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueueReported:
    """The broker's queue was heard, or could not be; ``state`` says how that goes."""

    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ActorEnded:
    """A thread of this program has ended that should not have; ``problem`` says how."""

    name: str
    problem: str


Event = (
    SignalReceived
    | ChildExited
    | WebExited
    | WebStarted
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
