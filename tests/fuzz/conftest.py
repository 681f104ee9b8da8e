"""What a round of `scripts/fuzz` reports."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.fuzz.form import EXAMPLES

REPORT = "FUZZ_REPORT"  # a file, set by scripts/fuzz


def pytest_sessionfinish() -> None:
    """Write how many examples each test has run."""
    if path := os.environ.get(REPORT):
        Path(path).write_text(json.dumps(EXAMPLES))
