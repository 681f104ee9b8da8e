"""Fetching from a server that answers as Promgen does, or with errors."""

from __future__ import annotations

import gzip
import select
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests import promgen
from tests.certificates import Authority
from tests.promgen import RULES, TARGETS, Promgen, group
from tests.support import free_port
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.documents.problems import ConfigurationError
from wrapper.model.fetched_file import Feed
from wrapper.targets.fetch import (
    _PIECE,
    Fetcher,
    FetchFailed,
    Validators,
    last_modified_if_safe,
)

BODY = promgen.targets(group("a:1", "b:1"))
LIMIT_S = 20.0
MOST = 1 << 20


@pytest.fixture
def server() -> Iterator[Promgen]:
    """Run a server without TLS."""
    part = Promgen()
    part.bodies = {TARGETS: BODY, RULES: promgen.rules()}
    yield part
    part.close()


def fetcher(
    access: PrometheusAccess | None = None, limit_s: float = LIMIT_S, most: int = MOST
) -> Fetcher:
    """Return a fetcher."""
    return Fetcher(access or PrometheusAccess(is_proxied=True), limit_s, most)


def targets_of(server: Promgen, path: str = TARGETS) -> Feed:
    """Return a feed of targets."""
    return Feed(f"{server.url}{path}", "/none/t.json")


def failure(server: Promgen, act: Callable[[Any], None], **options: Any) -> FetchFailed:
    """Return the error of a fetch when the server answers like this."""
    server.act = act
    with pytest.raises(FetchFailed) as caught:
        fetcher(**options).fetch(targets_of(server))
    return caught.value


def test_a_fetch_returns_the_body(server: Promgen) -> None:
    """A fetch requests the feed's path and query, and returns the body unchanged."""
    server.bodies[f"{TARGETS}?x=1"] = b"[]"
    assert fetcher().fetch(targets_of(server)).body == BODY
    assert fetcher().fetch(targets_of(server, f"{TARGETS}?x=1")).body == b"[]"


def test_validators_avoid_an_unchanged_body(server: Promgen) -> None:
    """With the validators of the last answer, an unchanged body is not sent again."""
    first = fetcher().fetch(targets_of(server))
    assert first.validators.etag
    assert fetcher().fetch(targets_of(server), first.validators).body is None
    assert fetcher().fetch(targets_of(server), Validators("other", "")).body == BODY
    assert server.statuses == [200, 304, 200]


def test_last_modified_is_sent_back_unchanged(server: Promgen) -> None:
    """If-Modified-Since is exactly the text of the server's Last-Modified."""
    said = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.act = lambda to: promgen.answer(to, BODY, Last_Modified=said)
    known = fetcher().fetch(targets_of(server)).validators
    fetcher().fetch(targets_of(server), known)
    assert server.requests[-1][1]["If-Modified-Since"] == said


def test_a_change_in_the_second_of_the_answer_is_fetched(server: Promgen) -> None:
    """A Last-Modified in the second of the answer is not used.

    A second change in that second would have the same time.
    """

    def act(to: Any) -> None:
        now = to.date_time_string()
        to.send_response_only(200)
        body = b"[]" if "If-Modified-Since" in to.headers else BODY
        for name, value in (("Date", now), ("Last-Modified", now), ("Content-Length", len(body))):
            to.send_header(name, str(value))
        to.end_headers()
        to.wfile.write(body)

    server.act = act
    known = fetcher().fetch(targets_of(server)).validators
    assert fetcher().fetch(targets_of(server), known).body == BODY


SECOND, NEXT = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:01 GMT"


@pytest.mark.parametrize(
    ("date", "is_safe"),
    [(NEXT, True), (SECOND, False), ("", False), ("soon", False), (f"{NEXT[:-3]}-0000", False)],
)
def test_last_modified_must_be_older_than_the_answer(date: str, is_safe: bool) -> None:
    """Last-Modified is used only if the Date header of the same answer is later."""
    assert last_modified_if_safe(SECOND, date) == (SECOND if is_safe else "")
    assert last_modified_if_safe("", date) == ""


def twice(packed: bytes) -> Callable[[Any], None]:
    """Return a function that answers with two gzip members, of which many clients read only one."""
    return lambda to: promgen.answer(to, packed * 2, Content_Encoding="gzip")


def filled(packed: bytes, size: int) -> bytes:
    """Return the gzip member with a file name that extends it to this size (RFC 1952)."""
    name = b"n" * (size - len(packed) - 1) + b"\0"
    return packed[:3] + b"\x08" + packed[4:10] + name + packed[10:]


@pytest.mark.parametrize("path", [TARGETS, RULES])
def test_gzip_is_unpacked(server: Promgen, path: str) -> None:
    """The request accepts gzip, and the fetch returns the decompressed body."""
    server.act = promgen.packed(BODY * 100)
    assert fetcher().fetch(targets_of(server, path)).body == BODY * 100
    assert server.requests[0][1]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("act", "reason", "said"),
    [
        (promgen.with_status(500), "status", "HTTP 500"),
        (promgen.with_status(404), "status", "HTTP 404"),
        (promgen.with_status(400), "status", "add 127.0.0.1 to its ALLOWED_HOSTS"),
        (promgen.with_status(403, BODY), "status", "HTTP 403"),
        (promgen.with_status(203, BODY), "status", "HTTP 203"),
        (promgen.with_status(304, b""), "status", "HTTP 304"),
        (promgen.to_login, "redirect", "/accounts/login/, which is not followed"),
        (promgen.to_slash, "redirect", "end the URL with a slash"),
        (promgen.half_of(BODY), "incomplete", "bytes of the answer are missing"),
        (promgen.half_of_chunks(BODY), "incomplete", "was lost"),
        (promgen.packed(BODY, 0.5), "incomplete", "gzip ends too early"),
        (twice(gzip.compress(BODY)), "encoding", "after the end"),
        (twice(filled(gzip.compress(BODY), _PIECE)), "encoding", "after the end"),
        (lambda to: promgen.answer(to, BODY, Content_Encoding="gzip"), "encoding", "corrupt"),
        (lambda to: promgen.answer(to, BODY, Content_Encoding="br"), "encoding", "br"),
        (lambda to: promgen.answer(to, b" " * (MOST + 1)), "too_large", "--targets-max-size"),
        (promgen.packed(b" " * (MOST + 1)), "too_large", "--targets-max-size"),
        (promgen.endless, "too_large", "--targets-max-size"),
        (lambda to: to.wfile.write(b"no HTTP\r\n\r\n"), "incomplete", "cannot be read"),
    ],
)
def test_invalid_answers_fail_with_a_reason(
    server: Promgen, act: Callable[[Any], None], reason: str, said: str
) -> None:
    """Every invalid answer fails with a message, and with a reason for metrics."""
    error = failure(server, act)
    assert (error.reason, said in str(error)) == (reason, True), str(error)


@pytest.mark.parametrize("act", [promgen.dripping, lambda to: to.server.ends.wait(60)])
def test_a_fetch_ends_at_its_time_limit(server: Promgen, act: Callable[[Any], None]) -> None:
    """A body that arrives slowly and a missing answer both end at the time limit."""
    assert failure(server, act, limit_s=0.5, most=MOST).reason == "timeout"


def test_rules_require_a_content_length(server: Promgen) -> None:
    """Rules without Content-Length fail, because a part of them could look complete.

    Targets end with a bracket, and need none.
    """
    server.act = promgen.without_length(promgen.rules())
    with pytest.raises(FetchFailed, match="no Content-Length"):
        fetcher().fetch(Feed(f"{server.url}{RULES}", "/none/r.yml"))
    server.act = promgen.without_length(BODY)
    assert fetcher().fetch(targets_of(server)).body == BODY


def test_a_closed_port_is_reported() -> None:
    """If no server listens on the port, the reason is unreachable."""
    with pytest.raises(FetchFailed) as caught:
        fetcher().fetch(Feed(f"http://127.0.0.1:{free_port()}/", "/none/t.json"))
    assert caught.value.reason == "unreachable"


BOMBED = """
import re, resource, sys
from pathlib import Path
from wrapper.model.fetched_file import Feed
from wrapper.targets.fetch import Fetcher, FetchFailed
from wrapper.documents.problems import ConfigurationError
from wrapper.access.prometheus_access import PrometheusAccess

has_kib = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, ((has_kib << 10) + (256 << 20),) * 2)
try:
    Fetcher(PrometheusAccess(), 60.0, 1 << 20).fetch(Feed(sys.argv[1], "/none/t.json"))
except FetchFailed as error:
    print(error.reason)
"""


def test_a_gzip_bomb_is_stopped_at_the_size_limit(server: Promgen) -> None:
    """A small gzip body of 512 MiB fails at the limit of 1 MiB, with 256 MiB of free memory."""
    packer = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    block = bytes(1 << 20)
    bomb = b"".join(packer.compress(block) for _ in range(512)) + packer.flush()
    server.act = lambda to: promgen.answer(to, bomb, Content_Encoding="gzip")
    done = subprocess.run(
        [sys.executable, "-c", BOMBED, f"{server.url}{TARGETS}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.stdout == "too_large\n", done.stderr


# --- TLS, passwords, proxies ----------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a CA."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def secured(authority: Authority) -> Iterator[Promgen]:
    """Run a server with TLS that identifies clients by a certificate if they have one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", names="DNS:promgen.test").paths)
    part = Promgen(context)
    part.bodies = {TARGETS: BODY}
    yield part
    part.close()


def access(folder: Path, text: str) -> PrometheusAccess:
    """Return the access that a configuration file with this text defines."""
    path = folder / "http.yml"
    path.write_text(text)
    return PrometheusAccess(str(path), is_proxied=True)


def test_tls_and_password_of_the_file_are_used(
    tmp_path: Path, secured: Promgen, authority: Authority
) -> None:
    """A fetch uses the CA, the server name and the password of the configuration file."""
    tls = f"tls_config: {{ca_file: {authority.file}, server_name: promgen.test}}\n"
    asking = fetcher(access(tmp_path, f"{tls}basic_auth: {{username: a, password: b}}"))
    assert asking.fetch(targets_of(secured)).body == BODY
    assert secured.requests[0][1]["Authorization"] == "Basic YTpi"


def test_an_untrusted_certificate_gives_an_error_with_its_fix(secured: Promgen) -> None:
    """Without the CA, nothing is requested, and the error gives the setting to correct."""
    with pytest.raises(FetchFailed, match="tls_config of --targets-http-config") as caught:
        fetcher().fetch(targets_of(secured))
    assert caught.value.reason == "tls"
    assert not secured.requests


def test_the_proxy_of_the_environment_is_used(
    server: Promgen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy gets the full URL and its own password; hosts in NO_PROXY are asked directly."""
    monkeypatch.setenv("http_proxy", server.url.replace("://", "://a:b@"))
    server.bodies[f"http://promgen.invalid{TARGETS}"] = b"[]"
    feed = Feed(f"http://promgen.invalid{TARGETS}", "/none/t.json")
    assert fetcher().fetch(feed).body == b"[]"
    assert server.requests[0][1]["Proxy-Authorization"] == "Basic YTpi"
    assert server.requests[0][1]["Host"] == "promgen.invalid"
    assert fetcher().fetch(targets_of(server)).body == BODY  # on loopback
    assert "Proxy-Authorization" not in server.requests[1][1]
    monkeypatch.setenv("no_proxy", ".invalid")
    with pytest.raises(FetchFailed, match=r"http://promgen\.invalid.* cannot be resolved"):
        fetcher().fetch(feed)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("http://a:secret@127.0.0.1:{port}", "the proxy http://127.0.0.1:{port} of https_proxy re"),
        ("proxy.invalid", "the proxy http://proxy.invalid of https_proxy cannot be resolved"),
        (
            "socks5://127.0.0.1",
            "https_proxy is not a supported proxy URL (SOCKS is not supported): write http://",
        ),
    ],
)
def test_a_failing_proxy_is_reported(
    monkeypatch: pytest.MonkeyPatch, place: str, words: str
) -> None:
    """If the proxy fails, the error is about the proxy, and does not contain its password."""
    port = free_port()
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", place.format(port=port))
    with pytest.raises(FetchFailed) as caught:
        fetcher().fetch(Feed("https://promgen.invalid/t", "/none/t.json"))
    assert words.format(port=port) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_tls_goes_through_a_tunnel_of_the_proxy(
    tmp_path: Path, secured: Promgen, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an HTTPS URL, the client asks the proxy for a tunnel with CONNECT."""
    with Tunnel(secured.server_port) as tunnel:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{tunnel.port}")
        tls = f"tls_config: {{ca_file: {authority.file}, server_name: promgen.test}}"
        feed = Feed(f"https://promgen.test{TARGETS}", "/none/t.json")
        assert fetcher(access(tmp_path, tls)).fetch(feed).body == BODY
    assert tunnel.asked.startswith(b"CONNECT promgen.test:443 HTTP/1.")


class Tunnel:
    """A proxy for one connection, which it always forwards to the same port."""

    def __init__(self, to_port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.asked = b""
        self._to_port = to_port
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(LIMIT_S)
        self._listener.close()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._to_port))
        with client, server:
            while b"\r\n\r\n" not in self.asked:
                self.asked += client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            ways = {client: server, server: client}
            while True:
                for each in select.select(list(ways), [], [])[0]:
                    data = each.recv(65536)
                    if not data:
                        return
                    ways[each].sendall(data)


def test_proxy_url_is_refused_in_the_file(tmp_path: Path) -> None:
    """The file may set proxy_from_environment; a proxy_url belongs in the environment."""
    access(tmp_path, "proxy_from_environment: true")
    with pytest.raises(ConfigurationError, match="in the environment instead"):
        access(tmp_path, "proxy_url: http://proxy")
