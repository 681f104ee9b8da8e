"""The API with TLS, passwords and client certificates of a web configuration file."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests

from tests.certificates import Authority
from tests.support import wait_until
from tests.web.conftest import Upstream, Web, following, leading, say

ALICE = ("alice", "wonderland")
POLICY = "Content-Security-Policy"
OWN_PATHS = (
    "/_elector/leader",
    "/_elector/metrics",
    "/_elector/status",
    "/_elector/fleet",
    "/_elector/",
    "/_elector/none",
)


def hashed(password: str) -> str:
    """Return a cheap bcrypt hash."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


USERS = f"basic_auth_users:\n  alice: {hashed('wonderland')}\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a CA."""
    return Authority(tmp_path_factory.mktemp("authority"))


class Protected(Web):
    """A web process with a web configuration file, which a test can change."""

    def __init__(self, folder: Path, config: str, **options: Any) -> None:
        self.file = folder / "web.yml"
        self.file.write_text(config)
        super().__init__(web_config_file=str(self.file), **options)


@contextmanager
def running(web: Web) -> Iterator[Web]:
    """Stop a web process at the end, and check that its log has no traceback."""
    try:
        yield web
    finally:
        said = web.stop()
    assert "Traceback" not in said, said


def tls(authority: Authority, fields: str = "", name: str = "server") -> str:
    """Return the section of a configuration that enables TLS."""
    pair = authority.issue(name)
    files = f"  cert_file: {pair.certificate}\n  key_file: {pair.key}\n"
    return f"tls_server_config:\n{files}{fields}"


def certs(authority: Authority) -> str:
    """Return the fields that require client certificates."""
    kind = "  client_auth_type: RequireAndVerifyClientCert\n"
    return f"{kind}  client_ca_file: {authority.file}\n"


def trusting(authority: Authority) -> dict[str, Any]:
    """Return the arguments of a client that trusts this CA."""
    return {"verify": str(authority.file)}


# --- passwords -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Run a web process with one user, and with headers in its file."""
    policy = "Content-Security-Policy: \"frame-ancestors 'self'\""
    headers = f"http_server_config: {{headers: {{X-Frame-Options: deny, {policy}}}}}\n"
    web = Protected(tmp_path_factory.mktemp("users"), USERS + headers)
    with running(web):
        yield web


@pytest.fixture
def users(shared_users: Web, upstream: Upstream) -> Web:
    """Return a web process with one user, whose replica leads."""
    shared_users.tell(leading(upstream.url))
    return shared_users


def test_a_configured_policy_does_not_replace_the_pages_own(users: Web) -> None:
    """The page has both its own policy and the configured one; other answers have only that."""
    own, configured = users.get("/_elector/", auth=ALICE).headers[POLICY].split(", ")
    assert own.startswith("default-src 'none'; script-src 'sha256-")
    assert configured == "frame-ancestors 'self'"
    for path in ("/_elector/leader", "/"):
        assert users.get(path, auth=ALICE).headers[POLICY] == configured


@pytest.mark.parametrize("path", [*OWN_PATHS, "/api/v1/query?query=up", "/_elector/../x"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"auth": ("alice", "wrong")},
        {"auth": ("nobody", "wonderland")},
        {"auth": ("alice", "")},
        {"headers": {"Authorization": "Bearer wonderland"}},
        {"headers": {"Authorization": "Basic ???"}},
        {"headers": {"Authorization": "Basic YWxpY2U="}},
    ],
)
def test_requests_without_valid_credentials_are_refused(
    users: Web, upstream: Upstream, path: str, given: dict[str, Any]
) -> None:
    """Without valid credentials, every path is a 401, and nothing is forwarded."""
    answer = users.get(path, **given)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="prometheus-elector"')
    assert answer.headers["X-Frame-Options"] == "deny"
    assert answer.json()["errorType"] == "unauthorized"
    assert upstream.heads == []


def test_a_user_has_access(users: Web, upstream: Upstream) -> None:
    """With valid credentials, the API and the proxy answer, with the configured header once."""
    upstream.answer = say(b"hi", b"HTTP/1.1 200 OK\r\nX-Frame-Options: a\r\nContent-Length: 2")
    assert users.get("/_elector/leader", auth=ALICE).status_code == 200
    assert users.get("/_elector/none", auth=ALICE).status_code == 404
    answer = users.get("/api/v1/query", auth=ALICE)
    assert (answer.status_code, answer.text) == (200, "hi")
    assert answer.headers["X-Frame-Options"] == "deny"


@pytest.mark.parametrize("path", ["/_elector/healthz", "/_elector/readyz?verbose"])
def test_the_health_checks_are_open(users: Web, path: str) -> None:
    """Health checks need no password, but only under their plain path."""
    assert users.get(path).status_code == 200
    raw = b"GET /_elector//../_elector/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert users.raw(raw).startswith(b"HTTP/1.1 401")


def test_a_refused_body_does_not_become_a_request(users: Web, upstream: Upstream) -> None:
    """The body of a refused request is not read as the next request."""
    smuggled = b"GET /_elector/healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    assert users.raw(head + smuggled + b"x").count(b"HTTP/1.1 ") <= 2
    assert b"HTTP/1.1 200" not in users.raw(head + smuggled)
    assert upstream.heads == []


def test_the_clients_password_reaches_prometheus(users: Web, upstream: Upstream) -> None:
    """If no credentials for Prometheus are configured, the client's are passed on."""
    users.get("/x", auth=ALICE)
    assert dict(upstream.fields)["authorization"].startswith("Basic ")


@pytest.mark.parametrize("is_remote", [False, True], ids=["own", "another's"])
@pytest.mark.parametrize("comes_over_tls", [False, True], ids=["http", "https"])
def test_credentials_from_tls_are_not_sent_without_tls(
    tmp_path: Path,
    upstream: Upstream,
    authority: Authority,
    comes_over_tls: bool,
    is_remote: bool,
) -> None:
    """Credentials that came over TLS are not sent to another replica without TLS.

    Others on the pods' network could read them.
    """
    config = USERS + (tls(authority) if comes_over_tls else "")
    asking = trusting(authority) if comes_over_tls else {}
    web = Protected(tmp_path, config, asking=asking)
    with running(web):
        web.tell((following if is_remote else leading)(upstream.url))
        assert web.get("/x", auth=ALICE).text == "hello"
    assert ("authorization" not in dict(upstream.fields)) is (comes_over_tls and is_remote)


def test_credentials_from_tls_are_sent_over_tls(tmp_path: Path, authority: Authority) -> None:
    """Credentials that came over TLS are sent to another replica over TLS."""
    (tmp_path / "password").write_text("one\n")
    config = tmp_path / "http.yml"
    config.write_text(asking_config(authority).replace("basic_auth", "# "))
    upstream = secure(authority)
    options = {"asking": trusting(authority), "prometheus_http_config": str(config)}
    with running(Protected(tmp_path, USERS + tls(authority), **options)) as web:
        web.tell(following(upstream.url))
        assert web.get("/x", auth=ALICE).text == "hello"
    assert dict(upstream.fields)["authorization"].startswith("Basic ")


def test_password_checks_do_not_block_others(tmp_path: Path, upstream: Upstream) -> None:
    """While wrong passwords are checked, known users and health checks are answered."""
    costly = bcrypt.hashpw(b"wonderland", bcrypt.gensalt(12)).decode()
    with running(Protected(tmp_path, f"basic_auth_users: {{alice: {costly}}}")) as web:
        web.tell(leading(upstream.url))
        assert web.get("/x", auth=ALICE).status_code == 200
        with ThreadPoolExecutor(16) as pool:
            wrong = [pool.submit(web.get, "/x", auth=("bob", str(n))) for n in range(16)]
            for _ in range(10):
                assert web.get("/x", auth=ALICE).status_code == 200
                assert web.get("/_elector/healthz").status_code == 200
            assert not all(each.done() for each in wrong)
            assert {each.result().status_code for each in wrong} == {401}


def test_changed_users_are_used(tmp_path: Path) -> None:
    """Changed users take effect without a restart; an invalid edit changes nothing."""
    with running(Protected(tmp_path, USERS)) as web:
        assert isinstance(web, Protected)
        path, bob = "/_elector/none", ("bob", "builder")
        assert web.get(path, auth=ALICE).status_code == 404
        web.file.write_text(f"basic_auth_users: {{bob: {hashed('builder')}}}")
        wait_until(lambda: web.get(path, auth=bob).status_code == 404, 15, "bob is let in")
        assert web.get(path, auth=ALICE).status_code == 401
        for bad in ("", "basic_auth_users: {bob: x}", "{}"):
            web.file.write_text(bad)
            assert web.get(path).status_code == 401
            assert web.get(path, auth=bob).status_code == 404


# --- TLS -----------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_served(tmp_path: Path, authority: Authority) -> None:
    """New connections get a renewed certificate; one with a wrong key changes nothing."""
    pair = authority.issue("renewed")
    config = f"tls_server_config: {{cert_file: {pair.certificate}, key_file: {pair.key}}}"
    with running(Protected(tmp_path, config, asking=trusting(authority))) as web:
        assert served(web) == pair.serial
        old = pair.serial
        authority.issue("renewed")
        assert pair.serial != old
        wait_until(lambda: served(web) == pair.serial, 15, "the new certificate is served")
        good = pair.serial
        pair.key.write_text(authority.issue("another").key.read_text())
        assert served(web) == good
        assert web.get("/_elector/none").status_code == 404


def served(web: Web) -> str:
    """Return the serial number of the certificate that a new connection gets."""
    context = ssl.create_default_context(cafile=web.asking["verify"])
    with (
        socket.create_connection(web.address, timeout=20) as sock,
        context.wrap_socket(sock, server_hostname="127.0.0.1") as secured,
    ):
        return str(secured.getpeercert()["serialNumber"])  # type: ignore[index]


@pytest.fixture(scope="module")
def shared_certs(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Web]:
    """Run a web process that requires client certificates."""
    config = tls(authority, certs(authority))
    web = Protected(tmp_path_factory.mktemp("certs"), config, asking=trusting(authority))
    with running(web):
        yield web


@pytest.fixture
def guarded(shared_certs: Web, upstream: Upstream) -> Web:
    """Return a web process that requires client certificates, whose replica leads."""
    shared_certs.tell(leading(upstream.url))
    return shared_certs


@pytest.mark.parametrize("path", [*OWN_PATHS, "/api/v1/query?query=up"])
def test_certificates_are_enforced_by_path(
    guarded: Web, upstream: Upstream, authority: Authority, path: str
) -> None:
    """Without a client certificate, a path is a 403, and nothing is forwarded."""
    answer = guarded.get(path)
    assert (answer.status_code, answer.json()["errorType"]) == (403, "forbidden")
    assert upstream.heads == []
    client = authority.issue("client", usage="clientAuth")
    assert guarded.get(path, cert=client.paths).status_code == (404 if "none" in path else 200)


def test_the_health_checks_need_no_certificate(guarded: Web) -> None:
    """Health checks need no client certificate."""
    assert guarded.get("/_elector/healthz").status_code == 200
    assert guarded.get("/_elector/readyz").status_code == 200


def test_a_certificate_of_another_ca_is_refused(guarded: Web, tmp_path: Path) -> None:
    """A client certificate of another CA fails the handshake, for every path."""
    stranger = Authority(tmp_path / "others", "others").issue("client", usage="clientAuth")
    for path in ("/_elector/healthz", "/_elector/leader"):
        with pytest.raises(requests.ConnectionError):
            guarded.get(path, cert=stranger.paths)


def test_client_allowed_sans_are_enforced(tmp_path: Path, authority: Authority) -> None:
    """With client_allowed_sans, the client certificate must have one of the names."""
    allowed = '  client_allowed_sans: [grafana.test, "2001:db8::1", "spiffe://a/b"]\n'
    config = tls(authority, certs(authority) + allowed)
    with running(Protected(tmp_path, config, asking=trusting(authority))) as web:
        for names, code in {
            "DNS:grafana.test": 404,
            "DNS:x.test,IP:2001:DB8:0::1": 404,
            "URI:spiffe://a/b": 404,
            "DNS:other.test": 403,
            "email:grafana.test@a": 403,
        }.items():
            client = authority.issue("named", names=names, usage="clientAuth")
            assert web.get("/_elector/none", cert=client.paths).status_code == code, names


def test_silent_and_plain_clients_do_not_block_others(guarded: Web, authority: Authority) -> None:
    """Clients without a handshake do not delay others; a client without TLS gets a 400."""
    silent = [socket.create_connection(guarded.address) for _ in range(200)]
    try:
        for sock in silent[::2]:
            sock.sendall(b"\x16\x03\x01")
        assert guarded.get("/_elector/healthz", timeout=3).status_code == 200
        plain = guarded.raw(b"GET /_elector/healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert plain.startswith(b"HTTP/1.1 400 ")
        assert b"https" in plain.partition(b"\r\n\r\n")[2]
    finally:
        for sock in silent:
            sock.close()


@pytest.mark.parametrize(
    ("fields", "version", "is_served"),
    [
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_2, False),
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_3, True),
        ("  max_version: TLS12\n", ssl.TLSVersion.TLSv1_3, False),
        ("  max_version: TLS12\n", ssl.TLSVersion.TLSv1_2, True),
    ],
)
def test_tls_versions_are_enforced(
    tmp_path: Path, authority: Authority, fields: str, version: ssl.TLSVersion, is_served: bool
) -> None:
    """A client without an allowed TLS version cannot connect."""
    config = tls(authority, fields)
    with running(Protected(tmp_path, config, asking=trusting(authority))) as web:
        context = ssl.create_default_context(cafile=str(authority.file))
        context.minimum_version = context.maximum_version = version
        assert _shakes_hands(web, context) is is_served


def _shakes_hands(web: Web, context: ssl.SSLContext) -> bool:
    with socket.create_connection(web.address, timeout=20) as sock:
        try:
            context.wrap_socket(sock, server_hostname="127.0.0.1").close()
        except (ssl.SSLError, ConnectionError):
            return False
    return True


def test_a_large_answer_and_a_large_request_pass_over_tls(
    guarded: Web, upstream: Upstream, authority: Authority
) -> None:
    """Over TLS, 5 MB pass unchanged in both directions."""
    body = bytes(range(256)) * 20_000

    def answer(client: socket.socket, rest: bytes) -> None:
        while len(rest) < len(body):
            rest += client.recv(1 << 16)
        say(rest)(client, b"")

    upstream.answer = answer
    client = authority.issue("large", usage="clientAuth")
    received = guarded.get("/x", method="POST", data=body, cert=client.paths)
    assert received.content == body
    assert ("x-forwarded-proto", "https") in upstream.fields


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_only_a_complete_answer_ends_with_close_notify(
    tmp_path: Path, authority: Authority, upstream: Upstream, version: str, is_whole: bool
) -> None:
    """Over TLS, only a complete answer ends with close_notify.

    Without it, an answer that ends with the connection counts as cut.
    """
    upstream.answer = say(b"4\r\nhalf\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")
    if is_whole:
        upstream.answer = say(b"whole")
    context = ssl.create_default_context(cafile=str(authority.file))
    with running(Protected(tmp_path, tls(authority), asking=trusting(authority))) as web:
        web.tell(leading(upstream.url))
        sock = socket.create_connection(web.address, timeout=20)
        with context.wrap_socket(
            sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as client:
            client.sendall(f"GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            assert _ends_by_its_word(client) is is_whole


def _ends_by_its_word(client: ssl.SSLSocket) -> bool:
    try:
        while client.recv(65536):
            pass
    except (ssl.SSLEOFError, ConnectionResetError):
        return False
    return True


# --- a Prometheus with TLS and passwords ---------------------------------------------------------


class SecureUpstream(Upstream):
    """The recording upstream, with TLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()
        self.url = self.url.replace("http:", "https:")

    def _serve(self, client: socket.socket) -> None:
        try:
            secured = self._context.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            return
        super()._serve(secured)


def secure(authority: Authority) -> SecureUpstream:
    """Return an upstream with a certificate of this CA for prometheus.test only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*authority.issue("upstream", names="DNS:prometheus.test").paths)
    return SecureUpstream(context)


def asking_config(authority: Authority, name: str = "prometheus.test") -> str:
    """Return the HTTP configuration with which such an upstream can be asked."""
    client = authority.issue("asker", usage="clientAuth")
    return (
        f"tls_config: {{ca_file: {authority.file}, cert_file: {client.certificate},"
        f" key_file: {client.key}, server_name: {name}}}\n"
        "basic_auth: {username: elector, password_file: password}\n"
        "http_headers: {X-Scope-OrgID: {values: [own]}}\n"
    )


def test_prometheus_is_asked_with_its_http_config(tmp_path: Path, authority: Authority) -> None:
    """The proxy uses certificate, password and headers of --prometheus-http-config.

    They replace the client's. A changed password is used.
    """
    (tmp_path / "password").write_text("one\n")
    config = tmp_path / "http.yml"
    config.write_text(asking_config(authority))
    upstream = secure(authority)
    with running(Protected(tmp_path, USERS, prometheus_http_config=str(config))) as web:
        web.tell(leading(upstream.url))
        answer = web.get("/x", auth=ALICE, headers={"x-scope-orgid": "another"})
        assert answer.text == "hello"
        fields = [each for each in upstream.fields if each[0] in ("authorization", "x-scope-orgid")]
        assert sorted(fields) == [
            ("authorization", "Basic ZWxlY3RvcjpvbmU="),
            ("x-scope-orgid", "own"),
        ]
        (tmp_path / "password").write_text("two\n")
        wait_until(lambda: asked_with(web, upstream) == "Basic ZWxlY3Rvcjp0d28=", 15, "renewed")


def asked_with(web: Web, upstream: Upstream) -> str:
    """Send a request, and return the credentials that the upstream got."""
    web.get("/x", auth=ALICE)
    return dict(upstream.fields)["authorization"]


def test_a_prometheus_that_is_not_trusted_is_not_asked(
    tmp_path: Path, authority: Authority
) -> None:
    """If Prometheus' certificate is not trusted, the client gets a 502, and nothing is sent."""
    (tmp_path / "password").write_text("one\n")
    config = tmp_path / "http.yml"
    config.write_text(asking_config(authority, "another.test"))
    upstream = secure(authority)
    with running(Protected(tmp_path, USERS, prometheus_http_config=str(config))) as web:
        web.tell(leading(upstream.url))
        answer = web.get("/x", auth=ALICE)
        assert answer.status_code == 502
        assert "CERTIFICATE_VERIFY_FAILED" in answer.json()["error"]
        assert upstream.heads == []
