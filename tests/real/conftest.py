"""Fixtures of real programs; the report of a failed test shows the end of each program's log."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.real.common import common_server
from tests.real.fleet import Fleet
from tests.real.gap import Setup, Writers
from tests.real.parts import (
    ApiServer,
    Etcd,
    Namespace,
    Program,
    Receiver,
    WriteLog,
    started,
)
from tests.real.receivers import PrometheusStore, VictoriaStore
from tests.real.replica import QUICK, Replica

_numbers = itertools.count(1)
Start = Callable[..., Replica]
MakeWriters = Callable[..., Writers]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the running programs to the report of a failed test."""
    report = yield
    if report.failed:
        for log, part in Program.running.items():
            report.sections.append((f"log of {part.argv[0]} ({log})", part.tail()))
    return report


@pytest.fixture(scope="module")
def own_api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Run etcd and kube-apiserver for one file's tests, and stop them after these."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with started(Etcd(folder)) as etcd, started(ApiServer(folder, etcd)) as server:
        yield server


@pytest.fixture(scope="session")
def common_api_server(tmp_path_factory: pytest.TempPathFactory, worker: str) -> Iterator[ApiServer]:
    """Run etcd and kube-apiserver for all workers of the test run."""
    own = tmp_path_factory.getbasetemp()
    with common_server((own.parent if worker else own) / "kubernetes-common") as server:
        yield server


@pytest.fixture(scope="session")
def worker() -> str:
    """Give the name of this pytest-xdist worker, "" without pytest-xdist."""
    return os.environ.get("PYTEST_XDIST_WORKER", "")


@pytest.fixture
def api_server(request: pytest.FixtureRequest) -> Iterator[ApiServer]:
    """Give an API server: the file's own, restored afterwards, to a test that breaks it."""
    if request.node.get_closest_marker("breaks_api_server") is None:
        yield request.getfixturevalue("common_api_server")
        return
    own: ApiServer = request.getfixturevalue("own_api_server")
    yield own
    own.restore()


@pytest.fixture
def make_namespace(api_server: ApiServer, tmp_path: Path, worker: str) -> Callable[..., Namespace]:
    """Give a function that makes a new namespace; its keywords are those of `Namespace`."""

    def make(**keywords: Any) -> Namespace:
        name = f"test{worker}-{next(_numbers)}"
        return Namespace(api_server, tmp_path / name, name, **keywords)

    return make


@pytest.fixture
def namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    """Give a new namespace with a service account that has only the documented rights."""
    return make_namespace()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Run a Prometheus that accepts remote_write."""
    with started(Receiver(tmp_path / "receiver")) as part:
        yield part


@pytest.fixture
def write_log() -> Iterator[WriteLog]:
    """Run a remote_write receiver that records which replica writes, and when."""
    log = WriteLog()
    yield log
    log.close()


@pytest.fixture
def fleet(tmp_path: Path, namespace: Namespace, write_log: WriteLog) -> Iterator[Fleet]:
    """Give replicas on one Lease; check at the end that no two wrote at once and none runs."""
    replicas = Fleet(tmp_path, namespace, write_log)
    try:
        yield replicas
        replicas.close()
    finally:
        replicas.end()


@pytest.fixture
def writers(tmp_path: Path, namespace: Namespace) -> Iterator[MakeWriters]:
    """Give a function that makes replicas with gates, on a Lease, with their own receiver."""
    with ExitStack() as stack:

        def make(
            store: type[PrometheusStore | VictoriaStore] = PrometheusStore, **setup: Any
        ) -> Writers:
            receiver = stack.enter_context(started(store(tmp_path / "store")))
            made = Writers(tmp_path, receiver, Setup(**setup), namespace)
            stack.callback(made.end)
            return made

        yield make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a replica on the test's lock file."""
    with ExitStack() as stack:

        def start_one(name: str, *flags: str, **options: Any) -> Replica:
            lock = f"--lease-lock=file:{tmp_path / 'locks/election.lock'}"
            replica = Replica(tmp_path, name, lock, *QUICK, *flags, **options)
            return stack.enter_context(started(replica))

        yield start_one
