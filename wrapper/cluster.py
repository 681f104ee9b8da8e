"""The lease as a Kubernetes Lease, written as client-go writes it; sole importer of ``kubernetes``.

The guarantee: every write names the version that it replaces, so that of two writers one gets
LeaseConflict; no request outlives its time limit; and what other programs keep on the object stays
there. Where it ends: a request whose time is up may still take effect at the server, and a watch is
a shortcut that can miss a change or hang.

Importing this module is cheap: the client is loaded when the first request is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from wrapper import __version__, clock
from wrapper.api_errors import Answer, Place, failure, refusal
from wrapper.bounded import bounded
from wrapper.kubeconfig import SERVICE_ACCOUNT, Access, NoAccess, file_stamp
from wrapper.lease_object import Json, lease_of, record_of, version_of
from wrapper.model import LeaseConflict, LeaseRecord, LeaseUnavailable, Seen

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
_METHODS = {"get": "GET", "create": "POST", "update": "PUT"}
_SHORTEST_WATCH_S, _LONGEST_WATCH_S = 240, 300
_REMEMBERED_OBJECTS = 4

# --- the client ---


class _Session:
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

    def send(self, method: str, path: str, query: Json | None = None, body: Any = None) -> Any:
        """Send a request and return the response, its body not read; bound each wait for bytes."""
        timeouts = (self.patience_s, self.patience_s)
        request = self._client.param_serialize(
            method,
            path,
            query_params=query or {},
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
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
        said = str(error).partition("{")[0] or type(error).__name__
        raise NoAccess(f"the kubeconfig {access.credentials} cannot be used: {said}") from None


def _keeping(pool: Any, connections: list[Any]) -> type:
    """Return a kind of connection pool whose connections are also put into a list."""

    def connect(*args: Any, **options: Any) -> Any:
        connection = pool.ConnectionCls(*args, **options)
        connections.append(connection)
        return connection

    return type(pool.__name__, (pool,), {"ConnectionCls": staticmethod(connect)})


class KubernetesLease:
    """A `LeaseLock` in a Lease object; one thread asks, another may watch.

    ``namespace`` "" means the pod's own, else the kubeconfig's; ``kubeconfig`` "" what client-go
    would take. ``request_timeout_s`` bounds each request, connecting and a second try included.
    """

    def __init__(  # noqa: PLR0913 - each is one thing to know about the lease
        self,
        name: str,
        namespace: str,
        kubeconfig: str,
        incarnation: str,
        request_timeout_s: float,
        *,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> None:
        self._access = Access.find(kubeconfig, service_account)
        self._name = name
        self._namespace = namespace or self._access.namespace()
        self._incarnation = incarnation
        self._timeout_s = request_timeout_s
        self._session: _Session | None = None
        self._watches: set[_Session] = set()
        self._guard = threading.Lock()
        self._objects: dict[str | None, Json] = {}

    def describe(self) -> str:
        """Return ``lease NAMESPACE/NAME``."""
        return f"lease {self._namespace}/{self._name}"

    def read(self) -> Seen:
        """Return the lease as it is now; raise LeaseUnavailable."""
        answer = self._ask("get")
        if answer.status == HTTPStatus.OK:
            return self._learn(answer)
        if answer.status == HTTPStatus.NOT_FOUND and answer.says_missing("leases"):
            return Seen(None)
        raise refusal("get", answer, self._place)

    def write(self, record: LeaseRecord, version: str | None) -> Seen:
        """Create the lease (version None) or replace that version.

        Raise LeaseConflict where someone else was faster, or the version was not seen here lately.
        """
        base = self._bare() if version is None else self._objects.get(version)
        if base is None:
            raise LeaseConflict(f"{self.describe()} has been written since it was read")
        verb = "create" if version is None else "update"
        answer = self._ask(verb, lease_of(record, base, self._incarnation))
        if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return self._learn(answer)
        raise refusal(verb, answer, self._place)

    def watch(
        self,
        seen: Seen,
        on_change: Callable[[Seen | None], None],
        silence_s: float | None = None,
    ) -> None:
        """Report changes after ``seen`` for some minutes, or until ``close``; else raise.

        ``silence_s`` is how long nothing may come while someone holds the lease, the record's own
        duration unless given: a healthy holder writes more often.
        """
        try:
            session = _Session(self._access, self._timeout_s)
        except Exception as error:
            raise self._failure(error) from error
        with self._watching(session):
            self._follow(session, seen, on_change, silence_s)

    def close(self) -> None:
        """End the watches that run in other threads."""
        for session in tuple(self._watches):
            session.end()

    # --- requests ---

    def _ask(self, verb: str, body: Json | None = None) -> Answer:
        try:
            _load_client()
            deadline = clock.now() + self._timeout_s
            return bounded(lambda: self._exchange(verb, body, deadline), self._timeout_s)
        except Exception as error:
            self._discard()
            raise self._failure(error) from error

    def _exchange(self, verb: str, body: Json | None, deadline: float) -> Answer:
        """Send a request, and once more with fresh credentials where these are not accepted."""
        answer = self._send(verb, body, deadline)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._discard()
            answer = self._send(verb, body, deadline)
        return answer

    def _send(self, verb: str, body: Json | None, deadline: float) -> Answer:
        session = self._current_session()
        if clock.now() >= deadline:
            raise TimeoutError  # whoever asked has been told so: send nothing any more
        path = self._path if verb == "create" else f"{self._path}/{self._name}"
        return _answer(session.send(_METHODS[verb], path, body=body))

    def _current_session(self) -> _Session:
        session = self._session
        if session is None or session.is_stale():
            self._discard()
            session = self._session = _Session(self._access, self._timeout_s)
        return session

    def _discard(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()

    @property
    def _path(self) -> str:
        return _LEASES.format(namespace=self._namespace)

    @property
    def _place(self) -> Place:
        try:
            server = self._access.server
        except NoAccess:
            server = "the API server"
        return Place(self._name, self._namespace, server, self._access.credentials)

    def _failure(self, error: Exception) -> LeaseUnavailable:
        return failure(error, self._place, self._timeout_s)

    # --- objects ---

    def _bare(self) -> Json:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
        }

    def _learn(self, answer: Answer) -> Seen:
        lease = answer.json
        if not version_of(lease):
            text = f"{self._place.server} answers something else than a Lease: is a proxy between?"
            raise LeaseUnavailable(text, "error")
        return self._remember(lease)

    def _remember(self, lease: Json) -> Seen:
        """Keep the last objects seen: a write keeps what other programs put there."""
        with self._guard:
            self._objects[version_of(lease)] = lease
            while len(self._objects) > _REMEMBERED_OBJECTS:
                del self._objects[next(iter(self._objects))]
        return Seen(record_of(lease), version_of(lease))

    # --- watching ---

    @contextmanager
    def _watching(self, session: _Session) -> Iterator[None]:
        """Let ``close`` end the session, and take what follows from that for a normal end."""
        self._watches.add(session)
        try:
            yield
        except Exception as error:
            if not session.is_ended:
                raise failure(error, self._place, session.patience_s) from error
        finally:
            self._watches.discard(session)
            session.end()

    def _follow(
        self,
        session: _Session,
        seen: Seen,
        on_change: Callable[[Seen | None], None],
        silence_s: float | None,
    ) -> None:
        response = session.send("GET", self._path, self._watch_query(seen))
        if response.status == HTTPStatus.GONE:
            return on_change(None)
        if response.status != HTTPStatus.OK:
            raise refusal("watch", _answer(response), self._place)
        session.allow_silence(_silence_s(seen, silence_s))
        for event in map(json.loads, filter(bytes.strip, response)):
            if event["type"] == "ERROR":  # the version is too old: what is between is lost
                return on_change(None)
            news = self._news(event)
            if news is not None:
                session.allow_silence(_silence_s(news, silence_s))
                on_change(news)
        return None

    def _watch_query(self, seen: Seen) -> Json:
        length_s = random.randint(_SHORTEST_WATCH_S, _LONGEST_WATCH_S)  # noqa: S311 - no secret
        version = {"resourceVersion": seen.version} if seen.version else {}
        selector = f"metadata.name={self._name}"
        return version | {"watch": "1", "fieldSelector": selector, "timeoutSeconds": length_s}

    def _news(self, event: Json) -> Seen | None:
        match event["type"]:
            case "ADDED" | "MODIFIED":
                return self._remember(event["object"])
            case "DELETED":
                return Seen(None)
        return None


def _silence_s(seen: Seen, silence_s: float | None) -> float:
    """Return how long a watch may be silent when this is the last that was seen."""
    if seen.record is None or not seen.record.holder:
        return _LONGEST_WATCH_S + 1
    return seen.record.duration_s if silence_s is None else silence_s


def _answer(response: Any) -> Answer:
    return Answer(response.status, response.data, response.headers.get("Retry-After", ""))


def _load_client() -> None:
    """Import the client in the caller's thread, where it takes none of a request's time."""
    import kubernetes.client.api_client  # noqa: F401, PLC0415 - heavy: at the first request
