"""What kombu raises for a message that Celery did not write, as seen with a real Redis."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.memory import stays
from wrapper.targets.broker import Broker, BrokerUnreachable, Callbacks, drain


def callbacks() -> Callbacks:
    """Give callbacks that are not called."""
    return Callbacks(lambda _: None, lambda: None)


def connection(error: Exception) -> SimpleNamespace:
    """Give a connection that ends so."""

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
def test_a_message_that_celery_did_not_write_is_told(error: Exception) -> None:
    """It is said to be a message, not a broken URL."""
    with pytest.raises(BrokerUnreachable, match=r"^a message in the queue is not a valid Celery"):
        drain(connection(error), callbacks())


@pytest.mark.parametrize(
    "error", [KeyError(7), OSError("gone"), ValueError("I/O operation on closed file")], ids=repr
)
def test_a_lost_connection_is_none(error: Exception) -> None:
    """For a connection that it has closed, kombu raises what names the descriptor, or the file."""
    with pytest.raises(type(error)):
        drain(connection(error), callbacks())


def test_an_error_of_ours_is_raised_as_it_is() -> None:
    """What a callback raises is no matter of the message."""
    ours = callbacks()
    ours.error = TypeError("ours")
    with pytest.raises(TypeError, match="ours"):
        drain(connection(ours.error), ours)


def test_an_error_of_ours_does_not_stay() -> None:
    """The message that is its cause would stay with it."""

    def fail(_message: object = None) -> None:
        raise ZeroDivisionError

    broker = Broker("memory://", "q")
    assert not stays(lambda: broker.listen(fail, fail), ZeroDivisionError)
