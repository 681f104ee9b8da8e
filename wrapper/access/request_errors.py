"""What can go wrong with a request, in words that help: one table for all who ask.

Each text says what is wrong and what to do, names no secret, and is the same each time, so that it
can be said once.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead

from wrapper.access.proxies import HttpProxy

_TUNNEL_FAILED = "Tunnel connection failed: "  # http.client's words; then status and reason
_WHO_ARE_YOU = "407"


@dataclass(frozen=True, slots=True)
class AskedServer:
    """Who was asked, for messages; ``url`` is without credentials.

    ``program`` is what should answer there, ``trust`` how its certificate comes to be trusted.
    """

    url: str
    program: str
    trust: str
    proxy: HttpProxy | None = None

    def __str__(self) -> str:
        """Return its URL, with the proxy on the way."""
        return self.url if self.proxy is None else f"{self.url} (by way of {self.proxy})"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no answer came: in one word, which tells one kind of reason from another, and for people.

    The words are proxy, tls, dns, refused, timeout, broken (before the answer's end), connection,
    unreadable (no HTTP) and error.
    """

    kind: str
    text: str


def trust_by(flag: str) -> str:
    """Return what makes a certificate trusted where a flag names a file with ``tls_config``."""
    return f"name its CA, and server_name where it is for another name, in tls_config of {flag}"


def trouble(error: BaseException, server: AskedServer, limit_s: float) -> Trouble:
    """Return why a request got no answer within its limit; the first cause counts."""
    causes = _causes(error)
    told = (_of_proxy(cause, server.proxy, server.url) for cause in causes if server.proxy)
    for found in (*told, *(_told(cause, server, limit_s) for cause in causes)):
        if found is not None:
            return found
    return Trouble("error", _unreadable(server, error))


def _told(cause: BaseException, server: AskedServer, limit_s: float) -> Trouble | None:
    """Return what one cause means, None where it says nothing."""
    match cause:
        case ssl.SSLCertVerificationError():
            words = f"is not trusted ({_ssl_words(cause)}): {server.trust}"
            return Trouble("tls", f"the certificate of {server} {words}")
        case ssl.SSLError():
            why = f"({_ssl_words(cause)}): is it the right address and port?"
            return Trouble("tls", f"no TLS with {server} {why}")
        case socket.gaierror():
            why = f"({cause.strerror}): check the address and DNS"
            return Trouble("dns", f"the name of {server} is not resolved {why}")
        case ConnectionRefusedError():
            why = f"is {server.program} running at this address?"
            return Trouble("refused", f"{server} refuses connections: {why}")
        case TimeoutError():
            why = f"within {limit_s:g} s: is it overloaded, or the network cut?"
            return Trouble("timeout", f"no answer from {server} {why}")
        case IncompleteRead() | ConnectionError():
            return Trouble("broken", f"the connection to {server} broke off: {_words(cause)}")
        case HTTPException():
            return Trouble("unreadable", _unreadable(server, cause))
        case OSError():
            return Trouble("connection", f"the connection to {server} failed: {_words(cause)}")
    return None


def _of_proxy(cause: BaseException, proxy: HttpProxy | None, url: str) -> Trouble | None:
    """Return what is wrong with a proxy itself, None where it is something else."""
    if proxy is None:
        return None
    cure = f"correct {proxy.named_by}, or name the host in NO_PROXY to have it asked directly"
    match cause:
        case socket.gaierror():
            text = f"the name of {proxy} is not resolved ({cause.strerror}): {cure}"
        case ConnectionRefusedError():
            text = f"{proxy} refuses connections: is it running? If so, {cure}"
        case OSError() if str(cause).startswith(_TUNNEL_FAILED):
            text = _refused_by(proxy, str(cause).removeprefix(_TUNNEL_FAILED), url, cure)
        case _:
            return None
    return Trouble("proxy", text)


def _refused_by(proxy: HttpProxy, said: str, url: str, cure: str) -> str:
    if said.startswith(_WHO_ARE_YOU):
        place = f"{proxy.url.scheme}://NAME:PASSWORD@HOST:PORT in {proxy.named_by}"
        return f"{proxy} wants a name and a password, or others ({said}): write {place}"
    return f"{proxy} does not connect to {url} ({said}): allow it there, or {cure}"


def _unreadable(server: AskedServer, error: BaseException) -> str:
    return (
        f"{server} gave no answer that can be read ({type(error).__name__}):"
        " is it the right address and port?"
    )


def _words(error: BaseException) -> str:
    if missing := getattr(error, "expected", None):
        return f"{missing} bytes of the answer are missing"
    return getattr(error, "strerror", None) or f"no reason given ({type(error).__name__})"


def _ssl_words(error: ssl.SSLError) -> str:
    """Return OpenSSL's own words; an error made without OpenSSL has none of its attributes."""
    words = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
    return str(next(filter(None, words), "no reason given")).rstrip(".")


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it came from, the first cause first."""
    if error is None:
        return []
    context = None if error.__suppress_context__ else error.__context__
    return [*_causes(error.__cause__ or context), error]
