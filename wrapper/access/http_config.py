"""Reads a file in Prometheus' HTTP client configuration format into one frozen value; pure.

The file configures requests to Prometheus, or to the servers of targets.

Guarantee: each field takes effect, or is refused with file, line and column.

Limitations: ``follow_redirects`` and ``enable_http2`` are accepted without effect: redirects are
never followed, and the protocol is HTTP/1.1. The files that the file names are read elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from wrapper.access.tls_values import NO_TEXT, VERSIONS, Text, Versions, read_text, read_versions
from wrapper.documents.problems import Problems

if TYPE_CHECKING:
    from wrapper.documents.source import Source
    from wrapper.documents.yaml_fields import FieldReader

_WAYS = ("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")
_PROXY = ("proxy_url", "no_proxy", "proxy_connect_header")
_NO_PROXY = "requests to Prometheus never use a proxy; remove it"
_ENVIRONMENT = "not supported; set HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment instead"
_NO_REFERENCES = "secret managers are not supported; use a file instead"
_USE_AUTHORIZATION = (
    "set authorization: {type: SCHEME, credentials: …} next to http_headers; for a user name and "
    "password, set basic_auth"
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_RESERVED = frozenset(
    (
        "authorization", "host", "content-encoding", "content-length", "content-type",
        "user-agent", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "www-authenticate", "accept-encoding", "x-prometheus-remote-write-version",
        "x-prometheus-remote-read-version", "x-prometheus-scrape-timeout-seconds", "x-amz-date",
        "x-amz-security-token", "x-amz-content-sha256",
        # These are not in Prometheus' list: fields that frame a message, or that the proxy sets.
        "transfer-encoding", "te", "trailer", "upgrade", "expect", "via", "forwarded",
        "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "prometheus-elector-hop",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and a password, for Basic authentication."""

    username: Text
    password: Text


@dataclass(frozen=True, slots=True)
class Token:
    """Credentials of another authentication scheme, usually Bearer."""

    scheme: str
    credentials: Text


@dataclass(frozen=True, slots=True)
class ClientTls:
    """The TLS settings of a client.

    - ``ca``: the trusted authorities; if empty, those that this machine trusts;
    - ``certificate``, ``key``: the client's certificate, and its private key; may be empty;
    - ``server_name``: the name that the server's certificate must have; "" for the URL's host;
    - ``is_unverified``: accept any certificate of the server;
    - ``versions``: the TLS versions to use.
    """

    ca: Text = NO_TEXT
    certificate: Text = NO_TEXT
    key: Text = NO_TEXT
    server_name: str = ""
    is_unverified: bool = False
    versions: Versions = VERSIONS


@dataclass(frozen=True, slots=True)
class Header:
    """An additional header field with its values."""

    name: str
    values: tuple[Text, ...]
    is_secret: bool


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Credentials, TLS and header fields of requests."""

    credentials: Basic | Token | None = None
    tls: ClientTls = field(default_factory=ClientTls)
    headers: tuple[Header, ...] = ()

    @property
    def can_authenticate(self) -> bool:
        """Whether requests have a secret or a certificate, for which a server may grant access."""
        is_secret = any(header.is_secret for header in self.headers)
        return self.credentials is not None or bool(self.tls.certificate) or is_secret


def read_http_config(source: Source, *, is_proxied: bool = False) -> HttpConfig:
    """Return the file's configuration; raise ConfigurationError with all its problems.

    ``is_proxied``: requests use the proxies of the environment.
    """
    from wrapper.documents.yaml_fields import read_fields  # noqa: PLC0415 - imports YAML

    problems = Problems()
    reader = read_fields(source, problems)
    config = HttpConfig(
        credentials=_read_credentials(reader, source.folder),
        tls=read_tls(reader.section("tls_config"), source.folder),
        headers=_read_headers(reader.section("http_headers"), source.folder),
    )
    _read_transport(reader, is_proxied=is_proxied)
    reader.report_unread()
    problems.raise_if_any()
    return config


# --- credentials ---------------------------------------------------------------------------------


def _read_credentials(reader: FieldReader, folder: str) -> Basic | Token | None:
    basic = _read_basic(reader.section("basic_auth"), folder)
    token = _read_token(reader.section("authorization"), folder)
    bearer = read_text(reader, "bearer_token", folder)
    reader.refuse(("oauth2",), "not supported; use authorization with a credentials_file")
    given = [name for name in _WAYS if reader.has(name)]
    for name in given[1:]:
        reader.add_problem(name, f"{given[0]} is given as well; keep one of them")
    if "basic_auth" in given:
        return basic
    if "authorization" in given:
        return token
    return Token("Bearer", bearer) if bearer else None


def _read_basic(reader: FieldReader, folder: str) -> Basic:
    basic = Basic(read_text(reader, "username", folder), read_text(reader, "password", folder))
    reader.refuse(("username_ref", "password_ref"), _NO_REFERENCES)
    reader.report_unread()
    return basic


def _read_token(reader: FieldReader, folder: str) -> Token:
    scheme = reader.text("type").strip() or "Bearer"
    credentials = read_text(reader, "credentials", folder)
    reader.refuse(("credentials_ref",), _NO_REFERENCES)
    if scheme.lower() == "basic":
        reader.add_problem("type", "it cannot be Basic; use basic_auth")
    elif not _TOKEN.fullmatch(scheme):
        reader.add_problem("type", "an authentication scheme must be one word")
    reader.report_unread()
    return Token(scheme, credentials)


# --- TLS, headers, transport ---------------------------------------------------------------------


def read_tls(reader: FieldReader, folder: str) -> ClientTls:
    """Return the TLS settings of a client from the fields of a ``tls_config``."""
    tls = ClientTls(
        ca=read_text(reader, "ca", folder),
        certificate=read_text(reader, "cert", folder),
        key=read_text(reader, "key", folder),
        server_name=reader.text("server_name"),
        is_unverified=reader.is_on("insecure_skip_verify", default=False),
        versions=read_versions(reader),
    )
    reader.refuse(("ca_ref", "cert_ref", "key_ref"), _NO_REFERENCES)
    reader.report_unread()
    if tls.certificate and not tls.key:
        reader.add_problem("key_file", "missing; set key_file or key: a certificate needs its key")
    if tls.key and not tls.certificate:
        reader.add_problem(
            "cert_file", "missing; set cert_file or cert: a key needs its certificate"
        )
    return tls


def _read_headers(reader: FieldReader, folder: str) -> tuple[Header, ...]:
    headers, seen = [], set()
    for name in reader.names:
        header = reader.section(name)
        if not _TOKEN.fullmatch(name) or name.lower() in _RESERVED:
            reader.add_problem(name, _cannot_be_set(name))
        elif name.lower() in seen:
            reader.add_problem(name, "this header is set twice; keep one of them")
        seen.add(name.lower())
        headers.append(_read_header(name, header, folder))
    return tuple(headers)


def _cannot_be_set(name: str) -> str:
    """Return the problem, with what to write instead, if there is something."""
    problem = "this header cannot be set"
    if name.lower() == "authorization":
        return f"{problem}; {_USE_AUTHORIZATION}"
    return problem


def _read_header(name: str, reader: FieldReader, folder: str) -> Header:
    inline = reader.texts("values")
    secrets = reader.texts("secrets")
    paths = reader.texts("files")
    reader.report_unread()
    texts = [Text(text) for text in (*inline, *secrets)]
    texts += [Text(path=str(PurePath(folder, path))) for path in paths if path]
    return Header(name, tuple(texts), bool(secrets or paths))


def _read_transport(reader: FieldReader, *, is_proxied: bool) -> None:
    reader.is_on("follow_redirects", default=True)
    reader.is_on("enable_http2", default=True)
    reader.refuse(_PROXY, _ENVIRONMENT if is_proxied else _NO_PROXY)
    if reader.is_on("proxy_from_environment", default=is_proxied) and not is_proxied:
        reader.add_problem("proxy_from_environment", _NO_PROXY)
