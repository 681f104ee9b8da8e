"""Replaces ``$(NAME)`` in an input by the environment variable's value; pure.

This is done before the text is parsed as YAML, also in comments, and a value may contain anything.
It works as in the Prometheus Operator's config-reloader, with two differences: all variables that
are not set are reported at once, each with its first place, and ``$$(NAME)`` is not replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wrapper.documents.problems import Problems, end_of

_REFERENCE = re.compile(rb"(?<!\$)\$\(([a-zA-Z_0-9]+)\)")


def substitute(content: bytes, environ: Mapping[bytes, bytes]) -> bytes:
    """Return a text with its references replaced, except those to variables that are not set."""
    return _REFERENCE.sub(lambda found: environ.get(found[1], found[0]), content)


def referenced(content: bytes) -> set[bytes]:
    """Return the names of the variables that a text refers to."""
    return {found[1] for found in _REFERENCE.finditer(content)}


def note_unset(
    content: bytes, name: str, environ: Mapping[bytes, bytes], problems: Problems
) -> None:
    """Add a problem for each referenced variable that is not set; ``name`` is the file's."""
    seen: set[bytes] = set()
    for found in _REFERENCE.finditer(content):
        if found[1] not in environ and found[1] not in seen:
            seen.add(found[1])
            problems.add(
                name,
                *end_of(content[: found.start()]),
                f"the variable {found[1].decode()} is not set; set it, or give"
                " --config-envsubst-allow-unset",
            )
