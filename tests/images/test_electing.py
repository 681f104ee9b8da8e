"""Containers that elect: on a lock file in a shared volume, and on a real Lease."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.conftest import Run
from tests.images.podman import READY_S, Container
from tests.real.parts import Namespace, WriteLog
from tests.support import wait_until

LEADER = "remote_write: [{{url: '{url}'}}]\n"
FOLLOWER = """
global: {scrape_interval: 1s}
scrape_configs: [{job_name: none}]
"""
LOCKED_IN = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all")
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def configuration(tmp_path: Path, write_log: WriteLog) -> tuple[str, ...]:
    """Give podman's options to mount Prometheus' configuration and the leader's part."""
    config, leader = tmp_path / "prometheus.yml", tmp_path / "leader.yml"
    config.write_text(FOLLOWER)
    leader.write_text(LEADER.format(url=write_log.url("a")))
    return (
        f"--volume={config}:/etc/prometheus/prometheus.yml:ro",
        f"--volume={leader}:/etc/elector/leader.yml:ro",
        "--env=ELECTOR_LEADER_CONFIG=/etc/elector/leader.yml",
        *LOCKED_IN,
    )


def words(name: str) -> tuple[str, ...]:
    """Return Prometheus' arguments, with its own folder in the volume."""
    config = "--config.file=/etc/prometheus/prometheus.yml"
    return config, f"--storage.tsdb.path=/prometheus/{name}"


def await_leader(container: Container) -> None:
    """Wait until the container leads."""
    wait_until(container.leads, READY_S, f"{container.name} leads", 0.2)


def test_a_container_without_a_lease_leads(configuration: tuple[str, ...], run: Run) -> None:
    """With a leader's part but no lease, a container leads with a lock file in its data volume."""
    container = run(configuration, words("a"))
    await_leader(container)
    assert "election.lock" in container.run("ls", "/prometheus/prometheus-elector")
    container.signal("TERM")
    assert container.await_end() == 0


def test_a_container_with_one_file_for_both_parts_leads(
    write_log: WriteLog, tmp_path: Path, run: Run
) -> None:
    """With one file for both parts and no lease, a container leads; its output is in the volume."""
    config = tmp_path / "elector.yml"
    leader = f"leader: {{remote_write: [{{url: '{write_log.url('a')}'}}]}}\n"
    config.write_text("follower: {scrape_configs: [{job_name: none}]}\n" + leader)
    given = (f"--volume={config}:/etc/elector.yml:ro", "--env=ELECTOR_CONFIG=/etc/elector.yml")
    output = "--config.file=/prometheus/prometheus.yml"
    container = run((*given, *LOCKED_IN), (output, "--storage.tsdb.path=/prometheus"))
    await_leader(container)
    assert "election.lock" in container.run("ls", "/prometheus/prometheus-elector")


def test_two_containers_with_a_shared_volume_elect_one(
    configuration: tuple[str, ...], volume: str, run: Run
) -> None:
    """Of two containers with a shared volume one leads; when it is killed, the other leads."""
    options = (*configuration, f"--volume={volume}:/prometheus")
    first = run(options, words("a"))
    await_leader(first)
    second = run(options, words("b"))
    second.await_ready()
    assert not second.leads()
    first.signal("KILL")
    await_leader(second)


def test_two_containers_elect_one_on_a_lease(
    configuration: tuple[str, ...], namespace: Namespace, run: Run, tmp_path: Path
) -> None:
    """Two containers elect on a Lease, one as in a pod, one with a kubeconfig.

    The packages in the image, from which files were removed, suffice for this.
    """
    for path in (namespace.token_file, namespace.kubeconfig, namespace.server.ca_file):
        path.chmod(0o644)
    lease = ("--env=ELECTOR_LEASE_NAME=prometheus",)
    own = f"--env=ELECTOR_LEASE_NAMESPACE={namespace.name}"
    first = run((*configuration, *lease, own, *_in_a_pod(namespace)), words("a"))
    await_leader(first)
    assert namespace.holder() == "pod-0"
    second = run((*configuration, *lease, own, *_by_kubeconfig(namespace)), words("b"))
    second.await_ready()
    assert not second.leads()
    first.signal("TERM")
    await_leader(second)
    assert namespace.holder() == "pod-1"
    assert first.await_end() == 0


def _in_a_pod(namespace: Namespace) -> tuple[str, ...]:
    port = namespace.server.url.rpartition(":")[2]
    return (
        "--env=POD_NAME=pod-0",
        "--env=KUBERNETES_SERVICE_HOST=127.0.0.1",
        f"--env=KUBERNETES_SERVICE_PORT={port}",
        f"--volume={namespace.token_file}:{SERVICE_ACCOUNT}/token:ro",
        f"--volume={namespace.server.ca_file}:{SERVICE_ACCOUNT}/ca.crt:ro",
    )


def _by_kubeconfig(namespace: Namespace) -> tuple[str, ...]:
    mounted = (namespace.kubeconfig, namespace.token_file, namespace.server.ca_file)
    return (
        "--env=POD_NAME=pod-1",
        f"--env=KUBECONFIG={namespace.kubeconfig}",
        *(f"--volume={path}:{path}:ro" for path in mounted),
    )
