"""The commands `status` and `step-down` with an API that sends unusual answers."""

from __future__ import annotations

import json
import socket

import pytest

from tests.web.conftest import Upstream, leading, say
from tests.web.test_status import FULL
from wrapper.base import clock
from wrapper.commands.remote import FAILED, GOOD, run
from wrapper.web.status import status_of


@pytest.mark.parametrize("answer", ["{}", '{"replicas": 1}', '{"replicas": [1]}', "[" * 100_000])
def test_an_answer_of_another_form_is_an_error(
    answer: str, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer of another form gives exit status 2, as a missing answer does."""
    upstream.answer = say(answer.encode())
    assert run(["status", upstream.url], {}) == FAILED
    assert run(["step-down", upstream.url], {}) == FAILED
    assert capsys.readouterr().err.count("prometheus-elector st") == 2


def test_gates_are_listed_below_the_table(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the table, `status` lists the gate of each replica that has one.

    Control characters are removed.
    """
    told = status_of(leading(**FULL), clock.now())
    told["gate"]["endpoints"][0]["problem"] = "gone\x1b[2J"
    other = {**told, "identity": "prometheus-1", "is_leader": False, "gate": None}
    older = {name: value for name, value in other.items() if name != "gate"}
    each = [{"url": "", "status": status} for status in (told, other, older)]
    upstream.answer = say(json.dumps({"replicas": each}).encode())
    assert run(["status", upstream.url], {}) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[4] == (
        "gate of prometheus-0: sending held samples; "
        "store 3 MiB held since 2023-11-14T22:13:20Z, 4.5 s behind (gone[2J)"
    )


def test_an_invalid_configuration_is_explained(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid configuration is marked in the table, and its problem is printed below."""
    told = status_of(leading(**FULL), clock.now())
    told["configuration"] |= {"is_valid": False, "problems": ["c.yml:7:3: no\x1b[2J"]}
    told["gate"] = None
    upstream.answer = say(json.dumps({"replicas": [{"url": "", "status": told}]}).encode())
    assert run(["status", upstream.url], {}) == GOOD
    _, row, line = capsys.readouterr().out.splitlines()
    assert " invalid " in row
    assert line == "configuration of prometheus-0: c.yml:7:3: no[2J"


def test_control_characters_of_an_error_are_removed(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters in the server's error are not printed."""
    body = b'{"error": "no\\u001b[2J \\ud800way"}'
    upstream.answer = say(body, b"HTTP/1.1 503 Gone\r\nContent-Length: %d" % len(body))
    assert run(["status", upstream.url], {}) == FAILED
    assert capsys.readouterr().err.endswith(": no[2J way\n")


def test_a_refusal_names_the_flag(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    """If the API refuses a step-down, the message names the flag --force."""
    status = json.dumps(status_of(leading(**FULL), clock.now())).encode()
    refusal = json.dumps({"error": "nobody is ready; force it to step down anyway"}).encode()

    def answer(client: socket.socket, rest: bytes) -> None:
        refuse = say(refusal, b"HTTP/1.1 409 Conflict\r\nContent-Length: %d" % len(refusal))
        (refuse if upstream.request_line.startswith("POST ") else say(status))(client, rest)

    upstream.answer = answer
    assert run(["step-down", upstream.url], {}) == FAILED
    assert "nobody is ready; use --force to step down anyway" in capsys.readouterr().err


def test_a_closed_connection_suggests_https(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the server closes the connection, the message suggests the scheme https."""
    upstream.answer = lambda client, _rest: client.close()
    assert run(["status", upstream.url], {}) == FAILED
    cure = upstream.url.replace("http:", "https:")
    assert capsys.readouterr().err.endswith(f"; if it uses TLS, write {cure}\n")
