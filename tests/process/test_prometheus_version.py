"""The version of Prometheus, of a real one and of other programs in its place."""

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
def expected_version() -> str:
    """Return the version that this Prometheus prints; "" if it was built without one."""
    said = subprocess.check_output([program("prometheus"), "--version"], text=True)
    return said.split("(")[0].removeprefix("prometheus, version").strip()


@pytest.mark.parametrize("before", [(), ("env", "A=b"), ("tini", "--")])
def test_version_of_prometheus_is_found(
    expected_version: str, before: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is found, also if another command precedes Prometheus."""
    monkeypatch.setattr(prometheus_version, "LIMIT_S", 60.0)  # on a busy machine it takes long
    version = PrometheusVersion((*before, program("prometheus"), "--config.file=prometheus.yml"))
    version.ask()
    assert version.answer() == expected_version
    assert version.answer() == expected_version, "asked once, it is known"


def test_forget_ends_the_started_program() -> None:
    """`forget` ends the program that was started to get the version."""
    before = psutil.Process().children()
    version = PrometheusVersion((program("prometheus"),))
    version.ask()
    asked = [each for each in psutil.Process().children() if each not in before]
    assert len(asked) == 1, "it was asked"
    version.forget()
    assert not asked[0].is_running()


def test_a_script_is_not_run(tmp_path: Path) -> None:
    """A script is not run for its version, because it might start a second Prometheus."""
    script = tmp_path / "prometheus"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/run\necho 'prometheus, version 2.1.0 (x'\n")
    script.chmod(0o755)
    assert PrometheusVersion((str(script),)).answer() == ""
    assert not (tmp_path / "run").exists()


def test_a_program_of_another_name_is_not_run(tmp_path: Path) -> None:
    """A program with another name is not run, because it might not know --version."""
    other = tmp_path / "launcher"
    other.symlink_to(program("prometheus"))
    assert PrometheusVersion((str(other), "prometheus.yml")).answer() == ""


@pytest.mark.parametrize("command", [(), ("no-such-program",), ("/no/such/prometheus",)])
def test_without_a_prometheus_there_is_no_version(command: tuple[str, ...]) -> None:
    """Without a command, or if it does not exist, the version is empty."""
    assert PrometheusVersion(command).answer() == ""


def test_other_output_is_not_a_version(tmp_path: Path) -> None:
    """Output of another program that is named prometheus is no version."""
    other = tmp_path / "prometheus"
    other.symlink_to(str(shutil.which("env")))
    assert PrometheusVersion((str(other),)).answer() == ""


def test_a_program_that_does_not_answer_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program that does not answer in time is killed, and the version is empty."""
    started = []

    def run(_: str) -> subprocess.Popen[bytes]:
        waiting = [sys.executable, "-c", "import time; time.sleep(60)"]
        started.append(subprocess.Popen(waiting, stdout=subprocess.PIPE))
        return started[0]

    monkeypatch.setattr(prometheus_version, "LIMIT_S", 0.1)
    monkeypatch.setattr(prometheus_version, "_run", run)
    assert PrometheusVersion((program("prometheus"),)).answer() == ""
    assert started[0].returncode == -9
