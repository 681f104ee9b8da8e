"""Asking a Prometheus that is protected: over TLS, with a password, and what is said if not."""

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
    """A server that says who asked, or sends elsewhere; over TLS with a context."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_port}"
        self.taken: list[socket.socket] = []
        self.paths: list[str] = []
        self.states: list[dict[str, bytes]] = []  # what is answered by path, one a request
        self.crowd = threading.Barrier(9)  # those who ask for /late are answered together
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note each connection."""
        self.taken.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that do not trust us."""


class Handler(BaseHTTPRequestHandler):
    """Answers with the request line and the credentials; closes after /last."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer."""
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
        """Send more and more of a body, until the client has gone."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(1 << 16))

    do_POST = do_GET  # noqa: N815 - http.server's word

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give a CA."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def plain() -> Iterator[Server]:
    """Serve without TLS."""
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture
def secure(authority: Authority) -> Iterator[Server]:
    """Serve over TLS, with a certificate for prometheus.test alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", names="DNS:prometheus.test").paths)
    with Server(context) as server:
        yield server
        server.shutdown()


Make = Callable[..., PrometheusApi]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Make]:
    """Give a function that makes what asks as a file says."""
    made = []

    def make(text: str = "{}") -> PrometheusApi:
        path = tmp_path / "http.yml"
        path.write_text(text)
        made.append(PrometheusApi("", PrometheusAccess(str(path))))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_over_tls_with_a_password(api: Make, secure: Server, authority: Authority) -> None:
    """The CA and the wanted name of the file, and its password, are used."""
    tls = f"tls_config: {{ca_file: {authority.file}, server_name: prometheus.test}}\n"
    asking = api(f"{tls}basic_auth: {{username: a, password: b}}")
    answer = asking.ask("POST", f"{secure.url}/x?y=%20z", LIMIT_S)
    assert (answer.status, answer.detail) == (200, "POST /x?y=%20z HTTP/1.1 Basic YTpi")


def test_an_old_ca_is_enough(tmp_path: Path, api: Make) -> None:
    """Certificates that Prometheus accepts are accepted, whatever Python has as its default."""
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
    """As for Prometheus: what stands outside of the certificates does not matter."""
    file = tmp_path / "commented.pem"
    file.write_bytes(before + authority.file.read_bytes() + before)
    asking = api(f"tls_config: {{ca_file: {file}, server_name: prometheus.test}}")
    assert asking.probe(secure.url, LIMIT_S).is_ok


def test_a_password_in_the_url_counts_first(api: Make, plain: Server) -> None:
    """It was written for this one URL."""
    asking = api("basic_auth: {username: c, password: d}")
    url = plain.url.replace("://", "://a:b%40@")
    assert asking.probe(url, LIMIT_S).detail == "GET / HTTP/1.1 Basic YTpiQA=="


def test_credentials_follow_no_redirect(api: Make, plain: Server) -> None:
    """An answer that sends elsewhere is the answer."""
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
def test_who_is_not_trusted_is_told_with_the_cure(
    api: Make, secure: Server, text: str, cause: str
) -> None:
    """No status, the cause, and where to mend it."""
    answer = api(text).probe(secure.url, LIMIT_S)
    assert answer.status == 0
    assert cause in answer.detail
    assert "tls_config of --prometheus-http-config" in answer.detail


def test_an_unverified_server_is_asked_where_that_is_wanted(api: Make, secure: Server) -> None:
    """insecure_skip_verify looks at no certificate."""
    asking = api("tls_config: {insecure_skip_verify: true}")
    assert asking.probe(secure.url, LIMIT_S).is_ok


def test_no_tls_and_nobody_are_told_apart(api: Make, plain: Server) -> None:
    """TLS to a plain server, and a port where nobody listens."""
    asking = api()
    url = plain.url.replace("http:", "https:")
    assert asking.probe(url, LIMIT_S).detail.startswith(f"TLS with {url} failed ")
    url = f"http://127.0.0.1:{free_port()}/-/ready"
    assert asking.probe(url, LIMIT_S).detail.startswith(f"{url} refuses connections: ")


def test_a_reload_that_another_program_answers_names_it(api: Make, plain: Server) -> None:
    """By address and status, since its text means nothing to the reader."""
    url = f"{plain.url}/elsewhere"
    answer = api().reload("POST", url, LIMIT_S)
    assert (answer.status, answer.detail.partition(": ")[0]) == (302, f"{url} answered 302")


def test_a_web_page_proves_no_reload(api: Make, plain: Server) -> None:
    """Of another program at a wrong address, or to log in, though its status is 200."""
    url = f"{plain.url}/-/reload"
    plain.states.append({"/-/reload": b"<!DOCTYPE html><p>Log in"})
    answer = api().reload("POST", url, LIMIT_S)
    assert (answer.status, answer.detail) == (0, f"{url} answered 200 with a web page")
    plain.states.append({"/-/reload": b""})
    assert api().reload("POST", url, LIMIT_S).is_ok


def test_a_connection_is_used_again(api: Make, plain: Server) -> None:
    """By one request after the other, whatever they ask for; one that is busy is not waited for."""
    asking = api()
    for path in ("/", "/elsewhere", "/x"):
        assert asking.ask("POST", f"{plain.url}{path}", LIMIT_S).detail.startswith(f"POST {path}")
    assert len(plain.taken) == 1


def test_one_that_the_server_closes_is_replaced(api: Make, plain: Server) -> None:
    """Whether it says so, or is silent and has gone when it is wanted again."""
    asking = api()
    for path in ("/last", "/", "/"):
        assert asking.probe(f"{plain.url}{path}", LIMIT_S).is_ok
    assert len(plain.taken) == 2
    plain.taken[-1].shutdown(socket.SHUT_RDWR)
    assert asking.probe(plain.url, LIMIT_S).is_ok
    assert len(plain.taken) == 3


def test_changed_credentials_have_a_connection_of_their_own(
    api: Make, tmp_path: Path, plain: Server
) -> None:
    """Nobody goes on as who he was."""
    asking = api("basic_auth: {username: a, password: b}")
    assert asking.probe(plain.url, LIMIT_S).detail.endswith("Basic YTpi")
    (tmp_path / "http.yml").write_text("basic_auth: {username: c, password: dd}")
    wait_until(
        lambda: asking.probe(plain.url, LIMIT_S).detail.endswith("Basic YzpkZA=="),
        LIMIT_S,
        "changed",
    )
    assert len(plain.taken) == 2


def test_an_answer_without_end_is_not_read(api: Make, plain: Server) -> None:
    """More than an answer of Prometheus can have is none, well within the time limit."""
    asking = api()
    answer = asking.ask("GET", f"{plain.url}/endless", LIMIT_S)
    assert answer.status == 0
    assert "sent an answer that cannot be read (AnswerTooLarge)" in answer.detail
    assert asking.ask("GET", f"{plain.url}/x", LIMIT_S).is_ok


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status/config"])
def test_answers_about_many_jobs_are_read(plain: Server, path: str) -> None:
    """Before 3.16, Prometheus answers with 26 MB of metrics if it has 10,000 jobs."""
    told = b"prometheus_config_last_reload_successful 1\n"
    large = {path: told.rjust(40 << 20, b"#")}
    plain.states = 2 * [{"/metrics": told, "/api/v1/status/config": b"{}"} | large]
    asking = PrometheusApi(plain.url)
    assert asking.evidence(LIMIT_S) is not None
    asking.close()


def test_few_are_kept(api: Make, plain: Server) -> None:
    """As many as threads may ask at once."""
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


def test_a_reload_between_the_two_questions_is_seen_at_the_next_look(plain: Server) -> None:
    """What is shown is never older than the reload whose time is known, else none would be new."""
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


def test_no_more_metrics_are_asked_for_than_are_read(plain: Server) -> None:
    """Prometheus has many for each scrape job."""
    metrics = b"prometheus_config_last_reload_successful 1\n"
    plain.states = [{"/metrics": metrics}, {"/api/v1/status/config": b""}]
    asking = PrometheusApi(plain.url)
    assert asking.evidence(LIMIT_S) is not None
    asking.close()
    query = parse_qs(urlsplit(plain.paths[0]).query)
    prefix = "prometheus_config_last_reload_success"
    assert query == {"name[]": [f"{prefix}ful", f"{prefix}_timestamp_seconds"]}


def reloaded_at(time: int, more: str = "") -> dict[str, bytes]:
    """Return what Prometheus answers if its last reload was at this time."""
    metrics = "prometheus_config_last_reload_successful 1\n"
    metrics += f"prometheus_config_last_reload_success_timestamp_seconds {time}\n{more}"
    return {"/metrics": metrics.encode(), "/api/v1/status/config": b'"scrape_configs: []"'}


def test_the_end_of_a_reload_ends_the_wait_for_the_next_look(plain: Server) -> None:
    """However long Prometheus took for the last one."""
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
def test_nothing_is_asked_meanwhile_where_it_is_of_no_use(
    plain: Server, more: str, took_s: float
) -> None:
    """The wait is short, or the answer would be long, as of older versions."""
    plain.states = [reloaded_at(1, more), reloaded_at(1), reloaded_at(2), reloaded_at(2)]
    asking = PrometheusApi(plain.url)
    evidence = asking.evidence(LIMIT_S)
    LoadedSensor(asking, lambda _: None)._rest(evidence, took_s)
    asking.close()
    assert len(plain.paths) == 2
