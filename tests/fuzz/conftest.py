"""Fixtures of the fuzz tests: Go's net/http as oracle, and the report of a round."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.form import EXAMPLES
from tests.fuzz.oracle import Oracle, oracle

REPORT = "FUZZ_REPORT"  # a file, set by scripts/fuzz


def pytest_sessionfinish() -> None:
    """Write the number of examples for each test."""
    if path := os.environ.get(REPORT):
        Path(path).write_text(json.dumps(EXAMPLES))


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Run Go's net/http."""
    with oracle(tmp_path_factory.mktemp("oracle")) as program:
        yield program
