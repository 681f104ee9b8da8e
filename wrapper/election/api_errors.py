"""Answers of the API server, and the error for each answer that is not a success.

An error message has the cause and, where there is one, the cure. It contains no secret. It is the
same each time for the same cause, so that it is logged once.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus

from wrapper.access.request_errors import ServerDescription, explain
from wrapper.base.json_values import MOST_VALUES, has_too_many_values
from wrapper.base.shown_text import in_short
from wrapper.election.kubeconfig import NoAccess
from wrapper.election.lease_fields import Json, mapping
from wrapper.model.lease import LeaseConflict, LeaseUnavailable

_LONGEST_RETRY_AFTER_S = 60.0
_FULL = "annotations: Too long"  # other programs have filled the Lease: it can no longer be written
_FULL_CURE = "remove annotations of other programs from it with kubectl edit"
# All verbs that this program uses, so that one change of the Role is enough.
_VERBS = {
    "leases": "the verbs get, update, watch and create (create without resourceNames)",
    "pods": "the verb patch",
}
_REASONS = {"broken": "connection", "unreadable": "error"}


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """The object of a request, for error messages.

    - ``name``, ``namespace``: the object's.
    - ``server``: the URL of the API server.
    - ``credentials``: where the credentials come from.
    - ``resource``: the resource name with its API group, if any, as in RBAC rules.
    """

    name: str
    namespace: str
    server: str
    credentials: str
    resource: str = "leases.coordination.k8s.io"

    @property
    def kind(self) -> str:
        """The resource name without the API group."""
        return self.resource.partition(".")[0]


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer of the API server."""

    status: int
    body: bytes = b""
    retry_after: str = ""

    @property
    def json(self) -> Json:
        """The body if it is a JSON object, else an empty object."""
        with contextlib.suppress(ValueError, RecursionError):
            return object_in(self.body)
        return {}

    @property
    def message(self) -> str:
        """The server's message, or the body, as one printable line."""
        message = self.json.get("message")
        text = message if isinstance(message, str) else ""
        text = text or self.body.decode(errors="replace")
        return in_short(text)

    @property
    def retry_after_s(self) -> float:
        """Retry-After in seconds, 0 to 60; 0 if it is missing or a date."""
        is_number = self.retry_after.isascii() and self.retry_after.isdigit()
        return min(float(self.retry_after), _LONGEST_RETRY_AFTER_S) if is_number else 0.0

    def says_missing(self, kind: str) -> bool:
        """Return whether the API server itself (no proxy) reports that the object is missing."""
        status = self.json
        is_not_found = status.get("kind") == "Status" and status.get("reason") == "NotFound"
        return is_not_found and mapping(status.get("details")).get("kind") == kind


def object_in(text: bytes) -> Json:
    """Return a JSON object; an empty one for other JSON; raise ValueError, RecursionError."""
    if has_too_many_values(text):
        raise ValueError(f"more than {MOST_VALUES} values")
    return mapping(json.loads(text))


def refusal(verb: str, answer: ApiAnswer, place: ObjectPlace) -> LeaseConflict | LeaseUnavailable:
    """Return the error for an answer that is not a success."""
    was_deleted = verb == "update" and answer.says_missing("leases")
    if answer.status == HTTPStatus.CONFLICT or was_deleted:
        return LeaseConflict(f"another client has written lease {place.namespace}/{place.name}")
    reason, text = _reason(verb, answer, place)
    return LeaseUnavailable(text, reason, answer.retry_after_s)


def _reason(verb: str, answer: ApiAnswer, place: ObjectPlace) -> tuple[str, str]:
    server, status = place.server, answer.status
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return "unauthorized", (
                f"{server} rejects the credentials of {place.credentials} (401):"
                " check whether they have expired or belong to another cluster"
            )
        case HTTPStatus.FORBIDDEN:
            return "forbidden", _forbidden(verb, answer, place)
        case HTTPStatus.NOT_FOUND:
            return _not_found(answer, place)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "throttled", f"{server} is throttling requests (429)"
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "server", f"{server} answered with an error ({status}): {answer.message}"
    text = f"{server} refuses to {verb} {_what(verb, place)} ({status}): {answer.message}"
    return "refused", f"{text}: {_FULL_CURE}" if _FULL in answer.message else text


def _what(verb: str, place: ObjectPlace) -> str:
    name = "" if verb == "create" else f" {place.name}"
    return f"{place.resource}{name} in namespace {place.namespace}"


def _forbidden(verb: str, answer: ApiAnswer, place: ObjectPlace) -> str:
    user = re.search(r'User "([^"]*)" cannot', answer.message)
    if user is None:
        what = f"{verb} {_what(verb, place)} (403)"
        return f"{place.server} does not allow this client to {what}: {answer.message}"
    return (
        f"{user[1]} may not {verb} {_what(verb, place)} (403):"
        f" grant {_VERBS[place.kind]} by a Role and a RoleBinding in namespace {place.namespace}"
    )


def _not_found(answer: ApiAnswer, place: ObjectPlace) -> tuple[str, str]:
    if answer.says_missing("namespaces"):
        cure = "create it, or name another by --lease-namespace"
        return "namespace", f"the namespace {place.namespace} does not exist: {cure}"
    return (
        "not-found",
        (
            f"{place.server} does not serve {place.kind} (404):"
            " check that it is a Kubernetes API server"
        ),
    )


def failure(error: Exception, server: ServerDescription, limit_s: float) -> LeaseUnavailable:
    """Return the error for a request without an answer; its text depends only on the cause."""
    if isinstance(error, NoAccess):
        return LeaseUnavailable(str(error), "kubeconfig")
    found = explain(error, server, limit_s)
    return LeaseUnavailable(found.text, _REASONS.get(found.kind, found.kind))
