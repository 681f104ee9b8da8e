"""A file system of a few pages for the files of a replica, which can be filled."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "256k"
FILLER = "filler"


def can_mount() -> bool:
    """Return whether this user may mount."""
    return os.geteuid() == 0


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount a small file system at a folder."""
    options = ["-t", "tmpfs", "-o", f"size={SIZE}"]
    subprocess.run(["mount", *options, "prometheus-elector-soak", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the file system until the context ends."""
    filler = folder / FILLER
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        yield
    finally:
        filler.unlink()
