"""Replaces ``$(NAME)`` in an input by the value of the environment variable; pure.

References are replaced before the text is parsed as YAML, also in comments. A value may contain any
text. The Prometheus Operator's config-reloader does the same, with two differences: here all
variables that are not set are reported at once, each with the place of its first reference, and
``$$(NAME)`` is not replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wrapper.documents.problems import Problems

# The pattern begins with a character, not with a look-around: this searches a large text faster.
_REFERENCE = re.compile(rb"\$(?<!\$\$)\(([a-zA-Z_0-9]+)\)")


def substitute(content: bytes, environ: Mapping[bytes, bytes]) -> bytes:
    """Return a text with its references replaced. References to unset variables stay."""
    return _REFERENCE.sub(lambda found: environ.get(found[1], found[0]), content)


def size_after(content: bytes, environ: Mapping[bytes, bytes]) -> int:
    """Return how many bytes ``substitute`` would return: a small text can become gigabytes."""
    values = ((found[0], environ.get(found[1], found[0])) for found in _REFERENCE.finditer(content))
    return len(content) + sum(len(value) - len(reference) for reference, value in values)


def referenced(content: bytes) -> set[bytes]:
    """Return the names of the variables that a text refers to."""
    return {found[1] for found in _REFERENCE.finditer(content)}


def note_unset(
    content: bytes, name: str, environ: Mapping[bytes, bytes], problems: Problems
) -> None:
    """Add a problem for each referenced variable that is not set; ``name`` is the file's."""
    seen: set[bytes] = set()
    line, column, at = 1, 1, 0
    for found in _REFERENCE.finditer(content):
        if found[1] in environ or found[1] in seen:
            continue
        seen.add(found[1])
        before, end, rest = content[at : found.start()].rpartition(b"\n")
        line += before.count(b"\n") + len(end)
        column = len(rest.decode(errors="replace")) + (1 if end else column)
        at = found.start()
        text = f"the variable {found[1].decode()} is not set; set it, or give"
        problems.add(name, line, column, f"{text} --config-envsubst-allow-unset")
