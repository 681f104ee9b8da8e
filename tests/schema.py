"""The schema of Prometheus' configuration, by version, from tests/vectors/schema.yml.

A place is a text such as ``remote_write/[]/http_headers/*/values/[]``. The words for Prometheus'
handling of a field are explained in scripts/schema.go, which measured them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "vectors/schema.yml"
UNKNOWN = "-"
RENDER = "run scripts/render-schema with it, and see which tables its new fields are missing in"


@cache
def schema() -> Schema:
    """Return the content of the file."""
    return Schema(yaml.load(FILE.read_text("utf-8"), Loader=yaml.CSafeLoader))


class Schema:
    """The places of the configuration, with a word for each of ``versions``."""

    def __init__(self, document: Any) -> None:
        self.versions: tuple[str, ...] = tuple(document["versions"])
        self._words = dict(self._below(document["fields"], ()))

    def places(self, *words: str) -> set[str]:
        """Return the places that have one of these words in any version; without words, all."""
        return {
            place
            for place, each in self._words.items()
            if not words or not {*words}.isdisjoint(each)
        }

    def of(self, version: str) -> set[str]:
        """Return the places that a version has."""
        return {place for place, words in self.since(version).items() if words[0] != UNKNOWN}

    def since(self, version: str) -> dict[str, tuple[str, ...]]:
        """Return all places with their words in this version and in later ones.

        Versions are compared by major and minor. A distribution may have built a version with newer
        libraries, so that any of these words may apply to it.
        """
        kept = [each.split(".")[:2] for each in self.versions]
        wanted = version.split(".")[:2]
        assert wanted in kept, f"{FILE.name} does not have Prometheus {version}: {RENDER}"
        at = kept.index(wanted)
        return {place: words[at:] for place, words in self._words.items()}

    def _below(self, fields: Any, above: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, below in fields.items():
            if isinstance(below, dict):
                yield from self._below(below, (*above, name))
            else:
                words = below.split()
                number = len(self.versions)
                yield "/".join((*above, name)), tuple(words if len(words) > 1 else words * number)
