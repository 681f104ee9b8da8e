"""Tracks which rendering Prometheus may have in force, and which one it certainly has; pure.

A write replaces the output file atomically, by a rename. A rendering is *possibly in force* from
the decision to write it until another rendering is proven to be in force. A timestamp alone proves
nothing, because another program's reload may be in progress: Prometheus (2.42, 2.53 and 3.5) then
reported a success that was newer than our own request, while the old remote_write continued for
3 s. Each of these proves that a rendering is in force:

- Prometheus shows its content, and can have read it only *after the rename*.
- Prometheus answered 200 to our own reload request, which was sent after the rename.
- Two successive reloads have succeeded since the rename: the second began after the rename.

Reloads do not overlap, so what Prometheus shows follows the order of the renames and never goes
back: each answer excludes all renames before the first that matches it. Example of content that
proves nothing: a promotion is reverted at once, and Prometheus still shows the earlier follower's
configuration, while a reload that has read the leader's is in progress.

Two renderings are distinguished by whether they have a remote_write, and by their *shown hashes*
if known: the hash of what Prometheus showed while the rendering was in force. It is recorded each
time that a rendering comes into force, because it may differ: Prometheus 2.53 shows the
``runtime.gogc`` of one configuration also for the next one, which has none.

Guarantee: once a rendering is proven to be in force, nothing that was read before its rename is in
force. Nothing is proven while a rendering is being written to the file.

What Prometheus shows (``/api/v1/status/config``) is the configuration that it has *read*, not the
one that it sends with. If its remote storage refuses a configuration (a missing CA file), it
answers 500 and reports that the reload failed. It shows the new configuration, while the old queues
continue to send: Prometheus 2.42, 2.53 and 3.16, see
``findings/prometheus-shows-a-configuration-that-it-refused.sh``. So content proves something only
together with a successful reload. One exception: a rendering without remote_write leaves no queue,
because what can fail after that is not the storage (``_settle``).

Limitation: a write of the output file by another program is not detected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from wrapper.model.configuration import Evidence, Rendering
from wrapper.model.events import ReloadAnswered
from wrapper.model.roles import Role

REFUSED = "Prometheus refused to load it, or a part of it; see the log of Prometheus"
_HTTP_OK = 200
_HTTP_REFUSED = 500
_KNOWN_HASHES = 16
_PROVING_SUCCESSES = 2


class Outcome(StrEnum):
    """The result of loading the rendering in the output file."""

    PENDING = "pending"
    LOADED = "loaded"
    FAILED = "failed"  # the reload did not take place
    REFUSED = "refused"  # by Prometheus, in whole or in part


@dataclass(frozen=True, slots=True)
class LoadState:
    """What the output file contains, and what Prometheus may have in force.

    - ``written``: the rendering in the output file; None if Prometheus reads its own file.
    - ``incoming``: the rendering that is being written, None if none is.
    - ``possibly_in_force``: the renderings that may be in force.
    - ``outcome``, ``problem``: the result of loading ``written``.
    - ``written_at``: when ``written`` was written.
    - ``possibly_shown``: the renamed renderings in their order, from the first that Prometheus may
      still show.
    - ``settled_at``: since when ``written`` is known to be in force.
    - ``reload_sent_at``, ``reloads_sent``: the last reload request, and the number of requests,
      since the rename; ``is_unsent``: there was no thread to send the last one.
    - ``successes``: how often Prometheus' time of the last successful reload was seen to change
      since the rename; -1 before the first answer.
    - ``evidence``: the last answer of Prometheus.
    - ``shown_hashes``: by fingerprint, the hash of what Prometheus showed while that rendering was
      in force.
    """

    written: Rendering | None = None
    incoming: Rendering | None = None
    possibly_in_force: tuple[Rendering, ...] = ()
    outcome: Outcome = Outcome.PENDING
    problem: str = ""
    written_at: float = 0.0
    possibly_shown: tuple[Rendering, ...] = ()
    settled_at: float = 0.0
    reload_sent_at: float | None = None
    reloads_sent: int = 0
    is_unsent: bool = False
    successes: int = -1
    evidence: Evidence | None = None
    shown_hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def may_be_leader(self) -> bool:
        """Whether a leader rendering may be in force."""
        is_coming = self.incoming is not None and self.incoming.role is Role.LEADER
        return is_coming or any(each.role is Role.LEADER for each in self.possibly_in_force)

    @property
    def may_be_follower(self) -> bool:
        """Whether a follower rendering may be in force."""
        return any(each.role is Role.FOLLOWER for each in self.possibly_in_force)

    @property
    def is_settled(self) -> bool:
        """Whether the written rendering is known to be the one in force."""
        is_sole = self.written is not None and self.possibly_in_force == (self.written,)
        return is_sole and self.incoming is None

    @property
    def is_loaded(self) -> bool:
        """Whether the written rendering is completely in force."""
        return self.is_settled and self.outcome is Outcome.LOADED

    @property
    def is_reloading(self) -> bool:
        """Whether a reload of the written rendering may be in progress."""
        is_pending = self.written is not None and self.outcome is Outcome.PENDING
        return is_pending and bool(self.reloads_sent)

    @property
    def wants_evidence(self) -> bool:
        """Whether to query what Prometheus has loaded."""
        if self.written is None:
            return False
        return not self.is_loaded or self.written.fingerprint not in self.shown_hashes

    @property
    def needs_another_reload(self) -> bool:
        """Whether the content proves nothing, but another reload would give a proof."""
        seen, target = self.evidence, self.written
        if seen is None or target is None or seen.asked_at < self.written_at:
            return False
        is_ambiguous = _may_be(self, target, seen) and not _shows(self, target, seen)
        return is_ambiguous and not self.is_settled


def started_with(rendering: Rendering, now: float) -> LoadState:
    """Return the state of a Prometheus that was started with this rendering in the output file."""
    return LoadState(
        written=rendering,
        possibly_in_force=(rendering,),
        possibly_shown=(rendering,),
        written_at=now,
        settled_at=now,
        reload_sent_at=now,
        reloads_sent=1,
    )


def write_started(loading: LoadState, rendering: Rendering) -> LoadState:
    """Return the state after the decision to write a rendering: Prometheus may load it from now."""
    return replace(loading, incoming=rendering)


def write_failed(loading: LoadState) -> LoadState:
    """Return the state after the incoming rendering could not be written."""
    return replace(loading, incoming=None)


def written(loading: LoadState, rendering: Rendering, now: float) -> LoadState:
    """Return the state after a rendering was written; it is not loaded yet."""
    return replace(
        loading,
        written=rendering,
        possibly_in_force=(*_others(loading, rendering), rendering),
        incoming=None,
        outcome=Outcome.PENDING,
        problem="",
        written_at=now,
        possibly_shown=(*loading.possibly_shown, rendering),
        reload_sent_at=None,
        reloads_sent=0,
        successes=-1,
        shown_hashes={
            fingerprint: shown_hash
            for fingerprint, shown_hash in loading.shown_hashes.items()
            if fingerprint != rendering.fingerprint
        },
    )


def _others(loading: LoadState, rendering: Rendering) -> tuple[Rendering, ...]:
    return tuple(c for c in loading.possibly_in_force if c.fingerprint != rendering.fingerprint)


def reload_sent(loading: LoadState, now: float) -> LoadState:
    """Return the state after a reload request was sent."""
    number = loading.reloads_sent + 1
    return replace(loading, reload_sent_at=now, reloads_sent=number, is_unsent=False)


def answered(loading: LoadState, answer: ReloadAnswered, now: float) -> LoadState:
    """Return the state after the answer to our reload request; no answer (0) proves nothing."""
    target = loading.written
    if target is None or loading.incoming is not None or answer.sent_at < loading.written_at:
        return loading
    if answer.fingerprint != target.fingerprint:
        return loading
    if answer.status == _HTTP_OK:
        settled = replace(loading, outcome=Outcome.LOADED, problem="")
        return _narrow(settled, target, now)
    if answer.status:
        return _not_loaded(loading, answer)
    is_unsent = loading.is_unsent or not answer.was_sent
    return replace(loading, problem=answer.problem, is_unsent=is_unsent)


def _not_loaded(loading: LoadState, answer: ReloadAnswered) -> LoadState:
    """Return the state after an error response.

    The metrics show the same refusal later; ``evidence`` is changed so that it does not count as
    another one.
    """
    if answer.status != _HTTP_REFUSED:
        return replace(loading, outcome=Outcome.FAILED, problem=answer.problem)
    seen = loading.evidence and replace(loading.evidence, is_successful=False)
    return replace(loading, outcome=Outcome.REFUSED, problem=answer.problem, evidence=seen)


def observed(loading: LoadState, evidence: Evidence) -> LoadState:
    """Return the state after Prometheus was queried.

    An answer that was requested before the rename proves nothing.
    """
    target = loading.written
    if target is None or loading.incoming is not None or evidence.asked_at < loading.written_at:
        return loading
    before = loading.evidence
    loading = replace(
        _count_success(loading, evidence),
        evidence=evidence,
        possibly_shown=_since_shown(loading, evidence),
    )
    if not _is_proven(loading, target, evidence):
        return _note_refusal(loading, before, evidence)
    return _settle(loading, target, before, evidence)


def _count_success(loading: LoadState, evidence: Evidence) -> LoadState:
    if loading.successes < 0 or loading.evidence is None:
        return replace(loading, successes=0)
    is_new = evidence.success_time != loading.evidence.success_time
    return replace(loading, successes=loading.successes + is_new)


def _is_proven(loading: LoadState, target: Rendering, evidence: Evidence) -> bool:
    has_reloaded_twice = loading.successes >= _PROVING_SUCCESSES
    return loading.is_settled or has_reloaded_twice or _shows(loading, target, evidence)


def _shows(loading: LoadState, target: Rendering, evidence: Evidence) -> bool:
    """Return whether Prometheus shows this rendering, and has read it after its rename."""
    if loading.is_settled:
        return evidence.asked_at > loading.settled_at
    return loading.possibly_shown == (target,) and _may_be(loading, target, evidence)


def _since_shown(loading: LoadState, evidence: Evidence) -> tuple[Rendering, ...]:
    """Return the renamed renderings, from the first that matches what Prometheus shows."""
    for number, rendering in enumerate(loading.possibly_shown):
        if _may_be(loading, rendering, evidence):
            return loading.possibly_shown[number:]
    return loading.possibly_shown


def _may_be(loading: LoadState, rendering: Rendering | None, evidence: Evidence) -> bool:
    """Return whether Prometheus may be showing this rendering."""
    if rendering is None or rendering.writes_remotely != evidence.writes_remotely:
        return False
    return (
        loading.shown_hashes.get(rendering.fingerprint, evidence.shown_hash) == evidence.shown_hash
    )


def _note_refusal(loading: LoadState, before: Evidence | None, evidence: Evidence) -> LoadState:
    """Return the state, marked as refused if a reload has failed since the last answer.

    Only Prometheus' own log has the reason. Before the first answer, the last reload counts as
    successful: a Prometheus that answers has loaded the file that it was started with.
    """
    was_successful = before is None or before.is_successful
    if was_successful and not evidence.is_successful and loading.reloads_sent:
        return replace(loading, outcome=Outcome.REFUSED, problem=REFUSED)
    return loading


def _settle(
    loading: LoadState, target: Rendering, before: Evidence | None, evidence: Evidence
) -> LoadState:
    """Return the state in which only this rendering is in force, if the reload succeeded.

    A reload that failed in one part (a rule file) has still applied remote_write (Prometheus 2.42,
    2.53 and 3.5), unless remote_write itself could not be set up. So after a failure, only a
    rendering without remote_write is known to be in force.
    """
    is_new = before is None or evidence.success_time != before.success_time
    has_succeeded = (
        evidence.is_successful
        and evidence.success_time > 0
        and (is_new or loading.successes > 0 or loading.outcome is Outcome.LOADED)
    )
    if not has_succeeded:
        loading = _note_refusal(loading, before, evidence)
        return loading if target.writes_remotely else _narrow(loading, target, evidence.asked_at)
    shown_hashes = loading.shown_hashes
    if _shows(loading, target, evidence):
        kept = [*shown_hashes.items(), (target.fingerprint, evidence.shown_hash)]
        shown_hashes = dict(kept[-_KNOWN_HASHES:])
    loaded = replace(loading, outcome=Outcome.LOADED, problem="", shown_hashes=shown_hashes)
    return _narrow(loaded, target, evidence.asked_at)


def _narrow(loading: LoadState, target: Rendering, settled_at: float) -> LoadState:
    """Return the state in which this rendering is certainly in force, and no other."""
    if loading.is_settled:
        return loading
    return replace(
        loading, possibly_in_force=(target,), possibly_shown=(target,), settled_at=settled_at
    )
