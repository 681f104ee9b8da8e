"""Check and bound the fields of a Lease or a lock file; pure.

Anyone with the right to write a Lease can write anything into it.

Guarantee: these functions never raise. Each value that they return has its type, is small, and is
within the API's bounds. An invalid value is treated as missing. A name that is too long is
shortened, and stays different from other names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeAlias, TypeGuard
from urllib.parse import urlsplit

from wrapper.base.shown_text import printable

Json: TypeAlias = dict[str, Any]

MOST = 2**31 - 1  # the API's int32
LONGEST_NAME = 512  # characters; a pod's name has at most 253
_HASH_DIGITS = 16
_MOST_MARKS = 64
_LONGEST_MARKS = 6144  # characters of JSON; below _LONGEST_JSON, so that they can be read again
_AROUND_MARK = 24  # characters of JSON that a mark needs besides its name
_LATEST_MARK = 2**53  # milliseconds; above it, many JSON parsers are not exact
_LONGEST_JSON = 8192
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def mapping(value: object) -> Json:
    """Return a JSON object unchanged; an empty object for anything else."""
    return value if isinstance(value, dict) else {}


def parsed(text: object) -> Json:
    """Return the JSON object in a text of at most 8192 characters, else an empty object."""
    if not isinstance(text, str) or len(text) > _LONGEST_JSON:
        return {}
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def name(value: object) -> str:
    """Return a name in printable form; one that is too long is shortened and ends with its hash."""
    if not isinstance(value, str):
        return ""
    if len(value) > LONGEST_NAME:
        digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
        value = f"{value[: LONGEST_NAME - _HASH_DIGITS - 1]}…{digest}"
    return printable(value)


def optional_name(value: object) -> str | None:
    """Return the same as ``name``, but None if there is no text or it is empty."""
    return name(value) or None


def url(value: object) -> str | None:
    """Return an HTTP URL with a host unchanged; None for anything else."""
    if not isinstance(value, str) or name(value) != value:
        return None
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return value if is_good else None


def time(value: object) -> str:
    """Return an RFC 3339 time, as the API accepts it, unchanged; "" for anything else."""
    return value if isinstance(value, str) and _TIME.fullmatch(value) else ""


def count(value: object) -> int:
    """Return a count from 0 to ``MOST``; anything but an integer counts as 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return min(max(value, 0), MOST)


def seconds(value: object) -> float:
    """Return a duration from 1 s to ``MOST``; anything but a positive number counts as 1 s."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(min(max(value, 1), MOST))
    return 1.0


def marks(value: object) -> tuple[tuple[str, int], ...]:
    """Return the gate's marks, sorted by endpoint, from a JSON object or a list of pairs.

    If there are too many, or their names are too long, only the first ones are returned.
    """
    pairs = value.items() if isinstance(value, dict) else value
    if not isinstance(pairs, Iterable) or isinstance(pairs, str):
        return ()
    found, size = {}, 0
    for pair in islice(pairs, _MOST_MARKS):
        match pair:
            case [str(endpoint), int(mark)] if name(endpoint) == endpoint and is_mark(mark):
                size += len(json.dumps(endpoint)) + _AROUND_MARK
                if size > _LONGEST_MARKS:
                    break
                found[endpoint] = mark
    return tuple(sorted(found.items()))


def is_mark(value: object) -> TypeGuard[int]:
    """Return whether a value can be a mark: a time in milliseconds since 1970."""
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return 0 <= value <= _LATEST_MARK
