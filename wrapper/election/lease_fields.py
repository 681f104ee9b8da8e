"""The fields of a lease record as others may have left them, made values to reckon with; pure.

Whatever stands in a Lease or a lock file is data: anybody who may write it may write anything. The
guarantee: nothing here raises, and each value that comes out is small, of its own kind and within
the bounds of the API. What is none counts as missing; a name that is too long stays another name
than all the rest.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Json: TypeAlias = dict[str, Any]

MOST = 2**31 - 1  # of the API's int32
LONGEST_NAME = 512  # characters; a pod's name has 253 at most
_HASH_DIGITS = 16
_LONGEST_JSON = 8192
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def mapping(value: object) -> Json:
    """Return a JSON object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def parsed(text: object) -> Json:
    """Return the JSON object that a short text holds, an empty one where it does not."""
    if not isinstance(text, str) or len(text) > _LONGEST_JSON:
        return {}
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def name(value: object) -> str:
    """Return a text fit to be shown: printable, and cut short with a hash of the whole."""
    if not isinstance(value, str):
        return ""
    if len(value) > LONGEST_NAME:
        digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
        value = f"{value[: LONGEST_NAME - _HASH_DIGITS - 1]}…{digest}"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in value)


def optional_name(value: object) -> str | None:
    """Return the same, None where there is no text, or an empty one."""
    return name(value) or None


def url(value: object) -> str | None:
    """Return an HTTP URL of a host as it is, None for anything else."""
    if not isinstance(value, str) or name(value) != value:
        return None
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return value if is_good else None


def time(value: object) -> str:
    """Return a time that the API takes (RFC 3339) as it is, "" for anything else."""
    return value if isinstance(value, str) and _TIME.fullmatch(value) else ""


def count(value: object) -> int:
    """Return a count from 0 to ``MOST``; what is no whole number counts as 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return min(max(value, 0), MOST)


def seconds(value: object) -> float:
    """Return a duration from 1 s to ``MOST``; what is no number, or not above 0, counts as 1 s."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(min(max(value, 1), MOST))
    return 1.0
