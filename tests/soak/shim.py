"""A library that steps the wall clock of a replica's own processes, and slows their disk."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")


def built(folder: Path) -> Path | None:
    """Compile the library, and return it; None if there is no C compiler.

    Raises subprocess.CalledProcessError if it does not compile.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    words = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*words, str(SOURCE), "-ldl"], check=True)
    return library


class Shim:
    """The settings for one replica's processes; ``variables`` belong to their environment."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.variables = {"LD_PRELOAD": str(library), "SOAK_SHIM": str(file)}
        self.wrong_s = 0.0
        self.slow_s = 0.0
        file.write_bytes(bytes(16))

    def tell(self, *, wrong_s: float = 0.0, slow_s: float = 0.0) -> None:
        """Set the error of the clock, and the delay of each fsync and rename."""
        self.wrong_s, self.slow_s = wrong_s, slow_s
        with self._file.open("r+b") as file:  # in place: it is mapped
            file.write(struct.pack("<qq", round(wrong_s * 1e9), round(slow_s * 1e6)))
