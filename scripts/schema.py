"""Join the schemas of several Prometheus versions into one YAML document: files in, the page out.

`scripts/render-schema` does it; each argument is VERSION=FILE, in ascending order, and a file is
what scripts/schema.go has printed. A field has one word if it is the same in all versions, else a
word for each, with "-" where a version does not know it. Equal mappings are written once, as YAML's
anchors.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

HEAD = """\
# The schema of Prometheus' configuration, measured on the Go module of each of these versions.
# Made by scripts/render-schema; the words are explained in scripts/schema.go.
"""


def joined(schemas: list[dict[str, str]]) -> dict[str, str]:
    """Return each place with its words."""
    words = {}
    for place in sorted({place for schema in schemas for place in schema}):
        each = [schema.get(place, "-") for schema in schemas]
        words[place] = each[0] if len(set(each)) == 1 else " ".join(each)
    return words


def tree(words: dict[str, str]) -> dict[str, Any]:
    """Return places as nested mappings."""
    root: dict[str, Any] = {}
    for place, word in words.items():
        node = root
        *above, last = place.split("/")
        for name in above:
            node = node.setdefault(name, {})
        node[last] = word
    return root


def shared(node: Any, seen: dict[str, Any]) -> Any:
    """Return a tree in which equal mappings are one object."""
    if not isinstance(node, dict):
        return node
    made = {name: shared(below, seen) for name, below in node.items()}
    return seen.setdefault(repr(made), made)


def read(path: Path) -> dict[str, str]:
    """Return a file's places with their words."""
    return dict(line.split("\t") for line in path.read_text("utf-8").splitlines())


def main(arguments: list[str]) -> None:
    """Write the document."""
    versions = [argument.partition("=")[0] for argument in arguments]
    schemas = [read(Path(argument.partition("=")[2])) for argument in arguments]
    fields = shared(tree(joined(schemas)), {})
    text = yaml.safe_dump({"versions": versions, "fields": fields}, sort_keys=False, width=1000)
    sys.stdout.write(HEAD + text)


if __name__ == "__main__":
    main(sys.argv[1:])
