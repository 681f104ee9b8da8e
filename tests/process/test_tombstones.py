"""Cleaning tombstones, as Promgen's admin page requests it: repetitions, and log lines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests import promgen
from tests.promgen import Promgen
from tests.support import free_port, refuse_threads, wait_until
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.targets import tombstones as module
from wrapper.targets.broker import REDELIVERY_S, TICK_S
from wrapper.targets.tombstones import BEGUN_S, PATH, Tombstones

LIMIT_S = 20.0

CLOSED = b'{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}'


@pytest.fixture
def server() -> Iterator[Promgen]:
    """Run a server in place of Prometheus."""
    part = Promgen()
    yield part
    part.close()


Make = Callable[[str], Tombstones]


@pytest.fixture
def tombstones() -> Iterator[Make]:
    """Return a function that makes the cleaner for the Prometheus at a URL."""
    with ExitStack() as stack:

        def make(url: str) -> Tombstones:
            api = PrometheusApi(url)
            stack.callback(api.close)
            return Tombstones(api)

        yield make


def test_tombstones_are_cleaned(server: Promgen, tombstones: Make) -> None:
    """One request to Prometheus' admin API cleans the tombstones."""
    server.act = lambda to: promgen.head(to, 204)
    assert tombstones(f"{server.url}/prefix").clean() == ""
    assert [path for path, _ in server.requests] == [f"/prefix{PATH}"]


def test_without_a_thread_cleaning_is_repeated(
    tombstones: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no thread can be started, the task must be repeated."""
    cleaner = tombstones("http://127.0.0.1:9")
    refuse_threads(monkeypatch)
    assert "cannot be cleaned yet: no thread" in cleaner.clean()


def test_cleaning_is_repeated_if_prometheus_is_not_ready(server: Promgen, tombstones: Make) -> None:
    """If Prometheus starts, or refuses connections, the task must be repeated."""
    server.act = promgen.with_status(503, b"Service Unavailable")
    assert "503" in tombstones(server.url).clean()
    assert "refuses connections" in tombstones(f"http://127.0.0.1:{free_port()}").clean()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, CLOSED), "--web.enable-admin-api"),
        ((422, b'{"error":"unavailable with Prometheus Agent"}'), "with Prometheus Agent"),
        ((404, b"404 page not found"), "answered 404: 404 page not found"),
    ],
)
def test_a_permanent_refusal_is_logged_once(
    server: Promgen,
    tombstones: Make,
    answer: tuple[int, bytes],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A permanent refusal is logged once, and the task is not repeated."""
    server.act = promgen.with_status(*answer)
    part = tombstones(server.url)
    with caplog.at_level(logging.WARNING):
        assert part.clean() == part.clean() == ""
    [record] = caplog.records
    assert said in record.__dict__["reason"]


def hang_up(to: Any) -> None:
    """Close the connection without an answer, as a Prometheus that ends does."""
    to.close_connection = True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the time after which cleaning counts as begun."""
    monkeypatch.setattr(module, "BEGUN_S", 0.2)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda to: promgen.head(to, 204), "INFO Prometheus has cleaned its tombstones"),
        (promgen.with_status(500, b"no space left on device"), "answered 500: no space left"),
        (promgen.with_status(503, b"Service Unavailable"), "answered 503: Service"),
        (hang_up, "was lost"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_long_cleaning_counts_as_begun(
    server: Promgen,
    tombstones: Make,
    act: Callable[[Any], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Cleaning that takes long counts as done, and its later result is logged."""
    gate = threading.Event()

    def act_late(to: Any) -> None:
        gate.wait(LIMIT_S)
        act(to)

    server.act = act_late
    with caplog.at_level(logging.INFO):
        assert tombstones(server.url).clean() == ""
        assert not caplog.records
        gate.set()
        wait_until(lambda: caplog.records, LIMIT_S, "it is told")
    [record] = caplog.records
    assert said in f"{record.levelname} {record.getMessage()} {vars(record).get('reason')}"
    assert len(server.requests) == 1


def test_no_broker_delivers_a_task_again_meanwhile() -> None:
    """Cleaning ends before a broker delivers the task again, also if it waits for another one."""
    assert 2 * BEGUN_S + TICK_S < REDELIVERY_S


def test_cleaning_without_a_url_is_warned_of(
    tombstones: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a URL of Prometheus, cleaning is skipped with a warning."""
    with caplog.at_level(logging.WARNING):
        assert tombstones("").clean() == ""
    assert "--notify-http-url" in caplog.records[0].__dict__["reason"]
