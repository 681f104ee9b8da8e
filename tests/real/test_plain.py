"""In front of Prometheus and without settings, it behaves like Prometheus started directly."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.real.parts import Program, applied_config, program, started
from tests.support import free_port, now, wait_until

CONFIG = "scrape_configs: [{{job_name: {job}}}]\n"


class Plain(Program):
    """Prometheus with the wrapper in front, and no setting but the address of its API."""

    def __init__(self, folder: Path, *flags: str, api: str = "") -> None:
        self.data, self.config = folder / "data", folder / "given/prometheus.yml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(CONFIG.format(job="first"))
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self.api = api or f"127.0.0.1:{free_port()}"
        argv = ["env", f"ELECTOR_API_LISTEN_ADDRESS={self.api}", sys.executable, "-m", "wrapper"]
        argv += ["--", program("prometheus"), f"--config.file={self.config}"]
        argv += [f"--storage.tsdb.path={self.data}", f"--web.listen-address={address}"]
        super().__init__("plain", [*argv, "--web.enable-lifecycle", *flags], folder)

    def start(self) -> None:
        """Start it and wait until Prometheus is ready."""
        super().start()
        self.await_answer(f"{self.url}/-/ready")

    def has_job(self, name: str) -> bool:
        """Tell whether Prometheus has loaded a configuration with this job."""
        return f"job_name: {name}\n" in applied_config(self.url)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    """Run one."""
    with started(Plain(tmp_path / "plain")) as part:
        yield part


def test_prometheus_reads_its_own_file_and_no_other_is_written(plain: Plain) -> None:
    """Prometheus keeps its --config.file, and no file is written beside it or in the data."""
    flags = requests.get(f"{plain.url}/api/v1/status/flags", timeout=5).json()["data"]
    assert flags["config.file"] == str(plain.config)
    assert not (plain.data / "prometheus-elector").exists()
    assert list(plain.config.parent.iterdir()) == [plain.config]


def test_a_reload_over_http_reports_an_invalid_file(plain: Plain) -> None:
    """A reload over HTTP answers 500 for an invalid file, and 200 once it is corrected."""
    plain.config.write_text("no_such_field: 1\n")
    assert requests.post(f"{plain.url}/-/reload", timeout=30).status_code == 500
    plain.config.write_text(CONFIG.format(job="second"))
    assert requests.post(f"{plain.url}/-/reload", timeout=30).status_code == 200
    assert plain.has_job("second")


def test_sighup_loads_an_edit(plain: Plain) -> None:
    """An edit is loaded after SIGHUP."""
    plain.config.write_text(CONFIG.format(job="second"))
    assert plain.has_job("first")
    assert plain.process is not None
    plain.process.send_signal(signal.SIGHUP)
    wait_until(lambda: plain.has_job("second"), 15, "the edit is in force")


def test_repeated_sigterms_stop_prometheus_in_order(plain: Plain) -> None:
    """Repeated SIGTERMs stop Prometheus in order, with status 0, and do not kill it.

    coreutils' `timeout` sends two. They may even arrive at the very end, when Python has removed
    its signal handlers.
    """
    assert plain.process is not None
    first_at = now()
    while plain.is_running and now() < first_at + 0.9:
        plain.process.send_signal(signal.SIGTERM)
        time.sleep(0.002)  # pending signals with the same number are delivered as one
    assert plain.process.wait(15) == 0
    assert "killing Prometheus" not in plain.log.read_text()


def test_the_api_reports_that_it_is_ready(plain: Plain) -> None:
    """The API reports that it is ready and alive."""
    plain.await_answer(f"http://{plain.api}/_elector/readyz")
    answer = requests.get(f"http://{plain.api}/_elector/healthz", timeout=5)
    assert answer.status_code == 200


def test_prometheus_runs_although_the_port_of_the_api_is_taken(
    plain: Plain, tmp_path: Path
) -> None:
    """If the API's port is taken, this is logged, and Prometheus runs until SIGTERM."""
    plain.await_answer(f"http://{plain.api}/_elector/healthz")
    with started(Plain(tmp_path / "other", api=plain.api)) as other:
        taken = f"--api-listen-address={plain.api}"
        wait_until(lambda: taken in other.tail(), 30, "the taken port is told")
        assert requests.get(f"{other.url}/-/healthy", timeout=5).ok
        assert other.stop() == 0


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (("--version",), 0, "prometheus, version"),
        (("--no-such-flag",), 1, "no-such-flag"),
        (("--config.file=/none/prometheus.yml",), 2, "/none/prometheus.yml"),
    ],
)
def test_prometheus_output_and_exit_status_are_passed_on(
    flags: tuple[str, ...], status: int, said: str, tmp_path: Path
) -> None:
    """For --version, bad flags and a missing file, output and status are those of Prometheus."""
    argv = [sys.executable, "-m", "wrapper", "--", program("prometheus"), *flags]
    part = Program("asked", argv, tmp_path)
    part.start()
    assert part.process is not None
    assert part.process.wait(30) == status
    assert said in part.tail()
