"""The layers of `wrapper/`: its folders; each imports only from itself and from earlier ones.

`scripts/check` runs this file. Every import counts, also one inside a function or under
TYPE_CHECKING. A module whose docstring declares it pure does no I/O, has no clock, starts nothing,
and imports only pure modules. Modules outside a folder come last.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Each may import from earlier ones; "" is wrapper/ itself. The web process imports no supervisor.
ORDER = (
    "model",
    "base",
    "documents",
    "options",
    "access",
    "configuration",
    "election",
    "proxy",
    "web",
    "gate",
    "supervision",
    "targets",
    "startup",
    "commands",
    "",
)
# Libraries that only one module may import, so that they can be replaced.
SOLE_IMPORTER = {
    "inotify_simple": "wrapper.configuration.file_events",
    "bcrypt": "wrapper.access.passwords",
    "kombu": "wrapper.targets.broker",
    "cramjam": "wrapper.gate.samples",
    "google": "wrapper.gate.samples",
}
PURE = re.compile(r"\b[Pp]ure(\.|:|$)", re.MULTILINE)
# fmt: off
IO_PACKAGES = frozenset({
    "asyncio", "concurrent", "ctypes", "fcntl", "flask", "gevent", "gunicorn", "http",
    "inotify_simple", "io", "logging", "mmap", "multiprocessing", "os",
    "prometheus_client", "psutil", "queue", "requests", "select", "selectors", "shutil",
    "socket", "socketserver", "ssl", "subprocess", "tempfile", "threading", "time", "urllib3",
})
# fmt: on


def main() -> int:
    """Check the package; print each violation and return the exit status."""
    paths = sorted((ROOT / "wrapper").rglob("*.py"))
    found = list(violations({module_of(path): path.read_text(encoding="utf-8") for path in paths}))
    for line in found:
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"import layers: {len(paths)} modules, {len(found)} violations\n")
    return 1 if found else 0


def violations(sources: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each forbidden import in `sources` (dotted module name → text)."""
    pure = {module for module, text in sources.items() if is_pure(module, text)}
    for module, text in sources.items():
        for line, target in imports(ast.parse(text)):
            package = target.partition(".")[0]
            imported = target if target in sources else target.rpartition(".")[0]
            if package == "wrapper" and place(target) > place(module):
                yield f"{module}:{line}: imports {target}, whose folder comes later (ORDER)"
            elif SOLE_IMPORTER.get(package, module) != module:
                yield f"{module}:{line}: imports {package}, as {SOLE_IMPORTER[package]} alone may"
            elif module in pure and (package in IO_PACKAGES or imported in sources.keys() - pure):
                yield f"{module}:{line}: is pure, and imports {imported}, which is not"


def is_pure(module: str, text: str) -> bool:
    """Return whether a module is pure; packages and wrapper.model are."""
    words = ast.get_docstring(ast.parse(text)) or ""
    is_package = (ROOT / module.replace(".", "/") / "__init__.py").exists()
    return is_package or module.startswith("wrapper.model.") or bool(PURE.search(words))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def place(name: str) -> int:
    """Return the position in ORDER of a module of wrapper/, or of a name imported from it."""
    parts = name.split(".")
    if parts[1:] in ([], ["__version__"]):
        return -1
    is_module = (ROOT / "wrapper" / f"{parts[1]}.py").exists()
    return ORDER.index("" if is_module else parts[1])


def module_of(path: Path) -> str:
    """Return the dotted name of the module in a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


if __name__ == "__main__":
    sys.exit(main())
