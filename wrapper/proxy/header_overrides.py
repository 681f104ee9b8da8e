"""Configured header fields, which replace fields with the same names in a message; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_NEVER = re.compile(rb"(?!)")


@dataclass(frozen=True, slots=True)
class ConfiguredFields:
    """Rendered field lines, and the ``names`` (in lower case) that they replace."""

    lines: bytes = field(default=b"", repr=False)
    names: frozenset[bytes] = frozenset()
    pattern: re.Pattern[bytes] = _NEVER

    def into(self, lines: bytes) -> bytes:
        """Return ``lines`` with our fields, and without others of the same names."""
        return self.pattern.sub(b"", lines) + self.lines if self.lines else lines


@lru_cache(maxsize=8)
def configured_fields(fields: tuple[tuple[str, str], ...]) -> ConfiguredFields:
    """Return the fields rendered; names and values must be valid in a header."""
    if not fields:
        return ConfiguredFields()
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in fields)
    names = frozenset(name.lower().encode() for name, _ in fields)
    either = b"|".join(re.escape(name) for name in sorted(names))
    return ConfiguredFields(lines, names, re.compile(rb"(?im)^(?:%b):[^\r\n]*\r\n" % either))
