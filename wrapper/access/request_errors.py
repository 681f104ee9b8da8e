"""The error messages for requests that got no answer, in one table for the whole program.

A message has the cause and the cure.

Guarantee: it contains no secret. The same cause always has the same message, so that it is logged
only once.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from urllib.parse import urlsplit

from wrapper.access.proxy_environment import HttpProxy

_TUNNEL_FAILED = "Tunnel connection failed: "  # http.client's text, followed by status and reason
_PROXY_AUTHENTICATION_REQUIRED = "407"


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """The server of a request, for messages.

    - ``url``: its URL, without credentials;
    - ``program``: the program that should listen there;
    - ``trust``: what to configure so that its certificate is trusted;
    - ``proxy``: the proxy of the request, if there is one.
    """

    url: str
    program: str
    trust: str
    proxy: HttpProxy | None = None

    def __str__(self) -> str:
        """Return its URL, with the proxy if there is one."""
        return self.url if self.proxy is None else f"{self.url} (through {self.proxy})"


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """The reason why there was no answer: ``kind``, one word for metrics, and ``text`` for people.

    The kinds are proxy, tls, dns, refused, timeout, broken (the connection broke before the end of
    the answer), connection, unreadable (the answer is not HTTP) and error.
    """

    kind: str
    text: str


def without_credentials(url: str) -> str:
    """Return a URL without the name and password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def trust_by(flag: str) -> str:
    """Return what to write in the file of a flag, so that a server's certificate is trusted."""
    return (
        f"set ca_file, and server_name if the certificate has another name, in tls_config of {flag}"
    )


def explain(error: BaseException, server: ServerDescription, limit_s: float) -> RequestFailure:
    """Return why a request got no answer within its limit, by the root cause of the error."""
    causes = _causes(error)
    of_proxy = (_proxy_failure(cause, server) for cause in causes)
    for found in (*of_proxy, *(_failure_of(cause, server, limit_s) for cause in causes)):
        if found is not None:
            return found
    return RequestFailure("error", _unreadable(server, error))


def _failure_of(
    cause: BaseException, server: ServerDescription, limit_s: float
) -> RequestFailure | None:
    """Return the reason that an error indicates; None for an unknown error."""
    match cause:
        case ssl.SSLCertVerificationError():
            words = f"is not trusted ({_ssl_words(cause)}): {server.trust}"
            return RequestFailure("tls", f"the certificate of {server} {words}")
        case ssl.SSLError():
            why = f"({_ssl_words(cause)}): check the address and the port"
            return RequestFailure("tls", f"TLS with {server} failed {why}")
        case socket.gaierror():
            why = f"({cause.strerror}): check the address and DNS"
            return RequestFailure("dns", f"the host name of {server} cannot be resolved {why}")
        case ConnectionRefusedError():
            cure = f"start {server.program} there, or correct the address"
            return RequestFailure("refused", f"{server} refuses connections: {cure}")
        case TimeoutError():
            why = f"within {limit_s:g} s: check its load and the network"
            return RequestFailure("timeout", f"no answer from {server} {why}")
        case IncompleteRead() | ConnectionError():
            return RequestFailure("broken", f"the connection to {server} was lost: {_words(cause)}")
        case HTTPException():
            return RequestFailure("unreadable", _unreadable(server, cause))
        case OSError():
            return RequestFailure(
                "connection", f"the connection to {server} failed: {_words(cause)}"
            )
    return None


def _proxy_failure(cause: BaseException, server: ServerDescription) -> RequestFailure | None:
    """Return the reason if the proxy itself is the cause, else None."""
    proxy = server.proxy
    if proxy is None:
        return None
    cure = f"correct {proxy.named_by}, or add the host to NO_PROXY to connect directly"
    match cause:
        case socket.gaierror():
            text = f"the host name of {proxy} cannot be resolved ({cause.strerror}): {cure}"
        case ConnectionRefusedError():
            text = f"{proxy} refuses connections: start it, {cure}"
        case OSError() if str(cause).startswith(_TUNNEL_FAILED):
            text = _refused_by(proxy, str(cause).removeprefix(_TUNNEL_FAILED), server.url, cure)
        case _:
            return None
    return RequestFailure("proxy", text)


def _refused_by(proxy: HttpProxy, answer: str, url: str, cure: str) -> str:
    if answer.startswith(_PROXY_AUTHENTICATION_REQUIRED):
        place = f"{proxy.url.scheme}://NAME:PASSWORD@HOST:PORT in {proxy.named_by}"
        return (
            f"{proxy} requires a name and password, or rejects those given ({answer}): set {place}"
        )
    return (
        f"{proxy} refuses to connect to {url} ({answer}): allow this host in the proxy, or {cure}"
    )


def _unreadable(server: ServerDescription, error: BaseException) -> str:
    return (
        f"{server} sent an answer that cannot be read ({type(error).__name__}):"
        " check the address and the port"
    )


def _words(error: BaseException) -> str:
    if missing := getattr(error, "expected", None):
        return f"{missing} bytes of the answer are missing"
    return getattr(error, "strerror", None) or f"no reason given ({type(error).__name__})"


def _ssl_words(error: ssl.SSLError) -> str:
    """Return OpenSSL's text; an error made without OpenSSL lacks its attributes."""
    words = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
    return str(next(filter(None, words), "no reason given")).rstrip(".")


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and its causes, the root cause first."""
    if error is None:
        return []
    context = None if error.__suppress_context__ else error.__context__
    return [*_causes(error.__cause__ or context), error]
