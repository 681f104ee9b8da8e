"""What keeps a start from being one is found before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapper.options.settings import load
from wrapper.start import prepare


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the working folder, with a configuration and a script in it."""
    monkeypatch.chdir(tmp_path)
    Path("config.yml").write_text("follower: {}\n")
    for name in ("prometheus", "start.sh"):
        Path(name).write_text("#!/bin/sh\n")
        Path(name).chmod(0o755)
    return tmp_path


def problems(output: str, *child: str) -> tuple[str, ...]:
    """Return what is said against an output and a command."""
    words = ["--config=config.yml", f"--output={output}", "--lease-lock=none", "--", *child]
    return prepare(load(words, {}, hostname="h", incarnation="i")).problems


@pytest.mark.parametrize(
    ("output", "child"),
    [
        ("a.yml", ("./prometheus", "--config.file=b.yml")),
        ("a.yml", ("./prometheus", "--config.file", "b.yml")),
        ("a.yml", ("./start.sh", "--config.file=b.yml")),
        ("a.yml", ("./prometheus",)),
    ],
)
def test_prometheus_may_not_read_another_file(
    folder: Path, output: str, child: tuple[str, ...]
) -> None:
    """It would run on what nobody rendered, a remote_write perhaps, and never be fenced."""
    (problem,) = problems(output, *child)
    assert problem.startswith(f"--output={output}: Prometheus reads --config.file=")
    assert f"write --config.file={output} after --" in problem


@pytest.mark.parametrize(
    ("output", "child"),
    [
        ("a.yml", ("./prometheus", "--config.file=a.yml")),
        ("a.yml", ("./prometheus", "--config.file=./a.yml")),
        ("link.yml", ("./prometheus", "--config.file=a.yml")),
        ("prometheus.yml", ("./prometheus",)),
        ("a.yml", ("./start.sh",)),
    ],
)
def test_the_same_file_may_be_named_in_other_ways(
    folder: Path, output: str, child: tuple[str, ...]
) -> None:
    """Also by a link; and a script may name its file by itself."""
    (folder / "link.yml").symlink_to("a.yml")
    assert problems(output, *child) == ()
