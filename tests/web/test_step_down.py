"""A step-down over the API: only for those it knows, only with a successor, and told once."""

from __future__ import annotations

import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import wait_until
from tests.web.conftest import Upstream, Web, following, leading, say
from tests.web.test_page import json_of
from tests.web.test_protection import ALICE, USERS, Protected, running
from wrapper.election import step_down_pause

PATH = "/_elector/step-down"


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Stand in for the supervisor, whose signal comes to the parent of the web process."""
    signals: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: signals.append(number))
    yield signals
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def pause_file(tmp_path: Path) -> Path:
    """Say where it is written for how long to keep out."""
    return tmp_path / "pause"


@pytest.fixture
def protected(tmp_path: Path, pause_file: Path, upstream: Upstream) -> Iterator[Web]:
    """Serve a leader's API with users, and a follower that is ready."""
    upstream.answer = say(json_of(identity="prometheus-1", leader="prometheus-0"))
    options: dict[str, Any] = {"peers": (upstream.url,), "pause_file": str(pause_file)}
    options["idle_timeout_s"] = 2.0
    with running(Protected(tmp_path, USERS, **options)) as web:
        web.tell(leading())
        yield web


def ask(web: Web, body: Any = None, **arguments: Any) -> tuple[int, dict[str, Any]]:
    """Ask for a step-down; return the answer."""
    arguments = {"auth": ALICE, "json": body, **arguments}
    answer = web.get(PATH, method="POST", **arguments)
    return answer.status_code, answer.json()


def test_the_supervisor_is_told(protected: Web, told: list[int], pause_file: Path) -> None:
    """By its signal, once; for how long stands in the file by then."""
    assert ask(protected, {"for_s": 600}) == (200, {"status": "success"})
    wait_until(lambda: told, 20, "the signal")
    assert told == [signal.SIGUSR1]
    read = step_down_pause.read(pause_file)
    assert read is not None
    assert read.until_time


def test_a_body_that_does_not_come_is_not_waited_for(protected: Web, told: list[int]) -> None:
    """Nor is one read that is far larger than any needs to be."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json"
    head += (
        f"\r\nAuthorization: Basic {b64encode(b'alice:wonderland').decode()}\r\nContent-Length: "
    )
    assert protected.raw(f"{head}5\r\n\r\n".encode()).startswith(b"HTTP/1.1 408 ")
    assert protected.raw(f"{head}9999999\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")
    assert told == []


def test_without_a_time_there_is_no_pause(
    protected: Web, told: list[int], pause_file: Path
) -> None:
    """It only hands over."""
    assert ask(protected, {})[0] == 200
    wait_until(lambda: told, 20, "the signal")
    assert not pause_file.exists()


@pytest.mark.parametrize(
    "body", [[1], {"for_s": -1}, {"for_s": 1e9}, {"for_s": True}, {"for_s": "1m"}, {"force": "yes"}]
)
def test_what_is_no_order_is_refused(protected: Web, told: list[int], body: Any) -> None:
    """400, and nothing has happened."""
    assert ask(protected, body)[0] == 400
    assert not told


def test_json_that_is_nested_too_deeply_is_refused(protected: Web, told: list[int]) -> None:
    """As any other body that is no order."""
    is_json = {"Content-Type": "application/json"}
    assert ask(protected, json=None, data="[" * 60_000, headers=is_json)[0] == 400
    assert not told


def test_another_sites_form_is_refused(protected: Web, told: list[int]) -> None:
    """What a browser sends elsewhere unasked is no JSON."""
    assert ask(protected, json=None, data={"force": "true"})[0] == 400
    assert ask(protected, json=None, data='{"force": true}')[0] == 400
    assert not told


def test_nobody_to_take_over_is_a_reason_to_refuse(
    protected: Web, told: list[int], upstream: Upstream
) -> None:
    """Unless it is forced."""
    upstream.answer = say(json_of(identity="prometheus-1", leader="prometheus-9"))
    code, answer = ask(protected, {})
    assert (code, answer["errorType"]) == (409, "conflict")
    assert answer["error"]
    assert not told
    assert ask(protected, {"force": True})[0] == 200


def test_a_follower_has_nothing_to_hand_over(protected: Web, told: list[int]) -> None:
    """Not even by force."""
    protected.tell(following())
    code, answer = ask(protected, {"force": True})
    assert code == 409
    assert all(name in answer["error"] for name in ("prometheus-0", "prometheus-1"))
    assert not told


def test_a_follower_can_be_kept_out(protected: Web, told: list[int], pause_file: Path) -> None:
    """With nobody to take over from it, and not where it is not kept out already."""
    protected.tell(following())
    assert ask(protected, {"for_s": 600}) == (200, {"status": "success"})
    wait_until(lambda: told, 20, "the signal")
    assert step_down_pause.read(pause_file) is not None


def test_no_pause_cannot_be_ended(protected: Web, told: list[int]) -> None:
    """A leader would hand over by the signal that says so."""
    code, answer = ask(protected, {"for_s": 0, "force": True})
    assert (code, answer["error"].split()[0]) == (409, "prometheus-0")
    assert not told


def test_strangers_are_refused(protected: Web, told: list[int]) -> None:
    """Without a password, and by GET."""
    assert ask(protected, {}, auth=None)[0] == 401
    assert protected.get(PATH, auth=ALICE).status_code == 405
    assert not told


def test_where_anybody_could_ask_nobody_may(web: Web, told: list[int]) -> None:
    """An API without users says how else."""
    web.tell(leading())
    code, answer = ask(web, {"force": True}, auth=None)
    assert (code, answer["errorType"]) == (403, "no_authentication")
    assert "--web-config-file" in answer["error"]
    assert not told
