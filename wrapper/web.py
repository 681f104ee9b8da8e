"""The web process: the Flask app under /_elector/, everything else to the proxy, under gunicorn.

It knows only what the snapshot says, and says so when that is stale. It is started by the
supervisor, never decides anything, and dies with its parent. Where it ends: what speaks for
Prometheus itself is the proxy's; the options come from the supervisor and are not checked again.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from wrapper import clock, log
from wrapper.metrics import ProxyFigures, expose, registry
from wrapper.process import die_with_parent
from wrapper.proxy import Proxy, plain_path
from wrapper.server import listen, serve
from wrapper.snapshot import SnapshotReader, configuration_of, leader_of, why_stale
from wrapper.upstream import Environ, Refused, refusal
from wrapper.web_options import WebOptions

LOG = logging.getLogger(__name__)
ROOT = "/_elector"
BAD_INPUT = 2


# --- the application -------------------------------------------------------------------------


def make_app(reader: SnapshotReader, options: WebOptions) -> Flask:
    """Return the app: Flask's routes under /_elector/, the proxy (or a 404) for all else."""
    app = Flask("wrapper", static_folder=None)
    figures = ProxyFigures()
    ours = registry(reader, figures, with_runtime=options.runtime_metrics)
    app.add_url_rule(f"{ROOT}/leader", view_func=lambda: _leader(reader), endpoint="leader")
    app.add_url_rule(f"{ROOT}/healthz", view_func=lambda: _health(reader), endpoint="healthz")
    app.add_url_rule(f"{ROOT}/readyz", view_func=lambda: _readiness(reader), endpoint="readyz")
    app.add_url_rule(f"{ROOT}/config", view_func=lambda: _config(reader), endpoint="config")
    app.add_url_rule(
        f"{ROOT}/metrics",
        view_func=lambda: _metrics(*expose(ours, request.headers.get("Accept", ""))),
        endpoint="metrics",
    )
    app.register_error_handler(HTTPException, _http_error)
    app.after_request(_never_stored)
    others = Proxy(reader, options, figures) if options.proxy_enabled else _no_proxy
    app.wsgi_app = _Fork(app.wsgi_app, others)  # type: ignore[method-assign]
    return app


WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class _Fork:
    """Sends what is ours to Flask and never to Prometheus, and the rest round Flask."""

    def __init__(self, ours: WsgiApp, others: WsgiApp) -> None:
        self._ours = ours
        self._others = others

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = plain_path(environ)
        is_ours = path == ROOT or path.startswith(f"{ROOT}/")
        return (self._ours if is_ours else self._others)(environ, start_response)


def _no_proxy(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    refused = Refused(404, "not_found", "nothing here; --api-proxy-enabled forwards to the leader")
    answer = refusal(refused, environ["REQUEST_METHOD"])
    start_response(f"{answer.code} {answer.reason}", answer.fields)
    return answer.body


def _leader(reader: SnapshotReader) -> Response:
    snapshot, now = reader.read(), clock.now()
    stale = why_stale(snapshot, now)
    if snapshot is None or stale:
        return _error(503, "unavailable", stale)
    return jsonify(is_leader=snapshot.leads(now), current_leader=leader_of(snapshot, now))


def _health(reader: SnapshotReader) -> Response:
    stale = why_stale(reader.read(), clock.now())
    return _error(503, "unavailable", stale) if stale else jsonify(status="success")


def _readiness(reader: SnapshotReader) -> Response:
    snapshot = reader.read()
    stale = why_stale(snapshot, clock.now())
    if snapshot is None or stale:
        return _error(503, "unavailable", stale)
    if not snapshot.is_ready:
        return _error(503, "unavailable", "Prometheus is not ready")
    return jsonify(status="success")


def _config(reader: SnapshotReader) -> Response:
    snapshot = reader.read()
    stale = why_stale(snapshot, clock.now())
    if snapshot is None or stale:
        return _error(503, "unavailable", stale)
    return jsonify(configuration_of(snapshot))


def _metrics(content: bytes, content_type: str) -> Response:
    return Response(content, content_type=content_type)


def _http_error(error: HTTPException) -> BaseResponse:
    """Give Flask's own errors the form of the others, with the fields that belong to them."""
    code = error.code or 500
    kind = {404: "not_found", 500: "internal"}.get(code, "bad_data")
    answer = error.get_response()
    answer.data = _error(code, kind, error.description or error.name).data
    answer.content_type = "application/json"
    return answer


def _error(code: int, kind: str, text: str) -> Response:
    answer = jsonify(status="error", errorType=kind, error=text)
    answer.status_code = code
    return answer


def _never_stored(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


# --- the process -----------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Serve until told to stop; return 2 where that cannot begin."""
    options = WebOptions.from_json(arguments[0])
    die_with_parent(options.parent_pid or os.getppid())
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    log.set_up(options.log_level, as_json=options.log_as_json)
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        _say_why_not(options, error)
        return BAD_INPUT
    LOG.info("listening", extra={"address": _address(options)})
    serve(options, listener, lambda: make_app(SnapshotReader(options.snapshot_fd), options))
    return 0


def _say_why_not(options: WebOptions, error: OSError) -> None:
    is_taken = error.errno == errno.EADDRINUSE
    reason = "another program listens there" if is_taken else error.strerror
    address = f"--api-listen-address={_address(options)}"
    LOG.error("%s: %s; give another address or port", address, reason)


def _address(options: WebOptions) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{host}:{options.port}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
