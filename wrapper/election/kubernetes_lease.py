"""The lease as a Kubernetes Lease object, written as client-go writes it.

Guarantees: each write names the resource version that it replaces. So of two concurrent writers,
one gets LeaseConflict. A caller waits at most for the request timeout. Fields and annotations of
other programs are kept.

Limitations: a request that has timed out may still take effect at the server. A watch can miss a
change, or hang.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path

from wrapper.election.api_errors import ApiAnswer, ObjectPlace, object_in, refusal
from wrapper.election.cluster import Cluster, Session, answer_of, lines
from wrapper.election.kubeconfig import SERVICE_ACCOUNT
from wrapper.election.lease_fields import Json, mapping
from wrapper.election.lease_object import lease_of, record_of, version_of
from wrapper.model.lease import LeaseConflict, LeaseRecord, LeaseUnavailable, ObservedLease

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
_RESOURCE = "leases.coordination.k8s.io"
_METHODS = {"get": "GET", "create": "POST", "update": "PUT"}
_SHORTEST_WATCH_S, _LONGEST_WATCH_S = 240, 300
_REMEMBERED_OBJECTS = 4


class KubernetesLease:
    """A `LeaseLock` in a Lease object; one thread reads and writes, another may watch.

    With ``namespace`` "", the pod's namespace is used, else the kubeconfig's. With ``kubeconfig``
    "", the kubeconfig is found as client-go does. ``request_timeout_s`` limits each request,
    including connecting and a second attempt.
    """

    def __init__(  # noqa: PLR0913 - each is one fact about the lease
        self,
        name: str,
        namespace: str,
        kubeconfig: str,
        incarnation: str,
        request_timeout_s: float,
        *,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> None:
        self._cluster = Cluster(kubeconfig, request_timeout_s, service_account=service_account)
        self._name = name
        self._namespace = namespace or self._cluster.namespace()
        self._incarnation = incarnation
        self._watches: set[Session] = set()
        self._guard = threading.Lock()
        self._objects: dict[str | None, Json] = {}
        self._too_old: str | None = None  # the server has forgotten the changes since this version

    def describe(self) -> str:
        """Return ``lease NAMESPACE/NAME``."""
        return f"lease {self._namespace}/{self._name}"

    def command_to_shorten(self, duration_s: float) -> str:
        """Return the command that shortens the holder's lease duration.

        To delete the Lease does not help: replicas that have seen the holder still wait for it.
        """
        patch = json.dumps({"spec": {"leaseDurationSeconds": int(duration_s)}})
        return f"kubectl -n {self._namespace} patch lease {self._name} --type=merge -p '{patch}'"

    def read(self) -> ObservedLease:
        """Read the lease; raise LeaseUnavailable."""
        answer = self._ask("get")
        if answer.status == HTTPStatus.OK:
            return self._parse(answer)
        if answer.status == HTTPStatus.NOT_FOUND and answer.says_missing("leases"):
            return ObservedLease(None)
        raise refusal("get", answer, self._place)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Create the lease (version None), or replace exactly this version.

        Raise LeaseConflict if another client wrote first, or if this version was not read recently.
        Raise LeaseUnavailable for other failures.
        """
        base = self._new_object() if version is None else self._objects.get(version)
        if base is None:
            raise LeaseConflict(f"{self.describe()} has changed since it was read")
        verb = "create" if version is None else "update"
        answer = self._ask(verb, lease_of(record, base, self._incarnation))
        if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return self._parse(answer)
        raise refusal(verb, answer, self._place)

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report changes after ``seen`` until ``close``, or for 4 to 5 minutes; raise if it fails.

        A healthy holder renews more often than once per lease duration. So if no event arrives for
        that time, the watch has failed.
        """
        try:
            session = self._cluster.session()
        except Exception as error:
            raise self._cluster.failure(error) from error
        with self._watching(session):
            self._follow(session, seen, on_change)

    def close(self) -> None:
        """End the watches in other threads."""
        for session in tuple(self._watches):
            session.end()

    # --- requests ---

    def _ask(self, verb: str, body: Json | None = None) -> ApiAnswer:
        path = self._path if verb == "create" else f"{self._path}/{self._name}"
        return self._cluster.ask(_METHODS[verb], path, body)

    @property
    def _path(self) -> str:
        return _LEASES.format(namespace=self._namespace)

    @property
    def _place(self) -> ObjectPlace:
        return self._cluster.place(_RESOURCE, self._namespace, self._name)

    # --- objects ---

    def _new_object(self) -> Json:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
        }

    def _parse(self, answer: ApiAnswer) -> ObservedLease:
        lease = answer.json
        if not version_of(lease):
            cure = "check whether a proxy in between answers"
            text = f"{self._place.server} did not answer with a Lease: {cure}"
            raise LeaseUnavailable(text, "error")
        return self._remember(lease)

    def _remember(self, lease: Json) -> ObservedLease:
        """Keep the last objects: a write starts from one, to keep the fields of other programs."""
        with self._guard:
            self._objects[version_of(lease)] = lease
            while len(self._objects) > _REMEMBERED_OBJECTS:
                del self._objects[next(iter(self._objects))]
        return ObservedLease(record_of(lease), version_of(lease))

    # --- watching ---

    @contextmanager
    def _watching(self, session: Session) -> Iterator[None]:
        """Let ``close`` end the session; errors that follow from this count as a normal end."""
        self._watches.add(session)
        try:
            yield
        except Exception as error:
            if session.is_ended:
                return
            if isinstance(error, LeaseUnavailable):  # raised from itself, it would be a cycle
                raise
            raise self._cluster.failure(error, session.wait_limit_s) from error
        finally:
            self._watches.discard(session)
            session.end()

    def _follow(
        self,
        session: Session,
        seen: ObservedLease,
        on_change: Callable[[ObservedLease | None], None],
    ) -> None:
        with closing(session.send("GET", self._path, self._watch_query(seen))) as response:
            if response.status == HTTPStatus.GONE:
                self._too_old = seen.version
                return on_change(None)
            if response.status != HTTPStatus.OK:
                raise refusal("watch", answer_of(response), self._place)
            session.set_read_timeout(_silence_s(seen))
            for event in map(object_in, lines(response)):
                if event.get("type") == "ERROR":  # the version is too old: changes were missed
                    self._too_old = seen.version
                    return on_change(None)
                change = self._change_of(event)
                if change is not None:
                    session.set_read_timeout(_silence_s(change))
                    on_change(change)
        return None

    def _watch_query(self, seen: ObservedLease) -> Json:
        """Return the query of a watch of the changes since ``seen``.

        The server forgets changes after minutes, and at its restart. If nobody writes the lease for
        longer, its version is too old for every watch. Then the watch begins with the current
        state.
        """
        length_s = random.randint(_SHORTEST_WATCH_S, _LONGEST_WATCH_S)  # noqa: S311 - no secret
        is_usable = seen.version is not None and seen.version != self._too_old
        version = {"resourceVersion": seen.version} if is_usable else {}
        selector = f"metadata.name={self._name}"
        return version | {"watch": "1", "fieldSelector": selector, "timeoutSeconds": length_s}

    def _change_of(self, event: Json) -> ObservedLease | None:
        match event.get("type"):
            case "ADDED" | "MODIFIED":
                lease = mapping(event.get("object"))
                return self._remember(lease) if version_of(lease) else None
            case "DELETED":
                return ObservedLease(None)
        return None


def _silence_s(seen: ObservedLease) -> float:
    """Return how long a watch may receive nothing after this state of the lease, in seconds."""
    longest_s = _LONGEST_WATCH_S + 1.0
    if seen.record is None or not seen.record.holder:
        return longest_s
    return min(seen.record.duration_s, longest_s)
