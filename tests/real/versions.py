"""The features of the tests' Prometheus, queried because one's own build may have no version."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from tests.real.parts import program


@cache
def has_flag(name: str) -> bool:
    """Tell whether it has this flag; the name is without dashes."""
    done = subprocess.run(
        [program("prometheus"), "--help"], capture_output=True, text=True, check=False, timeout=30
    )
    words = rf"^ *--(\[no-\])?{re.escape(name)}([ =]|$)"
    return re.search(words, done.stdout + done.stderr, re.MULTILINE) is not None


def takes(config: str, folder: Path) -> bool:
    """Tell whether promtool, which belongs to it, accepts a configuration."""
    file = folder / "asked.yml"
    file.write_text(config)
    words = [program("promtool"), "check", "config", str(file)]
    return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode == 0


def auto_reload() -> tuple[str, ...]:
    """Return the flags for automatic reloads each second; none before 3.0."""
    if not has_flag("config.auto-reload-interval"):
        return ()
    is_stable = has_flag("config.auto-reload")
    asked = "--config.auto-reload" if is_stable else "--enable-feature=auto-reload-config"
    return asked, "--config.auto-reload-interval=1s"
