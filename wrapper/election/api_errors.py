"""What the API server answers, and what can go wrong on the way to it, in words that help.

Each text says what is wrong and what to do, names no secret, and is the same each time, so that it
can be said once.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus

from wrapper.access.request_errors import AskedServer, trouble
from wrapper.election.kubeconfig import NoAccess
from wrapper.election.lease_fields import Json, mapping
from wrapper.model.lease import LeaseConflict, LeaseUnavailable

_LONGEST_RETRY_AFTER_S = 60.0
_LONGEST_QUOTE = 300
_REASONS = {"broken": "connection", "unreadable": "error"}


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Which object was asked for, of which server, with which credentials: for messages.

    ``resource`` is its kind as RBAC names it, with its group where it has one.
    """

    name: str
    namespace: str
    server: str
    credentials: str
    resource: str = "leases.coordination.k8s.io"

    @property
    def kind(self) -> str:
        """The kind without its group, in the plural."""
        return self.resource.partition(".")[0]


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the API server answered."""

    status: int
    body: bytes = b""
    retry_after: str = ""

    @property
    def json(self) -> Json:
        """The body where it is a JSON object, else an empty one."""
        with contextlib.suppress(ValueError, RecursionError):
            return mapping(json.loads(self.body))
        return {}

    @property
    def words(self) -> str:
        """What the server says about it, in one line."""
        message = self.json.get("message")
        text = message if isinstance(message, str) else ""
        text = text or self.body.decode(errors="replace")
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
        return is_its_word and mapping(said.get("details")).get("kind") == kind


def refusal(verb: str, answer: ApiAnswer, place: ObjectPlace) -> LeaseConflict | LeaseUnavailable:
    """Return the error that an answer other than success stands for."""
    was_deleted = verb == "update" and answer.says_missing("leases")
    if answer.status == HTTPStatus.CONFLICT or was_deleted:
        return LeaseConflict(f"lease {place.namespace}/{place.name} was written by someone else")
    reason, text = _reason(verb, answer, place)
    return LeaseUnavailable(text, reason, answer.retry_after_s)


def _reason(verb: str, answer: ApiAnswer, place: ObjectPlace) -> tuple[str, str]:
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


def _what(verb: str, place: ObjectPlace) -> str:
    name = "" if verb == "create" else f" {place.name}"
    return f"{place.resource}{name} in namespace {place.namespace}"


def _forbidden(verb: str, answer: ApiAnswer, place: ObjectPlace) -> str:
    user = re.search(r'User "([^"]*)" cannot', answer.words)
    if user is None:
        return f"{place.server} forbids to {verb} {_what(verb, place)} (403): {answer.words}"
    return (
        f"{user[1]} may not {verb} {_what(verb, place)} (403):"
        f" grant the verb {verb} by a Role and a RoleBinding in namespace {place.namespace}"
    )


def _not_found(answer: ApiAnswer, place: ObjectPlace) -> tuple[str, str]:
    if answer.says_missing("namespaces"):
        cure = "create it, or name another by --lease-namespace"
        return "namespace", f"the namespace {place.namespace} does not exist: {cure}"
    return (
        "not-found",
        f"{place.server} knows no {place.kind} (404): is it a Kubernetes API server?",
    )


def failure(error: Exception, server: AskedServer, limit_s: float) -> LeaseUnavailable:
    """Return the error for a request that got no answer; its text is the same each time."""
    match error:
        case LeaseUnavailable():
            return error
        case NoAccess():
            return LeaseUnavailable(str(error), "kubeconfig")
    found = trouble(error, server, limit_s)
    return LeaseUnavailable(found.text, _REASONS.get(found.kind, found.kind))
