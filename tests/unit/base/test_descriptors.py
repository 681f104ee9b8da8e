"""A process raises its limit of descriptors, and accepts only connections that fit in it."""

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
def test_limit_is_raised_and_connections_fit_in_it(limit: str, found: str) -> None:
    """The soft limit becomes the hard limit; a few connections are always accepted."""
    command = ("prlimit", f"--nofile={limit}", sys.executable, "-c", CODE)
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == found
    )
