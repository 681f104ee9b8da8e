"""The words of the program: enums and frozen values that its parts hand to each other.

Only shapes belong here, no rules and no I/O. Times named ``…_at`` are seconds on CLOCK_BOOTTIME
(it goes on while the machine sleeps); ``…_time`` is wall time, only for others to read. Durations
end in ``_s``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class Verdict(StrEnum):
    """What became of a reload that was asked for."""

    LOADED = "loaded"
    REFUSED = "refused"  # Prometheus said no
    UNCONFIRMED = "unconfirmed"  # nothing was heard, again and again


class Role(StrEnum):
    """What a replica's Prometheus is configured as."""

    LEADER = "leader"
    FOLLOWER = "follower"


class Stance(StrEnum):
    """What the elector is told to do about the lease."""

    CONTEND = "contend"  # acquire it when free, renew it while held
    HOLD = "hold"  # renew it while held, never acquire it
    RELEASE = "release"  # give it back if held, then only look on


class Cause(StrEnum):
    """Why a replica is what it is: a closed set of words, beside each reason for people."""

    ACQUIRED = "acquired"
    FIXED = "fixed"  # there is no election
    STOPPING = "stopping"
    STEPPING_DOWN = "stepping_down"
    NOT_READY = "not_ready"
    UNHEALTHY = "unhealthy"
    UNFENCED = "unfenced"
    PROMOTION_FAILED = "promotion_failed"
    COOLING_DOWN = "cooling_down"
    GIVEN_BACK = "given_back"  # a release of ours may be on its way
    NOT_RENEWED = "not_renewed"  # in time
    LOST = "lost"  # another has the lease, or nobody
    EXITED = "exited"  # Prometheus has
    THREAD_ENDED = "thread_ended"  # one of this program's own has, by an error


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, in one word for metrics and one sentence for people."""

    cause: Cause
    text: str


# --- the lease ---


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a lease says, in client-go's terms; times are RFC 3339 text with microseconds.

    ``incarnation`` is the process that wrote the record, None where its annotation is missing or
    belongs to another record. ``url`` is where the holder's Prometheus answers, where known.
    """

    holder: str = ""
    duration_s: float = 1.0
    acquire_time: str = ""
    renew_time: str = ""
    transitions: int = 0
    incarnation: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One sight of the lease: its record (None: no such lease) and the version to write over."""

    record: LeaseRecord | None
    version: str | None = None


class LeaseConflict(Exception):
    """Someone else wrote the lease first, or holds the lock: read again."""


class LeaseUnavailable(Exception):
    """The lease cannot be reached or may not be used; the text says what to do about it.

    ``reason`` is one short word for metrics, ``retry_after_s`` what the server asked for,
    ``needs_restart`` says that only a new start of this program and its Prometheus mends it.
    """

    def __init__(
        self,
        message: str,
        reason: str = "error",
        retry_after_s: float = 0.0,
        *,
        needs_restart: bool = False,
    ) -> None:
        """Keep the reason beside the message."""
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.needs_restart = needs_restart


class LeaseLock(Protocol):
    """Where the lease lives. All calls block, none longer than the lock's own request timeout."""

    def describe(self) -> str:
        """Return what this lock is, for people: ``lease NAMESPACE/NAME`` or ``lock file PATH``."""

    def read(self) -> Seen:
        """Return the lease as it is now; raise LeaseUnavailable."""

    def write(self, record: LeaseRecord, version: str | None) -> Seen:
        """Create it (version None) or replace exactly that version.

        A record without a holder is a release. Raise LeaseConflict, LeaseUnavailable.
        """

    def watch(self, seen: Seen, on_change: Callable[[Seen | None], None]) -> None:
        """Report changes after ``seen`` until the watch ends or fails (then it raises).

        ``None`` is reported where something has changed but has to be read.
        """

    def close(self) -> None:
        """End a watch that is running in another thread; harmless when none is."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What this candidate knows of the lease.

    ``renewed_at`` is when its last acknowledged write was *sent*, None while it does not hold the
    lease. ``free_at`` is when the lease counts as expired on this candidate's own clock.
    ``is_unwritable`` says that the last write failed, and that nobody else has written since,
    ``needs_restart`` that only a new start mends the ``problem``.
    """

    seen: Seen | None = None  # None: not read yet, or out of date
    last: LeaseRecord | None = None  # the last record seen, also when ``seen`` is out of date
    heard_at: float = 0.0
    changed_at: float = 0.0
    free_at: float = 0.0
    renewed_at: float | None = None
    released_at: float | None = None
    request_at: float = 0.0  # no request before this
    failures: int = 0
    problem: str = ""  # why the last request, or write, failed; "" when it did not
    needs_restart: bool = False
    is_unwritable: bool = False
    sent: LeaseRecord | None = None  # our last write, while it is not acknowledged
    sent_at: float = 0.0

    @property
    def holder(self) -> str:
        """The identity that the last record names, "" for none."""
        return self.last.holder if self.last else ""


# --- configuration ---


@dataclass(frozen=True, slots=True)
class Rendering:
    """The bytes that Prometheus reads in one role, and what is needed to recognise them.

    ``fingerprint`` is the SHA-256 of ``content`` in hex; ``writes_remotely`` says that it has a
    non-empty ``remote_write``.
    """

    role: Role
    content: bytes = field(repr=False, compare=False)
    fingerprint: str
    writes_remotely: bool


@dataclass(frozen=True, slots=True)
class Renderings:
    """Both renderings of one input."""

    follower: Rendering
    leader: Rendering

    def of(self, role: Role) -> Rendering:
        """Return the rendering of a role; without overrides, a leader's is the follower's."""
        return self.leader if role is Role.LEADER and self.has_overrides else self.follower

    @property
    def has_overrides(self) -> bool:
        """Whether the leader reads anything else than a follower."""
        return self.leader.fingerprint != self.follower.fingerprint


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for the next start.

    ``good`` are the renderings of the last input that Prometheus had in force, in either role;
    ``leader`` is what it last had in force while leading, None where that is ``good``'s.
    """

    good: Renderings
    leader: Rendering | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Prometheus says that it has loaded.

    ``image`` is a hash of ``/api/v1/status/config`` and ``writes_remotely`` whether a remote_write
    stands in it; ``is_successful`` and ``success_time`` are its
    ``prometheus_config_last_reload_*`` metrics; ``asked_at`` is before the first was asked.
    """

    image: str
    writes_remotely: bool
    is_successful: bool
    success_time: float
    asked_at: float


# --- events: facts that threads, signals and performed actions report ---


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


# --- actions: what the supervisor's performer is told to do ---


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


# --- what the web side is told ---


NOBODY, NOT_KNOWN = "nobody", "not known"


def named(leader: str | None) -> str:
    """Return a leader's name for people: "" is nobody, None is not known."""
    return NOT_KNOWN if leader is None else leader or NOBODY


LONGEST_HISTORY_S = 7 * 86400.0  # what is older is neither kept nor drawn


class HandOver(NamedTuple):
    """A change of the leader as seen from here, and why: "" is nobody, None is not known."""

    time: float
    leader: str | None
    previous: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the supervisor tells the web side, as of ``stamped_at``.

    Everything in it is plain enough for JSON. ``leads_until_at`` is when leadership ends unless it
    is renewed, None for a follower that does not lead. ``prometheus_url`` is this replica's own
    Prometheus, ``holder_url`` the leader's where its lease says so. ``configuration_time`` is when
    what is said of the configuration became so, ``wanted_fingerprint`` what this replica should
    read in its role; ``configuration_problem`` has a line for each. ``pod_is_labelled`` is None
    where no label is kept, or it is not known. ``counters`` are totals since the supervisor
    started, by metric name; ``usage`` is what the child was last measured to use. ``targets`` has
    a mapping for each file that is fetched (``feeds``), and for the broker's queue, if any
    (``queue``): the fields of ``FeedState`` and ``QueueState``.
    """

    stamped_at: float
    identity: str
    role: Role
    reason: str
    election: str
    is_ready: bool
    is_healthy: bool
    is_stopping: bool
    leads_until_at: float | None
    lease_expires_at: float | None
    holder: str
    holder_url: str
    lease_transitions: int
    lease_problem: str
    last_transition_time: float
    prometheus_url: str
    child_pid: int | None
    child_start_time: float | None
    configuration_is_valid: bool
    configuration_problem: str
    configuration_time: float
    follower_fingerprint: str
    leader_fingerprint: str
    wanted_fingerprint: str
    written_role: str
    written_fingerprint: str
    loaded_fingerprint: str
    may_write: bool
    pod_is_labelled: bool | None
    counters: Mapping[str, float]
    usage: Mapping[str, float]
    targets: Mapping[str, Any] = field(default_factory=dict)

    # For those who are on call. ``remote_write_is_loaded`` is None while that is not known,
    # ``history`` begins with the oldest.
    cause: Cause = Cause.LOST
    start_time: float = 0.0
    lease_duration_s: float = 0.0
    lease_renew_deadline_s: float = 0.0
    remote_write_is_loaded: bool | None = None
    history: tuple[HandOver, ...] = ()
    paused_until_time: float | None = None
    needs_restart: bool = False  # nothing else mends ``lease_problem``: liveness fails
    holder_is_overdue: bool = False  # it may have gone, and is waited for as good as for ever
    failure: str = ""  # why this program leaves unasked, and liveness fails

    def leads(self, now: float) -> bool:
        """Tell whether this replica leads at ``now``, by the lease that the snapshot knows of."""
        return self.leads_until_at is not None and now < self.leads_until_at
