"""Prometheus' YAML library as oracle for documents: the program go_yaml.go."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".go")
LIBRARY = "go.yaml.in/yaml/v2 v2.4.4"  # the version in Prometheus 3.16
REFUSED = "!"


class GoYaml:
    """A Go program that is used over pipes."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, follower: bytes, leader: bytes, *renderings: bytes) -> list[str]:
        """Return the follower's values, those of both merged, and those of each rendering."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        documents = [base64.b64encode(each).decode() for each in (follower, leader, *renderings)]
        into.write(json.dumps(documents) + "\n")
        into.flush()
        line = out.readline()
        assert line, f"the program has ended: {follower!r} {leader!r}"
        found: list[str] = json.loads(line)
        return found

    def end(self) -> None:
        """End the program."""
        self._process.communicate(timeout=10)


@contextmanager
def go_yaml(folder: Path) -> Iterator[GoYaml]:
    """Build the program in a folder, and run it until the context ends."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    environ = os.environ | {
        "GOPATH": str(cache / "prometheus-elector" / "go"),
        "GOFLAGS": "-modcacherw -mod=mod",
        "GOWORK": "off",
    }
    (folder / "go.mod").write_text(f"module yaml\n\ngo 1.24\n\nrequire {LIBRARY}\n")
    (folder / "main.go").write_bytes(SOURCE.read_bytes())
    command = ["go", "build", "-trimpath", "-o", "go-yaml", "."]
    try:
        subprocess.run(command, cwd=folder, env=environ, check=True)
    except FileNotFoundError:
        raise RuntimeError(
            f"Go, which builds {SOURCE.name}, is not installed: install it"
        ) from None
    running = GoYaml(folder / "go-yaml")
    try:
        yield running
    finally:
        running.end()
