"""A connection of one's own to an HTTP server: over TLS or not, through a proxy or not.

Who it is made to, and as whom, follows from the URL and the ``Access``. Where it ends:
``timeout_s`` bounds each wait, not the whole.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from wrapper.access.prometheus_access import Access
from wrapper.access.proxies import Proxy, basic

if TYPE_CHECKING:
    from http.client import HTTPConnection

_HTTP_PORT, _HTTPS_PORT = 80, 443


def connect(
    url: SplitResult, timeout_s: float, access: Access, proxy: Proxy | None = None
) -> HTTPConnection:
    """Return a connection that has been made; one over TLS to the name that is wanted."""
    from http.client import HTTPConnection  # noqa: PLC0415 - heavy: after Prometheus has started

    host = url.hostname or ""
    is_secure = url.scheme == "https"
    port = url.port or (_HTTPS_PORT if is_secure else _HTTP_PORT)
    if proxy is None:
        connection = HTTPConnection(host, port, timeout=timeout_s)
    else:
        connection = HTTPConnection(proxy.url.hostname or "", proxy.port, timeout=timeout_s)
        if is_secure:
            connection.set_tunnel(host, port, proxy.fields)
    connection.connect()
    if is_secure:
        name = access.server_name(host)
        connection.sock = access.tls.wrap_socket(connection.sock, server_hostname=name)
    return connection


def host_and_target(url: SplitResult) -> tuple[str, str]:
    """Return the Host field's value, without credentials, and what a request asks for there."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return url.netloc.rpartition("@")[2], target


def fields(url: SplitResult, access: Access) -> list[tuple[str, str]]:
    """Return the header; a name and password in the URL itself count before those of the file."""
    own = [] if url.username is None else [("Authorization", basic(url))]
    said = {name for name, _ in own}
    return own + [(name, value) for name, value in access.fields if name not in said]


def tls_in_short(error: ssl.SSLError, url: str, flag: str) -> str:
    """Say what is wrong between here and a server with TLS, and which flag's file mends it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cure = "name its CA, and server_name where it is for another name, in tls_config of"
        reason = error.verify_message.rstrip(".")
        return f"{url}: its certificate is not trusted ({reason}); {cure} {flag}"
    if error.reason == "WRONG_VERSION_NUMBER":
        return f"{url}: no TLS is spoken there"
    return f"{url}: TLS failed ({error.reason})"
