"""A lease record and the Lease object that holds it, field by field as client-go has it; pure.

Who wrote a record stands in an annotation together with the holder and acquire time that it belongs
to: client-go keeps foreign annotations, so one that does not match the record counts for nothing.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, TypeAlias

from wrapper.model import LeaseRecord

Json: TypeAlias = dict[str, Any]

INCARNATION = "prometheus-elector/incarnation"


def record_of(lease: Json) -> LeaseRecord:
    """Return what a Lease object says; its writer only where the annotation belongs to it."""
    spec = lease.get("spec") or {}
    record = LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration_s=float(spec.get("leaseDurationSeconds") or 1),
        acquire_time=spec.get("acquireTime") or "",
        renew_time=spec.get("renewTime") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
    )
    return replace(record, incarnation=_incarnation_of(lease, record))


def _incarnation_of(lease: Json, record: LeaseRecord) -> str | None:
    annotations = _metadata(lease).get("annotations") or {}
    try:
        signed = json.loads(annotations.get(INCARNATION, "null"))
    except ValueError:
        return None
    if not isinstance(signed, dict):
        return None
    is_of_record = signed == _signature(record, signed.get("incarnation"))
    return signed["incarnation"] if is_of_record else None


def _signature(record: LeaseRecord, incarnation: str | None) -> Json:
    return {
        "incarnation": incarnation,
        "holder": record.holder,
        "acquireTime": record.acquire_time,
    }


def lease_of(record: LeaseRecord, base: Json, incarnation: str) -> Json:
    """Return the object to write: ``base`` with the record in it, signed; all else stays.

    The fields are those of client-go, which names an empty holder too. Durations are whole seconds,
    at least 1, as the API demands.
    """
    lease = copy.deepcopy(base)
    lease["spec"] = (lease.get("spec") or {}) | {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": max(int(record.duration_s), 1),
        "acquireTime": record.acquire_time or None,
        "renewTime": record.renew_time or None,
        "leaseTransitions": record.transitions,
    }
    annotations = lease["metadata"].get("annotations") or {}
    signature = json.dumps(_signature(record, record.incarnation or incarnation))
    lease["metadata"]["annotations"] = annotations | {INCARNATION: signature}
    return lease


def _metadata(lease: Json) -> Json:
    metadata: Json = lease.get("metadata") or {}
    return metadata


def version_of(lease: Json) -> str | None:
    """Return the version that a write replaces, None where the object has none."""
    return _metadata(lease).get("resourceVersion")
