"""The content of the image, and its metadata."""

from __future__ import annotations

import re

import pytest

from tests.images.conftest import Run
from tests.images.podman import Container, inspected, podman


@pytest.fixture
def idle(run: Run) -> Container:
    """Run a container to inspect."""
    container = run(network="none")
    container.await_healthy()
    return container


def test_the_image_replaces_that_of_prometheus() -> None:
    """Arguments, user, folder, volume and port are those of Prometheus' image."""
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


def test_the_image_has_the_usual_labels() -> None:
    """The image has the labels that registries and scanners read."""
    labels = inspected()["Config"]["Labels"]
    for name in ("title", "description", "licenses", "version"):
        assert labels[f"org.opencontainers.image.{name}"]


def test_the_image_has_nothing_that_only_the_build_needs(idle: Container) -> None:
    """The image has no compiler, pip, cache, tests, or sources of compiled modules."""
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


def test_the_installed_program_is_small(idle: Container) -> None:
    """The installed program has between 20 and 40 MB.

    It has 34 MB, and would have more with bytecode or symbols that nothing needs.
    """
    script = "du --summarize --apparent-size --block-size=1 /opt/prometheus-elector"
    assert 20_000_000 < int(idle.run("sh", "-c", script).split()[0]) <= 40_000_000


def test_a_start_compiles_nothing(run: Run) -> None:
    """At a start all modules are loaded from bytecode: new bytecode could not be stored."""
    container = run(["--env=PYTHONVERBOSE=1"], network="none")
    container.await_healthy()
    logs = container.logs()
    assert re.search(r"code object from '/opt/.*/wrapper/.*\.pyc'", logs)
    assert re.findall(r"code object from '?(/.+\.py)'?$", logs, re.MULTILINE) == []


def test_only_the_data_can_be_written(idle: Container) -> None:
    """User 65534 can write to the data volume, but to none of our files or Prometheus'."""
    script = "find /opt /etc/prometheus /usr/share/prometheus /bin/prom* -writable ! -type l"
    assert idle.run("sh", "-c", script) == ""
    idle.run("touch", "/prometheus/mine")


def test_the_image_has_the_files_of_prometheus_image(idle: Container) -> None:
    """The image has Prometheus' configuration, licences and promtool, and before 3.0 consoles."""
    assert "prometheus.yml" in idle.run("ls", "/etc/prometheus")
    beside = set(idle.run("ls", "/usr/share/prometheus").split())
    version = re.search(r"version (\d+)\.", idle.run("prometheus", "--version"))
    assert version is not None
    if int(version[1]) < 3:
        assert "index.html.example" in idle.run("ls", "/etc/prometheus/consoles/")
        beside -= {"consoles", "console_libraries", "npm_licenses.tar.bz2"}
    assert beside == {"LICENSE", "NOTICE"}
    assert version[0] in idle.run("promtool", "--version")
