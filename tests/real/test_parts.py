"""The real programs behave as the tests that use them assume."""

from __future__ import annotations

import re
import socket
import struct
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.real.parts import ApiServer, Namespace, Prometheus, Receiver, WriteLog, started
from tests.support import free_port, wait_until

LEASE = {
    "metadata": {"name": "prometheus", "annotations": {"incarnation": "one"}},
    "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0},
}

WRITES_ITS_OWN = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["{address}"]}]}]
remote_write: [{url: "%s", queue_config: {batch_send_deadline: 100ms}}]
"""


def test_service_account_creates_and_updates_its_lease(namespace: Namespace) -> None:
    """The documented rights allow to create, read and update the one lease."""
    assert namespace.lease() is None
    assert namespace.call("POST", LEASE).status_code == 201
    lease = namespace.call("GET").json()
    lease["spec"]["holderIdentity"] = "b"
    assert namespace.call("PUT", lease).status_code == 200
    assert namespace.holder() == "b"
    assert namespace.call("PUT", lease).status_code == 409, "the version is no longer the newest"


def test_service_account_has_no_other_rights(namespace: Namespace) -> None:
    """Listing, deleting and other leases are forbidden; an unknown token is not accepted."""
    server, token = namespace.server, namespace.token
    assert server.call("GET", namespace.leases_path, token=token).status_code == 403
    assert server.call("GET", f"{namespace.leases_path}/another", token=token).status_code == 403
    assert namespace.call("DELETE").status_code == 403
    assert server.call("GET", namespace.leases_path, token="unknown").status_code == 401


def test_service_account_watches_its_lease(namespace: Namespace) -> None:
    """A watch of the one lease by name is allowed and reports its creation."""
    watch = f"{namespace.leases_path}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name="
    namespace.call("POST", LEASE)
    answer = namespace.server.call("GET", f"{watch}prometheus", token=namespace.token)
    assert answer.status_code == 200
    assert '"type":"ADDED"' in answer.text


def test_the_official_client_accepts_the_kubeconfig(namespace: Namespace) -> None:
    """The kubernetes package reads the lease with the namespace's kubeconfig."""
    client = pytest.importorskip("kubernetes.client")
    config = pytest.importorskip("kubernetes.config")
    namespace.call("POST", LEASE)
    with config.new_client_from_config(str(namespace.kubeconfig)) as api:
        lease = client.CoordinationV1Api(api).read_namespaced_lease("prometheus", namespace.name)
    assert lease.spec.holder_identity == "a"


def test_token_is_renewed_by_rename(namespace: Namespace) -> None:
    """A renewed token is in a new file, and the API server accepts it."""
    old, inode = namespace.token, namespace.token_file.stat().st_ino
    namespace.renew_token()
    assert namespace.token_file.stat().st_ino != inode
    assert namespace.call("GET").status_code == 404
    assert old


@pytest.mark.breaks_api_server
def test_frozen_server_hangs_until_it_is_thawed(
    api_server: ApiServer, namespace: Namespace
) -> None:
    """Requests to a frozen API server hang; thawed, it answers again."""
    api_server.freeze()
    with pytest.raises(requests.Timeout):
        requests.get(f"{api_server.url}/livez", verify=str(api_server.ca_file), timeout=0.3)
    api_server.thaw()
    assert namespace.lease() is None


@pytest.mark.breaks_api_server
def test_leases_survive_a_restart(api_server: ApiServer, namespace: Namespace) -> None:
    """A killed API server refuses connections; restored, it still has the lease."""
    namespace.call("POST", LEASE)
    api_server.kill()
    with pytest.raises(requests.ConnectionError):
        namespace.lease()
    api_server.restore()
    assert namespace.holder() == "a"


def test_receiver_accepts_remote_write(tmp_path: Path, receiver: Receiver) -> None:
    """Samples that one Prometheus scrapes arrive at the receiver by remote_write."""
    config = WRITES_ITS_OWN % receiver.write_url
    with started(Prometheus(tmp_path / "sender", config)) as sender:
        assert "remote_write" in sender.applied_config()
        wait_until(lambda: receiver.query('up{job="self"}'), 15, "the receiver has samples")


def test_write_log_records_the_replica_of_each_write(tmp_path: Path, write_log: WriteLog) -> None:
    """Each remote_write request is recorded with its replica, and none after the sender's death."""
    with started(Prometheus(tmp_path / "a", WRITES_ITS_OWN % write_log.url("a"))) as sender:
        wait_until(lambda: len(write_log.writes("a")) > 1, 15, "two writes of a")
        sender.kill()
    assert write_log.writers() == {"a"}
    times = [write.at for write in write_log.writes()]
    assert times == sorted(times)
    assert write_log.writers(since=times[-1] + 0.001) == set()


def test_a_failed_wait_names_its_subject() -> None:
    """A wait that fails names its subject; a refused connection is no error before."""
    with pytest.raises(AssertionError, match=r"in vain: an answer; last answer: .*refused"):
        wait_until(lambda: requests.get(f"http://127.0.0.1:{free_port()}"), 0.1, "an answer")
    done = threading.Event()
    threading.Timer(0.05, done.set).start()
    wait_until(done.is_set, 15, "the timer")


@pytest.mark.parametrize(
    ("sent", "printed"),
    [(b"POST /a/write HT", []), (b"POST /a/write HTTP/1.1\r\n\r\n", ["TypeError"])],
    ids=["reset", "no length"],
)
def test_the_write_log_prints_errors_but_no_lost_clients(
    write_log: WriteLog, capsys: pytest.CaptureFixture[str], sent: bytes, printed: list[str]
) -> None:
    """The write log prints an error's traceback, unless the client has disconnected.

    A replica may be killed at any time.
    """
    threads = set(threading.enumerate())
    with socket.create_connection(("127.0.0.1", urlsplit(write_log.url("a")).port)) as client:
        client.sendall(sent)
        if printed:
            assert client.recv(1) == b""
        else:
            wait_until(lambda: set(threading.enumerate()) > threads, 10, "it is served")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: set(threading.enumerate()) <= threads, 10, "its thread has ended")
    errors = re.findall(r"^(\w*Error)\b", capsys.readouterr().err, re.MULTILINE)
    assert errors == printed
