"""Authenticate clients of our API, by password or certificate; health checks need neither.

The kubelet has no certificate. So the TLS layer only requests one, and this module requires it
depending on the path. ``route`` decides which paths are closed to all clients.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from wrapper.access.passwords import Passwords
from wrapper.access.web_access import WebAccess
from wrapper.access.web_config import WebConfig
from wrapper.proxy.header_overrides import ConfiguredFields, configured_fields
from wrapper.proxy.refusals import Refused

OPEN_PATHS = frozenset((b"/_elector/healthz", b"/_elector/readyz"))
_BASIC = b"basic "


class Protection:
    """Checks whether a client may send a request."""

    def __init__(self, access: WebAccess, passwords: Passwords) -> None:
        self._access = access
        self._passwords = passwords

    @property
    def is_tls(self) -> bool:
        """Whether clients connect over TLS; it does not change while the process runs."""
        return self._access.current().tls is not None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The configured header fields of every answer."""
        return self._access.current().config.headers

    @property
    def configured_fields(self) -> ConfiguredFields:
        """The same fields, rendered."""
        return configured_fields(self.headers)

    def check(self, target: bytes, authorization: Sequence[bytes], sock: socket.socket) -> None:
        """Raise Refused unless this client may request a target, in origin-form.

        ``authorization`` has the values of that field. ``sock`` is the client's connection.
        """
        config = self._access.current().config
        if not config.requires_authentication or target.partition(b"?")[0] in OPEN_PATHS:
            return
        _check_certificate(config, sock)
        if config.users and not self._is_user(authorization, config):
            raise Refused(401, "unauthorized", "a user name and a password are required")

    def _is_user(self, authorization: Sequence[bytes], config: WebConfig) -> bool:
        given = _name_and_password(authorization)
        return given is not None and self._passwords.are_right(*given, dict(config.users))


def _name_and_password(authorization: Sequence[bytes]) -> tuple[str, bytes] | None:
    """Return the name and password of Basic credentials (RFC 7617); None if there are none."""
    if len(authorization) != 1 or authorization[0][: len(_BASIC)].lower() != _BASIC:
        return None
    try:
        pair = base64.b64decode(authorization[0][len(_BASIC) :].strip(), validate=True)
    except binascii.Error:
        return None
    name, colon, password = pair.partition(b":")
    return (name.decode("utf-8", "surrogateescape"), password) if colon else None


def _check_certificate(config: WebConfig, sock: socket.socket) -> None:
    """Raise Refused if a certificate is required, and the client has none or a wrong one."""
    if config.tls is None or not config.needs_certificate:
        return
    names = certified_names(sock)
    if names is None:
        raise Refused(403, "forbidden", "a client certificate is required")
    allowed = config.tls.allowed_names
    if allowed is not None and names.isdisjoint(allowed):
        raise Refused(
            403, "forbidden", "the client certificate has none of the names in client_allowed_sans"
        )


def certified_names(sock: socket.socket) -> frozenset[str] | None:
    """Return the alternative names of a client's certificate; None without a certificate."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    certificate: Any = sock.getpeercert()
    if not certificate:
        return None
    names = certificate.get("subjectAltName", ())
    return frozenset(_as_go_writes(kind, name) for kind, name in names)


def _as_go_writes(kind: str, name: str) -> str:
    """Return a name as client_allowed_sans has it; an address in its shortest form."""
    if kind != "IP Address":
        return name
    address = ipaddress.ip_address(name.strip())
    return str(getattr(address, "ipv4_mapped", None) or address)
