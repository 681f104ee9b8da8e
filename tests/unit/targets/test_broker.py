"""Errors of kombu for messages that are not Celery's, as observed with a real Redis."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.memory import stays
from wrapper.targets.broker import Broker, BrokerUnreachable, Callbacks, drain


def callbacks() -> Callbacks:
    """Return callbacks that must not be called."""
    return Callbacks(lambda _: None, lambda: None)


def connection(error: Exception) -> SimpleNamespace:
    """Return a connection that fails with this error."""

    def drain_events(**_: object) -> None:
        raise error

    return SimpleNamespace(drain_events=drain_events)


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("x", "y", 0),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "y"),
        KeyError("exchange"),
        TypeError("'int' object is not subscriptable"),
        RecursionError(),
    ],
    ids=repr,
)
def test_message_that_is_not_celerys_is_reported(error: Exception) -> None:
    """Such an error is reported as an invalid message, and not as a broken connection."""
    with pytest.raises(BrokerUnreachable, match=r"^a message in the queue is not a valid Celery"):
        drain(connection(error), callbacks())


@pytest.mark.parametrize(
    "error", [KeyError(7), OSError("gone"), ValueError("I/O operation on closed file")], ids=repr
)
def test_lost_connection_is_no_invalid_message(error: Exception) -> None:
    """For a closed connection, kombu raises an error with the descriptor or file, which stays."""
    with pytest.raises(type(error)):
        drain(connection(error), callbacks())


def test_error_of_a_callback_is_not_changed() -> None:
    """An error that a callback raises is not taken for an invalid message."""
    ours = callbacks()
    ours.error = TypeError("ours")
    with pytest.raises(TypeError, match="ours"):
        drain(connection(ours.error), ours)


def test_error_of_a_callback_is_not_kept() -> None:
    """After an error the exception is not kept, because the message would stay with it."""

    def fail(_message: object = None) -> None:
        raise ZeroDivisionError

    broker = Broker("memory://", "q")
    assert not stays(lambda: broker.listen(fail, fail), ZeroDivisionError)
