"""The gate's connections to receivers: TLS, proxies, redirects, credentials in URLs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.process.receiving import Incoming, StandInReceiver, receiving
from tests.process.running_gate import LIMIT_S, V1, RunningGate, running_gate
from tests.support import wait_until
from wrapper.model.gate import Endpoint

BATCH = b"a batch"


@pytest.fixture
def receiver() -> Iterator[StandInReceiver]:
    """Run a receiver that answers 204, unless the test changes that."""
    with receiving() as server:
        yield server


@pytest.fixture
def other() -> Iterator[StandInReceiver]:
    """Run a second receiver, as the target of a redirect or as a proxy."""
    with receiving() as server:
        yield server


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[RunningGate]:
    """Run a gate that has no order yet."""
    with running_gate(tmp_path) as process:
        yield process


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return a CA that is trusted only where a test configures it."""
    return Authority(tmp_path / "authority")


def opened(gate: RunningGate, url: str, **client: Any) -> None:
    """Open the gate for the endpoint x with these fields of remote_write."""
    gate.open(Endpoint("x", url, timeout_s=5.0, client=client))


# --- redirects ---


@pytest.mark.parametrize("status", [307, 308])
def test_follows_redirects(
    gate: RunningGate, receiver: StandInReceiver, other: StandInReceiver, status: int
) -> None:
    """A redirect is followed with the same request, but without credentials for another host."""
    place = other.url.replace("127.0.0.1", "localhost")
    receiver.play = lambda request: request.answer(status, Location=f"{place}?a=b")
    opened(gate, receiver.url)
    header = V1 | {"Authorization": "Bearer secret", "Cookie": "c=1", "X-Scope-OrgID": "a"}
    assert gate.post(BATCH, header).status_code == 204
    (seen,) = other.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/write?a=b", BATCH)
    assert (seen.field("x-scope-orgid"), seen.field("authorization")) == ("a", None)
    assert seen.field("cookie") is None
    assert seen.field("host") == f"localhost:{other.server_port}"


@pytest.mark.parametrize("place", ["/there", "http://127.0.0.1:{port}/there"])
def test_a_redirect_within_a_host_keeps_credentials(
    gate: RunningGate, receiver: StandInReceiver, place: str
) -> None:
    """A redirect within a host, which may be relative, keeps the credentials."""

    def play(request: Incoming) -> None:
        if request.path == "/there":
            request.answer()
        else:
            request.answer(307, Location=place.format(port=receiver.server_port))

    receiver.play = play
    opened(gate, receiver.url.replace("//", "//me:pass%3Aword@"))
    assert gate.post(BATCH).status_code == 204
    expected = "Basic " + base64.b64encode(b"me:pass:word").decode()
    assert [each.field("authorization") for each in receiver.seen] == [expected] * 2


def test_redirects_are_passed_back_if_not_followed(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """With follow_redirects off, the redirect is the answer."""
    receiver.play = lambda request: request.answer(307, Location=receiver.url)
    opened(gate, receiver.url, follow_redirects=False)
    assert gate.post(BATCH).status_code == 307
    assert len(receiver.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_implies_get_is_an_error(
    gate: RunningGate, receiver: StandInReceiver, other: StandInReceiver, status: int
) -> None:
    """A redirect that clients follow with GET is an error, so that Prometheus sends again."""
    receiver.play = lambda request: request.answer(status, Location=f"{other.url}/login?t=secret")
    opened(gate, receiver.url)
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert f"redirects to {other.url}/login by {status}" in answer.json()["error"]
    assert not other.seen


def test_a_redirect_loop_is_an_error(gate: RunningGate, receiver: StandInReceiver) -> None:
    """After 10 redirects the request is an error, so that Prometheus sends again."""
    receiver.play = lambda request: request.answer(308, Location=receiver.url)
    opened(gate, receiver.url)
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert "more than 10 times" in answer.json()["error"]
    assert len(receiver.seen) == 11


# --- credentials ---


def test_prefers_credentials_in_the_url(gate: RunningGate, receiver: StandInReceiver) -> None:
    """As in Prometheus, credentials in the URL are used before those of the request."""
    opened(gate, receiver.url.replace("//", "//me:secret@"))
    assert gate.post(BATCH, V1 | {"Authorization": "Bearer t"}).status_code == 204
    assert receiver.seen[0].field("authorization") == "Basic bWU6c2VjcmV0"
    assert receiver.seen[0].field("host") == f"127.0.0.1:{receiver.server_port}"


# --- TLS ---


def test_ca_file_and_server_name_are_verified(
    gate: RunningGate, receiver: StandInReceiver, authority: Authority
) -> None:
    """The receiver's certificate is verified with ca_file and server_name.

    Several requests use one connection.
    """
    receiver.use_tls(authority.issue("server", names="DNS:receiver.test"))
    opened(gate, receiver.url)
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert "is not trusted" in answer.json()["error"]
    opened(gate, receiver.url, tls_config={"ca_file": str(authority.file)})
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert "IP address mismatch" in answer.json()["error"]
    assert receiver.seen == []
    tls = {"ca_file": str(authority.file), "server_name": "receiver.test"}
    opened(gate, receiver.url, tls_config=tls)
    before = receiver.connections
    for _ in range(3):
        assert gate.post(BATCH).status_code == 204
    assert receiver.bodies == [BATCH] * 3
    assert receiver.connections == before + 1


def test_insecure_skip_verify_accepts_any_certificate(
    gate: RunningGate, receiver: StandInReceiver, authority: Authority
) -> None:
    """With insecure_skip_verify, any certificate is accepted."""
    receiver.use_tls(authority.issue("server", names="DNS:receiver.test"))
    opened(gate, receiver.url, tls_config={"insecure_skip_verify": True})
    assert gate.post(BATCH).status_code == 204


def test_changed_tls_files_are_read_again(
    gate: RunningGate, receiver: StandInReceiver, authority: Authority, tmp_path: Path
) -> None:
    """A CA file that is created or replaced later is used without a new order."""
    receiver.use_tls(authority.issue("server"))
    ca = tmp_path / "ca.pem"
    opened(gate, receiver.url, tls_config={"ca_file": str(ca)})
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert str(ca) in answer.json()["error"]
    ca.write_bytes(Authority(tmp_path / "stranger", "stranger").file.read_bytes())
    assert "is not trusted" in gate.post(BATCH).json()["error"]
    ca.write_bytes(authority.file.read_bytes())
    wait_until(lambda: gate.post(BATCH).status_code == 204, LIMIT_S, "the new CA is trusted")


def test_client_certificate_is_sent(
    gate: RunningGate, receiver: StandInReceiver, authority: Authority
) -> None:
    """The gate sends the client certificate of the entry to a receiver that requires one."""
    receiver.use_tls(authority.issue("server"), clients=authority.file)
    opened(gate, receiver.url, tls_config={"ca_file": str(authority.file)})
    assert gate.post(BATCH).status_code == 502
    pair = authority.issue("client", usage="clientAuth")
    tls = {"ca_file": str(authority.file), "cert_file": pair.paths[0], "key_file": pair.paths[1]}
    opened(gate, receiver.url, tls_config=tls)
    assert gate.post(BATCH).status_code == 204


# --- proxies ---


def test_sends_through_a_proxy(
    gate: RunningGate, receiver: StandInReceiver, other: StandInReceiver
) -> None:
    """A proxy gets the full URL of the receiver, and its own credentials."""
    opened(gate, receiver.url, proxy_url=f"http://me:secret@127.0.0.1:{other.server_port}")
    assert gate.post(BATCH).status_code == 204
    (seen,) = other.seen
    assert (seen.path, seen.body) == (receiver.url, BATCH)
    assert seen.field("proxy-authorization") == "Basic bWU6c2VjcmV0"
    assert receiver.seen == []


def test_tunnels_tls_through_a_proxy(
    gate: RunningGate, receiver: StandInReceiver, other: StandInReceiver, authority: Authority
) -> None:
    """For TLS, the proxy gets a CONNECT with proxy_connect_header, and nothing of the request."""
    receiver.use_tls(authority.issue("server"))
    opened(
        gate,
        receiver.url,
        tls_config={"ca_file": str(authority.file)},
        proxy_url=f"http://127.0.0.1:{other.server_port}",
        proxy_connect_header={"X-Team": ["a", "b"]},
    )
    for _ in range(2):
        assert gate.post(BATCH).status_code == 204
    (seen,) = other.seen
    assert (seen.method, seen.path) == ("CONNECT", f"127.0.0.1:{receiver.server_port}")
    assert [value for name, value in seen.fields if name == "X-Team"] == ["a", "b"]
    assert receiver.bodies == [BATCH] * 2
    assert receiver.seen[0].field("x-team") is None


def test_no_proxy_is_respected(
    gate: RunningGate, receiver: StandInReceiver, other: StandInReceiver
) -> None:
    """A receiver in no_proxy is connected to directly."""
    proxy = f"http://127.0.0.1:{other.server_port}"
    opened(gate, receiver.url, proxy_url=proxy, no_proxy="127.0.0.1")
    assert gate.post(BATCH).status_code == 204
    assert (len(receiver.seen), other.seen) == (1, [])


def test_an_unreachable_proxy_is_reported(gate: RunningGate, receiver: StandInReceiver) -> None:
    """If the proxy refuses connections, the error names it without its password."""
    opened(gate, receiver.url, proxy_url="http://me:secret@127.0.0.1:1")
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert "the proxy http://127.0.0.1:1 of proxy_url refuses" in answer.json()["error"]
    assert "secret" not in answer.text


# --- names ---


def test_resolves_names(gate: RunningGate, receiver: StandInReceiver) -> None:
    """Host names are resolved; a name that cannot be resolved is an error."""
    opened(gate, receiver.url.replace("127.0.0.1", "localhost"))
    assert gate.post(BATCH).status_code == 204
    opened(gate, "http://no-such-name.invalid/write")
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert "cannot be resolved" in answer.json()["error"]
