"""A step-down over the API: it needs a user and a successor, and sends one signal."""

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
def sent_signals() -> Iterator[list[int]]:
    """Record the signals that the test's process gets as the supervisor."""
    signals: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: signals.append(number))
    yield signals
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def pause_file(tmp_path: Path) -> Path:
    """Return the path of the file for the pause."""
    return tmp_path / "pause"


@pytest.fixture
def protected(tmp_path: Path, pause_file: Path, upstream: Upstream) -> Iterator[Web]:
    """Run a leader's API with users, and a follower that is ready."""
    upstream.answer = say(json_of(identity="prometheus-1", leader="prometheus-0"))
    options: dict[str, Any] = {"peers": (upstream.url,), "pause_file": str(pause_file)}
    options["idle_timeout_s"] = 2.0
    with running(Protected(tmp_path, USERS, **options)) as web:
        web.tell(leading())
        yield web


def ask(web: Web, body: Any = None, **arguments: Any) -> tuple[int, dict[str, Any]]:
    """Request a step-down, and return the answer."""
    arguments = {"auth": ALICE, "json": body, **arguments}
    answer = web.get(PATH, method="POST", **arguments)
    return answer.status_code, answer.json()


def test_a_step_down_sends_one_signal(
    protected: Web, sent_signals: list[int], pause_file: Path
) -> None:
    """A step-down writes the pause to the file, and then sends one signal to the supervisor."""
    assert ask(protected, {"for_s": 600}) == (200, {"status": "success"})
    wait_until(lambda: sent_signals, 20, "the signal")
    assert sent_signals == [signal.SIGUSR1]
    read = step_down_pause.read(pause_file)
    assert read is not None
    assert read.until_time


def test_a_missing_or_large_body_is_refused(protected: Web, sent_signals: list[int]) -> None:
    """A body that does not arrive gets a 408, and one that is too large a 413."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json"
    head += (
        f"\r\nAuthorization: Basic {b64encode(b'alice:wonderland').decode()}\r\nContent-Length: "
    )
    assert protected.raw(f"{head}5\r\n\r\n".encode()).startswith(b"HTTP/1.1 408 ")
    assert protected.raw(f"{head}9999999\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")
    assert sent_signals == []


def test_without_a_time_there_is_no_pause(
    protected: Web, sent_signals: list[int], pause_file: Path
) -> None:
    """A step-down without for_s writes no pause."""
    assert ask(protected, {})[0] == 200
    wait_until(lambda: sent_signals, 20, "the signal")
    assert not pause_file.exists()


@pytest.mark.parametrize(
    "body", [[1], {"for_s": -1}, {"for_s": 1e9}, {"for_s": True}, {"for_s": "1m"}, {"force": "yes"}]
)
def test_an_invalid_body_is_refused(protected: Web, sent_signals: list[int], body: Any) -> None:
    """An invalid body gets a 400, and no signal is sent."""
    assert ask(protected, body)[0] == 400
    assert not sent_signals


def test_json_that_is_nested_too_deeply_is_refused(protected: Web, sent_signals: list[int]) -> None:
    """Deeply nested JSON gets a 400, and no signal is sent."""
    is_json = {"Content-Type": "application/json"}
    assert ask(protected, json=None, data="[" * 60_000, headers=is_json)[0] == 400
    assert not sent_signals


def test_another_sites_form_is_refused(protected: Web, sent_signals: list[int]) -> None:
    """A form of another site is refused, because its content type is not JSON."""
    assert ask(protected, json=None, data={"force": "true"})[0] == 400
    assert ask(protected, json=None, data='{"force": true}')[0] == 400
    assert not sent_signals


def test_a_step_down_without_a_successor_needs_force(
    protected: Web, sent_signals: list[int], upstream: Upstream
) -> None:
    """Without a replica that can take over, a step-down gets a 409, unless it is forced."""
    upstream.answer = say(json_of(identity="prometheus-1", leader="prometheus-9"))
    code, answer = ask(protected, {})
    assert (code, answer["errorType"]) == (409, "conflict")
    assert answer["error"]
    assert not sent_signals
    assert ask(protected, {"force": True})[0] == 200


def test_a_step_down_of_a_follower_is_refused(protected: Web, sent_signals: list[int]) -> None:
    """A step-down of a follower gets a 409, also if it is forced."""
    protected.tell(following())
    code, answer = ask(protected, {"force": True})
    assert code == 409
    assert all(name in answer["error"] for name in ("prometheus-0", "prometheus-1"))
    assert not sent_signals


def test_a_follower_can_be_paused(
    protected: Web, sent_signals: list[int], pause_file: Path
) -> None:
    """A pause of a follower is accepted, and written to the file."""
    protected.tell(following())
    assert ask(protected, {"for_s": 600}) == (200, {"status": "success"})
    wait_until(lambda: sent_signals, 20, "the signal")
    assert step_down_pause.read(pause_file) is not None


def test_ending_a_pause_requires_one(protected: Web, sent_signals: list[int]) -> None:
    """Ending a pause that does not exist gets a 409, so the leader does not hand over."""
    code, answer = ask(protected, {"for_s": 0, "force": True})
    assert (code, answer["error"].split()[0]) == (409, "prometheus-0")
    assert not sent_signals


def test_a_step_down_needs_a_password_and_post(protected: Web, sent_signals: list[int]) -> None:
    """A step-down without a password gets a 401, and one by GET a 405."""
    assert ask(protected, {}, auth=None)[0] == 401
    assert protected.get(PATH, auth=ALICE).status_code == 405
    assert not sent_signals


def test_without_users_a_step_down_is_refused(web: Web, sent_signals: list[int]) -> None:
    """If the API has no users, a step-down gets a 403 that names --web-config-file."""
    web.tell(leading())
    code, answer = ask(web, {"force": True}, auth=None)
    assert (code, answer["errorType"]) == (403, "no_authentication")
    assert "--web-config-file" in answer["error"]
    assert not sent_signals
