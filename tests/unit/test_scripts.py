"""The scripts, in a checkout of their own, on a machine that lacks something."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the scripts; their virtual environment is never made."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts/setup").write_text("#!/bin/sh\n")
    return tmp_path


def run(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script, by its relative path, with further variables."""
    return subprocess.run(
        command,
        cwd=checkout,
        env=os.environ | {"XDG_CACHE_HOME": str(checkout / "cache"), "VENV": "none"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("command", "variable"), [("scripts/run", "PROMETHEUS"), ("scripts/render-k8s", "HELM")]
)
def test_ends_where_a_program_is_missing(checkout: Path, command: str, variable: str) -> None:
    """The cure is the only thing that is said."""
    done = run(checkout, command, **{variable: "/missing"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"real-parts: {variable} is /missing, which does not exist or is no program: "
        "correct or unset it\n"
    )


def test_the_lock_files_need_uv(checkout: Path) -> None:
    """It is part of the virtual environment."""
    done = run(checkout, "scripts/lock", UV="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "lock: none/bin/uv is not installed: run scripts/setup, or set UV=/path/to/uv\n"
    )


def test_an_exported_cdpath_changes_nothing(checkout: Path) -> None:
    """With it, bash's cd prints the folder, and what real-parts prints is evaluated."""
    done = run(checkout, "scripts/real-parts", "prometheus", PROMETHEUS="/bin/sh", CDPATH=".:/")
    assert done.stdout == "PROMETHEUS=/bin/sh\n"
