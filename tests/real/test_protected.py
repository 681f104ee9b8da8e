"""A real Prometheus with TLS and a password, and our API with the same file."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.certificates import Authority, Pair
from tests.real.parts import Program, WriteLog, program, started
from tests.real.promtool import promtool
from tests.real.replica import QUICK, Replica
from tests.support import free_port, wait_until
from wrapper.access.web_access import WebAccess
from wrapper.documents.problems import ConfigurationError

ALICE = ("alice", "wonderland")
HASH = "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu"  # of that password; cheap
PAIR = "cert_file: server.pem, key_file: server.key"
SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a CA."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web_config(tmp_path: Path, authority: Authority) -> Path:
    """Give a web configuration with TLS and a user."""
    pair = authority.issue("server")
    files = f"cert_file: {pair.certificate}, key_file: {pair.key}"
    path = tmp_path / "web.yml"
    path.write_text(f"tls_server_config: {{{files}}}\n{USERS}")
    return path


@pytest.fixture
def http_config(tmp_path: Path, authority: Authority) -> Path:
    """Give the client's configuration for such a server."""
    path = tmp_path / "http.yml"
    path.write_text(
        f"tls_config: {{ca_file: {authority.file}}}\n"
        "basic_auth: {username: alice, password: wonderland}\n"
    )
    return path


def ask(authority: Authority, url: str, **options: Any) -> requests.Response:
    """Send a GET as alice, with the CA trusted."""
    options = {"auth": ALICE, "verify": str(authority.file), "timeout": 10, **options}
    return requests.get(url, **options)


class Protected(Replica):
    """A replica whose API and Prometheus need TLS and a password."""

    def __init__(
        self, folder: Path, name: str, web_config: Path, http_config: Path, *flags: str, **more: Any
    ) -> None:
        child_flags = (*more.pop("child_flags", ()), f"--web.config.file={web_config}")
        flags = (f"--web-config-file={web_config}", "--api-proxy-enabled", *flags)
        flags = (f"--prometheus-http-config={http_config}", *QUICK, *flags)
        super().__init__(folder, name, *flags, child_flags=child_flags, **more)
        self.url = self.url.replace("http:", "https:")
        self.api = self.api.replace("http:", "https:")


@pytest.fixture
def replica(
    tmp_path: Path, web_config: Path, http_config: Path, write_log: WriteLog
) -> Callable[[str, str], Protected]:
    """Give a function that makes a replica, which reloads by signal or by HTTP."""

    def make(name: str, reloaded_by: str) -> Protected:
        lock = f"--lease-lock=file:{tmp_path / 'election.lock'}"
        more = {"write_url": write_log.url(name), "child_flags": ("--web.enable-lifecycle",)}
        made = Protected(tmp_path, name, web_config, http_config, lock, **more)
        if reloaded_by == "http":
            made.argv.insert(made.argv.index("--"), f"--notify-http-url={made.url}/-/reload")
        return made

    return make


@pytest.mark.parametrize("reloaded_by", ["signal", "http"])
def test_a_protected_prometheus_is_elected_reloaded_and_proxied(
    authority: Authority, replica: Callable[[str, str], Protected], reloaded_by: str
) -> None:
    """With TLS and passwords, replicas become ready, lead, forward queries and hand over."""

    def loaded(one: Protected) -> str:
        return ask(authority, f"{one.url}/api/v1/status/config").text

    one, other = replica("a", reloaded_by), replica("b", reloaded_by)
    with started(one):
        wait_until(lambda: "remote_write" in loaded(one), 30, "a leads")
        with started(other):
            health = f"{other.api}/_elector/readyz"
            wait_until(lambda: ask(authority, health, auth=None).ok, 30, "b is ready")
            through = f"{other.api}/api/v1/status/config"
            wait_until(lambda: ask(authority, through).text == loaded(one), 30, "a answers at b")
            assert ask(authority, through, auth=("alice", "x")).status_code == 401
            assert ask(authority, f"{one.url}/api/v1/status/config", auth=None).status_code == 401
            one.term()
            wait_until(lambda: "remote_write" in loaded(other), 30, "b leads")
            assert one.await_end() == 0
            other.term()
            assert other.await_end() == 0


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        (USERS, (), ("--web.config.file=", "basic_auth", "--prometheus-http-config")),
        (USERS, ("http",), ("--api-proxy-enabled: ", "--web-config-file")),
        ("tls_server_config: {cert_file: none, key_file: none}", (), (" asked=https://",)),
    ],
    ids=["no password", "open proxy", "TLS"],
)
def test_settings_that_do_not_fit_are_refused_at_the_start(
    tmp_path: Path, http_config: Path, text: str, flags: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Without a password for Prometheus, or with a proxy open to all, the start is refused."""
    child_config, config = tmp_path / "child.yml", tmp_path / "elector.yml"
    child_config.write_text(text)
    config.write_text("follower: {}\n")
    command = [sys.executable, "-m", "wrapper", f"--config={config}", "--api-proxy-enabled"]
    command += [f"--prometheus-http-config={http_config}" for _ in flags]
    command += [f"--api-listen-address=127.0.0.1:{free_port()}", "--lease-lock=none"]
    command += ["--", program("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.config.file={child_config}"]
    command += [f"--web.listen-address=127.0.0.1:{free_port()}"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, text=True)
    assert done.returncode != 0
    assert any(all(word in line for word in words) for line in done.stderr.splitlines())


# --- the same file for Prometheus and for us -----------------------------------------------------


@dataclass(frozen=True)
class Client:
    """A client: its credentials, certificate and highest TLS version."""

    authorization: str = ""
    pair: Pair | None = None
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3


class Both:
    """A Prometheus and our API, with the same web configuration file."""

    def __init__(self, folder: Path, config: str, authority: Authority) -> None:
        web_config = folder / "same.yml"
        web_config.write_text(config)
        scheme = "https" if "cert_file" in config else "http"
        ports = free_port(), free_port()
        self.prometheus_url, self.api_url = (f"{scheme}://127.0.0.1:{port}" for port in ports)
        self._authority = authority
        (folder / "prometheus.yml").write_text("{}")
        (folder / "elector.yml").write_text("follower: {}\n")
        self.prometheus = Program(
            "prometheus",
            [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
             f"--storage.tsdb.path={folder / 'data'}", f"--web.config.file={web_config}",
             f"--web.listen-address=127.0.0.1:{ports[0]}"],
            folder,
        )  # fmt: skip
        self.ours = Program(
            "ours",
            [sys.executable, "-m", "wrapper", f"--config={folder / 'elector.yml'}",
             f"--output={folder / 'output.yml'}", "--notify-http-url=http://127.0.0.1:1/-/reload",
             "--lease-lock=none", "--role=follower", f"--web-config-file={web_config}",
             f"--api-listen-address=127.0.0.1:{ports[1]}"],
            folder,
        )  # fmt: skip

    def outcomes(self, client: Client) -> tuple[str, str]:
        """Return the results of a client's requests to Prometheus and to us."""
        return (
            self._outcome(f"{self.prometheus_url}/-/ready", client),
            self._outcome(f"{self.api_url}/_elector/leader", client),
        )

    def _outcome(self, url: str, client: Client) -> str:
        parts = urlsplit(url)
        context = ssl.create_default_context(cafile=str(self._authority.file))
        context.maximum_version = client.highest
        if client.pair is not None:
            context.load_cert_chain(*client.pair.paths)
        connection = (
            HTTPSConnection(parts.netloc, timeout=20, context=context)
            if parts.scheme == "https"
            else HTTPConnection(parts.netloc, timeout=20)
        )
        try:
            fields = {"Authorization": client.authorization} if client.authorization else {}
            connection.request("GET", parts.path, headers=fields)
            return str(connection.getresponse().status)
        except (ssl.SSLError, ConnectionError):
            return "refused"
        finally:
            connection.close()


@pytest.fixture(scope="module", params=["users", "users, TLS", "TLS 1.3", "certificates"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[tuple[str, Both]]:
    """Run Prometheus and our API with one of several files."""
    pair = authority.issue("same")
    files = f"cert_file: {pair.certificate}, key_file: {pair.key}"
    ca = f"client_auth_type: RequireAndVerifyClientCert, client_ca_file: {authority.file}"
    config = {
        "users": USERS,
        "users, TLS": f"tls_server_config: {{{files}}}\n{USERS}",
        "TLS 1.3": f"tls_server_config: {{{files}, min_version: TLS13}}\n",
        "certificates": f"tls_server_config: {{{files}, {ca}}}\n",
    }[request.param]
    made = Both(tmp_path_factory.mktemp("both"), config, authority)
    with started(made.prometheus), started(made.ours):
        for url in (f"{made.prometheus_url}/-/ready", f"{made.api_url}/_elector/healthz"):
            wait_until(lambda u=url: _is_served(u), 30, f"{url} is served")  # type: ignore[misc]
        yield request.param, made


def _is_served(url: str) -> bool:
    """Tell whether a connection to this address is accepted."""
    parts = urlsplit(url)
    socket.create_connection((str(parts.hostname), parts.port or 0), timeout=5).close()
    return True


def clients(folder: Path, authority: Authority) -> dict[str, Client]:
    """Return clients with different credentials, certificates and TLS versions."""
    basic = {
        pair: "Basic " + base64.b64encode(pair.encode()).decode()
        for pair in ("alice:wonderland", "alice:wrong", "bob:wonderland", "alice:", "alice")
    }
    stranger = Authority(folder, "stranger")
    return {
        "nobody": Client(),
        **{pair: Client(value) for pair, value in basic.items()},
        "lower case": Client(basic["alice:wonderland"].replace("Basic", "basic")),
        "bearer": Client("Bearer wonderland"),
        "old": Client(basic["alice:wonderland"], highest=ssl.TLSVersion.TLSv1_2),
        "known": Client(pair=authority.issue("known", usage="clientAuth")),
        "server's": Client(pair=authority.issue("unfit", usage="serverAuth")),
        "stranger": Client(pair=stranger.issue("client", usage="clientAuth")),
    }


def test_prometheus_and_our_api_answer_clients_alike(
    tmp_path: Path, both: tuple[str, Both], authority: Authority
) -> None:
    """Prometheus and our API accept and refuse the same clients.

    A client without a required certificate gets 403 from us, where Prometheus refuses the
    connection: the kubelet, which has no certificate, must be able to connect.
    """
    kind, made = both
    seen = set()
    for name, client in clients(tmp_path, authority).items():
        theirs, ours = made.outcomes(client)
        seen.add(theirs)
        if kind == "certificates" and client.pair is None:
            assert (theirs, ours) == ("refused", "403"), name
        else:
            assert ours == theirs, name
    assert "200" in seen
    assert seen & {"401", "refused"}


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("{}", True),
        ("tls_server_config: {}", True),
        ("basic_auth_users: {}", True),
        (USERS, True),
        ("http_server_config: {http2: false, headers: {X-Frame-Options: deny}}", True),
        ("http_server_config: {headers: {X-Frame-Options: no}}", False),
        ("http_server_config: {headers: {X-Other: a}}", False),
        ("basic_auth_users: {alice: wonderland}", False),
        ("unknown: 1", False),
        (f"tls_server_config: {{{PAIR}}}", True),
        ("tls_server_config: {cert_file: server.pem}", False),
        ("tls_server_config: {cert_file: server.pem, key_file: none}", False),
        ("tls_server_config: {cert_file: server.pem, key_file: ca.key}", False),
        (f"tls_server_config: {{{PAIR}, client_ca_file: ca.pem}}", False),
        (f"tls_server_config: {{{PAIR}, client_auth_type: Never}}", False),
        (f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven}}", True),
        (f"tls_server_config: {{{PAIR}, min_version: TLS12, max_version: TLS13}}", True),
        (f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: false}}", True),
        (f"tls_server_config: {{{PAIR}, http2: false}}", False),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP256]}}", True),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [P256]}}", False),
        (f"tls_server_config: {{{PAIR}, cipher_suites: [{SUITE}]}}", True),
        (f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_NONE]}}", False),
    ],
)
def test_promtool_and_our_api_accept_the_same_files(
    tmp_path: Path, authority: Authority, text: str, is_taken: bool
) -> None:
    """We accept exactly the web configuration files that promtool accepts."""
    Authority(tmp_path).issue("server")
    path = tmp_path / "web.yml"
    path.write_text(text)
    done = promtool("check", "web-config", path)
    assert (done.returncode == 0) is is_taken, done.stderr
    assert _is_taken_by_us(path) is is_taken


def _is_taken_by_us(path: Path) -> bool:
    try:
        WebAccess(str(path))
    except ConfigurationError:
        return False
    return True
