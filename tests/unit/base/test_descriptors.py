"""A process takes as many descriptors as it may have, and no more connections than fit in them."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
from wrapper.base.descriptors import connections, raise_limit
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], connections(2000, 2), connections(2000, 1))
"""


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("64:20000", "20000 2000 2000"),
        ("256:1024", "1024 480 960"),
        ("256:256", "256 96 192"),
        ("70:70", "70 16 16"),
    ],
)
def test_asks_for_all_and_takes_what_fits(limit: str, found: str) -> None:
    """The hard limit counts; a few connections are taken in any case."""
    command = ("prlimit", f"--nofile={limit}", sys.executable, "-c", CODE)
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == found
    )
