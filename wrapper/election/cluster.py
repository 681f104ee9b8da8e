"""Requests to the Kubernetes API server.

The guarantee: no request outlives its time limit, each is sent once (twice where credentials are
refused, with fresh ones), no more of an answer is read than ``MOST_BYTES``, and files with
credentials are read again when they change. Where it ends: a request whose time is up may still
take effect at the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from urllib3.response import HTTPResponse

from wrapper.access.http_client import Connection
from wrapper.access.reloading_file import Reading
from wrapper.access.request_errors import AskedServer
from wrapper.base import clock
from wrapper.base.with_timeout import with_timeout
from wrapper.election.api_errors import ApiAnswer, ObjectPlace, failure
from wrapper.election.credentials import load_plugins, read_credentials
from wrapper.election.kubeconfig import SERVICE_ACCOUNT, ClusterAccess, NoAccess
from wrapper.election.lease_fields import Json
from wrapper.model.lease import LeaseUnavailable

JSON = "application/json"
# More than an API server can hold of one object: etcd takes 1.5 MiB, which JSON may escape sixfold.
MOST_BYTES = 16 << 20
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396: null takes a key out
_PROGRAM, _TRUST = "the API server", "name its CA as certificate-authority"


class Cluster:
    """The API server as one asker knows it: a connection of its own, one request at a time.

    ``kubeconfig`` "" means what client-go would take. ``timeout_s`` bounds each request, connecting
    and a second try included.
    """

    def __init__(
        self, kubeconfig: str, timeout_s: float, *, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._access = ClusterAccess.find(kubeconfig, service_account)
        self._timeout_s = timeout_s
        self._session: Session | None = None
        load_plugins(self._access)

    def namespace(self) -> str:
        """Return the pod's own namespace, else the kubeconfig's."""
        return self._access.namespace()

    def place(self, resource: str, namespace: str, name: str) -> ObjectPlace:
        """Return what messages say about an object there."""
        return ObjectPlace(name, namespace, str(self._server), self._access.credentials, resource)

    def ask(
        self, method: str, path: str, body: Json | None = None, content: str = JSON
    ) -> ApiAnswer:
        """Return the answer, whatever its status; raise LeaseUnavailable where none has come."""
        deadline = clock.now() + self._timeout_s
        try:
            return with_timeout(
                lambda: self._exchange(deadline, method, path, {}, body, content), self._timeout_s
            )
        except Exception as error:
            self._discard()
            raise self.failure(error) from error

    def failure(self, error: Exception, limit_s: float | None = None) -> LeaseUnavailable:
        """Return the error for a request that got no answer, within its own limit if it has one."""
        return failure(error, self._server, limit_s or self._timeout_s)

    def session(self) -> Session:
        """Return a connection of its own, for what lasts longer than a request."""
        return Session(self._access, self._timeout_s)

    @property
    def _server(self) -> AskedServer:
        try:
            return AskedServer(self._access.server, _PROGRAM, _TRUST, self._access.proxy())
        except NoAccess:
            return AskedServer(_PROGRAM, _PROGRAM, _TRUST)

    def _exchange(self, deadline: float, *request: Any) -> ApiAnswer:
        """Send a request, and once more with fresh credentials where these are not accepted."""
        answer = self._send(deadline, *request)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._discard()
            answer = self._send(deadline, *request)
        return answer

    def _send(self, deadline: float, *request: Any) -> ApiAnswer:
        session = self._current_session()
        if clock.now() >= deadline:
            raise TimeoutError  # whoever asked has been told so: send nothing any more
        return answer_of(session.send(*request))

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


class Session(Connection):
    """A connection with the credentials as they were when it was made."""

    def __init__(self, cluster: ClusterAccess, timeout_s: float) -> None:
        self._reading = Reading()
        access = read_credentials(cluster, self._reading)
        url = urlsplit(cluster.server)
        super().__init__(url, access, cluster.proxy())
        self._base = url.path.rstrip("/")
        self._timeout_s = timeout_s

    def is_stale(self) -> bool:
        """Tell whether a file with credentials has changed since."""
        return not self._reading.is_current()

    def send(
        self, method: str, path: str, query: Json, body: Json | None = None, content: str = JSON
    ) -> HTTPResponse:
        """Send a request and return the response, its body not read; bound each wait for bytes."""
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        fields = (("Accept", JSON), ("Content-Type", content))
        data = None if body is None else json.dumps(body).encode()
        return self.ask(method, target, self._timeout_s, fields, data)


def answer_of(response: HTTPResponse) -> ApiAnswer:
    """Return a response with its body read; raise LeaseUnavailable for one that is too large."""
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise _too_large()
    return ApiAnswer(response.status, body, response.headers.get("Retry-After", ""))


def lines(response: HTTPResponse) -> Iterator[bytes]:
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
