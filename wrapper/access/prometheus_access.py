"""TLS and header fields of requests to Prometheus or to targets' servers, reloaded when changed.

The settings come from the files of ``--prometheus-http-config`` and ``--targets-http-config``.

Guarantee: while the file, or a file that it names, is invalid, the last valid state stays in use.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from functools import cached_property, partial

from wrapper.access.http_config import Basic, ClientTls, Header, HttpConfig, Token, read_http_config
from wrapper.access.reloading_file import Reading, ReloadingFile
from wrapper.access.tls_context import ContextKind, client_context
from wrapper.access.tls_values import Text
from wrapper.documents.problems import ConfigurationError

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Access:
    """TLS and header fields of a connection and its requests.

    - ``config``: the file's configuration;
    - ``contents``: the contents of the files that its TLS settings name;
    - ``fields``: header fields, which replace a request's fields of the same names;
    - ``kind``: the class of the TLS context; None for that of ``ssl``.

    Two objects are equal if they have the same effect.
    """

    config: HttpConfig = field(default_factory=HttpConfig)
    contents: tuple[bytes, ...] = field(default=(), repr=False)
    fields: Fields = field(default=(), repr=False)
    kind: ContextKind | None = None

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The TLS context for an https URL."""
        contents = dict(zip(_tls_paths(self.config.tls), self.contents, strict=True))
        return client_context(self.config.tls, contents.__getitem__, self.kind)

    def server_name(self, host: str) -> str:
        """Return the name that the certificate of the server must have."""
        return self.config.tls.server_name or host


class PrometheusAccess:
    """The access by the current state of its file. Without a file, there are no credentials."""

    def __init__(
        self, path: str = "", kind: ContextKind | None = None, *, is_proxied: bool = False
    ) -> None:
        """Read the file; raise ConfigurationError.

        ``kind`` is the class of TLS contexts. ``is_proxied``: requests use the proxies of the
        environment.
        """
        self._plain = Access(kind=kind)
        make = partial(_read, path, kind=kind, is_proxied=is_proxied)
        self._file = ReloadingFile(path, make) if path else None

    def current(self) -> Access:
        """Return the current access."""
        return self._file.current() if self._file else self._plain


def _read(path: str, reading: Reading, kind: ContextKind | None, *, is_proxied: bool) -> Access:
    config = read_http_config(reading.source(path), is_proxied=is_proxied)
    return read_access(config, reading, kind)


def read_access(config: HttpConfig, reading: Reading, kind: ContextKind | None = None) -> Access:
    """Return the access by a configuration and the files it names; raise ConfigurationError."""
    contents = tuple(map(reading.read, _tls_paths(config.tls)))
    access = Access(config, contents, _fields(config, reading), kind)
    if contents or config.tls != ClientTls():
        _ = access.tls  # raises ConfigurationError
    return access


def _tls_paths(tls: ClientTls) -> tuple[str, ...]:
    return tuple(text.path for text in (tls.ca, tls.certificate, tls.key) if text.path)


# --- header fields -------------------------------------------------------------------------------


def _fields(config: HttpConfig, reading: Reading) -> Fields:
    return (
        *_authorization(config.credentials, reading),
        *(each for header in config.headers for each in _values(header, reading)),
    )


def _authorization(credentials: Basic | Token | None, reading: Reading) -> Fields:
    if isinstance(credentials, Basic):
        name, password = credentials.username, credentials.password
        pair = base64.b64encode(_content(name, reading) + b":" + _content(password, reading))
        return (("Authorization", f"Basic {pair.decode()}"),)
    if isinstance(credentials, Token):
        text = credentials.credentials
        value = _line(_content(text, reading), text.path or "the credentials")
        return (("Authorization", f"{credentials.scheme} {value}"),)
    return ()


def _values(header: Header, reading: Reading) -> Fields:
    return tuple(
        (header.name, _line(_content(text, reading), text.path or header.name))
        for text in header.values
    )


def _content(text: Text, reading: Reading) -> bytes:
    """Return a text. White space at the ends of a file is removed."""
    return reading.read(text.path).strip() if text.path else text.inline.encode()


def _line(content: bytes, name: str) -> str:
    """Return the value of a header field; raise ConfigurationError if no field may have it."""
    value = content.decode("latin-1")
    if any((ord(each) < ord(" ") and each != "\t") or each == "\x7f" for each in value):
        raise ConfigurationError(
            [f"{name}: must be a single line of text without control characters"]
        )
    return value


def opened(flag: str, file: str, *, is_proxied: bool = False) -> tuple[PrometheusAccess, list[str]]:
    """Return the access by the file that this flag names, and the file's problems."""
    try:
        return PrometheusAccess(file, is_proxied=is_proxied), []
    except ConfigurationError as error:
        return PrometheusAccess(), [f"{flag}: {each}" for each in error.problems]
