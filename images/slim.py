"""Take out of the image's packages what prometheus-elector never imports, and say what is left.

    python slim.py FOLDER

FOLDER's packages are moved beside those installed for this Python, all are compiled, and a line is
printed for each that takes more than 0.5 MB. Most of what goes is of `kubernetes`: its asynchronous
client with all that this needs, and its classes for each API and object; the wrapper sends requests
and reads answers as they are. `import_all.py` shows that nothing is missing.
"""

from __future__ import annotations

import compileall
import shutil
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path
from py_compile import PycInvalidationMode

SITE = Path(sysconfig.get_path("purelib"))
# What only kubernetes.aio needs.
DISTRIBUTIONS = (
    "aiohappyeyeballs",
    "aiohttp",
    "aiohttp-retry",
    "aiosignal",
    "attrs",
    "frozenlist",
    "multidict",
    "propcache",
    "yarl",
)
UNUSED = (
    "kubernetes/aio",
    "kubernetes/client/api/[!_]*.py",
    "kubernetes/client/models/[!_]*.py",
    "gevent/testing",
    "**/tests",
    *(f"**/*{ending}" for ending in (".c", ".cpp", ".h", ".hpp", ".pxd", ".pyi", ".pyx")),
)
LEAST_SHOWN = 500_000  # bytes


def main(folder: Path) -> None:
    """Move, take out, compile, show."""
    shutil.copytree(folder, SITE, dirs_exist_ok=True)
    for name in DISTRIBUTIONS:
        for file in distribution(name).files or ():
            remove(SITE / file.parts[0])
    for pattern in UNUSED:
        for path in sorted(SITE.glob(pattern)):
            remove(path)
    # The bytecode is right whatever the files' times become on the way into a layer.
    compileall.compile_dir(SITE, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    show()


def remove(path: Path) -> None:
    """Remove a file or a folder, where it is still there; never what leads out of the packages."""
    if SITE not in path.resolve().parents:
        return
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def show() -> None:
    """Print what each package takes, the largest first."""
    sizes = {path.name: size(path) for path in SITE.iterdir()}
    for name, taken in sorted(sizes.items(), key=lambda item: -item[1]):
        if taken >= LEAST_SHOWN:
            print(f"{taken / 1e6:6.1f} MB {name}")
    print(f"{sum(sizes.values()) / 1e6:6.1f} MB all packages")


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
