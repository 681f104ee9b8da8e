"""A folder like the kubelet's for a ConfigMap: links to ``..data``, which links to the files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

NAME = "elector.yml"


class ConfigMap:
    """A file in such a folder, and the methods to change it."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.file = folder / NAME
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True)
        self.swap(text)
        self.file.symlink_to(Path("..data") / NAME)

    @property
    def ways(self) -> dict[str, Callable[[str], None]]:
        """The methods to change it, by name."""
        return {"swap": self.swap, "write": self.write, "rename": self.rename}

    def swap(self, text: str) -> None:
        """Make a new data folder and switch the link ``..data``, as the kubelet does."""
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
        """Truncate and write the file in place, as some editors do."""
        self.file.write_text(text)

    def rename(self, text: str) -> None:
        """Replace the file by a new one, as most editors do."""
        new = self.folder / "..data" / ".new"
        new.write_text(text)
        new.replace(self.folder / "..data" / NAME)

    def remove(self) -> None:
        """Remove the file."""
        (self.folder / "..data" / NAME).unlink()
