"""The web process: the Flask app with its routes under /_elector/, and the proxy beside it.

The app answers from the supervisor's snapshot; if the snapshot is stale, it answers 503. It decides
nothing. The supervisor starts the process, has checked its options, and passes them to it. The
process ends with its parent.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from flask import Flask, Response, jsonify, redirect, request
from gevent.ssl import SSLContext
from gevent.threadpool import ThreadPool
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from wrapper.access.passwords import Passwords
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.web_access import WebAccess
from wrapper.base import clock, log
from wrapper.base.descriptors import raise_limit
from wrapper.base.process import die_with_parent
from wrapper.base.snapshot_channel import SnapshotReader, configuration_of, known_leader, why_stale
from wrapper.configuration.config_view import ConfigViewReader
from wrapper.documents.problems import ConfigurationError
from wrapper.model.snapshot import Snapshot
from wrapper.options.web_options import WebOptions
from wrapper.proxy.authentication import Protection
from wrapper.proxy.proxy import Proxy
from wrapper.proxy.proxy_counters import ProxyCounters
from wrapper.proxy.refusals import CHALLENGE, UNAUTHORIZED, Refused
from wrapper.proxy.route import ROOT
from wrapper.web.metrics import expose, registry
from wrapper.web.page import POLICY, Page, PageValues
from wrapper.web.peers import Peer, Peers
from wrapper.web.server import listen, serve
from wrapper.web.status import status_of
from wrapper.web.step_down import step_down
from wrapper.web.worker import PROXY
from wrapper.web.wsgi import SOCKET, TARGET

LOG = logging.getLogger(__name__)
BAD_INPUT = 2
_NO_API = (
    "Prometheus and the election go on, but this replica has no API (probes, status, metrics) and "
    "no proxy until it can listen, which is retried"
)
NOT_FOUND = 404
SPARE_SLOTS = 2  # a worker may start before the arbiter has noticed that the previous one ended


# --- the application -------------------------------------------------------------------------


def make_app(
    reader: SnapshotReader,
    options: WebOptions,
    counters: ProxyCounters,
    web_access: WebAccess,
    prometheus_access: PrometheusAccess,
) -> Flask:
    """Return the app: routes under /_elector/, a 404 for all others, and the proxy as an extension.

    The worker gives the proxy all requests that are not under /_elector/. The app itself never
    queries Prometheus.
    """
    # A thread computes password hashes, which is slow, while other requests are served.
    protection = Protection(web_access, Passwords(ThreadPool(1).apply))
    app = Flask("wrapper.web", static_folder=None)
    fleet = Fleet(reader, options, web_access)
    ours = registry(reader, counters, with_runtime=options.runtime_metrics)
    routes: dict[str, Callable[[], Response]] = {
        "leader": lambda: _current(reader, _leader),
        "is-leader": lambda: _current(reader, _is_leader),
        "healthz": lambda: _current(reader, _health),
        "readyz": lambda: _current(reader, _readiness),
        "config": lambda: _current(reader, _config),
        "status": lambda: _current(reader, _status),
        "fleet": lambda: _current(reader, partial(_fleet, ask=fleet.ask)),
        "metrics": lambda: _metrics(ours),
    }
    for name, view in routes.items():
        app.add_url_rule(f"{ROOT}/{name}", view_func=view, endpoint=name)
    app.add_url_rule(
        f"{ROOT}/step-down",
        view_func=lambda: _current(reader, partial(_step_down, fleet=fleet, options=options)),
        endpoint="step-down",
        methods=["POST"],
    )
    app.add_url_rule(ROOT, view_func=lambda: redirect(f"{ROOT[1:]}/", 308), endpoint="to-page")
    page, shown = Page(app), ConfigViewReader(options.snapshot_fd)
    app.add_url_rule(
        f"{ROOT}/", view_func=lambda: page.render(fleet.page_values(shown)), endpoint="page"
    )
    app.before_request(lambda: _refusal(protection))
    app.register_error_handler(HTTPException, _http_error)
    app.after_request(lambda answer: _completed(answer, protection))
    if options.proxy_enabled:
        app.extensions[PROXY] = Proxy(reader, options, counters, protection, prometheus_access)
    return app


def _current(reader: SnapshotReader, view: Callable[[Snapshot, float], Response]) -> Response:
    """Answer from the current snapshot; 503 if it is stale."""
    snapshot, now = reader.read(), clock.now()
    stale = why_stale(snapshot, now)
    if snapshot is None or stale:
        return _error(503, "unavailable", stale)
    return view(snapshot, now)


def _leader(snapshot: Snapshot, now: float) -> Response:
    return jsonify(is_leader=snapshot.leads(now), current_leader=known_leader(snapshot, now))


def _is_leader(snapshot: Snapshot, now: float) -> Response:
    """Answer 200 on the leader and 503 elsewhere, for load balancers that check the status."""
    if not snapshot.leads(now):
        return _error(503, "unavailable", "this replica is not the leader")
    return jsonify(status="success")


def _health(snapshot: Snapshot, _now: float) -> Response:
    """Answer 503 if this replica is exiting, or if only a restart can solve its problem.

    Until the restart, the replica is a follower. The kubelet restarts it, beginning with SIGTERM,
    so that it stops in order. After a ``failure``, the replica exits without being asked.
    """
    if snapshot.failure:
        return _error(503, "unavailable", f"this replica is exiting: {snapshot.failure}")
    if snapshot.needs_restart:
        text = "this replica must be restarted before it can lead; /_elector/status says why"
        return _error(503, "unavailable", text)
    return jsonify(status="success")


def _readiness(snapshot: Snapshot, _now: float) -> Response:
    """Answer 503 if this replica could not take over without a gap.

    So a rolling update waits before it ends the next replica.
    """
    if not snapshot.is_ready:
        return _error(503, "unavailable", "Prometheus is not ready")
    if snapshot.gate.get("awaits_samples"):
        text = "Prometheus has not sent any samples to the gate yet; waiting up to 15 s for them"
        return _error(503, "unavailable", text)
    return jsonify(status="success")


def _config(snapshot: Snapshot, _now: float) -> Response:
    if not snapshot.written_role:
        return _error(
            404, "not_found", "Prometheus reads its own file; see its /api/v1/status/config"
        )
    return jsonify(configuration_of(snapshot))


def _status(snapshot: Snapshot, now: float) -> Response:
    return jsonify(status_of(snapshot, now))


def _fleet(snapshot: Snapshot, now: float, ask: Callable[[Snapshot], list[Peer]]) -> Response:
    own = {"url": "", "status": status_of(snapshot, now), "problem": ""}
    others = [
        {"url": peer.url, "status": peer.status, "problem": peer.problem} for peer in ask(snapshot)
    ]
    return jsonify(replicas=[own, *others])


def _step_down(snapshot: Snapshot, now: float, fleet: Fleet, options: WebOptions) -> Response:
    try:
        step_down(
            _json_of_request(),
            status_of(snapshot, now),
            fleet.ask(snapshot),
            knows_clients=fleet.knows_clients,
            supervisor_pid=options.parent_pid,
            pause_file=options.pause_file,
        )
    except Refused as refused:
        return _error(refused.code, refused.kind, str(refused))
    return jsonify(status="success")


def _json_of_request() -> object:
    """Return the value in the request's body; None if it is not JSON."""
    try:
        return request.get_json(silent=True)
    except RecursionError:  # it is nested too deeply
        return None


def _metrics(ours: CollectorRegistry) -> Response:
    content, content_type = expose(ours, request.headers.get("Accept", ""))
    return Response(content, content_type=content_type)


def _http_error(error: HTTPException) -> BaseResponse:
    """Return Flask's error in the form of our other errors, with its own header fields."""
    code = error.code or 500
    if code == NOT_FOUND and not request.path.startswith(f"{ROOT}/"):
        return _error(
            code, "not_found", "no such path here; --api-proxy-enabled forwards to the leader"
        )
    kind = {404: "not_found", 500: "internal"}.get(code, "bad_data")
    answer = error.get_response()
    answer.data = _error(code, kind, error.description or error.name).data
    answer.content_type = "application/json"
    return answer


def _error(code: int, kind: str, text: str) -> Response:
    answer = jsonify(status="error", errorType=kind, error=text)
    answer.status_code = code
    return answer


def _refusal(protection: Protection) -> Response | None:
    """Return the answer to a client that may not send this request; None if it may."""
    environ = request.environ
    given = environ.get("HTTP_AUTHORIZATION")
    authorization = [given.encode("latin-1")] if given is not None else []
    try:
        protection.check(environ[TARGET], authorization, environ[SOCKET])
    except Refused as refused:
        answer = _error(refused.code, refused.kind, str(refused))
        if refused.code == UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = CHALLENGE
        return answer
    return None


def _completed(answer: Response, protection: Protection) -> Response:
    """Add the header fields that every answer has."""
    answer.headers["Cache-Control"] = "no-store"
    for name, value in protection.headers:
        if name == POLICY:
            answer.headers.add(name, value)  # a browser enforces it as well as the page's own
        else:
            answer.headers[name] = value
    return answer


class Fleet:
    """The status of this replica and of its peers."""

    def __init__(self, reader: SnapshotReader, options: WebOptions, access: WebAccess) -> None:
        self._reader = reader
        self._access = access
        is_tls = access.current().tls is not None
        self._peers = Peers(options.peers, options.port, is_tls=is_tls)
        self._knows_peers = bool(options.peers)

    @property
    def knows_clients(self) -> bool:
        """Whether clients of this API must authenticate."""
        return self._access.current().config.requires_authentication

    def ask(self, snapshot: Snapshot) -> list[Peer]:
        """Query the peers with the credentials of the current request; return their answers."""
        has_users = bool(self._access.current().config.users)
        authorization = request.headers.get("Authorization") if has_users else None
        leader = known_leader(snapshot, clock.now())
        return self._peers.ask(snapshot.identity, authorization, leader)

    def page_values(self, shown: ConfigViewReader) -> PageValues:
        """Return all values of the status page."""
        snapshot = self._reader.read()
        peers = self.ask(snapshot) if snapshot is not None else []
        snapshot = self._reader.read()  # again, because the peers' answers may have taken a while
        return PageValues(
            snapshot, shown.read(), peers, self._knows_peers, clock.now(), clock.wall()
        )


# --- the process -----------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Serve until stopped; return 2 if the port or a file cannot be used."""
    options = WebOptions.from_json(arguments[0])
    options = replace(options, parent_pid=options.parent_pid or os.getppid())
    die_with_parent(options.parent_pid)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    raise_limit()
    log.set_up(options.log_level, lambda: options.log_form)
    try:
        web_access = WebAccess(options.web_config_file, SSLContext)
        prometheus_access = PrometheusAccess(options.prometheus_http_config, SSLContext)
        listener = listen(options.host, options.port)
    except ConfigurationError as error:
        for problem in error.problems:
            LOG.error("%s", problem)  # noqa: TRY400 - the text has the cause
        return BAD_INPUT
    except OSError as error:
        _log_bind_error(options, error)
        return BAD_INPUT
    is_tls = web_access.current().tls is not None
    LOG.info("listening", extra={"address": _address(options), "tls": is_tls})
    counters = ProxyCounters(slots=options.workers + SPARE_SLOTS)
    reader = SnapshotReader(options.snapshot_fd)
    app = partial(make_app, reader, options, counters, web_access, prometheus_access)
    tls = web_access.context if is_tls else None
    if options.workers == 1:
        return serve(options, listener, app, tls)
    from wrapper.web.arbiter import Server  # noqa: PLC0415 - gunicorn takes 2 MiB

    Server(options, listener.detach(), counters, app, tls).run()
    return 0


def _log_bind_error(options: WebOptions, error: OSError) -> None:
    is_taken = error.errno == errno.EADDRINUSE
    reason = "the port is in use" if is_taken else error.strerror
    cure = f"{'stop the other program, or ' if is_taken else ''}choose another address or port"
    LOG.error("--api-listen-address=%s: %s; %s; %s", _address(options), reason, _NO_API, cure)


def _address(options: WebOptions) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{host}:{options.port}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
