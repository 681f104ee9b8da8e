"""Fixtures for rendered manifests; the real programs are those of tests/real."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s import definitions
from tests.k8s.network import Network
from tests.real.conftest import (  # noqa: F401 - fixtures and a hook, found by name
    make_namespace,
    namespace,
    pytest_runtest_makereport,
    worker,
)
from tests.real.parts import ApiServer, Etcd, started
from tests.real.witness import Witness


@pytest.fixture(scope="session")
def shared_api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Run etcd and kube-apiserver for all tests of one worker."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with started(Etcd(folder)) as etcd, started(ApiServer(folder, etcd)) as server:
        yield server


@pytest.fixture
def api_server(shared_api_server: ApiServer) -> Iterator[ApiServer]:
    """Give the API server with the Operator's kinds; it is restored afterwards."""
    yield shared_api_server
    shared_api_server.restore()


@pytest.fixture
def network(tmp_path: Path, api_server: ApiServer) -> Iterator[Network]:
    """Give a network for pods, with the API server; its programs are stopped at the end."""
    with Network(tmp_path, api_server) as made:
        yield made


@pytest.fixture(scope="session")
def operators_kinds(shared_api_server: ApiServer) -> None:
    """Install the Prometheus Operator's kinds in the API server."""
    definitions.install(shared_api_server)


@pytest.fixture
def witness() -> Iterator[Witness]:
    """Give a witness; check at the end that no two replicas had a remote_write at once."""
    seen = Witness()
    yield seen
    seen.close()
    for one, other in itertools.combinations(seen.reigns, 2):
        overlaps = max(one.since, other.since) < min(one.until, other.until)
        assert not (overlaps and one.replica != other.replica), f"two writers: {one}, {other}"
