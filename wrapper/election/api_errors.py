"""What the API server answers, and what can go wrong on the way to it, in words that help.

Each text says what is wrong and what to do, names no secret, and is the same each time, so that it
can be said once.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus

from wrapper.access.proxies import Proxy, by_way_of, trouble
from wrapper.election.kubeconfig import NoAccess
from wrapper.election.lease_fields import Json, mapping
from wrapper.model import LeaseConflict, LeaseUnavailable

_LONGEST_RETRY_AFTER_S = 60.0
_LONGEST_QUOTE = 300


@dataclass(frozen=True, slots=True)
class Place:
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
class Answer:
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
    return f"{place.resource}{name} in namespace {place.namespace}"


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
    return (
        "not-found",
        f"{place.server} knows no {place.kind} (404): is it a Kubernetes API server?",
    )


def failure(
    error: BaseException, server: str, limit_s: float, proxy: Proxy | None = None
) -> LeaseUnavailable:
    """Return the error for a request that got no answer; its text is the same each time."""
    causes = _causes(error)
    of_proxy = trouble(causes, proxy, server) if proxy is not None else ""
    if of_proxy:
        return LeaseUnavailable(of_proxy, "proxy")
    server = by_way_of(server, proxy)
    told = filter(None, (_told(cause, server, limit_s) for cause in causes))
    unreadable = f"{server} gave no answer that can be read ({type(error).__name__})"
    return next(told, LeaseUnavailable(unreadable, "error"))


def _told(cause: BaseException, server: str, limit_s: float) -> LeaseUnavailable | None:
    """Return the error for one cause, None where it says nothing."""
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
            why = cause.strerror or f"no reason given ({type(cause).__name__})"
            return LeaseUnavailable(f"the connection to {server} failed: {why}", "connection")
    return None


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
