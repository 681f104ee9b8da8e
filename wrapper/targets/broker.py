"""Consumes a queue of a message broker (AMQP or Redis) with kombu, as Celery's workers do.

Only this module imports ``kombu``, and only in ``listen``: it is an optional dependency (the extra
``promgen``). In Redis, our unacknowledged messages have other keys than those of Celery's workers.

Guarantee: a message that is not acknowledged is delivered again when the connection or this process
ends. Redis does not detect that, and delivers the message again after ``REDELIVERY_S``.

Limitation: Redis loses a message whose consumer dies while taking it.
"""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from wrapper.base.shown_text import in_short

MOST_UNACKNOWLEDGED = 5000  # nearly all for foreign messages, which are held; ours end soon
REDELIVERY_S = 60
TICK_S = 0.2
CONNECT_S = 5.0
HEARTBEAT_S = 20
_ODD_MESSAGE = "a message in the queue is not a valid Celery message and was removed"
_ODD_CURE = "check which other program writes to this queue"
_CURE = "install prometheus-elector with it: pip install 'prometheus-elector[promgen]'"


def missing_for(url: str) -> str:
    """Return which package for this broker is missing, with the cure; "" if none is missing."""
    needed = ("kombu", "redis" if _is_redis(url) else "amqp")
    missing = [name for name in needed if not _is_installed(name)]
    return f"{missing[0]} is not installed; {_CURE}" if missing else ""


def _is_installed(name: str) -> bool:
    """Return whether a package is installed, without importing it.

    Once kombu has been imported, its spec cannot be found.
    """
    return sys.modules.get(name) is not None or importlib.util.find_spec(name) is not None


def _is_redis(url: str) -> bool:
    return urlsplit(url).scheme in ("redis", "rediss")


class BrokerUnreachable(Exception):
    """The broker is unreachable, or the connection was lost. The text has the cause.

    The text contains no secrets.
    """


class NotInstalled(BrokerUnreachable):
    """A package for this broker is missing or broken: reconnecting cannot help."""


@dataclass(frozen=True)
class Message:
    """A message that is not acknowledged yet."""

    _message: Any

    @property
    def headers(self) -> dict[str, Any]:
        """The headers. One of them has Celery's name of the task."""
        return self._message.headers or {}

    def body(self) -> Any:
        """Return the body, decoded from JSON; raise ValueError if it is not JSON."""
        try:
            return self._message.decode()
        except Exception as error:
            raise ValueError("its body is not JSON") from error

    def acknowledge(self) -> None:
        """Acknowledge the message, so that the broker deletes it; raise BrokerUnreachable."""
        self._settle(self._message.ack)

    def give_back(self) -> None:
        """Requeue the message, so that the broker delivers it again; raise BrokerUnreachable."""
        self._settle(self._message.requeue)

    def _settle(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except self._message.MessageStateError:  # acknowledged or requeued twice: a mistake of ours
            raise
        except Exception as error:
            raise _unreachable(error) from error


class Callbacks:
    """The callbacks of ``listen``, and the error that one of them raised.

    The error is kept because its type does not show whether it is ours or kombu's: for a lost
    connection, kombu may also raise an OSError or a KeyError.
    """

    def __init__(self, on_message: Callable[[Message], None], on_tick: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_tick = on_tick
        self.error: Exception | None = None

    def message(self, message: Any, _error: object = None) -> None:
        """Call ``on_message``, also for a message whose body kombu cannot decode."""
        self._call(partial(self._on_message, Message(message)))

    def tick(self) -> None:
        """Call ``on_tick``."""
        self._call(self._on_tick)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            function()
        except BrokerUnreachable:
            raise
        except Exception as error:
            self.error = error
            raise


class Broker:
    """One queue of one message broker."""

    def __init__(self, url: str, queue: str) -> None:
        """Take the broker's URL and the queue's name, without connecting."""
        self._url = url
        self._queue = queue

    def listen(self, on_message: Callable[[Message], None], on_tick: Callable[[], None]) -> None:
        """Connect, and call ``on_message`` for each message, until an error is raised.

        ``on_tick`` is called when connected, and then about every TICK_S, from this thread. Only
        the callbacks may acknowledge or give back messages. An error of a callback is raised
        unchanged. Any other error is kombu's, and is raised as BrokerUnreachable or NotInstalled.
        """
        callbacks = Callbacks(on_message, on_tick)
        try:
            import kombu  # noqa: PLC0415 - heavy, and not always there

            with kombu.Connection(
                self._url,
                connect_timeout=CONNECT_S,
                heartbeat=HEARTBEAT_S,
                transport_options=_transport_options(self._url, self._queue),
                ssl=_tls_options(self._url),
            ) as connection:
                self._consume(connection, callbacks)
        except BrokerUnreachable:
            raise
        except Exception as error:
            if callbacks.error is not None:
                raise callbacks.error  # noqa: B904 - the first error
            raise _unreachable(error) from error
        finally:
            callbacks.error = None  # its traceback refers to the callbacks, and to the message

    def _consume(self, connection: Any, callbacks: Callbacks) -> None:
        connection.connect()
        is_there = self._is_there(connection)
        with connection.channel() as channel:
            consumer = self._consumer(channel, auto_declare=not is_there)
            consumer.on_message = consumer.on_decode_error = callbacks.message
            consumer.qos(prefetch_count=MOST_UNACKNOWLEDGED)
            with consumer:
                while True:
                    callbacks.tick()
                    drain(connection, callbacks)

    def _is_there(self, connection: Any) -> bool:
        """Return whether the queue exists. An existing queue is used as it was declared."""
        try:
            with connection.channel() as channel:
                channel.queue_declare(queue=self._queue, passive=True)
        except connection.channel_errors:
            return False
        return True

    def _consumer(self, channel: Any, *, auto_declare: bool) -> Any:
        """Return a consumer. With ``auto_declare``, it declares the queue as Celery does."""
        import kombu  # noqa: PLC0415 - see above

        exchange = kombu.Exchange(self._queue, type="direct", durable=True)
        queue = kombu.Queue(self._queue, exchange, routing_key=self._queue, durable=True)
        return kombu.Consumer(channel, [queue], accept=["json"], auto_declare=auto_declare)


def _unreachable(error: Exception) -> BrokerUnreachable:
    """Return an error of kombu as one of ours."""
    if isinstance(error, ImportError):  # the package was found at the start, so it is broken
        return NotInstalled(f"{in_short(str(error))}; {_CURE}")
    return BrokerUnreachable(_in_short(error))


def drain(connection: Any, callbacks: Callbacks) -> None:
    """Handle what the broker has sent, or wait up to TICK_S for it.

    Redis stores any text as a message. kombu removes it from the queue, and may raise any error.
    """
    try:
        connection.drain_events(timeout=TICK_S)
    except TimeoutError:
        _check_heartbeat(connection)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # If the connection is lost, kombu raises these for a closed file and its descriptor.
        is_lost = type(error) is ValueError or isinstance((*error.args, "")[0], int)
        if callbacks.error is not None or is_lost:
            raise
        problem = f"{_ODD_MESSAGE} ({type(error).__name__}): {_ODD_CURE}"
        raise BrokerUnreachable(problem) from error


def _check_heartbeat(connection: Any) -> None:
    """Raise kombu's error if the broker has sent nothing for two heartbeats.

    The connection is then closed without the broker's answer, for which kombu would wait forever.
    """
    try:
        connection.heartbeat_check()
    except Exception:
        with suppress(OSError):  # not SSLSocket.shutdown: then TLS would wait for an answer too
            socket.socket.shutdown(connection.connection.sock, socket.SHUT_RDWR)
        connection.collect()
        raise


def _transport_options(url: str, queue: str) -> dict[str, Any]:
    """Return timeouts and our own keys of unacknowledged messages for Redis; none for AMQP."""
    if not _is_redis(url):
        return {}
    prefix = f"prometheus-elector.{queue}"
    return {
        "visibility_timeout": REDELIVERY_S,
        "unacked_key": f"{prefix}.unacked",
        "unacked_index_key": f"{prefix}.unacked_index",
        "unacked_mutex_key": f"{prefix}.unacked_mutex",
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": HEARTBEAT_S,
    }


def _tls_options(url: str) -> dict[str, Any] | None:
    """Return the TLS options for Redis; None without TLS, or if the URL has such options.

    kombu's default is not to verify the certificate.
    """
    parts = urlsplit(url)
    is_said = any(name.startswith("ssl_") for name, _ in parse_qsl(parts.query))
    return {"ssl_cert_reqs": "required"} if parts.scheme == "rediss" and not is_said else None


def _in_short(error: Exception) -> str:
    """Return in one line, without a password, why the broker is unreachable."""
    if isinstance(error, socket.gaierror):
        return "its host name cannot be resolved"
    if isinstance(error, ValueError):  # it may quote a part of the password
        return f"its URL cannot be parsed ({type(error).__name__})"
    words = str(error).strip() or f"the connection was lost ({type(error).__name__})"
    return in_short(re.sub(r"//\S*@", "//…@", words))
