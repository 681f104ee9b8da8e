"""What the image is made of, and what it says of itself."""

from __future__ import annotations

import re

import pytest

from tests.images.conftest import Run
from tests.images.podman import Container, inspected, podman


@pytest.fixture
def idle(run: Run) -> Container:
    """Run a container to look around in."""
    container = run(network="none")
    container.await_healthy()
    return container


def test_it_stands_in_for_the_image_of_prometheus() -> None:
    """Arguments, user, folder, volume and port are as those of Prometheus' own."""
    config = inspected()["Config"]
    assert config["Entrypoint"] == ["/bin/prometheus-elector", "--", "/bin/prometheus"]
    assert config["Cmd"] == [
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
    ]
    assert config["User"].partition(":")[0] == "65534"
    assert config["WorkingDir"] == "/prometheus"
    assert set(config["Volumes"]) == {"/prometheus"}
    assert "9090/tcp" in config["ExposedPorts"]


def test_it_says_what_it_is() -> None:
    """The labels that registries and scanners read are there."""
    labels = inspected()["Config"]["Labels"]
    for name in ("title", "description", "licenses", "version"):
        assert labels[f"org.opencontainers.image.{name}"]


def test_nothing_that_only_building_needs_is_left(idle: Container) -> None:
    """No compiler, no pip of ours, no cache, no tests, no sources of compiled modules."""
    script = (
        "for tool in cc gcc c++ make; do command -v $tool; done\n"
        "cd /opt/prometheus-elector/lib/python3*/site-packages\n"
        "ls -d pip setuptools 2>/dev/null\n"
        "find . -name tests -o -name '*.c' -o -name '*.pyx'\n"
        "find / -xdev -name '*.whl' -path '*cache*' 2>/dev/null\n"
        "ls /build 2>/dev/null\n"
    )
    assert idle.run("sh", "-c", f"{script} true") == ""
    by_root = ["exec", "--user=0", idle.name, "ls", "-A", "/root/.cache"]
    assert podman(*by_root, check=False).stdout == "", "nobody else can look there"


def test_what_is_added_to_prometheus_and_python_is_small(idle: Container) -> None:
    """It is 34 MB, and would be more if bytecode or symbols came along that nothing needs."""
    script = "du --summarize --apparent-size --block-size=1 /opt/prometheus-elector"
    assert 20_000_000 < int(idle.run("sh", "-c", script).split()[0]) <= 40_000_000


def test_a_start_compiles_nothing(run: Run) -> None:
    """Each module that it imports has bytecode: none could be stored later."""
    container = run(["--env=PYTHONVERBOSE=1"], network="none")
    container.await_healthy()
    logs = container.logs()
    assert re.search(r"code object from '/opt/.*/wrapper/.*\.pyc'", logs)
    assert re.findall(r"code object from '?(/.+\.py)'?$", logs, re.MULTILINE) == []


def test_only_the_data_can_be_written(idle: Container) -> None:
    """Of all that is on the root file system, user 65534 may write to nothing of ours."""
    script = "find /opt /etc/prometheus /usr/share/prometheus /bin/prom* -writable ! -type l"
    assert idle.run("sh", "-c", script) == ""
    idle.run("touch", "/prometheus/mine")


def test_what_prometheus_image_has_comes_along(idle: Container) -> None:
    """The configuration, the licences, promtool; before Prometheus 3 also consoles."""
    assert "prometheus.yml" in idle.run("ls", "/etc/prometheus")
    beside = set(idle.run("ls", "/usr/share/prometheus").split())
    version = re.search(r"version (\d+)\.", idle.run("prometheus", "--version"))
    assert version is not None
    if int(version[1]) < 3:
        assert "index.html.example" in idle.run("ls", "/etc/prometheus/consoles/")
        beside -= {"consoles", "console_libraries", "npm_licenses.tar.bz2"}
    assert beside == {"LICENSE", "NOTICE"}
    assert version[0] in idle.run("promtool", "--version")
