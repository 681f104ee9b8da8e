"""The lines that the command ``status`` prints about the replicas' gates; pure.

Other replicas' answers are not trusted: an answer whose gate lacks a field, or has one of another
type, is omitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any

from wrapper.base.sizes import size
from wrapper.election.lease_fields import mapping
from wrapper.web.gate_summary import state_of

Json = dict[str, Any]
Form = Mapping[str, type | UnionType]
_GATE: Form = {
    "is_running": bool,
    "is_open": bool,
    "is_handing_over": bool,
    "problem": str,
    "endpoints": list,
}
_ENDPOINT: Form = {
    "name": str,
    "held_bytes": int,
    "held_batches": int,
    "held_since": str | None,
    "behind_s": float | int | None,
    "problem": str,
}


def gate_lines(replicas: Sequence[Json]) -> Iterator[str]:
    """Yield one line for each replica that has a gate: its state, and that of each endpoint."""
    for replica in replicas:
        status = mapping(replica.get("status"))
        gate = mapping(status.get("gate"))
        if _has(gate, _GATE) and all(_has(each, _ENDPOINT) for each in gate["endpoints"]):
            parts = [_with_problem(state_of(gate), gate), *map(_endpoint, gate["endpoints"])]
            yield f"gate of {status.get('identity')}: {'; '.join(parts)}"


def _has(value: object, form: Form) -> bool:
    """Return whether ``value`` is an object that has these fields, with these types."""
    return isinstance(value, dict) and all(
        name in value and isinstance(value[name], kind) for name, kind in form.items()
    )


def _endpoint(each: Json) -> str:
    parts = []
    if each["held_batches"]:
        since = str(each["held_since"]).replace("+00:00", "Z")
        parts.append(f"{size(each['held_bytes'])} held since {since}")
    if each["behind_s"] is not None:
        parts.append(f"{each['behind_s']:.1f} s behind")
    return _with_problem(f"{each['name']} {', '.join(parts) or 'nothing held'}", each)


def _with_problem(text: str, of: Json) -> str:
    return f"{text} ({of['problem']})" if of["problem"] else text
