"""Convert between a lease record and a Lease object with client-go's fields; pure.

An annotation contains the incarnation of the writer, together with the record's holder and acquire
time. client-go keeps annotations that it does not know. So an annotation that does not match the
record is stale, and is ignored.

Another annotation contains the gate's marks. It is valid whoever wrote the record last, because a
mark stays true.
"""

from __future__ import annotations

import json
from dataclasses import replace

from wrapper.election import lease_fields as fields
from wrapper.election.lease_fields import Json
from wrapper.model.lease import LeaseRecord

INCARNATION = "prometheus-elector/incarnation"
MARKS = "prometheus-elector/marks"


def record_of(lease: Json) -> LeaseRecord:
    """Return the record of a Lease; its incarnation is None if the annotation does not match."""
    spec = fields.mapping(lease.get("spec"))
    record = LeaseRecord(
        holder=fields.name(spec.get("holderIdentity")),
        duration_s=fields.seconds(spec.get("leaseDurationSeconds")),
        acquire_time=fields.time(spec.get("acquireTime")),
        renew_time=fields.name(spec.get("renewTime")),
        transitions=fields.count(spec.get("leaseTransitions")),
    )
    marks = fields.marks(fields.parsed(_annotations(lease).get(MARKS)))
    return replace(record, incarnation=_incarnation_of(lease, record), marks=marks)


def _incarnation_of(lease: Json, record: LeaseRecord) -> str | None:
    signed = fields.parsed(_annotations(lease).get(INCARNATION))
    incarnation = signed.get("incarnation")
    if not isinstance(incarnation, str) or signed != _signature(record, incarnation):
        return None
    return fields.optional_name(incarnation)


def _signature(record: LeaseRecord, incarnation: str) -> Json:
    return {
        "incarnation": incarnation,
        "holder": record.holder,
        "acquireTime": record.acquire_time,
    }


def lease_of(record: LeaseRecord, base: Json, incarnation: str) -> Json:
    """Return the object to write: ``base`` with the record and our annotations.

    The fields are those of client-go, which also writes an empty holder. Durations are whole
    seconds, at least 1, as the API requires.
    """
    spec = fields.mapping(base.get("spec")) | {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": max(int(record.duration_s), 1),
        "acquireTime": record.acquire_time or None,
        "renewTime": record.renew_time or None,
        "leaseTransitions": record.transitions,
    }
    metadata = _metadata(base)
    signature = json.dumps(_signature(record, record.incarnation or incarnation))
    annotations = _annotations(base) | {INCARNATION: signature}
    if record.marks:
        annotations[MARKS] = json.dumps(dict(record.marks))
    return base | {"metadata": metadata | {"annotations": annotations}, "spec": spec}


def _annotations(lease: Json) -> Json:
    return fields.mapping(_metadata(lease).get("annotations"))


def _metadata(lease: Json) -> Json:
    return fields.mapping(lease.get("metadata"))


def version_of(lease: Json) -> str | None:
    """Return the resource version, or None if the object has none."""
    version = _metadata(lease).get("resourceVersion")
    return version if isinstance(version, str) else None
