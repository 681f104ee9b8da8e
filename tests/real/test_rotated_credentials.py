"""When a leader's credentials change, Prometheus keeps its queue or starts a new one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.real.conftest import Start
from tests.real.fleet import demotions, lines_of, rejections
from tests.real.replica import Replica
from tests.real.test_refusals import is_valid
from tests.support import free_port, wait_until

QUEUE = "queue_config: {batch_send_deadline: 100ms}"


class PasswordRecorder:
    """A remote_write receiver that records the passwords of the requests."""

    def __init__(self) -> None:
        self.passwords: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(door) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the request's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                words = self.headers.get("Authorization", "").removeprefix("Basic ")
                door.passwords.append(base64.b64decode(words).decode().partition(":")[2])
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


@pytest.fixture
def door() -> Iterator[PasswordRecorder]:
    """Run a receiver that records passwords."""
    endpoint = PasswordRecorder()
    yield endpoint
    endpoint.close()


@pytest.fixture(params=[False, True], ids=["direct", "gate"])
def leader(request: pytest.FixtureRequest, start: Start) -> Replica:
    """Start a replica that will lead, with and without the gate."""
    address = f"127.0.0.1:{free_port()}"
    gate = ("--remote-write-gate", f"--remote-write-gate-listen-address={address}")
    return start("a", *(gate if request.param else ()))


def lead_with(leader: Replica, url: str, auth: str) -> None:
    """Write a leader's part with these credentials."""
    text = leader.config.read_text().partition("leader:")[0]
    entry = f"{{url: '{url}', name: door, {QUEUE}{auth}}}"
    leader.config.write_text(f"{text}leader:\n  remote_write: [{entry}]\n")


def has_lost_its_queue(leader: Replica) -> bool:
    """Tell whether Prometheus has stopped a queue; it may not log the start of a new one."""
    return bool(lines_of(leader, "Stopping remote storage"))


@pytest.mark.parametrize("kind", ["inline", "url", "file", "path"])
def test_a_new_password_is_used(leader: Replica, door: PasswordRecorder, kind: str) -> None:
    """After a change of the password, all requests have the new one, and the leader stays.

    Only a new path of the password's file stops the queue. Prometheus shows neither secrets nor the
    passwords of URLs, so both configurations look the same to it: the reload is confirmed by its
    time.
    """
    for name, password in (("one", "first"), ("two", "second")):
        leader.config.with_name(name).write_text(password)

    def file(name: str) -> str:
        return f", basic_auth: {{username: a, password_file: {leader.config.with_name(name)}}}"

    def inline(password: str) -> str:
        return f", basic_auth: {{username: a, password: {password}}}"

    url = f"http://{door.address}/write"
    with_user = "http://a:{}@" + f"{door.address}/write"
    before, after = {
        "inline": ((url, inline("first")), (url, inline("second"))),
        "url": ((with_user.format("first"), ""), (with_user.format("second"), "")),
        "file": ((url, file("one")), (url, file("one"))),
        "path": ((url, file("one")), (url, file("two"))),
    }[kind]
    lead_with(leader, *before)
    wait_until(lambda: "first" in door.passwords, 20, "it writes with the first")
    lead_with(leader, *after)
    if kind == "file":
        leader.config.with_name("two").rename(leader.config.with_name("one"))
    wait_until(lambda: "second" in door.passwords, 20, "it writes with the second")
    at = len(door.passwords)
    wait_until(lambda: len(door.passwords) > at + 2, 15, "it goes on")
    assert set(door.passwords[at + 1 :]) == {"second"}
    assert has_lost_its_queue(leader) == (kind == "path")
    assert is_valid(leader)
    assert not rejections(leader)
    assert demotions(leader) == 0
