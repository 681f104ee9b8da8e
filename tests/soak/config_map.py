"""A folder as the kubelet makes one of a ConfigMap: links to ``..data``, a link to the files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

NAME = "elector.yml"


class ConfigMap:
    """One file in such a folder, and the ways to change it."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.file = folder / NAME
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True)
        self.swap(text)
        self.file.symlink_to(Path("..data") / NAME)

    @property
    def ways(self) -> dict[str, Callable[[str], None]]:
        """The ways to change it, by name."""
        return {"swap": self.swap, "write": self.write, "rename": self.rename}

    def swap(self, text: str) -> None:
        """Make a new folder of data and swing the link ``..data``, as the kubelet does."""
        data, link = self.folder / f"..{next(self._numbers)}", self.folder / "..data"
        data.mkdir()
        (data / NAME).write_text(text)
        before = link.resolve() if link.exists() else None
        new = self.folder / "..data_tmp"
        new.unlink(missing_ok=True)
        new.symlink_to(data.name)
        new.replace(link)
        if before is not None:
            shutil.rmtree(before)

    def write(self, text: str) -> None:
        """Write it in place, as an editor does that truncates it first."""
        self.file.write_text(text)

    def rename(self, text: str) -> None:
        """Put a new file in its place, as most editors do."""
        new = self.folder / "..data" / ".new"
        new.write_text(text)
        new.replace(self.folder / "..data" / NAME)

    def remove(self) -> None:
        """Take the file away."""
        (self.folder / "..data" / NAME).unlink()
