"""Requests for the lease through a proxy: they work, or the error names the proxy and the fix.

The proxies are sockets that answer a CONNECT in all the ways in which a proxy can.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.process.stand_in import LIMIT_S, StandIn, problem_of, running, with_tls
from tests.support import free_port, wait_until
from wrapper.election.kubeconfig import check_kubeconfig
from wrapper.election.kubernetes_lease import KubernetesLease

API = "https://api.invalid:6443"
LONG_S = 30.0  # for tests that are not about the limit: a busy machine answers late
LeaseAt = Callable[..., KubernetesLease]


class Tunnel:
    """A proxy on loopback; ``answer`` is its answer, b"" for none, None for a tunnel to a port.

    ``drips`` is sent repeatedly after the answer; with ``tls``, the proxy itself uses TLS.
    """

    def __init__(
        self,
        answer: bytes | None,
        to_port: int = 0,
        drips: bytes = b"",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._drips = drips
        self._listener = socket.create_server(("127.0.0.1", 0))
        if tls is not None:
            self._listener = tls.wrap_socket(self._listener, server_side=True)
        self.port = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self._answer = answer
        self._to_port = to_port
        self._is_over = threading.Event()

    def run(self) -> None:
        """Serve one connection after the other until `end` is called."""
        while not self._is_over.is_set():
            if select.select([self._listener], [], [], 0.02)[0]:
                with suppress(OSError), self._listener.accept()[0] as client:
                    self._serve(client)
        self._listener.close()

    def end(self) -> None:
        """End the proxy."""
        self._is_over.set()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(5)
        head = b""
        while b"\r\n\r\n" not in head and (data := client.recv(65536)):
            head += data
        self.heads.append(head)
        if self._answer == b"":
            self._is_over.wait(5)
        elif self._answer is not None:
            client.sendall(self._answer)
            while self._drips and not self._is_over.wait(0.05):
                client.sendall(self._drips)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):  # closed with bytes unread, it would be a reset
                pass
        else:
            self._lead(client)

    def _lead(self, client: socket.socket) -> None:
        with closing(socket.create_connection(("127.0.0.1", self._to_port))) as server:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            ways = {client: server, server: client}
            while not self._is_over.is_set():
                for each in select.select(list(ways), [], [], 0.02)[0]:
                    data = each.recv(65536)
                    if not data:
                        return
                    ways[each].sendall(data)


@contextmanager
def proxied(answer: bytes | None, to_port: int = 0, **options: Any) -> Iterator[Tunnel]:
    """Run a proxy until the context ends."""
    tunnel = Tunnel(answer, to_port, **options)
    thread = threading.Thread(target=tunnel.run, daemon=True)
    thread.start()
    try:
        yield tunnel
    finally:
        tunnel.end()
        thread.join()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxy variables of the environment in which the tests run."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def head(status: str) -> bytes:
    """Return an answer to a CONNECT."""
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (head("407 Who Are You"), ("proxy", ["407 Who Are You", "NAME:PASSWORD@HOST:PORT"])),
        (
            head("403 Forbidden"),
            ("proxy", ["refuses to connect to", "403 Forbidden", "allow this host"]),
        ),
        (head("502 Bad Gateway"), ("proxy", ["refuses to connect to", "502 Bad Gateway"])),
        (b"", ("timeout", ["no answer from", "within 0.5 s"])),
        (
            head("200 OK") + b"no TLS, alas" * 9,
            ("tls", ["TLS with https://api.invalid:6443", "failed"]),
        ),
        (
            b"SSH-2.0-x\r\n",
            ("error", ["https://api.invalid:6443", "cannot be read"]),
        ),
    ],
    ids=["who", "forbidden", "gateway", "silent", "no TLS", "no HTTP"],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "proxy-url"])
def test_an_error_behind_a_proxy_names_the_proxy(
    lease_at: LeaseAt,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    answer: bytes,
    told: tuple[str, list[str]],
) -> None:
    """An error behind a proxy names the proxy and its variable, never the password."""
    with proxied(answer) as tunnel:
        url = f"http://me:secret@127.0.0.1:{tunnel.port}"
        in_file = {variable: url} if variable == "proxy-url" else {}
        if not in_file:
            monkeypatch.setenv(variable, url)
        limit_s = LIMIT_S if told[0] == "timeout" else LONG_S
        problem, _ = problem_of(lease_at(API, limit_s, **in_file).read)
    text = str(problem)
    assert f"the proxy http://127.0.0.1:{tunnel.port} of {variable}" in text
    assert problem.reason == told[0]
    assert all(word in text for word in told[1])
    assert "secret" not in text
    assert b"CONNECT api.invalid:6443" in tunnel.heads[0]
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in tunnel.heads[0]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("127.0.0.1:{port}", "refuses connections: start it, correct HTTPS_PROXY"),
        (
            "proxy.invalid:3128",
            "the proxy http://proxy.invalid:3128 of HTTPS_PROXY cannot be resolved",
        ),
        ("socks5://127.0.0.1:1", "HTTPS_PROXY is not a supported proxy URL"),
    ],
)
def test_an_unreachable_proxy_is_reported(
    lease_at: LeaseAt, monkeypatch: pytest.MonkeyPatch, place: str, words: str
) -> None:
    """If the proxy cannot be reached, the error is about the proxy, not the API server."""
    monkeypatch.setenv("HTTPS_PROXY", place.format(port=free_port()))
    problem, _ = problem_of(lease_at(API, LONG_S).read)
    assert words in str(problem)
    assert problem.reason in {"proxy", "kubeconfig"}


def test_an_unsupported_proxy_is_an_error_at_the_start(
    lease_at: LeaseAt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An unsupported proxy URL is found by the check of the kubeconfig at the start."""
    lease_at(API)
    kubeconfig = str(tmp_path / "kubeconfig")
    assert check_kubeconfig(kubeconfig) == ""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    assert "HTTPS_PROXY is not a supported proxy URL" in check_kubeconfig(kubeconfig)


def test_an_untrusted_certificate_names_the_proxy(
    lease_at: LeaseAt,
    monkeypatch: pytest.MonkeyPatch,
    make_certificate: Callable[[str], tuple[Path, Path]],
) -> None:
    """An error about the certificate names the proxy, since some proxies terminate TLS."""
    certificate = make_certificate("DNS:api.invalid")
    stand_in = StandIn()
    with_tls(stand_in, certificate)
    with running(stand_in), proxied(None, stand_in.server_port) as tunnel:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.port}")
        problem, _ = problem_of(lease_at(API).read)
        assert "(through the proxy http://127.0.0.1:" in str(problem)
        assert "is not trusted" in str(problem)
        trusted = lease_at(API, **{"certificate-authority": str(certificate[1])})
        assert trusted.read().version == "7"


def test_an_https_proxy_is_supported(
    lease_at: LeaseAt, make_certificate: Callable[[str], tuple[Path, Path]]
) -> None:
    """The proxy-url of a kubeconfig may be https; TLS to the server then goes through it."""
    key, certificate = make_certificate("DNS:api.invalid,IP:127.0.0.1")
    stand_in = StandIn()
    with_tls(stand_in, (key, certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with running(stand_in), proxied(None, stand_in.server_port, tls=tls) as tunnel:
        way = {"proxy-url": f"https://127.0.0.1:{tunnel.port}"}
        problem, _ = problem_of(lease_at(API, **way).read)
        assert f"through the proxy https://127.0.0.1:{tunnel.port} of proxy-url" in str(problem)
        assert "is not trusted" in str(problem)
        trusted = lease_at(API, **way, **{"certificate-authority": str(certificate)})
        assert trusted.read().version == "7"
        assert trusted.read().version == "7"
    assert b"CONNECT api.invalid:6443" in tunnel.heads[-1]


def test_a_slow_proxy_ends_at_the_time_limit(lease_at: LeaseAt) -> None:
    """If a proxy sends its header without end, the request and its thread end at the limit."""
    with proxied(b"HTTP/1.1 200 OK\r\n", drips=b"X-Drip: x\r\n") as tunnel:
        way = {"proxy-url": f"http://127.0.0.1:{tunnel.port}"}
        assert problem_of(lease_at(API, **way).read)[0].reason == "timeout"
        wait_until(
            lambda: not any(thread.name == "bounded" for thread in threading.enumerate()),
            5,
            "the request's thread has ended",
        )


def test_an_error_through_an_http_proxy_names_it(
    server: StandIn, lease_at: LeaseAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For HTTP, an error answer names the proxy, since it may be the proxy's own."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.play = lambda request: request.answer(502)
    problem, _ = problem_of(lease_at("http://api.invalid:8080").read)
    assert f"(through the proxy {server.url} of HTTP_PROXY)" in str(problem)
    assert "(502)" in str(problem)


def test_loopback_and_no_proxy_are_asked_directly(
    server: StandIn, lease_at: LeaseAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback addresses and hosts in NO_PROXY are connected to without the proxy."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert lease_at(server.url).read().version == "7"
    monkeypatch.setenv("NO_PROXY", "192.0.2.0/24")
    problem, _ = problem_of(lease_at("http://192.0.2.1:8080").read)
    assert "proxy" not in str(problem)
