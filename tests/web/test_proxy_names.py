"""Host names of upstreams: a DNS server that hangs delays only requests that need it."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import free_port, wait_until
from tests.web.conftest import Web, following, leading
from tests.web.test_protection import ALICE, USERS, Protected, running
from tests.web.upstreams import Call, persistent

HANGING = """
import _socket, time
real = _socket.getaddrinfo
def hang(host, *rest, **more):
    if str(host).endswith(".hangs"):
        time.sleep(60)
    return real(host, *rest, **more)
_socket.getaddrinfo = hang
"""
MANY = """
import _socket
real = _socket.getaddrinfo
def many(host, port, *rest, **more):
    if str(host) != "many.test":
        return real(host, port, *rest, **more)
    return [(2, 1, 6, "", (f"127.0.0.{number}", port)) for number in range(2, 32)]
_socket.getaddrinfo = many
"""
IN_FLIGHT = "prometheus_elector_proxy_requests_in_flight"


def run_first(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each Python process that starts from now on run this code first."""
    (folder / "sitecustomize.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def _hanging_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make lookups of names under .hangs hang in the web process."""
    run_first(HANGING, tmp_path, monkeypatch)


@pytest.mark.usefixtures("_hanging_names")
def test_a_hanging_name_server_does_not_block_others(tmp_path: Path) -> None:
    """While requests wait for names, others are forwarded, and passwords are checked."""
    peers = tuple(f"http://peer-{number}.hangs:1" for number in range(12))
    options: dict[str, Any] = {"service_name": "hangs", "connect_timeout_s": 2.0, "peers": peers}
    with running(Protected(tmp_path, USERS, **options)) as web, persistent(Call.say) as upstream:
        web.asking["auth"] = ALICE
        web.tell(following(holder="prometheus-1"))
        assert web.get("/_elector/fleet").ok
        asking = [threading.Thread(target=web.get, args=("/",)) for _ in range(30)]
        for each in asking:
            each.start()
        wait_until(lambda: (web.metric(IN_FLIGHT) or 0) >= 30, 20, "they wait for the name")
        web.tell(leading(upstream.url))
        assert web.get("/", timeout=5).text == "hello"
        assert web.get("/_elector/leader", auth=("bob", "builder"), timeout=5).status_code == 401
        for each in asking:
            each.join()


@pytest.fixture
def _many_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the name many.test thirty addresses in the web process."""
    run_first(MANY, tmp_path, monkeypatch)


@pytest.mark.usefixtures("_many_addresses")
def test_the_connect_timeout_is_for_all_addresses(tmp_path: Path) -> None:
    """The connect timeout is for all addresses of a name together.

    One after the other they would take 30 s; the kernel's own limit is two minutes.
    """
    options: dict[str, Any] = {"service_name": "many.test", "connect_timeout_s": 1.0}
    with ExitStack() as full, running(Protected(tmp_path, USERS, **options)) as web:
        port = free_port()
        for number in range(2, 32):
            _fill(full, f"127.0.0.{number}", port)
        web.asking["auth"] = ALICE
        web.tell(following(f"http://many.test:{port}"))
        answer = web.get("/", timeout=15)  # one after the other they would take 30 s
        assert (answer.status_code, "no connection in time" in answer.text) == (502, True)


def _fill(stack: ExitStack, address: str, port: int) -> None:
    """Listen at this address, and fill the backlog, so that the next connection waits."""
    listener = stack.enter_context(socket.create_server((address, port), backlog=0))
    for _ in range(4):
        sock = stack.enter_context(socket.socket())
        sock.settimeout(0.0)
        sock.connect_ex(listener.getsockname())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_names_and_addresses_are_supported(host: str, web: Web) -> None:
    """The upstream's URL may have a host name or an IPv4 address."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url.replace("127.0.0.1", host)))
        assert web.get("/").text == "hello"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_ipv6_addresses_are_supported(web: Web) -> None:
    """The upstream's URL may have an IPv6 address."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        thread = threading.Thread(target=_answer_one, args=(listener,))
        thread.start()
        web.tell(leading(f"http://[::1]:{listener.getsockname()[1]}"))
        assert web.get("/").text == "hello"
        thread.join()


def _answer_one(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
