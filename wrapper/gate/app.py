"""Prometheus' side of the gate: what it sends by POST to /gate/<name> is passed on or held.

A plain WSGI callable (PEP 3333), served by gevent. The guarantee: a request that is neither passed
on nor held is answered so that Prometheus sends it again. Where it ends: ``gate`` decides, and
``receiver`` sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from gevent.pywsgi import WSGIHandler

from wrapper.gate.exchange import Exchange
from wrapper.gate.receiver import crossing
from wrapper.gate.reply import Reply, error
from wrapper.model.gate import PATH

LARGEST = 64 << 20  # bytes of a body
_FIELDS = "prometheus_elector.fields"
_PIECE = 1 << 20
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class App:
    """Answers each request by an exchange with the gate."""

    def __init__(self, exchange: Exchange) -> None:
        """Take what decides and sends."""
        self._exchange = exchange

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        reply = self._reply(environ)
        start(_status_line(reply.status), list(reply.fields))
        return [reply.body]

    def _reply(self, environ: dict[str, Any]) -> Reply:
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        name = path.removeprefix(PATH)
        if name in (path, ""):
            return error(404, f"no such path here; remote_write sends to {PATH}NAME")
        if environ["REQUEST_METHOD"] != "POST":
            return error(405, "remote_write sends by POST", ("Allow", "POST"))
        try:
            body = _body(environ)
        except OSError:  # so does gevent say that the body is broken, or ends too soon
            return error(400, "the body is broken", ("Connection", "close"))
        if body is None:
            limit = f"{LARGEST >> 20} MiB"
            return error(413, f"a batch of more than {limit}: lower max_samples_per_send")
        return self._exchange.answer(name, body, crossing(environ[_FIELDS]))


class Handler(WSGIHandler):
    """Keeps the header fields as they came: WSGI would change their names."""

    def get_environ(self) -> dict[str, Any]:
        """Return the environ of a request."""
        environ: dict[str, Any] = super().get_environ()
        environ[_FIELDS] = self.headers.items()
        return environ


def _body(environ: dict[str, Any]) -> bytes | None:
    """Return the body, None if it is too large."""
    if int(environ.get("CONTENT_LENGTH") or 0) > LARGEST:
        return None
    if environ.get("CONTENT_LENGTH"):
        return bytes(environ["wsgi.input"].read())
    pieces, size = [], 0
    for piece in _pieces(environ["wsgi.input"]):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            return None
    return b"".join(pieces)


def _pieces(source: Any) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:  # one that the receiver made up
        return f"{status} Unknown"
