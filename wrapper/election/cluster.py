"""Requests to the Kubernetes API server.

Guarantees: a caller waits for a request at most until its time limit. A request is sent once; if
the server rejects the credentials, it is sent once more with credentials read again. At most
``MOST_BYTES`` of an answer are read. Files with credentials are read again when they change.

Limitation: a request that has timed out may still take effect at the server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from urllib3.response import HTTPResponse

from wrapper.access.http_client import Connection
from wrapper.access.reloading_file import Reading
from wrapper.access.request_errors import ServerDescription, without_credentials
from wrapper.base import clock
from wrapper.base.with_timeout import with_timeout
from wrapper.election.api_errors import ApiAnswer, ObjectPlace, failure
from wrapper.election.credentials import read_credentials
from wrapper.election.kubeconfig import SERVICE_ACCOUNT, ClusterAccess, NoAccess
from wrapper.election.lease_fields import Json
from wrapper.model.lease import LeaseUnavailable

JSON = "application/json"
# More than any object needs: etcd's limit is 1.5 MiB, and JSON may escape one byte as six.
MOST_BYTES = 16 << 20
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396: null removes a key
_PROGRAM, _TRUST = "the API server", "name its CA as certificate-authority"


class Cluster:
    """A client of the API server: one connection, one request at a time.

    With ``kubeconfig`` "", the kubeconfig is found as client-go does. ``timeout_s`` limits each
    request, including connecting and a second attempt.
    """

    def __init__(
        self, kubeconfig: str, timeout_s: float, *, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._access = ClusterAccess.find(kubeconfig, service_account)
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._beginning = threading.Lock()

    def namespace(self) -> str:
        """Return the pod's own namespace, else the kubeconfig's."""
        return self._access.namespace()

    def place(self, resource: str, namespace: str, name: str) -> ObjectPlace:
        """Return the description of an object, for error messages."""
        return ObjectPlace(name, namespace, str(self._server), self._access.credentials, resource)

    def ask(
        self, method: str, path: str, body: Json | None = None, content: str = JSON
    ) -> ApiAnswer:
        """Return the answer, with any status; raise LeaseUnavailable if there is none."""
        deadline = clock.now() + self._timeout_s
        used: list[Session] = []
        try:
            return with_timeout(
                lambda: self._exchange(deadline, used, method, path, {}, body, content),
                self._timeout_s,
            )
        except Exception as error:
            self._discard(*used)  # only these: another thread may have opened a new session since
            if isinstance(error, LeaseUnavailable):  # raised from itself, it would be a cycle
                raise
            raise self.failure(error) from error

    def failure(self, error: Exception, limit_s: float | None = None) -> LeaseUnavailable:
        """Return the error for a request without an answer.

        ``limit_s`` is the request's time limit, if it is not the usual one.
        """
        return failure(error, self._server, limit_s or self._timeout_s)

    def session(self) -> Session:
        """Return a separate connection, for a watch."""
        return Session(self._access, self._timeout_s)

    @property
    def _server(self) -> ServerDescription:
        try:
            server = without_credentials(self._access.server)
            return ServerDescription(server, _PROGRAM, _TRUST, self._access.proxy())
        except NoAccess:
            return ServerDescription(_PROGRAM, _PROGRAM, _TRUST)

    def _exchange(self, deadline: float, used: list[Session], *request: Any) -> ApiAnswer:
        """Send a request; on 401, read the credentials again and send it once more."""
        answer = self._send(deadline, used, *request)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._discard(*used)
            answer = self._send(deadline, used, *request)
        return answer

    def _send(self, deadline: float, used: list[Session], *request: Any) -> ApiAnswer:
        session = self._current_session(deadline)
        _check(deadline)
        used.append(session)
        return answer_of(session.send(*request))

    def _current_session(self, deadline: float) -> Session:
        """Return the session, or open one.

        Only one session is opened at a time: other requests wait, for example for a slow plugin.
        """
        with self._beginning:
            _check(deadline)
            session = self._session
            if session is not None and session.is_stale():
                self._discard(session)
                session = None
            if session is None:
                session = self._session = self.session()
            return session

    def _discard(self, *sessions: Session) -> None:
        """Close sessions, and do not use them again."""
        for each in sessions:
            if self._session is each:
                self._session = None
            each.end()


class Session(Connection):
    """A connection with the credentials that were valid when it was created."""

    def __init__(self, cluster: ClusterAccess, timeout_s: float) -> None:
        self._reading = Reading()
        access = read_credentials(cluster, self._reading)
        url = urlsplit(cluster.server)
        super().__init__(url, access, cluster.proxy())
        self._base = url.path.rstrip("/")
        self._timeout_s = timeout_s

    def is_stale(self) -> bool:
        """Return whether a file with credentials has changed since the session was created."""
        return not self._reading.is_current()

    def send(
        self, method: str, path: str, query: Json, body: Json | None = None, content: str = JSON
    ) -> HTTPResponse:
        """Return the response, without reading its body; the timeout limits each wait for bytes."""
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        fields = (("Accept", JSON), ("Content-Type", content))
        data = None if body is None else json.dumps(body).encode()
        return self.ask(method, target, self._timeout_s, fields, data)


def _check(deadline: float) -> None:
    """Raise TimeoutError if the caller has stopped waiting, so that nothing more is sent."""
    if clock.now() >= deadline:
        raise TimeoutError


def answer_of(response: HTTPResponse) -> ApiAnswer:
    """Read the body of a response; raise LeaseUnavailable if it is too large."""
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise _too_large()
    return ApiAnswer(response.status, body, response.headers.get("Retry-After", ""))


def lines(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the non-empty lines of a stream; raise LeaseUnavailable if one is too large."""
    line = bytearray()  # a piece may be one byte: to append it must not copy the line
    for piece in response.stream():
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield from filter(bytes.strip, [bytes(line + end)])
            line.clear()
        line += rest
        if len(line) > MOST_BYTES:
            raise _too_large()
    yield from filter(bytes.strip, [bytes(line)])


def _too_large() -> LeaseUnavailable:
    return LeaseUnavailable(
        f"the API server's answer is larger than {MOST_BYTES >> 20} MiB: check whether a proxy in "
        "between answers, and inspect the object with kubectl",
        "error",
    )
