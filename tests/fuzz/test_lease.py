"""A Lease with any content of another writer: two candidates still follow the rules.

The known effect of a writer of the Lease is this: after a forged release, or a short duration with
another holder, a candidate acquires the lease before its holder has noticed. So two lead for at
most a retry period, until the holder's next renewal. No other effect is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.fuzz.yaml_texts import plain
from wrapper.election import lease_rules
from wrapper.election.lease_object import INCARNATION, MARKS, lease_of, record_of, version_of
from wrapper.election.lease_rules import LeaseRequest, LeaseTerms
from wrapper.model.lease import LeaseView, ObservedLease
from wrapper.model.roles import Stance

NAMES = ("a", "b", "c", "", "\x00", "\u202e", "x" * 600)
STEP_S = 0.05
END_S = 60.0
specs = st.dictionaries(
    st.sampled_from(
        ["holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"]
    ),
    plain(2)
    | st.sampled_from(
        [*NAMES, 0, -1, 1, 15, 2**31 - 1, 2**63, 1e308, "9999-12-31T23:59:59.999999Z", "0001-01-01"]
    ),
)
notes = st.dictionaries(
    st.sampled_from([INCARNATION, MARKS, "x"]),
    plain(3).map(json.dumps) | plain(1) | st.just("[" * 9000),
)
objects = st.one_of(
    st.builds(lambda spec, notes: {"spec": spec, "metadata": {"annotations": notes}}, specs, notes),
    st.dictionaries(st.sampled_from(["spec", "metadata", "x"]), plain(3)),
)


@fuzzed(120, lease=objects)
def test_any_lease_object_gives_a_bounded_record(lease: dict[str, Any]) -> None:
    """Any object gives a record with bounded fields, which is written and read back unchanged."""
    record = record_of(lease)
    assert 1 <= record.duration_s < 2**31
    assert 0 <= record.transitions < 2**31
    assert len(record.holder) <= 512
    assert len(json.dumps(record.marks)) < 8192
    assert version_of(lease) is None or isinstance(version_of(lease), str)
    written = lease_of(record, lease, "i")
    again = record_of(json.loads(json.dumps(written)))
    assert (again.holder, again.transitions) == (record.holder, record.transitions)
    assert again.marks == record.marks


@dataclass
class Candidate:
    """A candidate that follows the rules without delay."""

    terms: LeaseTerms
    view: LeaseView = field(default_factory=LeaseView)

    def leads(self, now: float) -> bool:
        """Return whether it may write."""
        return lease_rules.leads(self.view, self.terms, now)


class Hub:
    """A Lease with a version, two candidates, and a writer of forged objects."""

    def __init__(self, chance: Random, forged: list[dict[str, Any]]) -> None:
        self.chance = chance
        self.forged = forged
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.forged_at = -END_S
        self.candidates = [
            Candidate(LeaseTerms(name, f"of {name}", 15.0, 10.0, 2.0, 13.95)) for name in "ab"
        ]

    def put(self, lease: dict[str, Any] | None) -> None:
        """Store an object with the server's version."""
        self.version += 1
        if lease is None:
            self.lease = None
            return
        metadata = lease.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        self.lease = {**lease, "metadata": {**metadata, "resourceVersion": str(self.version)}}

    def forge(self, now: float) -> None:
        """Write a forged object, half of the time based on the current one."""
        forged = self.chance.choice([*self.forged, None])
        if forged is not None and self.lease is not None and self.chance.random() < 0.5:
            spec, before = forged.get("spec"), self.lease.get("spec")
            spec = spec if isinstance(spec, dict) else {}
            before = before if isinstance(before, dict) else {}
            forged = {**self.lease, "spec": {**before, **spec}}
        self.put(forged)
        self.forged_at = now

    def ask(self, candidate: Candidate, now: float, wall: str) -> None:
        """Send the next request of a candidate, if one is due."""
        terms, view = candidate.terms, candidate.view
        step = lease_rules.next_step(view, Stance.CONTEND, now, terms)
        if step.request is LeaseRequest.READ:
            candidate.view = lease_rules.on_observed(view, self.seen(), now, terms)
        elif step.request is LeaseRequest.WRITE:
            record = lease_rules.next_record(view, terms, wall)
            view = lease_rules.on_send(view, record, now)
            if view.seen is None or view.seen.version != self.seen().version:
                candidate.view = lease_rules.on_conflict(view, now, terms)
                return
            self.put(json.loads(json.dumps(lease_of(record, self.lease or {}, terms.incarnation))))
            candidate.view = lease_rules.on_written(view, self.seen(), now, now)

    def seen(self) -> ObservedLease:
        """Return the result of a read."""
        if self.lease is None:
            return ObservedLease(None)
        return ObservedLease(record_of(self.lease), version_of(self.lease))


def times() -> Iterator[tuple[float, str]]:
    """Yield the time, and the wall time as text."""
    for number in range(int(END_S / STEP_S)):
        yield 1000 + number * STEP_S, f"2026-01-02T03:{number // 1200:02}:{number % 60:02}.000001Z"


@fuzzed(12, forged=st.lists(objects, min_size=1, max_size=4), seed=st.integers(0, 1 << 60))
def test_two_lead_at_most_a_retry_period_after_a_forgery(
    forged: list[dict[str, Any]], seed: int
) -> None:
    """Two candidates lead only within a retry period after a forged write."""
    chance = Random(seed)
    hub = Hub(chance, forged)
    for now, wall in times():
        if chance.random() < 0.01:
            hub.forge(now)
        for candidate in chance.sample(hub.candidates, 2):
            hub.ask(candidate, now, wall)
        if all(candidate.leads(now) for candidate in hub.candidates):
            assert now - hub.forged_at <= 2.0 + 2 * STEP_S
