"""Requests to a protected Prometheus: TLS, passwords, and the messages if they fail."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.certificates import Authority
from tests.support import free_port, wait_until
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base import clock
from wrapper.model.configuration import Rendering
from wrapper.model.roles import Role
from wrapper.supervision import loaded_rendering
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.supervision.sensors import LoadedSensor

LIMIT_S = 20.0


class Server(ThreadingHTTPServer):
    """A server that answers with the request line and the credentials; a context makes it TLS."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_port}"
        self.taken: list[socket.socket] = []
        self.paths: list[str] = []
        self.states: list[dict[str, bytes]] = []  # the answers by path, one for each request
        self.crowd = threading.Barrier(9)  # requests for /late are answered together
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Record the connection."""
        self.taken.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of clients that do not trust the certificate."""


class Handler(BaseHTTPRequestHandler):
    """Answers with the request line and the credentials; closes the connection after /last."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer with the next state, or with the request line and the credentials."""
        self.server.paths.append(self.path)
        if self.path == "/endless":
            self.answer_without_end()
            return
        if self.path == "/late":
            self.server.crowd.wait(LIMIT_S)
        body = f"{self.requestline} {self.headers.get('Authorization')}".encode()
        if self.server.states:
            body = self.server.states.pop(0)[self.path.partition("?")[0]]
        self.send_response(302 if self.path == "/elsewhere" else 200)
        self.send_header("Location", "/")
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_without_end(self) -> None:
        """Send a body without end, until the client disconnects."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(1 << 16))

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a CA."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def plain() -> Iterator[Server]:
    """Run a server without TLS."""
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture
def secure(authority: Authority) -> Iterator[Server]:
    """Run a server with TLS whose certificate is for prometheus.test only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", names="DNS:prometheus.test").paths)
    with Server(context) as server:
        yield server
        server.shutdown()


Make = Callable[..., PrometheusApi]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes a client with this HTTP configuration file."""
    made = []

    def make(text: str = "{}") -> PrometheusApi:
        path = tmp_path / "http.yml"
        path.write_text(text)
        made.append(PrometheusApi("", PrometheusAccess(str(path))))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_tls_and_password_of_the_file_are_used(
    api: Make, secure: Server, authority: Authority
) -> None:
    """A request uses the CA, the server name and the password of the configuration file."""
    tls = f"tls_config: {{ca_file: {authority.file}, server_name: prometheus.test}}\n"
    asking = api(f"{tls}basic_auth: {{username: a, password: b}}")
    answer = asking.ask("POST", f"{secure.url}/x?y=%20z", LIMIT_S)
    assert (answer.status, answer.detail) == (200, "POST /x?y=%20z HTTP/1.1 Basic YTpi")


def test_certificates_without_key_usage_are_accepted(tmp_path: Path, api: Make) -> None:
    """Certificates that Prometheus accepts are accepted, for any default of Python."""
    old = Authority(tmp_path / "old", is_bare=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*old.issue("server").paths)
    strict = ssl.create_default_context(cafile=str(old.file))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with Server(context) as server:
        asking = api(f"tls_config: {{ca_file: {old.file}}}")
        assert asking.probe(f"{server.url}/", LIMIT_S).status == 200
        with (
            socket.create_connection(("127.0.0.1", server.server_port)) as sock,
            pytest.raises(ssl.SSLCertVerificationError, match=r"key usage|Key Identifier"),
        ):
            strict.wrap_socket(sock, server_hostname="127.0.0.1")
        server.shutdown()


@pytest.mark.parametrize(
    "before", ["# Főtanúsítvány\n".encode(), b"# M\xfcller\n", b"\xef\xbb\xbf"]
)
def test_a_ca_file_may_have_comments_in_any_encoding(
    api: Make, secure: Server, authority: Authority, tmp_path: Path, before: bytes
) -> None:
    """As in Prometheus, text outside the certificates of a CA file is ignored."""
    file = tmp_path / "commented.pem"
    file.write_bytes(before + authority.file.read_bytes() + before)
    asking = api(f"tls_config: {{ca_file: {file}, server_name: prometheus.test}}")
    assert asking.probe(secure.url, LIMIT_S).is_ok


def test_a_password_in_the_url_takes_precedence(api: Make, plain: Server) -> None:
    """A password in the URL is used instead of the file's, since it is for this URL only."""
    asking = api("basic_auth: {username: c, password: d}")
    url = plain.url.replace("://", "://a:b%40@")
    assert asking.probe(url, LIMIT_S).detail == "GET / HTTP/1.1 Basic YTpiQA=="


def test_redirects_are_not_followed(api: Make, plain: Server) -> None:
    """A redirect is returned as the answer, so credentials are not sent elsewhere."""
    asking = api("follow_redirects: true")
    assert asking.probe(f"{plain.url}/elsewhere", LIMIT_S).status == 302


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{}", "is not trusted"),
        ("tls_config: {ca_file: authority/ca.pem}", "IP address mismatch, certificate is not"),
        ("tls_config: {ca_file: authority/ca.pem, server_name: a.test}", "Hostname mismatch"),
    ],
)
def test_an_untrusted_certificate_gives_an_error_with_its_fix(
    api: Make, secure: Server, text: str, cause: str
) -> None:
    """If the certificate is not trusted, the error gives the cause and the setting to correct."""
    answer = api(text).probe(secure.url, LIMIT_S)
    assert answer.status == 0
    assert cause in answer.detail
    assert "tls_config of --prometheus-http-config" in answer.detail


def test_insecure_skip_verify_accepts_any_certificate(api: Make, secure: Server) -> None:
    """With insecure_skip_verify, the server's certificate is not verified."""
    asking = api("tls_config: {insecure_skip_verify: true}")
    assert asking.probe(secure.url, LIMIT_S).is_ok


def test_errors_distinguish_missing_tls_from_a_closed_port(api: Make, plain: Server) -> None:
    """A server without TLS and a port without a server give different errors."""
    asking = api()
    url = plain.url.replace("http:", "https:")
    assert asking.probe(url, LIMIT_S).detail.startswith(f"TLS with {url} failed ")
    url = f"http://127.0.0.1:{free_port()}/-/ready"
    assert asking.probe(url, LIMIT_S).detail.startswith(f"{url} refuses connections: ")


def test_an_unexpected_answer_to_a_reload_names_its_url(api: Make, plain: Server) -> None:
    """If a reload is answered with an unexpected status, the error gives URL and status only."""
    url = f"{plain.url}/elsewhere"
    answer = api().reload("POST", url, LIMIT_S)
    assert (answer.status, answer.detail.partition(": ")[0]) == (302, f"{url} answered 302")


def test_a_web_page_does_not_confirm_a_reload(api: Make, plain: Server) -> None:
    """A web page with status 200, such as a login page, does not count as a reload."""
    url = f"{plain.url}/-/reload"
    plain.states.append({"/-/reload": b"<!DOCTYPE html><p>Log in"})
    answer = api().reload("POST", url, LIMIT_S)
    assert (answer.status, answer.detail) == (0, f"{url} answered 200 with a web page")
    plain.states.append({"/-/reload": b""})
    assert api().reload("POST", url, LIMIT_S).is_ok


def test_a_connection_is_reused(api: Make, plain: Server) -> None:
    """Consecutive requests to a server use one connection, for any paths."""
    asking = api()
    for path in ("/", "/elsewhere", "/x"):
        assert asking.ask("POST", f"{plain.url}{path}", LIMIT_S).detail.startswith(f"POST {path}")
    assert len(plain.taken) == 1


def test_a_connection_closed_by_the_server_is_replaced(api: Make, plain: Server) -> None:
    """A closed connection is replaced, whether or not the server announced the end."""
    asking = api()
    for path in ("/last", "/", "/"):
        assert asking.probe(f"{plain.url}{path}", LIMIT_S).is_ok
    assert len(plain.taken) == 2
    plain.taken[-1].shutdown(socket.SHUT_RDWR)
    assert asking.probe(plain.url, LIMIT_S).is_ok
    assert len(plain.taken) == 3


def test_changed_credentials_open_a_new_connection(
    api: Make, tmp_path: Path, plain: Server
) -> None:
    """After a change of the credentials, requests do not use the old connection."""
    asking = api("basic_auth: {username: a, password: b}")
    assert asking.probe(plain.url, LIMIT_S).detail.endswith("Basic YTpi")
    (tmp_path / "http.yml").write_text("basic_auth: {username: c, password: dd}")
    wait_until(
        lambda: asking.probe(plain.url, LIMIT_S).detail.endswith("Basic YzpkZA=="),
        LIMIT_S,
        "changed",
    )
    assert len(plain.taken) == 2


def test_an_answer_that_is_too_large_is_an_error(api: Make, plain: Server) -> None:
    """Reading stops at the size limit, long before the time limit, and reports an error."""
    asking = api()
    answer = asking.ask("GET", f"{plain.url}/endless", LIMIT_S)
    assert answer.status == 0
    assert "sent an answer that cannot be read (AnswerTooLarge)" in answer.detail
    assert asking.ask("GET", f"{plain.url}/x", LIMIT_S).is_ok


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status/config"])
def test_large_answers_of_prometheus_are_read(plain: Server, path: str) -> None:
    """Answers of 40 MiB are read.

    Before 3.16, Prometheus answers with 26 MB of metrics if it has 10,000 jobs.
    """
    told = b"prometheus_config_last_reload_successful 1\n"
    large = {path: told.rjust(40 << 20, b"#")}
    plain.states = 2 * [{"/metrics": told, "/api/v1/status/config": b"{}"} | large]
    asking = PrometheusApi(plain.url)
    assert asking.evidence(LIMIT_S) is not None
    asking.close()


def test_at_most_four_idle_connections_are_kept(api: Make, plain: Server) -> None:
    """After nine requests at the same time, four idle connections are kept."""
    asking = api()
    threads = [
        threading.Thread(target=asking.probe, args=(f"{plain.url}/late", LIMIT_S)) for _ in range(9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(plain.taken) == 9
    assert len(asking._connections._idle) == 4


def test_a_reload_between_two_requests_is_detected(plain: Server) -> None:
    """If Prometheus reloads between the two requests, the next evidence shows the reload.

    The reported configuration is never older than the reload time, or no reload would look new.
    """
    metrics = "prometheus_config_last_reload_successful 1\n"
    metrics += "prometheus_config_last_reload_success_timestamp_seconds {}\n"
    before, after = (
        {"/metrics": metrics.format(time).encode(), "/api/v1/status/config": shown}
        for time, shown in ((1, b'"scrape_configs: []"'), (2, b'"remote_write: []"'))
    )
    follower = Rendering(Role.FOLLOWER, b"", "f", writes_remotely=False)
    leader = Rendering(Role.LEADER, b"", "l", writes_remotely=True)
    written_at = clock.now()
    loading = loaded_rendering.written(
        loaded_rendering.started_with(follower, written_at), leader, written_at
    )
    loading = loaded_rendering.reload_sent(loading, written_at)
    asking = PrometheusApi(plain.url)
    plain.states = [before, after, after, after]
    for _ in range(2):
        evidence = asking.evidence(LIMIT_S)
        assert evidence is not None
        loading = loaded_rendering.observed(loading, evidence)
    asking.close()
    assert loading.is_settled
    assert loading.outcome is loaded_rendering.Outcome.LOADED


def test_only_needed_metrics_are_requested(plain: Server) -> None:
    """Only two metrics are requested, because Prometheus has many for each scrape job."""
    metrics = b"prometheus_config_last_reload_successful 1\n"
    plain.states = [{"/metrics": metrics}, {"/api/v1/status/config": b""}]
    asking = PrometheusApi(plain.url)
    assert asking.evidence(LIMIT_S) is not None
    asking.close()
    query = parse_qs(urlsplit(plain.paths[0]).query)
    prefix = "prometheus_config_last_reload_success"
    assert query == {"name[]": [f"{prefix}ful", f"{prefix}_timestamp_seconds"]}


def reloaded_at(time: int, more: str = "") -> dict[str, bytes]:
    """Return the answers of a Prometheus whose last reload was at this time."""
    metrics = "prometheus_config_last_reload_successful 1\n"
    metrics += f"prometheus_config_last_reload_success_timestamp_seconds {time}\n{more}"
    return {"/metrics": metrics.encode(), "/api/v1/status/config": b'"scrape_configs: []"'}


def test_the_end_of_a_reload_ends_the_wait(plain: Server) -> None:
    """The sensor stops waiting when the time of the last reload changes."""
    plain.states = [reloaded_at(time) for time in (1, 1, 1, 1, 2)]
    asking = PrometheusApi(plain.url)
    sensor = LoadedSensor(asking, lambda _: None)
    evidence = asking.evidence(LIMIT_S)
    sensor._rest(evidence, took_s=LIMIT_S)
    asking.close()
    assert [path.partition("?")[0] for path in plain.paths] == [
        "/metrics",
        "/api/v1/status/config",
        *["/metrics"] * 3,
    ]


@pytest.mark.parametrize(("more", "took_s"), [("", 0.0), ("x 1\n" * 2000, 0.1)])
def test_no_requests_are_sent_during_a_short_wait(plain: Server, more: str, took_s: float) -> None:
    """While it waits, the sensor sends nothing if the wait is short or the answer was long.

    Older versions of Prometheus send long answers.
    """
    plain.states = [reloaded_at(1, more), reloaded_at(1), reloaded_at(2), reloaded_at(2)]
    asking = PrometheusApi(plain.url)
    evidence = asking.evidence(LIMIT_S)
    LoadedSensor(asking, lambda _: None)._rest(evidence, took_s)
    asking.close()
    assert len(plain.paths) == 2
