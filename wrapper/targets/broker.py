"""A queue of a message broker, amqp or redis, as Celery's workers consume it: over kombu.

It is the only importer of ``kombu``, which is not installed unless asked for (the extra
``promgen``), nor imported before ``listen``. A message is the broker's until it is acknowledged:
when the connection goes, or this process, the broker delivers it again; Redis, which cannot see
that, after ``REDELIVERY_S``, kept apart from what Celery's own workers have not acknowledged. Where
it ends: Redis forgets a message whose consumer dies in the very act of taking it.
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

from wrapper.model.fetched_file import in_short

MOST_UNACKNOWLEDGED = 5000  # ours come and go at once: nearly all of it is for those held
REDELIVERY_S = 60
TICK_S = 0.2
CONNECT_S = 5.0
HEARTBEAT_S = 20
_CURE = "install prometheus-elector with it: pip install 'prometheus-elector[promgen]'"


def missing_for(url: str) -> str:
    """Return what is not installed that this broker needs, with the cure; "" for nothing."""
    needed = ("kombu", "redis" if _is_redis(url) else "amqp")
    missing = [name for name in needed if not _is_installed(name)]
    return f"{missing[0]} is not installed; {_CURE}" if missing else ""


def _is_installed(name: str) -> bool:
    """Tell it without importing it; kombu, once imported, cannot be found by its spec."""
    return sys.modules.get(name) is not None or importlib.util.find_spec(name) is not None


def _is_redis(url: str) -> bool:
    return urlsplit(url).scheme in ("redis", "rediss")


class BrokerUnreachable(Exception):
    """The broker cannot be reached, or has gone; the text says why, without secrets."""


class NotInstalled(BrokerUnreachable):
    """What it takes to ask the broker is not there, or of no use; waiting mends nothing."""


@dataclass(frozen=True)
class Message:
    """One message, not acknowledged yet."""

    _message: Any

    @property
    def headers(self) -> dict[str, Any]:
        """Its headers; Celery names the task there."""
        return self._message.headers or {}

    def body(self) -> Any:
        """Return its body, decoded from JSON; raise ValueError for what is none."""
        try:
            return self._message.decode()
        except Exception as error:
            raise ValueError("its body is not JSON") from error

    def acknowledge(self) -> None:
        """Tell the broker that it has been dealt with; raise BrokerUnreachable."""
        self._settle(self._message.ack)

    def give_back(self) -> None:
        """Have the broker deliver it again; raise BrokerUnreachable."""
        self._settle(self._message.requeue)

    def _settle(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except self._message.MessageStateError:  # settled twice: our own error, not the broker's
            raise
        except Exception as error:
            raise _unreachable(error) from error


class Callbacks:
    """The functions that ``listen`` is given, and the error that one of them raised.

    kombu calls them amid its own code, and takes some errors (OSError, KeyError) for its own.
    """

    def __init__(self, on_message: Callable[[Message], None], on_tick: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_tick = on_tick
        self.error: Exception | None = None

    def message(self, message: Any, _error: object = None) -> None:
        """Hand out a message of kombu's, also one whose body kombu cannot decode."""
        self._call(partial(self._on_message, Message(message)))

    def tick(self) -> None:
        """Tell that some time has passed."""
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
    """Where the messages come from."""

    def __init__(self, url: str, queue: str) -> None:
        """Take the broker's URL and the queue's name; nothing is connected."""
        self._url = url
        self._queue = queue

    def listen(self, on_message: Callable[[Message], None], on_tick: Callable[[], None]) -> None:
        """Hand out messages until the broker goes; raise BrokerUnreachable, NotInstalled.

        ``on_tick`` is called once it is connected, and then every TICK_S or so, from this thread:
        messages may be acknowledged there, and nowhere else. What a callback raises comes out as it
        is; any other error is kombu's, whatever its type.
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
                raise callbacks.error  # noqa: B904 - it came first
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
                    _drain(connection)

    def _is_there(self, connection: Any) -> bool:
        """Tell whether the queue exists, however it was made: then it is taken as it is."""
        try:
            with connection.channel() as channel:
                channel.queue_declare(queue=self._queue, passive=True)
        except connection.channel_errors:
            return False
        return True

    def _consumer(self, channel: Any, *, auto_declare: bool) -> Any:
        """Return a consumer of the queue, which is made as Celery makes it if need be."""
        import kombu  # noqa: PLC0415 - see above

        exchange = kombu.Exchange(self._queue, type="direct", durable=True)
        queue = kombu.Queue(self._queue, exchange, routing_key=self._queue, durable=True)
        return kombu.Consumer(channel, [queue], accept=["json"], auto_declare=auto_declare)


def _unreachable(error: Exception) -> BrokerUnreachable:
    """Return what an error of kombu's means: no broker, or a missing package."""
    if isinstance(error, ImportError):  # found when a start looked for it, and yet of no use
        return NotInstalled(f"{in_short(str(error))}; {_CURE}")
    return BrokerUnreachable(_in_short(error))


def _drain(connection: Any) -> None:
    """Take what has come, or wait a tick for it."""
    try:
        connection.drain_events(timeout=TICK_S)
    except TimeoutError:
        connection.heartbeat_check()


def _transport_options(url: str, queue: str) -> dict[str, Any]:
    """Return what Redis needs: limits to its waiting, and a place of our own for the unacked."""
    if not _is_redis(url):
        return {}
    place = f"prometheus-elector.{queue}"
    return {
        "visibility_timeout": REDELIVERY_S,
        "unacked_key": f"{place}.unacked",
        "unacked_index_key": f"{place}.unacked_index",
        "unacked_mutex_key": f"{place}.unacked_mutex",
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": HEARTBEAT_S,
    }


def _tls_options(url: str) -> dict[str, Any] | None:
    """Return what makes Redis' certificate be verified; kombu does not unless the URL says so."""
    parts = urlsplit(url)
    is_said = any(name.startswith("ssl_") for name, _ in parse_qsl(parts.query))
    return {"ssl_cert_reqs": "required"} if parts.scheme == "rediss" and not is_said else None


def _in_short(error: Exception) -> str:
    """Say on one line why the broker is not there, without a password."""
    if isinstance(error, socket.gaierror):
        return "its host's address is not known"
    if isinstance(error, ValueError):  # it may quote a part of the password
        return f"its URL is not understood ({type(error).__name__})"
    words = str(error).strip() or f"the connection broke off ({type(error).__name__})"
    return in_short(re.sub(r"//\S*@", "//…@", words))
