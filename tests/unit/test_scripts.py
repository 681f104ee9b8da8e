"""The scripts, in a checkout of their own, on a machine where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the scripts; their virtual environment does not exist."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts/setup").write_text("#!/bin/sh\n")
    return tmp_path


def run(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script by its relative path, with these variables."""
    return subprocess.run(
        command,
        cwd=checkout,
        env={**os.environ, "VENV": "none", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def executable(path: Path, text: str) -> str:
    """Write an executable shell script; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("command", "variable"), [("scripts/run", "PROMETHEUS"), ("scripts/render-k8s", "HELM")]
)
def test_missing_program_ends_the_script(checkout: Path, command: str, variable: str) -> None:
    """If a program is missing, the script prints only the remedy."""
    done = run(checkout, command, **{variable: "/missing"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"real-parts: {variable} is /missing, which does not exist or is no program: "
        "correct or unset it\n"
    )


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (("scripts/run", "--help"), "scripts/demo.py"),
        (("scripts/soak", "--minutes", "1", "-h"), "-m tests.soak"),
        (("scripts/bench", "budget", "--help"), "-m tests.bench.budget"),
    ],
)
def test_help_builds_no_program(checkout: Path, command: tuple[str, ...], program: str) -> None:
    """``--help`` works without building programs, which takes long."""
    (checkout / "tests/bench").mkdir(parents=True)
    (checkout / "tests/bench/budget.py").touch()
    executable(checkout / "programs/venv/bin/python", 'echo "$@"')
    missing = {"PROMETHEUS": "/missing", "PROMETHEUS_3_16": "/missing"}
    done = run(checkout, *command, VENV="programs/venv", **missing)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{program} ")


def test_lock_needs_uv(checkout: Path) -> None:
    """``scripts/lock`` needs uv, which is part of the virtual environment."""
    done = run(checkout, "scripts/lock", UV="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "lock: none/bin/uv is not installed: run scripts/setup, or set UV=/path/to/uv\n"
    )


def test_exported_cdpath_has_no_effect(checkout: Path) -> None:
    """CDPATH makes bash's cd print the folder; the evaluated output must not contain it."""
    done = run(checkout, "scripts/real-parts", "prometheus", PROMETHEUS="/bin/sh", CDPATH=".:/")
    assert done.stdout == "PROMETHEUS=/bin/sh\n"


def commit(checkout: Path) -> None:
    """Commit the scripts, and the files that contain the version."""
    for name, line in {
        ".gitignore": "/programs/\n/dist/",
        "setup.cfg": "version = 1.2.3",
        "wrapper/__init__.py": '__version__ = "1.2.3"',
        "k8s/chart/Chart.yaml": "version: 1.2.3",
        "images/Dockerfile": "ARG VERSION=1.2.3",
    }.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(line + "\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "all")):
        subprocess.run(("git", *words), cwd=checkout, check=True, timeout=60)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("scripts/test-k8s", "the tests run pods in network namespaces: run this as root"),
        ("scripts/release", "base images and containers need root: run this as root"),
    ],
)
def test_missing_root_is_reported_first(checkout: Path, command: str, problem: str) -> None:
    """A script that needs root fails before it builds programs for minutes."""
    commit(checkout)
    executable(checkout / "programs/id", "echo 1000")
    executable(checkout / "programs/go", "exit 1")
    path = f"{checkout / 'programs'}:{os.environ['PATH']}"
    done = run(checkout, command, PATH=path, PROMETHEUS="/missing", HELM="/missing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{Path(command).name}: {problem}\n"


def test_failed_release_can_be_repeated(checkout: Path) -> None:
    """A failed release leaves no files, so that the next attempt succeeds."""
    commit(checkout)
    programs = checkout / "programs"
    executable(programs / "venv/bin/python", 'touch "$3/prometheus_elector-1.2.3.whl"')
    helm = executable(programs / "helm", 'touch "$4/prometheus-elector-1.2.3.tgz"')
    known = {"VENV": "programs/venv", "XDG_CACHE_HOME": str(programs / "cache")}
    command = ("scripts/release", "--without-image")
    failed = run(checkout, *command, HELM="/bin/false", **known)
    assert (failed.returncode, "helm failed" in failed.stderr) == (1, True)
    assert not (checkout / "dist").exists()
    for _ in range(2):
        done = run(checkout, *command, HELM=helm, **known)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (checkout / "dist").iterdir()) == [
        "SHA256SUMS",
        "prometheus-elector-1.2.3-chart.tgz",
        "prometheus_elector-1.2.3.whl",
    ]
