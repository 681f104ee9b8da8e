"""Groups of settings: frozen dataclasses whose fields say which flag each has its value from; pure.

A group is what one part of the program takes, so that it is handed on and not copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar

Group = TypeVar("Group")
_FLAG = "flag"


def of(flag: str, *, default: Any = MISSING) -> Any:
    """Return a field whose value is that of the flag with this name.

    ``default`` is for a group that is built without any flags.
    """
    return field(default=default, metadata={_FLAG: flag})


def flags_of(group: type[Any]) -> frozenset[str]:
    """Return the names of the flags that a group takes."""
    return frozenset(each.metadata[_FLAG] for each in fields(group) if _FLAG in each.metadata)


def build(group: type[Group], values: Mapping[str, Any], **others: Any) -> Group:
    """Return a group of these values, by the names of the flags; ``others`` come from no flag."""
    known: Any = fields(group)  # type: ignore[arg-type]
    taken = {each.name: values[each.metadata[_FLAG]] for each in known if _FLAG in each.metadata}
    return group(**{**taken, **others})
