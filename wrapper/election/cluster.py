"""Requests to the Kubernetes API server; the sole importer of ``kubernetes``.

The guarantee: no request outlives its time limit, each is sent once (twice where credentials are
refused, with fresh ones), no more of an answer is read than ``MOST_BYTES``, and files with
credentials are read again when they change. Where it ends: a request whose time is up may still
take effect at the server.

Importing this module is cheap: the client is loaded when the first request is made.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from wrapper import __version__, clock
from wrapper.access.proxies import Proxy, by_way_of
from wrapper.bounded import bounded
from wrapper.election.api_errors import Answer, Place, failure
from wrapper.election.kubeconfig import SERVICE_ACCOUNT, Access, NoAccess, file_stamp
from wrapper.election.lease_fields import Json
from wrapper.model import LeaseUnavailable

JSON = "application/json"
# More than an API server can hold of one object: etcd takes 1.5 MiB, which JSON may escape sixfold.
MOST_BYTES = 16 << 20
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396: null takes a key out


class Cluster:
    """The API server as one asker knows it: a client of its own, one request at a time.

    ``kubeconfig`` "" means what client-go would take. ``timeout_s`` bounds each request, connecting
    and a second try included.
    """

    def __init__(
        self, kubeconfig: str, timeout_s: float, *, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._access = Access.find(kubeconfig, service_account)
        self._timeout_s = timeout_s
        self._session: Session | None = None

    def namespace(self) -> str:
        """Return the pod's own namespace, else the kubeconfig's."""
        return self._access.namespace()

    def place(self, resource: str, namespace: str, name: str) -> Place:
        """Return what messages say about an object there."""
        server = by_way_of(self._server, self._proxy)
        return Place(name, namespace, server, self._access.credentials, resource)

    def ask(self, method: str, path: str, body: Json | None = None, content: str = JSON) -> Answer:
        """Return the answer, whatever its status; raise LeaseUnavailable where none has come."""
        try:
            _load_client()
            deadline = clock.now() + self._timeout_s
            return bounded(
                lambda: self._exchange(deadline, method, path, body, content), self._timeout_s
            )
        except Exception as error:
            self._discard()
            raise self.failure(error) from error

    def failure(self, error: Exception, limit_s: float | None = None) -> LeaseUnavailable:
        """Return the error for a request that got no answer, within its own limit if it has one."""
        limit_s = self._timeout_s if limit_s is None else limit_s
        return failure(error, self._server, limit_s, self._proxy)

    def session(self) -> Session:
        """Return a client of its own, for what lasts longer than a request."""
        return Session(self._access, self._timeout_s)

    @property
    def _server(self) -> str:
        try:
            return self._access.server
        except NoAccess:
            return "the API server"

    @property
    def _proxy(self) -> Proxy | None:
        try:
            return self._access.proxy()
        except NoAccess:
            return None

    def _exchange(self, deadline: float, *request: Any) -> Answer:
        """Send a request, and once more with fresh credentials where these are not accepted."""
        answer = self._send(deadline, *request)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._discard()
            answer = self._send(deadline, *request)
        return answer

    def _send(
        self, deadline: float, method: str, path: str, body: Json | None, content: str
    ) -> Answer:
        session = self._current_session()
        if clock.now() >= deadline:
            raise TimeoutError  # whoever asked has been told so: send nothing any more
        return answer_of(session.send(method, path, body=body, content=content))

    def _current_session(self) -> Session:
        session = self._session
        if session is None or session.is_stale():
            self._discard()
            session = self._session = self.session()
        return session

    def _discard(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()


def answer_of(response: Any) -> Answer:
    """Return a response with its body read; raise LeaseUnavailable for one that is too large."""
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        response.close()
        raise _too_large()
    return Answer(response.status, body, response.headers.get("Retry-After", ""))


def lines(response: Any) -> Iterator[bytes]:
    """Yield the lines of a stream that are not empty; raise LeaseUnavailable likewise."""
    rest = b""
    for piece in response.stream():
        *whole, rest = (rest + piece).split(b"\n")
        yield from filter(bytes.strip, whole)
        if len(rest) > MOST_BYTES:
            raise _too_large()
    yield from filter(bytes.strip, [rest])


def _too_large() -> LeaseUnavailable:
    return LeaseUnavailable(
        f"the API server's answer is larger than {MOST_BYTES >> 20} MiB: is a proxy between?"
        " Look at it with kubectl",
        "error",
    )


def _load_client() -> None:
    """Import the client in the caller's thread, where it takes none of a request's time."""
    import kubernetes.client.api_client  # noqa: F401, PLC0415 - heavy: at the first request


# --- the client ---


class Session:
    """One client with the credentials as they were when it was made, and its connections."""

    def __init__(self, access: Access, timeout_s: float) -> None:
        self._stamps = {path: file_stamp(path) for path in access.files()}
        self.is_ended = False
        self.patience_s = timeout_s
        self._client = _client(access)
        self._connections: list[Any] = []
        pools = self._client.rest_client.pool_manager
        pools.pool_classes_by_scheme = {
            scheme: _keeping(pool, self._connections)
            for scheme, pool in pools.pool_classes_by_scheme.items()
        }

    def is_stale(self) -> bool:
        """Tell whether a file with credentials has changed since."""
        return any(file_stamp(path) != stamp for path, stamp in self._stamps.items())

    def send(
        self,
        method: str,
        path: str,
        query: Json | None = None,
        body: Any = None,
        content: str = JSON,
    ) -> Any:
        """Send a request and return the response, its body not read; bound each wait for bytes."""
        timeouts = (self.patience_s, self.patience_s)
        request = self._client.param_serialize(
            method,
            path,
            query_params=query or {},
            header_params={"Accept": JSON, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        return self._client.call_api(*request, _request_timeout=timeouts).response

    def allow_silence(self, limit_s: float) -> None:
        """Bound each further wait for bytes anew."""
        self.patience_s = limit_s
        for connection in self._connections:
            if connection.sock is not None:
                connection.sock.settimeout(limit_s)

    def end(self) -> None:
        """Shut all connections: whoever waits on one in another thread gets an error."""
        self.is_ended = True
        for connection in tuple(self._connections):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
        self._client.close()


def _client(access: Access) -> Any:
    from kubernetes.client.api_client import ApiClient  # noqa: PLC0415 - heavy: at the first request
    from kubernetes.client.configuration import Configuration  # noqa: PLC0415 - likewise

    configuration = Configuration()
    _configure(access, configuration)
    _configure_proxy(access.proxy(), configuration)
    configuration.retries = False  # else it sends a write again by itself, and waits between
    client = ApiClient(configuration)
    client.user_agent = f"prometheus-elector/{__version__}"
    return client


def _configure(access: Access, configuration: Any) -> None:
    """Fill in the client's configuration; the files are read now, and not later on."""
    if access.kubeconfigs:
        _configure_from_file(access, configuration)
    else:
        _configure_from_service_account(access, configuration)
    configuration.refresh_api_key_hook = None
    if "BearerToken" in configuration.api_key:
        token = configuration.api_key["BearerToken"].strip()
        configuration.api_key["BearerToken"] = token


def _configure_proxy(proxy: Proxy | None, configuration: Any) -> None:
    """Leave nothing of it to the client, which would go through one to loopback addresses too."""
    configuration.proxy = None if proxy is None else proxy.url.geturl()
    configuration.proxy_headers = None if proxy is None else proxy.fields
    configuration.no_proxy = None


def _configure_from_service_account(access: Access, configuration: Any) -> None:
    try:
        token, _ = (path.read_text() for path in access.files())
    except OSError as error:
        text = f"the pod's {error.filename} cannot be read: {error.strerror}"
        raise NoAccess(f"{text}; mount a service account's token or name a kubeconfig") from None
    configuration.host = access.server
    configuration.ssl_ca_cert = str(access.service_account / "ca.crt")
    configuration.api_key["BearerToken"] = f"Bearer {token}"


def _configure_from_file(access: Access, configuration: Any) -> None:
    from kubernetes.config.kube_config import load_kube_config  # noqa: PLC0415 - heavy

    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=os.pathsep.join(map(str, access.kubeconfigs)),
            context=access.current()["name"],
            client_configuration=configuration,
            persist_config=False,
        )
    except Exception as error:  # noqa: BLE001 - it runs plugins: anything can come
        # The client's messages quote whole entries, secrets included, after a brace.
        said = (
            str(error).partition("{")[0].strip() or f"its client stumbles ({type(error).__name__})"
        )
        raise NoAccess(f"the kubeconfig {access.credentials} cannot be used: {said}") from None


def _keeping(pool: Any, connections: list[Any]) -> type:
    """Return a kind of connection pool whose connections are also put into a list."""

    def connect(*args: Any, **options: Any) -> Any:
        connection = pool.ConnectionCls(*args, **options)
        connections.append(connection)
        return connection

    return type(pool.__name__, (pool,), {"ConnectionCls": staticmethod(connect)})
