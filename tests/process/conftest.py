"""Fixtures that several test files share: a stand-in for the API server, leases, and feeds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import promgen
from tests.process.feeding import ONE, FeedSetup
from tests.process.stand_in import LIMIT_S, StandIn, running
from tests.promgen import RULES, TARGETS, URLS, Promgen
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.targets import fetch_pacing


@pytest.fixture
def server() -> Iterator[StandIn]:
    """Run a stand-in that answers every request with the lease, unless the test changes that."""
    with running(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def make_certificate(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Path, Path]]:
    """Return a function that makes a key and a self-signed certificate."""

    def make(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp("tls")
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
        command += ["-addext", f"subjectAltName={name}", "-keyout", str(key), "-out"]
        subprocess.run([*command, str(certificate)], check=True, capture_output=True)
        return key, certificate

    return make


@pytest.fixture
def lease_at(tmp_path: Path) -> Callable[..., KubernetesLease]:
    """Return a function that makes a lease at a URL; its token is in the file `token`."""

    def make(url: str, limit_s: float = LIMIT_S, **cluster_keys: str) -> KubernetesLease:
        token = tmp_path / "token"
        token.write_text("first\n")
        content = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": url, **cluster_keys}}],
            "users": [{"name": "u", "user": {"tokenFile": str(token)}}],
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(content))
        return KubernetesLease("prometheus", "monitoring", str(kubeconfig), "pod-1", limit_s)

    return make


@pytest.fixture
def lease(server: StandIn, lease_at: Callable[..., KubernetesLease]) -> KubernetesLease:
    """Return a lease at the stand-in whose client is loaded already."""
    made = lease_at(server.url)
    made.read()
    server.seen.clear()
    return made


@pytest.fixture
def feed_setup(tmp_path: Path) -> Iterator[FeedSetup]:
    """Return a folder, and a server with valid answers."""
    server = Promgen()
    server.bodies = {TARGETS: ONE, URLS: ONE, RULES: promgen.rules()}
    given = FeedSetup(server, tmp_path)
    given.ready.set()
    yield given
    for keeper in given.keepers:
        keeper.end()
    server.close()


@pytest.fixture
def unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the pacing of fetches, in tests that are not about it."""
    monkeypatch.setattr(fetch_pacing, "APART_S", 0.0)
