"""One container starts, stops and behaves like one of Prometheus' image, however restricted."""

from __future__ import annotations

import os
from pathlib import Path

import bcrypt
import pytest
import requests

from tests.certificates import Authority
from tests.images.conftest import Run
from tests.images.podman import READY_S
from tests.support import wait_until

LOCKED_IN = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all")
NO_NEW_RIGHTS = "--security-opt=no-new-privileges"
CONFIG = "--config.file=/etc/prometheus/prometheus.yml"
DATA = (CONFIG, "--storage.tsdb.path=/prometheus")
UP = "http://127.0.0.1:9090/api/v1/query?query=up"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="as it is"),
        pytest.param(("--init",), id="with an init in front"),
        pytest.param((*LOCKED_IN, NO_NEW_RIGHTS), id="read-only, without capabilities"),
        pytest.param(("--user=12345:0", *LOCKED_IN), id="as any user of group 0"),
    ],
)
def test_it_scrapes_and_stops_in_order(options: tuple[str, ...], run: Run) -> None:
    """Without arguments, a container scrapes, is healthy, and exits with 0 on SIGTERM."""
    container = run(options, network="none")
    container.await_healthy()
    wait_until(lambda: '"1"]' in container.get(UP), READY_S, "it scrapes itself", 0.3)
    assert "prometheus-elector" not in container.run("ls", "/prometheus")
    container.signal("TERM")
    assert container.await_end() == 0
    assert "See you next time!" in container.logs()


def test_the_data_of_another_user_is_written_to_as_that_user(run: Run, tmp_path: Path) -> None:
    """With data of user 65532, the container runs and writes as that user.

    The variant -distroless of Prometheus' image runs as this user.
    """
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    os.chown(data, 65532, 65532)
    options = ("--user=65532:65532", f"--volume={data}:/prometheus", *LOCKED_IN, NO_NEW_RIGHTS)
    container = run(options, network="none")
    container.await_healthy()
    wait_until(lambda: '"1"]' in container.get(UP), READY_S, "it scrapes itself", 0.3)
    assert {path.stat().st_uid for path in data.iterdir()} == {65532}


def test_arguments_are_those_of_prometheus(run: Run) -> None:
    """The container's arguments replace the default ones, and are Prometheus'."""
    container = run(
        words=[CONFIG, "--storage.tsdb.path=/prometheus/here", "--web.enable-lifecycle"]
    )
    container.await_ready()
    flags = requests.get(f"{container.url}/api/v1/status/flags", timeout=5).json()["data"]
    assert flags["storage.tsdb.path"] == "/prometheus/here"
    assert requests.put(f"{container.url}/-/quit", timeout=5).ok
    assert container.await_end() == 0


def test_the_version_is_that_of_prometheus(run: Run) -> None:
    """With --version, the container prints Prometheus' version and exits with 0."""
    container = run(words=["--version"], network="none")
    assert container.await_end() == 0
    assert "prometheus, version" in container.logs()


def test_a_killed_prometheus_ends_the_container_with_137(run: Run) -> None:
    """When Prometheus is killed, the container exits with 137."""
    container = run(network="none")
    container.await_healthy()
    number = container.number_of("/bin/prometheus --config")
    container.run("sh", "-c", f"kill -KILL {number}", check=False)
    assert container.await_end() == 137


def test_orphans_are_reaped(run: Run) -> None:
    """An orphaned process that ends is reaped by process 1, so no zombie remains."""
    container = run(network="none")
    container.await_healthy()
    number = int(container.run("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"))
    container.run("sh", "-c", f"kill -KILL {number}")
    wait_until(lambda: number not in container.processes(), 30, "it has been waited for", 0.2)
    assert "Z" not in {state for state, _ in container.processes().values()}


def test_a_stopped_supervisor_makes_the_container_unhealthy(run: Run) -> None:
    """While the supervisor is stopped, HEALTHCHECK fails; afterwards it succeeds again."""
    container = run(network="none")
    container.await_healthy()
    numbers = [
        number
        for number, (_, command) in container.processes().items()
        if "bin/prometheus-elector -- " in command and number != 1
    ]
    container.run("sh", "-c", f"kill -STOP {numbers[0]}")
    wait_until(lambda: not container.is_healthy(), READY_S, "it is unhealthy", 0.5)
    container.run("sh", "-c", f"kill -CONT {numbers[0]}")
    container.await_healthy()


def test_an_api_behind_tls_and_a_password_is_healthy_too(run: Run, tmp_path: Path) -> None:
    """With TLS and a password for the API, HEALTHCHECK succeeds, and other paths answer 401."""
    pair = Authority(tmp_path).issue("server")
    (tmp_path / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {pair.certificate.name}, key_file: {pair.key.name}}}\n"
        f"basic_auth_users: {{alice: {bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}}}\n"
    )
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    tmp_path.chmod(0o755)
    web = (f"--volume={tmp_path}:/web:ro", "--env=ELECTOR_WEB_CONFIG_FILE=/web/web.yml")
    container = run(web, DATA)
    container.await_healthy()
    url = f"{container.api.replace('http', 'https', 1)}/_elector/leader"
    assert requests.get(url, verify=str(tmp_path / "ca.pem"), timeout=5).status_code == 401


def test_a_taken_api_port_stops_no_prometheus(run: Run) -> None:
    """If the API's port is taken, this is logged, and Prometheus runs."""
    first = run(words=DATA)
    first.await_ready()
    taken = first.api.removeprefix("http://")
    second = run([f"--env=ELECTOR_API_LISTEN_ADDRESS={taken}"], DATA)
    wait_until(
        lambda: "choose another address or port" in second.logs(), READY_S, "it is told", 0.2
    )
    wait_until(lambda: requests.get(f"{second.url}/-/ready", timeout=2).ok, READY_S, "it is ready")
    assert second.state()["Status"] == "running"
