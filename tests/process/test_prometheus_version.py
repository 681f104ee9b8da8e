"""Asking a Prometheus for its version: a real one, and programs that only look like it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.real.parts import program
from wrapper.startup import prometheus_version
from wrapper.startup.prometheus_version import PrometheusVersion


@pytest.fixture
def told() -> str:
    """Return what this run's Prometheus says of itself; "" if it was built without a version."""
    said = subprocess.check_output([program("prometheus"), "--version"], text=True)
    return said.split("(")[0].removeprefix("prometheus, version").strip()


@pytest.mark.parametrize("before", [(), ("env", "A=b"), ("tini", "--")])
def test_prometheus_tells_it(
    told: str, before: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another command precedes it."""
    monkeypatch.setattr(prometheus_version, "LIMIT_S", 60.0)  # on a busy machine it takes long
    version = PrometheusVersion((*before, program("prometheus"), "--config.file=prometheus.yml"))
    version.ask()
    assert version.answer() == told
    assert version.answer() == told, "asked once, it is known"


def test_a_start_that_is_refused_leaves_nothing_behind() -> None:
    """It ends what it asked, and waits for no answer."""
    before = psutil.Process().children()
    version = PrometheusVersion((program("prometheus"),))
    version.ask()
    asked = [each for each in psutil.Process().children() if each not in before]
    assert len(asked) == 1, "it was asked"
    version.forget()
    assert not asked[0].is_running()


def test_a_script_is_not_run(tmp_path: Path) -> None:
    """It might start a second Prometheus."""
    script = tmp_path / "prometheus"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/run\necho 'prometheus, version 2.1.0 (x'\n")
    script.chmod(0o755)
    assert PrometheusVersion((str(script),)).answer() == ""
    assert not (tmp_path / "run").exists()


def test_a_program_of_another_name_is_not_run(tmp_path: Path) -> None:
    """It might not know --version, and start."""
    other = tmp_path / "launcher"
    other.symlink_to(program("prometheus"))
    assert PrometheusVersion((str(other), "prometheus.yml")).answer() == ""


@pytest.mark.parametrize("command", [(), ("no-such-program",), ("/no/such/prometheus",)])
def test_without_a_prometheus_there_is_no_version(command: tuple[str, ...]) -> None:
    """A sidecar has none, and a start that fails says so elsewhere."""
    assert PrometheusVersion(command).answer() == ""


def test_another_program_of_that_name_tells_nothing(tmp_path: Path) -> None:
    """What it says is not taken for a version."""
    other = tmp_path / "prometheus"
    other.symlink_to(str(shutil.which("env")))
    assert PrometheusVersion((str(other),)).answer() == ""


def test_one_that_does_not_answer_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The wait has an end, and no process is left."""
    started = []

    def run(_: str) -> subprocess.Popen[bytes]:
        waiting = [sys.executable, "-c", "import time; time.sleep(60)"]
        started.append(subprocess.Popen(waiting, stdout=subprocess.PIPE))
        return started[0]

    monkeypatch.setattr(prometheus_version, "LIMIT_S", 0.1)
    monkeypatch.setattr(prometheus_version, "_run", run)
    assert PrometheusVersion((program("prometheus"),)).answer() == ""
    assert started[0].returncode == -9
