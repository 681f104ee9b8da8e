"""Which rendering Prometheus has in force: what may be, and what is proven; pure.

A rendering is a *candidate* from the moment it may be renamed to the output file until another is
proven to be in force. Proof is by content, never by a timestamp alone, since someone else's reload
may have been under way: Prometheus (2.42, 2.53 and 3.5 behave alike) then reported a success newer
than our own request, while the old remote_write went on for 3 s. One of these is proof:

- What Prometheus shows can only be that candidate, *read after the rename*. Reloads run one after
  the other, so what it shows follows the renames in their order and never goes back; each answer
  excludes all renames before the first that matches it. Renderings are told apart by whether they
  have a remote_write, and by their images once known. (If a promotion is reverted at once,
  Prometheus still shows the follower's configuration from before, while a reload that has read the
  leader's is still under way: that proves nothing.) An image is learned each time that a rendering
  comes into force, since it may be another one then: Prometheus 2.53 shows the ``runtime.gogc`` of
  one configuration also for the next one, which has none.
- A 200 to our own request, sent after the rename.
- Two reloads have succeeded since, one after the other: the second began after the rename.

Each of these means that whatever was read before the rename is no longer in force. Nothing is
proven while a rendering is being written to the file.

What Prometheus shows (``/api/v1/status/config``) is what it has *read*, not what sends. If its
remote storage refuses a configuration (a missing CA file), it answers 500, reports that the reload
failed, and shows the new configuration while the old queues go on sending: Prometheus 2.42, 2.53
and 3.16, see ``findings/prometheus-shows-a-configuration-that-it-refused.sh``. So content counts
only together with a success, with one exception: a rendering without remote_write leaves no queue,
since what can fail after that is not the storage (``_settle``).

Limit: if someone else writes the output file, this is not noticed.
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
_KNOWN_IMAGES = 16
_PROVING_SUCCESSES = 2


class Outcome(StrEnum):
    """Whether the rendering in the output file is loaded."""

    PENDING = "pending"
    LOADED = "loaded"
    FAILED = "failed"  # the reload did not take place
    REFUSED = "refused"  # by Prometheus, in whole or in part


@dataclass(frozen=True, slots=True)
class Loading:
    """What the output file holds, and what Prometheus may have in force.

    ``candidates`` may be in force, ``incoming`` is being written. ``showable`` are the renames in
    their order, from the first that Prometheus may still show; ``settled_at`` is since when the
    written rendering is known to be in force. ``successes`` counts the changes of Prometheus'
    success time seen since the rename; ``images`` maps fingerprints to what Prometheus showed when
    it had them in force.
    """

    written: Rendering | None = None
    incoming: Rendering | None = None
    candidates: tuple[Rendering, ...] = ()
    outcome: Outcome = Outcome.PENDING
    problem: str = ""
    written_at: float = 0.0
    showable: tuple[Rendering, ...] = ()
    settled_at: float = 0.0
    reload_sent_at: float | None = None
    reloads_sent: int = 0
    successes: int = -1
    evidence: Evidence | None = None
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def may_be_leader(self) -> bool:
        """Whether a leader rendering may be in force."""
        is_coming = self.incoming is not None and self.incoming.role is Role.LEADER
        return is_coming or any(candidate.role is Role.LEADER for candidate in self.candidates)

    @property
    def may_be_follower(self) -> bool:
        """Whether a follower rendering may be in force."""
        return any(candidate.role is Role.FOLLOWER for candidate in self.candidates)

    @property
    def is_settled(self) -> bool:
        """Whether the written rendering is known to be the one in force."""
        is_sole = self.written is not None and self.candidates == (self.written,)
        return is_sole and self.incoming is None

    @property
    def is_loaded(self) -> bool:
        """Whether the written rendering is completely in force."""
        return self.is_settled and self.outcome is Outcome.LOADED

    @property
    def is_reloading(self) -> bool:
        """Whether a reload of the written rendering may be under way."""
        is_pending = self.written is not None and self.outcome is Outcome.PENDING
        return is_pending and bool(self.reloads_sent)

    @property
    def wants_evidence(self) -> bool:
        """Whether to ask Prometheus what it has loaded."""
        if self.written is None:
            return False
        return not self.is_loaded or self.written.fingerprint not in self.images

    @property
    def wants_barrier(self) -> bool:
        """Whether content proves nothing, and one more reload would."""
        seen, target = self.evidence, self.written
        if seen is None or target is None or seen.asked_at < self.written_at:
            return False
        is_ambiguous = _may_be(self, target, seen) and not _shows(self, target, seen)
        return is_ambiguous and not self.is_settled


def started_with(rendering: Rendering, now: float) -> Loading:
    """Return the state of a Prometheus that was started with this rendering in its file."""
    return Loading(
        written=rendering,
        candidates=(rendering,),
        showable=(rendering,),
        written_at=now,
        settled_at=now,
        reload_sent_at=now,
        reloads_sent=1,
    )


def write_started(loading: Loading, rendering: Rendering) -> Loading:
    """Count a rendering as possibly in force: it may be loaded from now on."""
    return replace(loading, incoming=rendering)


def write_failed(loading: Loading) -> Loading:
    """Note that the incoming rendering was not written."""
    return replace(loading, incoming=None)


def written(loading: Loading, rendering: Rendering, now: float) -> Loading:
    """Note that a rendering was written and awaits a reload."""
    return replace(
        loading,
        written=rendering,
        candidates=(*_others(loading, rendering), rendering),
        incoming=None,
        outcome=Outcome.PENDING,
        problem="",
        written_at=now,
        showable=(*loading.showable, rendering),
        reload_sent_at=None,
        reloads_sent=0,
        successes=-1,
        images={
            fingerprint: image
            for fingerprint, image in loading.images.items()
            if fingerprint != rendering.fingerprint
        },
    )


def _others(loading: Loading, rendering: Rendering) -> tuple[Rendering, ...]:
    return tuple(c for c in loading.candidates if c.fingerprint != rendering.fingerprint)


def reload_sent(loading: Loading, now: float) -> Loading:
    """Note that Prometheus was asked to reload."""
    return replace(loading, reload_sent_at=now, reloads_sent=loading.reloads_sent + 1)


def answered(loading: Loading, answer: ReloadAnswered, now: float) -> Loading:
    """Fold in the answer to our reload request; ``status`` 0, no answer, proves nothing."""
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
    return replace(loading, problem=answer.problem)


def _not_loaded(loading: Loading, answer: ReloadAnswered) -> Loading:
    """Note why it is not loaded; the same refusal in later metrics is not a second one."""
    if answer.status != _HTTP_REFUSED:
        return replace(loading, outcome=Outcome.FAILED, problem=answer.problem)
    seen = loading.evidence and replace(loading.evidence, is_successful=False)
    return replace(loading, outcome=Outcome.REFUSED, problem=answer.problem, evidence=seen)


def observed(loading: Loading, evidence: Evidence) -> Loading:
    """Fold in what Prometheus shows; an answer from before the rename proves nothing."""
    target = loading.written
    if target is None or loading.incoming is not None or evidence.asked_at < loading.written_at:
        return loading
    before = loading.evidence
    loading = replace(
        _count_success(loading, evidence),
        evidence=evidence,
        showable=_since_shown(loading, evidence),
    )
    if not _is_proven(loading, target, evidence):
        return _note_refusal(loading, before, evidence)
    return _settle(loading, target, before, evidence)


def _count_success(loading: Loading, evidence: Evidence) -> Loading:
    if loading.successes < 0 or loading.evidence is None:
        return replace(loading, successes=0)
    is_new = evidence.success_time != loading.evidence.success_time
    return replace(loading, successes=loading.successes + is_new)


def _is_proven(loading: Loading, target: Rendering, evidence: Evidence) -> bool:
    has_reloaded_twice = loading.successes >= _PROVING_SUCCESSES
    return loading.is_settled or has_reloaded_twice or _shows(loading, target, evidence)


def _shows(loading: Loading, target: Rendering, evidence: Evidence) -> bool:
    """Tell whether Prometheus shows this rendering, read after its rename."""
    if loading.is_settled:
        return evidence.asked_at > loading.settled_at
    return loading.showable == (target,) and _may_be(loading, target, evidence)


def _since_shown(loading: Loading, evidence: Evidence) -> tuple[Rendering, ...]:
    """Return the renames from the first that matches what is shown."""
    for number, rendering in enumerate(loading.showable):
        if _may_be(loading, rendering, evidence):
            return loading.showable[number:]
    return loading.showable


def _may_be(loading: Loading, candidate: Rendering | None, evidence: Evidence) -> bool:
    """Tell whether this rendering may be what Prometheus shows."""
    if candidate is None or candidate.writes_remotely != evidence.writes_remotely:
        return False
    return loading.images.get(candidate.fingerprint, evidence.image) == evidence.image


def _note_refusal(loading: Loading, before: Evidence | None, evidence: Evidence) -> Loading:
    """Note a reload that failed since the last answer; Prometheus' own log has the reason.

    A Prometheus that answers at all has loaded the file that it was started with.
    """
    was_successful = before is None or before.is_successful
    if was_successful and not evidence.is_successful and loading.reloads_sent:
        return replace(loading, outcome=Outcome.REFUSED, problem=REFUSED)
    return loading


def _settle(
    loading: Loading, target: Rendering, before: Evidence | None, evidence: Evidence
) -> Loading:
    """Drop the other candidates, if the reload succeeded.

    A reload that failed in one part (a rule file) has still applied remote_write (Prometheus 2.42,
    2.53 and 3.5), unless remote_write itself could not be set up: so without success, only a
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
    images = loading.images
    if _shows(loading, target, evidence):
        kept = [*images.items(), (target.fingerprint, evidence.image)]
        images = dict(kept[-_KNOWN_IMAGES:])
    loaded = replace(loading, outcome=Outcome.LOADED, problem="", images=images)
    return _narrow(loaded, target, evidence.asked_at)


def _narrow(loading: Loading, target: Rendering, settled_at: float) -> Loading:
    """Note that this rendering is in force, and no other can be."""
    if loading.is_settled:
        return loading
    return replace(loading, candidates=(target,), showable=(target,), settled_at=settled_at)
