"""Import all that prometheus-elector imports anywhere: it fails where a package lacks something."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from gevent import monkey

import wrapper

# Imported by name, or by what is imported: nowhere to be read in our own source. Without its own
# module of C, protobuf is silently many times slower.
ALSO = (
    "google._upb._message",
    "gunicorn.workers.ggevent",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
)


def main() -> None:
    """Import each module of ours, and each that stands in an import, also in a function's."""
    root = Path(wrapper.__file__).parent
    sources = sorted(root.rglob("*.py"))
    named = {name for source in sources for name in imports(ast.parse(source.read_text("utf-8")))}
    for name in sorted({*named, *ALSO, *(dotted(source, root) for source in sources)}):
        importlib.import_module(name)
    # It imports by name, as in the web process; ssl cannot be patched once it is in use.
    monkey.patch_all(ssl=False)


def dotted(source: Path, root: Path) -> str:
    """Return the name by which a module below the root is imported."""
    return ".".join(source.relative_to(root.parent).with_suffix("").parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the name of every module that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


if __name__ == "__main__":
    main()
