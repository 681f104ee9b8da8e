"""The real promtool, of the same release as the tests' Prometheus."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.real.parts import program


def promtool(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool with ``given`` as its standard input; the caller checks its exit status."""
    argv = [program("promtool"), *words]
    return subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
