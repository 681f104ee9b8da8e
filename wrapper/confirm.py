"""Which rendering Prometheus has in force: what may be, and what is proven; pure.

A rendering that stood in the output file is a *candidate* from the moment it may be renamed into
place until another is proven to be in force. Proof is by content, never by a timestamp alone, since
someone else's reload may have been under way (`facts`: reload times prove nothing):

- what Prometheus shows can only be that candidate, *read since the rename*: every other one is
  excluded by having a remote_write where it shows none (or none where it shows one), or by a known
  other image, and the candidate itself was not in force before, or something else has been seen in
  force in between. (A promotion that is taken back at once finds the follower's configuration shown
  from before, while a reload that has read the leader's is still under way.) Or
- a 200 to our own request, sent after the rename; or
- two reloads have succeeded since, one after the other: the second began after the rename.

Reloads run one after the other in Prometheus, so what was read before the rename is over with each
of these. Nothing is proven while a rendering is on its way into the file. Where it ends: someone
else who writes the output file is not seen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from wrapper.model import Evidence, ReloadAnswered, Rendering, Role

REFUSED = "Prometheus refused to load it, or a part of it; its own log says why"
_HTTP_OK = 200
_KNOWN_IMAGES = 16
_PROVING_SUCCESSES = 2


class Outcome(StrEnum):
    """How far the rendering in the output file has come."""

    PENDING = "pending"
    LOADED = "loaded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Loading:
    """What stands in the output file, what may be in force, and what is known of both.

    ``candidates`` have stood in the file, ``incoming`` is on its way into it. ``is_fresh`` says
    that what looks like the written rendering can only have been read since the rename;
    ``settled_at`` is since when it is known to be in force. ``successes`` counts the changes of
    Prometheus' success time seen since the rename; ``images`` maps fingerprints to what Prometheus
    showed when it had them in force.
    """

    written: Rendering | None = None
    incoming: Rendering | None = None
    candidates: tuple[Rendering, ...] = ()
    outcome: Outcome = Outcome.PENDING
    problem: str = ""
    written_at: float = 0.0
    is_fresh: bool = False
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
    def wants_evidence(self) -> bool:
        """Whether asking Prometheus what it has loaded would tell something new."""
        if self.written is None:
            return False
        is_unproven = not self.is_settled or self.outcome is not Outcome.LOADED
        return is_unproven or self.written.fingerprint not in self.images

    @property
    def wants_barrier(self) -> bool:
        """Whether content cannot tell, and one more reload would."""
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
        written_at=now,
        settled_at=now,
        reload_sent_at=now,
        reloads_sent=1,
    )


def write_started(loading: Loading, rendering: Rendering) -> Loading:
    """Count a rendering as possibly in force: from here on it may be loaded."""
    return replace(loading, incoming=rendering)


def write_failed(loading: Loading) -> Loading:
    """Note that the incoming rendering never came into the file."""
    return replace(loading, incoming=None)


def written(loading: Loading, rendering: Rendering, now: float) -> Loading:
    """Note that a rendering stands in the file and awaits a reload."""
    return replace(
        loading,
        written=rendering,
        candidates=(*_others(loading, rendering), rendering),
        incoming=None,
        outcome=Outcome.PENDING,
        problem="",
        written_at=now,
        is_fresh=_is_news(loading, rendering),
        reload_sent_at=None,
        reloads_sent=0,
        successes=-1,
    )


def _others(loading: Loading, rendering: Rendering) -> tuple[Rendering, ...]:
    return tuple(c for c in loading.candidates if c.fingerprint != rendering.fingerprint)


def _is_news(loading: Loading, rendering: Rendering) -> bool:
    """Tell whether something else than this rendering is known to be in force at its rename."""
    if len(_others(loading, rendering)) == len(loading.candidates):
        return True
    seen = loading.evidence
    if seen is None or seen.asked_at < loading.written_at:
        return False
    return not _may_be(loading, rendering, seen)


def reload_sent(loading: Loading, now: float) -> Loading:
    """Note that Prometheus was told to reload."""
    return replace(loading, reload_sent_at=now, reloads_sent=loading.reloads_sent + 1)


def answered(loading: Loading, answer: ReloadAnswered, now: float) -> Loading:
    """Fold in the answer to a reload request of ours; ``status`` 0 is none and proves nothing."""
    target = loading.written
    if target is None or loading.incoming is not None or answer.sent_at < loading.written_at:
        return loading
    if answer.fingerprint != target.fingerprint:
        return loading
    if answer.status == _HTTP_OK:
        settled = replace(loading, outcome=Outcome.LOADED, problem="")
        return _narrow(settled, target, now)
    if answer.status:
        return replace(loading, outcome=Outcome.FAILED, problem=answer.problem)
    return replace(loading, problem=answer.problem)


def observed(loading: Loading, evidence: Evidence) -> Loading:
    """Fold in what Prometheus shows; what was asked before the rename tells nothing of it."""
    target = loading.written
    if target is None or loading.incoming is not None or evidence.asked_at < loading.written_at:
        return loading
    before = loading.evidence
    differs = not _may_be(loading, target, evidence)
    loading = replace(
        _count_success(loading, evidence),
        evidence=evidence,
        is_fresh=loading.is_fresh or differs,
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
    """Tell whether what Prometheus shows is this rendering, read since its rename, and no other."""
    if loading.is_settled:
        return evidence.asked_at > loading.settled_at
    if not loading.is_fresh or not _may_be(loading, target, evidence):
        return False
    return not any(_may_be(loading, other, evidence) for other in _others(loading, target))


def _may_be(loading: Loading, candidate: Rendering | None, evidence: Evidence) -> bool:
    """Tell whether what Prometheus shows can be this rendering."""
    if candidate is None or candidate.writes_remotely != evidence.writes_remotely:
        return False
    return loading.images.get(candidate.fingerprint, evidence.image) == evidence.image


def _note_refusal(loading: Loading, before: Evidence | None, evidence: Evidence) -> Loading:
    """Note a reload that failed since the last look; Prometheus' own log has the reason."""
    turned = before is not None and before.is_successful and not evidence.is_successful
    if turned and loading.reloads_sent:
        return replace(loading, outcome=Outcome.FAILED, problem=REFUSED)
    return loading


def _settle(
    loading: Loading, target: Rendering, before: Evidence | None, evidence: Evidence
) -> Loading:
    """Drop the other candidates, as far as the reload's own success allows.

    A reload that failed in a part (a rule file) has applied remote_write all the same, unless it is
    remote_write itself that could not be set up: so without success, only a rendering that has
    none is known to be in force.
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
    return replace(loading, candidates=(target,), settled_at=settled_at)
