"""The versions of the real programs that the tests of manifests use."""

from __future__ import annotations

import re
import subprocess

from tests.real.parts import ApiServer, program


def minor_version(server: ApiServer) -> int:
    """Return the API server's minor version: 37 of 1.37.2."""
    found = re.match(r"\d+", server.call("GET", "/version").json()["minor"])
    assert found is not None
    return int(found[0])


def prometheus_version() -> str:
    """Return the version of the tests' Prometheus; raise AssertionError if it has none."""
    words = [program("prometheus"), "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+\.\d+\.\d+)", done.stdout + done.stderr)
    assert found is not None, f"{words[0]} was built without its version (Go's -ldflags)"
    return found[1]


def prometheus_major() -> int:
    """Return the major version of the tests' Prometheus."""
    return int(prometheus_version().partition(".")[0])
