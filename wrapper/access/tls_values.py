"""Reads the TLS fields of Prometheus' configuration files as OpenSSL's names; pure.

The names in the files are those of Go's crypto/tls. A value that Python's ``ssl`` does not support
becomes a problem with its place. TLS 1.0 and 1.1 are not supported (RFC 8996).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import PurePath
from typing import TYPE_CHECKING

from wrapper.documents.problems import quoted

if TYPE_CHECKING:
    from wrapper.documents.yaml_fields import FieldReader


class TlsVersion(IntEnum):
    """A version of TLS, by its number in the protocol."""

    TLS12 = 0x0303
    TLS13 = 0x0304


_VERSIONS: Mapping[str, TlsVersion | None] = {
    "TLS10": None,
    "TLS11": None,
    "TLS12": TlsVersion.TLS12,
    "TLS13": TlsVersion.TLS13,
}
_TLS13_CIPHERS = frozenset(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
)
_CIPHERS = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is given inline, or by the path of a file that contains it, or not at all."""

    inline: str = field(default="", repr=False)
    path: str = ""

    def __bool__(self) -> bool:
        return bool(self.inline or self.path)


@dataclass(frozen=True, slots=True)
class Versions:
    """The lowest and the highest TLS version to use."""

    lowest: TlsVersion = TlsVersion.TLS12
    highest: TlsVersion = TlsVersion.TLS13


NO_TEXT = Text()
VERSIONS = Versions()


def read_text(reader: FieldReader, name: str, folder: str) -> Text:
    """Return the text in the field ``name``, or the path in the field ``name_file``."""
    inline, path = reader.text(name), reader.text(f"{name}_file")
    if inline and path:
        reader.add_problem(name, f"{name}_file is given as well; keep one of them")
    return Text(inline, str(PurePath(folder, path)) if path else "")


def read_versions(reader: FieldReader) -> Versions:
    """Return the versions in ``min_version`` and ``max_version``."""
    lowest = _read_version(reader, "min_version", TlsVersion.TLS12)
    highest = _read_version(reader, "max_version", TlsVersion.TLS13)
    if lowest > highest:
        reader.add_problem("max_version", "below min_version, so no client could connect; raise it")
    return Versions(lowest, highest)


def _read_version(reader: FieldReader, name: str, default: TlsVersion) -> TlsVersion:
    version = reader.choice(name, _VERSIONS, default)
    if version is None:
        reader.add_problem(name, "TLS 1.0 and 1.1 are not supported (RFC 8996); write TLS12")
        return default
    return version


def read_ciphers(reader: FieldReader, versions: Versions) -> tuple[Versions, tuple[str, ...]]:
    """Read ``cipher_suites``; return the versions left, and OpenSSL's names of TLS 1.2 suites.

    As in Go, the suites of TLS 1.3 cannot be chosen. If the list has no other suites, only TLS 1.3
    is left. An empty tuple means OpenSSL's default.
    """
    names = reader.texts("cipher_suites")
    for name in names:
        if name not in _CIPHERS and name not in _TLS13_CIPHERS:
            text = f"unknown cipher suite {quoted(name)}; it must be one of Go's secure ones"
            reader.add_problem("cipher_suites", text)
    found = tuple(_CIPHERS[name] for name in names if name in _CIPHERS)
    if not names or found:
        return versions, found
    if versions.highest < TlsVersion.TLS13:
        reader.add_problem(
            "cipher_suites",
            "none of these is for TLS 1.2, but max_version is TLS12; add one, or raise max_version",
        )
    return Versions(TlsVersion.TLS13, TlsVersion.TLS13), ()


def read_curve(reader: FieldReader) -> str:
    """Return the curve in ``curve_preferences``; "" means OpenSSL's default.

    Python supports only one curve.
    """
    names = reader.texts("curve_preferences")
    for name in names:
        if name not in _CURVES:
            known = ", ".join(_CURVES)
            reader.add_problem("curve_preferences", f"unknown curve {quoted(name)}; known: {known}")
    if len(set(names)) > 1:
        text = "Python can set one curve, not an order of several; name one, or leave this out"
        reader.add_problem("curve_preferences", text)
    return _CURVES.get(names[0], "") if names else ""
