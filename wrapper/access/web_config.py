"""Reads a web configuration file of Prometheus' exporter-toolkit into one frozen value; pure.

Guarantee: each field takes effect, or is refused with file, line and column.

Limitations: ``http2`` is accepted without effect: it permits HTTP/2, and this program serves
HTTP/1.1. The files that the file names are read elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from wrapper.access.tls_values import (
    Text,
    Versions,
    read_ciphers,
    read_curve,
    read_text,
    read_versions,
)
from wrapper.documents.problems import ConfigurationError, Problems

if TYPE_CHECKING:
    from wrapper.documents.source import Source
    from wrapper.documents.yaml_fields import FieldReader

# Each step of a hash's cost doubles the time of a check: 50 ms for 10, 6 s for 17, 29 hours for 31.
# htpasswd supports costs up to 17.
MOST_COST = 17
BCRYPT_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HEADERS = {  # the headers that may be set, with their allowed values; () allows any
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}


_MAKE_HASH = "make one with: htpasswd -nBC 10 NAME"


class ClientAuth(Enum):
    """Which certificate a client must have: none, a valid one if it sends any, a valid one."""

    NONE = "none"
    IF_GIVEN = "if given"
    REQUIRED = "required"


_CLIENT_AUTH = {
    "NoClientCert": ClientAuth.NONE,
    "RequestClientCert": ClientAuth.NONE,  # it is not requested, since it would not be verified
    "RequireAnyClientCert": None,
    "RequireClientCert": None,  # its former name
    "VerifyClientCertIfGiven": ClientAuth.IF_GIVEN,
    "RequireAndVerifyClientCert": ClientAuth.REQUIRED,
}
_SWITCHES_TLS_ON = ("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file",
                    "client_auth_type")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The TLS settings of a server.

    - ``certificate``, ``key``: the server's certificate, and its private key;
    - ``client_auth``: which certificate a client must have;
    - ``client_ca``: the authorities of clients; if empty, those that this machine trusts;
    - ``allowed_names``: the names of which a client's certificate must have one; None for any;
    - ``versions``: the TLS versions to use;
    - ``ciphers``: OpenSSL's names of TLS 1.2 cipher suites; if empty, OpenSSL's default;
    - ``prefers_server_ciphers``: the server's order of cipher suites takes precedence;
    - ``curve``: OpenSSL's name of the curve; "" for OpenSSL's default.
    """

    certificate: Text
    key: Text
    client_auth: ClientAuth
    client_ca: Text
    allowed_names: tuple[str, ...] | None
    versions: Versions
    ciphers: tuple[str, ...]
    prefers_server_ciphers: bool
    curve: str


@dataclass(frozen=True, slots=True)
class WebConfig:
    """TLS, ``users`` (names with bcrypt hashes), and ``headers`` that each answer gets."""

    tls: ServerTls | None = None
    users: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def needs_certificate(self) -> bool:
        """Whether clients need a certificate."""
        return self.tls is not None and self.tls.client_auth is ClientAuth.REQUIRED

    @property
    def requires_authentication(self) -> bool:
        """Whether clients have to authenticate."""
        return bool(self.users) or self.needs_certificate


@dataclass(frozen=True, slots=True)
class ClientRequirements:
    """The requirements of a server with a web configuration file for its clients."""

    tls: bool = False
    password: bool = False
    certificate: bool = False


def read_web_config(source: Source) -> WebConfig:
    """Return the file's configuration; raise ConfigurationError with all its problems."""
    from wrapper.documents.yaml_fields import read_fields  # noqa: PLC0415 - imports YAML

    problems = Problems()
    reader = read_fields(source, problems)
    config = WebConfig(
        tls=_read_tls(reader.section("tls_server_config"), source.folder),
        users=_read_users(reader.section("basic_auth_users")),
        headers=_read_http(reader.section("http_server_config")),
    )
    _refuse_rate_limit(reader.section("rate_limit"))
    reader.report_unread()
    problems.raise_if_any()
    return config


def read_client_requirements(source: Source) -> ClientRequirements:
    """Return the requirements in another server's file, as far as it can be read."""
    from wrapper.documents.yaml_fields import read_fields  # noqa: PLC0415 - imports YAML

    try:
        reader = read_fields(source, Problems())
    except ConfigurationError:
        return ClientRequirements()
    tls = reader.section("tls_server_config")
    return ClientRequirements(
        tls=any(tls.has(name) for name in _SWITCHES_TLS_ON),
        password=bool(reader.section("basic_auth_users").names),
        certificate=tls.text("client_auth_type").startswith("Require"),
    )


# --- TLS -----------------------------------------------------------------------------------------


def _read_tls(reader: FieldReader, folder: str) -> ServerTls | None:
    versions, ciphers = read_ciphers(reader, read_versions(reader))
    tls = ServerTls(
        certificate=read_text(reader, "cert", folder),
        key=read_text(reader, "key", folder),
        client_auth=_read_client_auth(reader),
        client_ca=read_text(reader, "client_ca", folder),
        allowed_names=_read_allowed_names(reader),
        versions=versions,
        ciphers=ciphers,
        prefers_server_ciphers=reader.is_on("prefer_server_cipher_suites", default=True),
        curve=read_curve(reader),
    )
    reader.report_unread()
    if not any(reader.has(name) for name in _SWITCHES_TLS_ON):
        if reader.names:
            reader.add_problem("cert_file", "missing; TLS needs cert_file and key_file")
        return None
    _check(tls, reader)
    return tls


def _read_client_auth(reader: FieldReader) -> ClientAuth:
    client_auth = reader.choice("client_auth_type", _CLIENT_AUTH, ClientAuth.NONE)
    if client_auth is None:
        text = "not supported, because the certificate would not be verified"
        reader.add_problem("client_auth_type", f"{text}; write RequireAndVerifyClientCert")
        return ClientAuth.REQUIRED
    return client_auth


def _read_allowed_names(reader: FieldReader) -> tuple[str, ...] | None:
    names = reader.texts("client_allowed_sans")
    return names if reader.has("client_allowed_sans") else None


def _check(tls: ServerTls, reader: FieldReader) -> None:
    for name, given in (("cert", tls.certificate), ("key", tls.key)):
        if not given:
            reader.add_problem(f"{name}_file", f"missing; set {name}_file or {name}")
    if tls.client_ca and tls.client_auth is ClientAuth.NONE:
        name = "client_ca_file" if tls.client_ca.path else "client_ca"
        text = "no effect without client_auth_type; set client_auth_type too"
        reader.add_problem(name, text)
    if tls.allowed_names is not None and tls.client_auth is not ClientAuth.REQUIRED:
        text = "no effect unless client_auth_type is RequireAndVerifyClientCert; set that too"
        reader.add_problem("client_allowed_sans", text)


# --- users, headers, rate limit ------------------------------------------------------------------


def _read_users(reader: FieldReader) -> tuple[tuple[str, str], ...]:
    users = tuple(reader.items())
    for name, text in users:
        if not BCRYPT_HASH.fullmatch(text):
            reader.add_problem(name, f"not a bcrypt hash; {_MAKE_HASH}")
        elif int(text[4:6]) > MOST_COST:
            cost = f"a hash of cost {text[4:6]} takes minutes or days to check"
            reader.add_problem(name, f"{cost}; {_MAKE_HASH}")
    return users


def _read_http(reader: FieldReader) -> tuple[tuple[str, str], ...]:
    reader.is_on("http2", default=True)
    headers = reader.section("headers")
    found = tuple((name, text) for name, text in headers.items() if text)
    for name, text in found:
        allowed = _HEADERS.get(name)
        if allowed is None:
            headers.add_problem(name, f"this header cannot be set; known: {', '.join(_HEADERS)}")
        elif allowed and text not in allowed:
            headers.add_problem(name, f"must be {' or '.join(allowed)}")
        elif not text.isprintable() or not text.isascii():
            headers.add_problem(name, "a header's value is one line of ASCII text")
    reader.report_unread()
    return found


def _refuse_rate_limit(reader: FieldReader) -> None:
    interval = reader.text("interval")
    reader.text("burst")
    if interval.strip("0nuµmsh.") != "":
        text = "rate limits are not supported; remove it, or limit them in a proxy"
        reader.add_problem("interval", text)
    reader.report_unread()
