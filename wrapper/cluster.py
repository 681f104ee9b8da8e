"""The lease as a Kubernetes Lease, written as client-go writes it; sole importer of ``kubernetes``.

The guarantee: every write names the version that it replaces, so that of two writers one gets
LeaseConflict; no request outlives its time limit; and what other programs keep on the object stays
there. Who wrote a record stands in an annotation together with the holder and acquire time that it
belongs to: client-go keeps foreign annotations, so one that does not match the record counts for
nothing. Where it ends: a request whose time is up may still take effect at the server, and a watch
is a shortcut that can miss a change or hang.

Importing this module is cheap: the client is loaded when the first request is made.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from wrapper import __version__, clock
from wrapper.bounded import bounded
from wrapper.model import LeaseConflict, LeaseRecord, LeaseUnavailable, Seen

Json: TypeAlias = dict[str, Any]

INCARNATION = "prometheus-elector/incarnation"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
_METHODS = {"get": "GET", "create": "POST", "update": "PUT"}
_SHORTEST_WATCH_S, _LONGEST_WATCH_S = 240, 300
_LONGEST_RETRY_AFTER_S = 60.0
_REMEMBERED_OBJECTS = 4
_LONGEST_QUOTE = 300

# --- a record and the object that it is stored in ---


def record_of(lease: Json) -> LeaseRecord:
    """Return what a Lease object says; its writer only where the annotation belongs to it."""
    spec = lease.get("spec") or {}
    record = LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration_s=float(spec.get("leaseDurationSeconds") or 1),
        acquire_time=spec.get("acquireTime") or "",
        renew_time=spec.get("renewTime") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
    )
    return replace(record, incarnation=_incarnation_of(lease, record))


def _incarnation_of(lease: Json, record: LeaseRecord) -> str | None:
    annotations = _metadata(lease).get("annotations") or {}
    try:
        signed = json.loads(annotations.get(INCARNATION, "null"))
    except ValueError:
        return None
    if not isinstance(signed, dict):
        return None
    is_of_record = signed == _signature(record, signed.get("incarnation"))
    return signed["incarnation"] if is_of_record else None


def _signature(record: LeaseRecord, incarnation: str | None) -> Json:
    return {
        "incarnation": incarnation,
        "holder": record.holder,
        "acquireTime": record.acquire_time,
    }


def lease_of(record: LeaseRecord, base: Json, incarnation: str) -> Json:
    """Return the object to write: ``base`` with the record in it, signed; all else stays.

    The fields are those of client-go, which names an empty holder too. Durations are whole seconds,
    at least 1, as the API demands.
    """
    lease = copy.deepcopy(base)
    lease["spec"] = (lease.get("spec") or {}) | {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": max(int(record.duration_s), 1),
        "acquireTime": record.acquire_time or None,
        "renewTime": record.renew_time or None,
        "leaseTransitions": record.transitions,
    }
    annotations = lease["metadata"].get("annotations") or {}
    signature = json.dumps(_signature(record, record.incarnation or incarnation))
    lease["metadata"]["annotations"] = annotations | {INCARNATION: signature}
    return lease


def _metadata(lease: Json) -> Json:
    metadata: Json = lease.get("metadata") or {}
    return metadata


def _version(lease: Json) -> str | None:
    return _metadata(lease).get("resourceVersion")


# --- what can go wrong, in words ---


@dataclass(frozen=True, slots=True)
class Place:
    """Which lease was asked for, of which server, with which credentials: for messages."""

    name: str
    namespace: str
    server: str
    credentials: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered."""

    status: int
    body: bytes = b""
    retry_after: str = ""

    @property
    def json(self) -> Json:
        """The body where it is a JSON object, else an empty one."""
        with contextlib.suppress(ValueError):
            said = json.loads(self.body)
            return said if isinstance(said, dict) else {}
        return {}

    @property
    def words(self) -> str:
        """What the server says about it, in one line."""
        text = str(self.json.get("message") or self.body.decode(errors="replace"))
        return " ".join(text.split())[:_LONGEST_QUOTE]

    @property
    def retry_after_s(self) -> float:
        """The seconds that the server asks to wait, within bounds; a date counts for nothing."""
        is_number = self.retry_after.isascii() and self.retry_after.isdigit()
        return min(float(self.retry_after), _LONGEST_RETRY_AFTER_S) if is_number else 0.0

    def says_missing(self, kind: str) -> bool:
        """Tell whether it is the API server's own word that such an object does not exist."""
        said = self.json
        is_its_word = said.get("kind") == "Status" and said.get("reason") == "NotFound"
        return is_its_word and (said.get("details") or {}).get("kind") == kind


def refusal(verb: str, answer: Answer, place: Place) -> LeaseConflict | LeaseUnavailable:
    """Return the error that an answer other than success stands for."""
    was_deleted = verb == "update" and answer.says_missing("leases")
    if answer.status == HTTPStatus.CONFLICT or was_deleted:
        return LeaseConflict(f"lease {place.namespace}/{place.name} was written by someone else")
    reason, text = _reason(verb, answer, place)
    return LeaseUnavailable(text, reason, answer.retry_after_s)


def _reason(verb: str, answer: Answer, place: Place) -> tuple[str, str]:
    server, status = place.server, answer.status
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return "unauthorized", (
                f"{server} does not accept the credentials of {place.credentials} (401):"
                " see whether they have expired, or are of another cluster"
            )
        case HTTPStatus.FORBIDDEN:
            return "forbidden", _forbidden(verb, answer, place)
        case HTTPStatus.NOT_FOUND:
            return _not_found(answer, place)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "throttled", f"{server} has too much to do and asks to wait (429)"
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "server", f"{server} fails ({status}): {answer.words}"
    return "refused", f"{server} refuses to {verb} {_what(verb, place)} ({status}): {answer.words}"


def _what(verb: str, place: Place) -> str:
    name = "" if verb == "create" else f" {place.name}"
    return f"leases.coordination.k8s.io{name} in namespace {place.namespace}"


def _forbidden(verb: str, answer: Answer, place: Place) -> str:
    user = re.search(r'User "([^"]*)" cannot', answer.words)
    if user is None:
        return f"{place.server} forbids to {verb} {_what(verb, place)} (403): {answer.words}"
    return (
        f"{user[1]} may not {verb} {_what(verb, place)} (403):"
        f" grant the verb {verb} by a Role and a RoleBinding in namespace {place.namespace}"
    )


def _not_found(answer: Answer, place: Place) -> tuple[str, str]:
    if answer.says_missing("namespaces"):
        cure = "create it, or name another by --lease-namespace"
        return "namespace", f"the namespace {place.namespace} does not exist: {cure}"
    return "not-found", f"{place.server} knows no leases (404): is it a Kubernetes API server?"


def failure(error: BaseException, place: Place, limit_s: float) -> LeaseUnavailable:
    """Return the error for a request that got no answer; its text is the same each time."""
    server = place.server
    for cause in _causes(error):
        match cause:
            case LeaseUnavailable():
                return cause
            case NoAccess():
                return LeaseUnavailable(str(cause), "kubeconfig")
            case ssl.SSLCertVerificationError():
                why = f"({_ssl_words(cause)}): name its CA as certificate-authority"
                return LeaseUnavailable(f"the certificate of {server} is not trusted {why}", "tls")
            case ssl.SSLError():
                why = f"({_ssl_words(cause)}): is it the right address and port?"
                return LeaseUnavailable(f"no TLS with {server} {why}", "tls")
            case socket.gaierror():
                why = f"({cause.strerror}): check the address and DNS"
                return LeaseUnavailable(f"the name of {server} is not resolved {why}", "dns")
            case ConnectionRefusedError():
                why = "is the API server running at this address?"
                return LeaseUnavailable(f"{server} refuses connections: {why}", "refused")
            case TimeoutError():
                why = f"within {limit_s:g} s: is it overloaded, or the network cut?"
                return LeaseUnavailable(f"no answer from {server} {why}", "timeout")
            case OSError():
                why = cause.strerror or type(cause).__name__
                return LeaseUnavailable(f"the connection to {server} failed: {why}", "connection")
    return LeaseUnavailable(f"asking {server} failed: {type(error).__name__}", "error")


def _ssl_words(error: ssl.SSLError) -> str:
    """Return OpenSSL's own words; an error made without OpenSSL has none of its attributes."""
    words = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
    return next(filter(None, words), "no reason given")


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it came from, the first cause first."""
    if error is None:
        return []
    context = None if error.__suppress_context__ else error.__context__
    return [*_causes(error.__cause__ or context), error]


# --- where the API server is, and with which credentials ---


class NoAccess(Exception):
    """It is not known where the API server is, or who we are to it; the text says why."""


def check_kubeconfig(path: str) -> str:
    """Return why no API server can be found with this ``--kubeconfig`` (or ""), "" when it can.

    Reads files only: whether the server answers and knows us is seen at the first request.
    """
    try:
        access = Access.find(path)
        if not access.kubeconfigs and not access.is_in_cluster:
            return (
                "no Kubernetes API server is known: name a file with --kubeconfig or in KUBECONFIG,"
                " or run in a pod with a service account"
            )
        access.current()
    except NoAccess as problem:
        return str(problem)
    return ""


@dataclass(frozen=True, slots=True)
class Access:
    """The kubeconfig files in force; where there are none, the pod's service account."""

    kubeconfigs: tuple[Path, ...]
    service_account: Path = SERVICE_ACCOUNT

    @classmethod
    def find(cls, explicit: str, service_account: Path = SERVICE_ACCOUNT) -> Access:
        """Look as client-go does: the file named, else KUBECONFIG or the user's own, else a pod."""
        if explicit:
            return cls((Path(explicit),), service_account)
        named = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
        # Not Path.expanduser: it fails for a user without a home.
        paths = named or [os.path.expanduser("~/.kube/config")]  # noqa: PTH111
        return cls(tuple(Path(name) for name in paths if os.access(name, os.F_OK)), service_account)

    @property
    def is_in_cluster(self) -> bool:
        """Whether this is a pod with a service account."""
        has_token = os.access(self.service_account / "token", os.F_OK)
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and has_token

    @property
    def credentials(self) -> str:
        """Where the credentials come from, for messages."""
        return " and ".join(map(str, self.kubeconfigs)) or str(self.service_account / "token")

    @property
    def server(self) -> str:
        """The API server's URL."""
        if self.kubeconfigs:
            return str(self.current()["cluster"]["server"])
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def namespace(self) -> str:
        """Return the pod's own namespace, else the kubeconfig context's, else ``default``."""
        with contextlib.suppress(OSError):
            return (self.service_account / "namespace").read_text().strip() or "default"
        with contextlib.suppress(NoAccess):
            return str(self.current()["context"].get("namespace") or "default")
        return "default"

    def current(self) -> Json:
        """Return the current context with its cluster and user, all empty without a kubeconfig.

        Raise NoAccess that says what is wrong with the files, never what stands in them.
        """
        documents = [_load(path) for path in self.kubeconfigs]
        if not documents:
            return {"name": None, "context": {}, "cluster": {}, "user": {}}
        named = (document.get("current-context") for document in documents)
        name = next(filter(None, named), None)
        if name is None:
            raise NoAccess(f"{self.credentials}: current-context is missing: choose a context")
        context = self._named(documents, "context", name)
        cluster = self._named(documents, "cluster", context.get("cluster"))
        if not cluster.get("server"):
            raise NoAccess(f"{self.credentials}: cluster {context['cluster']} has no server")
        user = self._named(documents, "user", context["user"]) if context.get("user") else {}
        return {"name": name, "context": context, "cluster": cluster, "user": user}

    def _named(self, documents: list[Json], kind: str, name: object) -> Json:
        for document in documents:
            for entry in document.get(f"{kind}s") or []:
                if isinstance(entry, dict) and entry.get("name") == name:
                    return dict(entry.get(kind) or {})
        raise NoAccess(f"{self.credentials}: there is no {kind} named {name!r}: add it")

    def files(self) -> list[Path]:
        """Return the files that hold credentials: when one changes, these have changed."""
        if not self.kubeconfigs:
            return [self.service_account / "token", self.service_account / "ca.crt"]
        current = self.current()
        keys = ("tokenFile", "client-certificate", "client-key", "certificate-authority")
        named = [part.get(key) for part in (current["cluster"], current["user"]) for key in keys]
        beside = [path.parent / name for path in self.kubeconfigs for name in named if name]
        return [*self.kubeconfigs, *beside]

    def configure(self, configuration: Any) -> None:
        """Fill in the client's configuration; the files are read now, and not later on."""
        if self.kubeconfigs:
            self._configure_from_file(configuration)
        else:
            self._configure_from_service_account(configuration)
        configuration.refresh_api_key_hook = None
        if "BearerToken" in configuration.api_key:
            token = configuration.api_key["BearerToken"].strip()
            configuration.api_key["BearerToken"] = token

    def _configure_from_service_account(self, configuration: Any) -> None:
        try:
            token, _ = (path.read_text() for path in self.files())
        except OSError as error:
            text = f"the pod's {error.filename} cannot be read: {error.strerror}"
            raise NoAccess(
                f"{text}; mount a service account's token or name a kubeconfig"
            ) from None
        configuration.host = self.server
        configuration.ssl_ca_cert = str(self.service_account / "ca.crt")
        configuration.api_key["BearerToken"] = f"Bearer {token}"

    def _configure_from_file(self, configuration: Any) -> None:
        from kubernetes.config.kube_config import load_kube_config  # noqa: PLC0415 - heavy

        try:
            load_kube_config(  # type: ignore[no-untyped-call]
                config_file=os.pathsep.join(map(str, self.kubeconfigs)),
                context=self.current()["name"],
                client_configuration=configuration,
                persist_config=False,
            )
        except Exception as error:  # noqa: BLE001 - it runs plugins: anything can come
            # The client's messages quote whole entries, secrets included, after a brace.
            said = str(error).partition("{")[0] or type(error).__name__
            raise NoAccess(f"the kubeconfig {self.credentials} cannot be used: {said}") from None


def _load(path: Path) -> Json:
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise NoAccess(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise NoAccess(f"{path}{where}: the kubeconfig is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise NoAccess(f"{path}: the kubeconfig is not YAML") from None
    if not isinstance(document, dict):
        raise NoAccess(f"{path}: not a kubeconfig: it has no clusters, users and contexts")
    return document


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None


# --- the client ---


class _Session:
    """One client with the credentials as they were when it was made, and its connections."""

    def __init__(self, access: Access, timeout_s: float) -> None:
        self._stamps = {path: _file_stamp(path) for path in access.files()}
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
        return any(_file_stamp(path) != stamp for path, stamp in self._stamps.items())

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
    access.configure(configuration)
    configuration.retries = False  # else it sends a write again by itself, and waits between
    client = ApiClient(configuration)
    client.user_agent = f"prometheus-elector/{__version__}"
    return client


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
        if not _version(lease):
            text = f"{self._place.server} answers something else than a Lease: is a proxy between?"
            raise LeaseUnavailable(text, "error")
        return self._remember(lease)

    def _remember(self, lease: Json) -> Seen:
        """Keep the last objects seen: a write keeps what other programs put there."""
        with self._guard:
            self._objects[_version(lease)] = lease
            while len(self._objects) > _REMEMBERED_OBJECTS:
                del self._objects[next(iter(self._objects))]
        return Seen(record_of(lease), _version(lease))

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
