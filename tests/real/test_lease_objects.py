"""A lease can be taken over whatever another program has written to the Lease."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.real.parts import Namespace
from wrapper.election import lease_rules
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.election.lease_object import INCARNATION, MARKS
from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.lease import LeaseUnavailable, LeaseView

TERMS = LeaseTerms("me", "pod-1", 15.0, 10.0, 2.0, 13.95)
NOW, WALL = 1000.0, "2026-01-02T03:04:05.000006Z"
FULL = 256 << 10  # the bytes of all annotations that the API server accepts
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
long = st.builds(str.__mul__, st.sampled_from("a\x00é😀["), st.sampled_from([600, 9000, 60_000]))
times = st.sampled_from(
    [
        None,
        "",
        WALL,
        "0001-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999+14:00",
        "2026-01-02",
    ]
)
whole = st.integers(-1, 2**31) | st.sampled_from([1, 2**31 - 1, 15])
specs = st.fixed_dictionaries(
    {},
    optional={
        "holderIdentity": texts | long | st.none(),
        "leaseDurationSeconds": whole | st.none(),
        "acquireTime": times,
        "renewTime": times,
        "leaseTransitions": whole,
        "x": texts,
    },
)
notes = (
    st.dictionaries(
        st.sampled_from([INCARNATION, MARKS, "x/y"]),
        texts | long | st.just('{"a": 1e999}'),
        max_size=3,
    )
    | st.none()
)


@pytest.fixture
def lock(namespace: Namespace) -> KubernetesLease:
    """Give a lock on a Lease that exists."""
    made = KubernetesLease("prometheus", "", str(namespace.kubeconfig), "pod-1", 5.0)
    made.write(lease_rules.next_record(LeaseView(), TERMS, WALL), None)
    return made


@fuzzed(25, spec=specs, annotations=notes)
def test_whatever_the_server_stores_can_be_read_and_replaced(
    namespace: Namespace,
    lock: KubernetesLease,
    spec: dict[str, Any],
    annotations: dict[str, str] | None,
) -> None:
    """Any Lease that the server stores can be read, and taken over after its duration.

    If its annotations leave no room for ours, the write fails with an error that says what to do.
    """
    lease = namespace.lease()
    assert lease is not None
    full = {"x/y": "a" * (FULL - 10)}
    lease["metadata"]["annotations"] = full if annotations is None else annotations
    if namespace.call("PUT", {**lease, "spec": spec}).status_code != 200:
        return
    seen = lock.read()
    assert seen.record is not None
    view = lease_rules.on_observed(LeaseView(), seen, NOW, TERMS)
    assert view.free_at <= NOW + 2**31
    record = lease_rules.next_record(view, TERMS, WALL)
    try:
        assert lock.write(record, seen.version).record == record
    except LeaseUnavailable as error:
        said = str(error)
    else:
        return
    assert annotations is None or sum(map(len, annotations.values())) > FULL // 3
    assert "metadata.annotations: Too long" in said
    assert said.endswith("remove annotations of other programs from it with kubectl edit")
