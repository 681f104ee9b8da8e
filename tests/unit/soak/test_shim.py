"""The preloaded library changes a process' wall clock and slows its disk, at any time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.soak.shim import Shim, built

LOOK = "import os, time; at = time.monotonic(); os.rename({!r}, {!r}); print(time.time()); "
LOOK += "print(time.monotonic() - at)"


def look(folder: Path, *words: str, wrong_s: float = 0.0, slow_s: float = 0.0) -> tuple[float, ...]:
    """Return the error of a process' clock, and the duration of a rename, in seconds."""
    library = built(folder)
    assert library is not None
    shim = Shim(library, folder / "control")
    shim.tell(wrong_s=wrong_s, slow_s=slow_s)
    (folder / "a").touch()
    code = LOOK.format(str(folder / "a"), str(folder / "b"))
    argv, variables = [sys.executable, "-c", code, *words], os.environ | shim.variables
    said = subprocess.check_output(argv, env=variables, text=True).split()
    return float(said[0]) - time.time(), float(said[1])


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc, a C compiler")
def test_clock_and_disk_are_as_set(tmp_path: Path) -> None:
    """Clock and disk are as set, by default unchanged; the gate's clock is always right."""
    assert abs(look(tmp_path)[0]) < 60
    assert abs(look(tmp_path, wrong_s=-1800.0)[0] + 1800) < 60
    assert abs(look(tmp_path, wrong_s=86_400.0)[0] - 86_400) < 60
    assert abs(look(tmp_path, "wrapper.gate.process", wrong_s=-1800.0)[0]) < 60
    assert look(tmp_path, slow_s=0.3)[1] >= 0.3
