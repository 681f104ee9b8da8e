"""Requests to a faulty API server: a stand-in on loopback sends the faulty answers.

What a real API server does is tested against one in tests/real.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml
from urllib3.response import HTTPResponse

from tests.memory import stays
from tests.process.stand_in import (
    LEASE,
    LIMIT_S,
    RECORD,
    Play,
    Request,
    StandIn,
    endless,
    problem_of,
    raw,
    running,
    with_tls,
)
from tests.support import free_port, wait_until
from wrapper.election import cluster, lease_object
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.model.lease import LeaseRecord, LeaseUnavailable, ObservedLease


def test_a_request_has_path_token_and_user_agent(server: StandIn, lease: KubernetesLease) -> None:
    """One request has the namespace and lease in its path, and token and program in its header."""
    assert lease.read().version == "7"
    (request,) = server.seen
    path = "/apis/coordination.k8s.io/v1/namespaces/monitoring/leases/prometheus"
    assert (request.command, request.path) == ("GET", path)
    assert request.headers["Authorization"] == "Bearer first"
    assert request.headers["User-Agent"].startswith("prometheus-elector/")


def test_throttling_is_reported_with_its_retry_time(
    server: StandIn, lease: KubernetesLease
) -> None:
    """For 429, the error has the server's Retry-After; the client sends no second request."""
    server.play = lambda request: request.answer(429, Retry_After="30")
    problem, _ = problem_of(lambda: lease.write(RECORD, "7"))
    assert (problem.reason, problem.retry_after_s) == ("throttled", 30.0)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_not_retried(
    server: StandIn, lease: KubernetesLease, status: int
) -> None:
    """For status 500 or 503, the client reports an error and sends no second request."""
    server.play = lambda request: request.answer(status, Retry_After="1")
    problem, _ = problem_of(lease.read)
    assert f"({status}): played" in str(problem)
    assert server.url in str(problem)
    assert (problem.reason, problem.retry_after_s) == ("server", 1.0)
    assert len(server.seen) == 1


def send_header_slowly(request: Request) -> None:
    """Send a header that never ends."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not request.server.is_over.wait(0.05):
        request.wfile.write(b"X-Drip: x\r\n")


def send_body_slowly(request: Request) -> None:
    """Send a body one byte at a time."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    while not request.server.is_over.wait(0.05):
        request.wfile.write(b" ")


def never_answer(request: Request) -> None:
    """Read the request, and send no answer."""
    request.wait()


@pytest.mark.parametrize("play", [send_header_slowly, send_body_slowly, never_answer])
def test_a_request_ends_at_its_time_limit(
    server: StandIn, lease: KubernetesLease, play: Play
) -> None:
    """If the server is silent or sends slowly, the request ends at its limit, with its thread."""
    server.play = play
    problem, _ = problem_of(lease.read)
    assert problem.reason == "timeout"
    assert f"no answer from {server.url} within 0.5 s" in str(problem)
    wait_until(
        lambda: not any(thread.name == "bounded" for thread in threading.enumerate()),
        15,
        "the request's thread has ended with its connection",
    )
    server.play = lambda request: request.answer(200, LEASE)
    assert lease.read().version == "7"


def test_a_closed_connection_is_reported(server: StandIn, lease: KubernetesLease) -> None:
    """If the server closes the connection, the request fails; the next one works."""

    def hang_up(request: Request) -> None:
        request.close_connection = True

    server.play = hang_up
    problem, _ = problem_of(lease.read)
    assert problem.reason == "connection"
    server.play = lambda request: request.answer(200, LEASE)
    assert lease.read().version == "7"


def test_a_refused_connection_is_reported(lease_at: Callable[..., KubernetesLease]) -> None:
    """If the connection is refused, the error gives that reason, and is the same each time."""
    url = f"http://127.0.0.1:{free_port()}"
    refused = lease_at(url)
    problems = {str(problem_of(refused.read)[0]) for _ in range(3)}
    assert problems == {
        f"{url} refuses connections: start the API server there, or correct the address"
    }


def test_an_unresolved_name_is_reported(lease_at: Callable[..., KubernetesLease]) -> None:
    """If the server's name cannot be resolved, the reason is dns, or timeout if DNS is slow."""
    problem, _ = problem_of(lease_at("http://nowhere.invalid:6443").read)
    assert problem.reason in {"dns", "timeout"}


def test_an_untrusted_certificate_is_reported(
    make_certificate: Callable[[str], tuple[Path, Path]], lease_at: Callable[..., KubernetesLease]
) -> None:
    """For an unknown CA or a wrong name in the certificate, the error has OpenSSL's reason."""
    stand_in, certificate = StandIn(), make_certificate("DNS:other")
    with_tls(stand_in, certificate)
    with running(stand_in):
        unknown, _ = problem_of(lease_at(stand_in.url).read)
        trusted = lease_at(stand_in.url, **{"certificate-authority": str(certificate[1])})
        mismatch, _ = problem_of(trusted.read)
    assert (unknown.reason, mismatch.reason) == ("tls", "tls")
    assert "is not trusted (self-signed certificate)" in str(unknown)
    assert "is not trusted (IP address mismatch" in str(mismatch)


def test_a_server_without_tls_is_reported(
    server: StandIn, lease_at: Callable[..., KubernetesLease]
) -> None:
    """HTTPS to an HTTP port is a TLS error that suggests checking address and port."""
    problem, _ = problem_of(lease_at(server.url.replace("http:", "https:")).read)
    assert problem.reason == "tls"
    assert "check the address and the port" in str(problem)


def only_second(request: Request) -> None:
    """Accept only the token `second`."""
    is_accepted = request.headers["Authorization"] == "Bearer second"
    request.answer(200 if is_accepted else 401, LEASE if is_accepted else None)


def test_a_changed_token_is_used(server: StandIn, lease: KubernetesLease, tmp_path: Path) -> None:
    """After the token file has changed, the next request uses the new token, without a 401."""
    (tmp_path / "new").write_text("second\n")
    (tmp_path / "new").replace(tmp_path / "token")
    server.play = only_second
    assert lease.read().version == "7"
    assert len(server.seen) == 1


def test_after_a_401_the_token_is_read_again(
    server: StandIn, lease: KubernetesLease, tmp_path: Path
) -> None:
    """After a 401, the token file is read again, and the request is repeated once."""

    def rotate(request: Request) -> None:
        (tmp_path / "token").write_text("second")
        only_second(request)

    server.play = rotate
    assert lease.read().version == "7"
    assert [request.headers["Authorization"] for request in server.seen] == [
        "Bearer first",
        "Bearer second",
    ]


def test_a_second_401_is_an_error(server: StandIn, lease: KubernetesLease) -> None:
    """After a second 401, the error gives the source of the credentials."""
    server.play = lambda request: request.answer(401)
    problem, _ = problem_of(lease.read)
    assert problem.reason == "unauthorized"
    assert "kubeconfig" in str(problem)
    assert len(server.seen) == 2


def test_an_answer_without_a_lease_is_an_error(server: StandIn, lease: KubernetesLease) -> None:
    """An answer that is not a Lease, such as a login page, does not count as a free lease."""
    server.play = lambda request: request.answer(200, {"hello": "world"})
    assert "with a Lease: check whether a proxy" in str(problem_of(lease.read)[0])
    server.play = lambda request: request.answer(404, {"hello": "world"})
    assert problem_of(lease.read)[0].reason == "not-found"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"metadata":' * 100_000, b"\xff", b"7"])
def test_an_answer_that_is_not_an_object_is_an_error(
    server: StandIn, lease: KubernetesLease, body: bytes
) -> None:
    """An answer that is not a JSON object is an error, also if it is deeply nested."""
    server.play = raw(body)
    assert "with a Lease: check whether a proxy" in str(problem_of(lease.read)[0])


@pytest.mark.parametrize("is_packed", [False, True])
def test_an_answer_that_is_too_large_is_an_error(
    server: StandIn,
    lease: KubernetesLease,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_packed: bool,
) -> None:
    """Reading stops at the size limit, which also holds for the decompressed size."""
    monkeypatch.setattr(cluster, "MOST_BYTES", 1 << 20)
    body = b" " * (1 << 20) + json.dumps(LEASE).encode()
    packed = {"Content_Encoding": "gzip"} if is_packed else {}
    server.play = raw(gzip.compress(body) if is_packed else body, **packed)
    assert "larger than 1 MiB" in str(problem_of(lease.read)[0])
    assert not stays(lease.read, LeaseUnavailable)
    server.play = endless
    assert "larger than 1 MiB" in str(problem_of(lease.read)[0])
    server.play = raw(gzip.compress(body[1000:]) if is_packed else body[1000:], **packed)
    assert lease.read().version == "7"


def test_an_event_that_is_too_large_ends_the_watch(
    server: StandIn, lease: KubernetesLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that exceeds the size limit ends the watch, and does not stay in memory."""
    monkeypatch.setattr(cluster, "MOST_BYTES", 1 << 20)

    server.play = endless
    reported, error = watch(lease)
    assert reported == []
    assert "larger than 1 MiB" in str(error)
    assert not stays(lambda: lease.watch(ObservedLease(RECORD, "6"), print), LeaseUnavailable)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"7", b"{}", b"nothing", b'{"type":"ADDED"}'])
def test_an_invalid_event_of_a_watch_reports_nothing(
    server: StandIn, lease: KubernetesLease, line: bytes
) -> None:
    """An invalid event is skipped, or ends the watch with an error; no change is reported."""

    def play(request: Request) -> None:
        request.begin_watch()
        request.wfile.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
        request.end_watch()

    server.play = play
    reported, _ = watch(lease)
    assert reported == []


@pytest.mark.parametrize("duration_s", [2**31 - 1, 4_294_968])
def test_a_lease_for_weeks_can_be_watched(
    server: StandIn, lease: KubernetesLease, duration_s: int
) -> None:
    """A very long lease duration is no socket timeout: as one, 4,294,968 s would be 0.7 s."""
    spec = {**LEASE["spec"], "leaseDurationSeconds": duration_s}

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", {**LEASE, "spec": spec})
        request.server.is_over.wait(1)
        request.event("DELETED")
        request.end_watch()

    server.play = play
    reported, error = watch(lease)
    assert error is None
    assert reported[-1] == ObservedLease(None)
    assert len(reported) == 2


def test_a_slow_credential_plugin_does_not_run_again(
    server: StandIn, lease: KubernetesLease, tmp_path: Path
) -> None:
    """While a credential plugin runs, requests fail; a later request has its token."""
    plugin = tmp_path / "plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "slow"},
    }
    plugin.write_text(
        f"#!/bin/sh\necho run >>{tmp_path}/runs\nsleep 1\necho '{json.dumps(credential)}'\n"
    )
    plugin.chmod(0o755)
    path = tmp_path / "kubeconfig"
    found = yaml.safe_load(path.read_text())
    found["users"] = [
        {
            "name": each["name"],
            "user": {"exec": {"command": str(plugin), "apiVersion": credential["apiVersion"]}},
        }
        for each in found["users"]
    ]
    path.write_text(yaml.safe_dump(found))

    def version() -> str | None:
        try:
            return lease.read().version
        except LeaseUnavailable:
            return ""

    assert version() == ""
    wait_until(lambda: version() == "7", 15, "a later request has the plugin's token")
    runs = (tmp_path / "runs").read_text().splitlines()
    assert len(runs) <= 2, "once, and once more as the kubeconfig has just been written"
    assert server.seen[-1].headers["Authorization"] == "Bearer slow"


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("broken: [", "kubeconfig:1:10: not YAML: "),
        ("a: !!int x", "kubeconfig: current-context is missing"),  # values are not converted
        ("a: !!bool x", "kubeconfig: current-context is missing"),
        ("a: !!timestamp x", "kubeconfig: current-context is missing"),
        ("current-context: c\ncontexts: [{name: c}]\nclusters: [{}]", "cluster None has no server"),
    ],
)
def test_an_invalid_kubeconfig_is_reported(
    server: StandIn, lease: KubernetesLease, tmp_path: Path, bad: str, told: str
) -> None:
    """If the kubeconfig becomes invalid, no request is sent; after its repair, requests work."""
    whole = (tmp_path / "kubeconfig").read_text()
    (tmp_path / "kubeconfig").write_text(bad)
    problem, _ = problem_of(lease.read)
    assert problem.reason == "kubeconfig"
    assert told in str(problem)
    assert server.seen == []
    (tmp_path / "kubeconfig").write_text(whole)
    assert lease.read().version == "7"


def test_a_pods_service_account_is_used(
    make_certificate: Callable[[str], tuple[Path, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a pod, server, CA, token and namespace come from the environment and mounted files."""
    stand_in, certificate = StandIn(), make_certificate("IP:127.0.0.1")
    with_tls(stand_in, certificate)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(stand_in.server_port))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (tmp_path / "ca.crt").write_bytes(certificate[1].read_bytes())
    (tmp_path / "namespace").write_text("own")
    lease = KubernetesLease("prometheus", "", "", "pod-1", LIMIT_S, service_account=tmp_path)
    missing, _ = problem_of(lease.read)
    assert f"the pod's {tmp_path}/token: No such file or directory; mount" in str(missing)
    (tmp_path / "token").write_text("first\n")
    with running(stand_in):
        assert lease.read().version == "7"
    assert stand_in.seen[0].headers["Authorization"] == "Bearer first"
    assert "/namespaces/own/leases/" in stand_in.seen[0].path


IN_A_POD = """
import sys
from pathlib import Path
from typing import cast
from wrapper.election.kubernetes_lease import KubernetesLease

folder = Path(sys.argv[1])
lease = KubernetesLease("prometheus", "n", "", "pod-1", 20.0, service_account=folder)
print(lease.read().version, "kubernetes" in sys.modules)
"""


def test_a_pod_does_not_import_the_kubernetes_package(
    make_certificate: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    """In a pod, requests work without importing the kubernetes package, which takes 20 MiB."""
    stand_in, certificate = StandIn(), make_certificate("IP:127.0.0.1")
    with_tls(stand_in, certificate)
    (tmp_path / "ca.crt").write_bytes(certificate[1].read_bytes())
    (tmp_path / "token").write_text("first\n")
    environ = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(stand_in.server_port),
        "HOME": str(tmp_path),
    }
    with running(stand_in):
        done = subprocess.run(
            [sys.executable, "-c", IN_A_POD, tmp_path],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == "7 False\n", done.stderr


def watch(lease: KubernetesLease) -> tuple[list[ObservedLease | None], Exception | None]:
    """Watch from version 6 on; return the reported changes, and the error or None."""
    reported: list[ObservedLease | None] = []
    try:
        lease.watch(ObservedLease(RECORD, "6"), reported.append)
    except LeaseUnavailable as error:
        return reported, error
    return reported, None


def test_a_server_may_be_below_a_path(
    server: StandIn, lease_at: Callable[..., KubernetesLease]
) -> None:
    """The server's URL may have a path, as where one address leads to many clusters."""
    assert lease_at(f"{server.url}/k8s/clusters/c-1/").read().version == "7"
    assert server.seen[0].path.startswith("/k8s/clusters/c-1/apis/coordination.k8s.io/")


def test_a_watch_reports_changes(server: StandIn, lease: KubernetesLease) -> None:
    """Changes are reported with their version, a deletion as no lease, bookmarks not at all."""

    def play(request: Request) -> None:
        request.begin_watch()
        for kind in ("ADDED", "BOOKMARK", "MODIFIED", "DELETED"):
            request.event(kind)
        request.end_watch()

    server.play = play
    seen = ObservedLease(lease_object.record_of(LEASE), "7")
    assert watch(lease) == ([seen, seen, ObservedLease(None)], None)
    (request,) = server.seen
    assert "fieldSelector=metadata.name%3Dprometheus" in request.path
    assert "resourceVersion=6" in request.path
    assert re.search(r"timeoutSeconds=(2[4-9][0-9]|300)(&|$)", request.path)


@pytest.mark.parametrize("is_in_stream", [True, False])
def test_a_watch_from_an_old_version_reports_none(
    server: StandIn, lease: KubernetesLease, *, is_in_stream: bool
) -> None:
    """After a 410, as an answer or an event, the watch reports None: the lease must be read."""

    def play(request: Request) -> None:
        if not is_in_stream:
            request.answer(410)
            return
        request.begin_watch()
        request.event("ERROR", {"kind": "Status", "code": 410})
        request.wait()

    server.play = play
    assert watch(lease) == ([None], None)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refused_watch_is_an_error(server: StandIn, lease: KubernetesLease, status: int) -> None:
    """If the server refuses a watch, the error is that of other requests."""
    server.play = lambda request: request.answer(status)
    reported, error = watch(lease)
    assert reported == []
    assert f"({status})" in str(error)


def test_a_silent_watch_ends_after_the_lease_duration(
    server: StandIn, lease: KubernetesLease
) -> None:
    """While the lease is held, a watch without events for the lease duration is an error."""
    short = {**LEASE, "spec": {**LEASE["spec"], "leaseDurationSeconds": 1}}

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", short)
        request.wait()

    server.play = play
    started_at = time.monotonic()
    reported, error = watch(lease)
    took_s = time.monotonic() - started_at
    assert len(reported) == 1
    assert "within 1 s" in str(error)
    assert took_s >= 1.0


def test_a_watch_of_a_free_lease_may_be_silent(server: StandIn, lease: KubernetesLease) -> None:
    """While the lease is free, a watch without events goes on until it is closed."""
    free = lease_object.lease_of(LeaseRecord(), LEASE, "pod-1")

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", free)
        request.wait()

    server.play = play
    reported: list[ObservedLease | None] = []
    thread = threading.Thread(
        target=lease.watch, args=(ObservedLease(RECORD, "6"), reported.append), daemon=True
    )
    thread.start()
    wait_until(lambda: reported, 15, "the first event")
    thread.join(1.5)  # longer than its record's duration
    assert thread.is_alive()
    lease.close()
    thread.join(15)
    assert not thread.is_alive()
    lease.close()


def test_closing_a_watch_does_not_affect_requests(server: StandIn, lease: KubernetesLease) -> None:
    """Closing a watch does not affect requests, because the watch has its own connection."""
    lease.close()
    assert lease.read().version == "7"


def test_a_write_keeps_the_object_of_the_watch(server: StandIn, lease: KubernetesLease) -> None:
    """A write sends the version and the labels of the watch's last event."""
    metadata = {**LEASE["metadata"], "resourceVersion": "8", "labels": {"l": "1"}}

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", {**LEASE, "metadata": metadata})
        request.end_watch()

    server.play = play
    watch(lease)
    server.play = lambda request: request.answer(200, request.body)
    lease.write(RECORD, "8")
    written = server.seen[-1].body["metadata"]
    assert (written["resourceVersion"], written["labels"]) == ("8", {"l": "1"})


def test_reading_a_line_in_single_bytes_takes_linear_time() -> None:
    """Reading a line takes linear time.

    If each of its 400,000 pieces were copied, it would take half a minute.
    """

    class Drip:
        def stream(self) -> Iterator[bytes]:
            yield from itertools.repeat(b"a", 400_000)
            yield b"\n\nb\nc"

    began = time.thread_time()
    assert list(map(len, cluster.lines(cast("HTTPResponse", Drip())))) == [400_000, 1, 1]
    assert time.thread_time() - began < 10
