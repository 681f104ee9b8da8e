"""A queue of a message broker, AMQP or Redis, consumed with kombu as Celery's workers do.

Only this module imports ``kombu``, and only in ``listen``: it is an optional dependency (the extra
``promgen``). The guarantee: a message that is not acknowledged is delivered again when the
connection or this process ends; from Redis, which does not notice that, after ``REDELIVERY_S``. At
Redis, our unacknowledged messages are kept apart from those of Celery's workers. The limit: Redis
loses a message whose consumer dies while taking it.
"""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from wrapper.base.shown_text import in_short

MOST_UNACKNOWLEDGED = 5000  # nearly all for foreign messages, which are held; ours are soon done
REDELIVERY_S = 60
TICK_S = 0.2
CONNECT_S = 5.0
HEARTBEAT_S = 20
_ODD_MESSAGE = "a message in the queue is not as Celery writes it, and was taken out"
_ODD_CURE = "find out what else writes to this queue"
_CURE = "install prometheus-elector with it: pip install 'prometheus-elector[promgen]'"


def missing_for(url: str) -> str:
    """Return which package for this broker is not installed, with the cure; "" for none."""
    needed = ("kombu", "redis" if _is_redis(url) else "amqp")
    missing = [name for name in needed if not _is_installed(name)]
    return f"{missing[0]} is not installed; {_CURE}" if missing else ""


def _is_installed(name: str) -> bool:
    """Tell it without importing; once imported, kombu cannot be found by its spec."""
    return sys.modules.get(name) is not None or importlib.util.find_spec(name) is not None


def _is_redis(url: str) -> bool:
    return urlsplit(url).scheme in ("redis", "rediss")


class BrokerUnreachable(Exception):
    """The broker is unreachable, or the connection was lost; the text says why, without secrets."""


class NotInstalled(BrokerUnreachable):
    """A package for this broker is missing or broken: reconnecting cannot help."""


@dataclass(frozen=True)
class Message:
    """One message that is not acknowledged yet."""

    _message: Any

    @property
    def headers(self) -> dict[str, Any]:
        """Its headers; one of them is Celery's name of the task."""
        return self._message.headers or {}

    def body(self) -> Any:
        """Return its body, decoded from JSON; raise ValueError if it is not JSON."""
        try:
            return self._message.decode()
        except Exception as error:
            raise ValueError("its body is not JSON") from error

    def acknowledge(self) -> None:
        """Tell the broker that the message is done; raise BrokerUnreachable."""
        self._settle(self._message.ack)

    def give_back(self) -> None:
        """Have the broker deliver it again; raise BrokerUnreachable."""
        self._settle(self._message.requeue)

    def _settle(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except self._message.MessageStateError:  # settled twice: a mistake of ours
            raise
        except Exception as error:
            raise _unreachable(error) from error


class Callbacks:
    """The functions that ``listen`` was given, and the error that one of them raised.

    The type of an error does not tell whether it is ours or kombu's: a lost connection may also be
    an OSError or a KeyError.
    """

    def __init__(self, on_message: Callable[[Message], None], on_tick: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_tick = on_tick
        self.error: Exception | None = None

    def message(self, message: Any, _error: object = None) -> None:
        """Hand out a message, also one whose body kombu cannot decode."""
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
    """One queue of one broker."""

    def __init__(self, url: str, queue: str) -> None:
        """Take the broker's URL and the queue's name, without connecting."""
        self._url = url
        self._queue = queue

    def listen(self, on_message: Callable[[Message], None], on_tick: Callable[[], None]) -> None:
        """Connect and hand out messages; raise BrokerUnreachable, NotInstalled at the end.

        ``on_tick`` is called when connected, and then about every TICK_S, from this thread. Only
        the callbacks may settle messages. An error of a callback is raised unchanged; any other
        error is kombu's, whatever its type.
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
        """Tell whether the queue exists: then it is used as it was declared."""
        try:
            with connection.channel() as channel:
                channel.queue_declare(queue=self._queue, passive=True)
        except connection.channel_errors:
            return False
        return True

    def _consumer(self, channel: Any, *, auto_declare: bool) -> Any:
        """Return a consumer; it declares a missing queue as Celery does."""
        import kombu  # noqa: PLC0415 - see above

        exchange = kombu.Exchange(self._queue, type="direct", durable=True)
        queue = kombu.Queue(self._queue, exchange, routing_key=self._queue, durable=True)
        return kombu.Consumer(channel, [queue], accept=["json"], auto_declare=auto_declare)


def _unreachable(error: Exception) -> BrokerUnreachable:
    """Return kombu's error as one of ours."""
    if isinstance(error, ImportError):  # the check at the start found the package
        return NotInstalled(f"{in_short(str(error))}; {_CURE}")
    return BrokerUnreachable(_in_short(error))


def drain(connection: Any, callbacks: Callbacks) -> None:
    """Handle what the broker has sent, or wait TICK_S for it.

    Redis stores any text as a message; kombu takes it out, and fails with any error.
    """
    try:
        connection.drain_events(timeout=TICK_S)
    except TimeoutError:
        connection.heartbeat_check()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # Of a lost connection, kombu raises these for a closed file and its descriptor.
        is_lost = type(error) is ValueError or isinstance((*error.args, "")[0], int)
        if callbacks.error is not None or is_lost:
            raise
        problem = f"{_ODD_MESSAGE} ({type(error).__name__}): {_ODD_CURE}"
        raise BrokerUnreachable(problem) from error


def _transport_options(url: str, queue: str) -> dict[str, Any]:
    """Return Redis' timeouts, and keys of our own for unacknowledged messages; else nothing."""
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
    """Have Redis' certificate verified, which kombu by default does not, unless the URL decides."""
    parts = urlsplit(url)
    is_said = any(name.startswith("ssl_") for name, _ in parse_qsl(parts.query))
    return {"ssl_cert_reqs": "required"} if parts.scheme == "rediss" and not is_said else None


def _in_short(error: Exception) -> str:
    """Return on one line, without a password, why the broker is unreachable."""
    if isinstance(error, socket.gaierror):
        return "its host name cannot be resolved"
    if isinstance(error, ValueError):  # it may quote a part of the password
        return f"its URL cannot be parsed ({type(error).__name__})"
    words = str(error).strip() or f"the connection was lost ({type(error).__name__})"
    return in_short(re.sub(r"//\S*@", "//…@", words))
