"""Defines groups of settings: frozen dataclasses in which each field names its flag; pure.

Each part of the program gets one group, so that no value has to be copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar

Group = TypeVar("Group")
_FLAG = "flag"


def flag_field(flag: str, *, default: Any = MISSING) -> Any:
    """Return a field for this flag's value; ``default`` is for a group that is built without it."""
    return field(default=default, metadata={_FLAG: flag})


def flags_of(group: type[Any]) -> frozenset[str]:
    """Return the names of a group's flags."""
    return frozenset(each.metadata[_FLAG] for each in fields(group) if _FLAG in each.metadata)


def build(group: type[Group], values: Mapping[str, Any], **others: Any) -> Group:
    """Return a group with these values by flag name; ``others`` are its fields without a flag."""
    known: Any = fields(group)  # type: ignore[arg-type]
    taken = {each.name: values[each.metadata[_FLAG]] for each in known if _FLAG in each.metadata}
    return group(**{**taken, **others})
