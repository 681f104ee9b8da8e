"""Helpers to change observations in tests: each field of each part has one name."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from wrapper.model.actions import Action
from wrapper.model.roles import Cause, Role, Stance
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan

_PARTS = tuple(field.name for field in fields(Observation))


def but(o: Observation, **changes: Any) -> Observation:
    """Return ``o`` with changes: ``child_status=1`` sets the field ``status`` of ``child``."""
    for name, value in changes.items():
        part = name if name in _PARTS else next(p for p in _PARTS if name.startswith(f"{p}_"))
        inner = {name.removeprefix(f"{part}_"): value}
        o = replace(o, **{part: value if name == part else replace(getattr(o, part), **inner)})
    return o


def changes(before: Observation, after: Observation) -> dict[str, Any]:
    """Return the fields that differ, under the names that ``but`` takes, with their new values."""
    old, new = _flat(before), _flat(after)
    return {name: value for name, value in new.items() if value != old[name]}


def _flat(o: Observation) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for part in _PARTS:
        value = getattr(o, part)
        if is_dataclass(value):
            flat |= {f"{part}_{each.name}": getattr(value, each.name) for each in fields(value)}
        else:
            flat[part] = value
    return flat


def decided(*actions: Action, role: Role = Role.FOLLOWER, cause: Cause = Cause.LOST) -> Plan:
    """Return a plan with these actions, this role and this cause."""
    return Plan(role, Stance.CONTEND, actions, "a sentence", cause, 0.0)
