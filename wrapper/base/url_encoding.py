"""Converts an IRI (a URL as people write it) to a URI (as it is sent); pure.

By RFC 3987, 3.1, characters that a URI may not have are percent-encoded as UTF-8, and a host beyond
ASCII is encoded by IDNA (RFC 3490). Text that is already percent-encoded is kept.

Limitation: letters that the two versions of IDNA encode differently are refused.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

_KEPT = "!$&'()*+,;=:@/?[]%"  # and letters, digits, -._~; brackets because all clients keep them
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_IDNA_DIFFERS = "\N{LATIN SMALL LETTER SHARP S}\N{GREEK SMALL LETTER FINAL SIGMA}\u200c\u200d"


def to_uri(text: str) -> str:
    """Return an http or https URL as it is sent; raise ValueError for any other text.

    The message does not quote the text, which may contain a password.
    """
    if text != text.strip() or _CONTROLS.search(text):  # urlsplit would remove them
        raise ValueError("not an HTTP URL: it has a line break in it, or a space around it")
    try:
        parts = urlsplit(text)
        is_port_valid = parts.port != 0  # reading it raises for an invalid port
    except ValueError as error:
        raise ValueError("not an HTTP URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_port_valid:
        raise ValueError("not an HTTP URL")
    encoded = map(_encoded, (parts.path, parts.query, parts.fragment))
    return SplitResult(parts.scheme, _place(parts.netloc), *encoded).geturl()


def _place(netloc: str) -> str:
    """Return the authority of a URL, encoded: user, password, host and port."""
    credentials, at, place = netloc.rpartition("@")
    if place.startswith("["):  # an address of IPv6
        return f"{_encoded(credentials)}{at}{place}"
    host, colon, port = place.partition(":")
    return f"{_encoded(credentials)}{at}{_host(host)}{colon}{port}"


def _host(host: str) -> str:
    if re.search(r"[\s%]", host):
        raise ValueError("not an HTTP URL: its host has a space or a percent sign in it")
    if host.isascii():
        return host
    if any(letter in host.lower() for letter in _IDNA_DIFFERS):
        why = "its host has a letter that IDNA 2003 and 2008 encode differently; write it as xn--…"
        raise ValueError(f"not an HTTP URL: {why}")
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError("not an HTTP URL: its host is not a valid DNS name") from error


def _encoded(part: str) -> str:
    """Percent-encode characters that a URI may not have, and bytes that are not UTF-8."""
    return quote(_LONE_PERCENT.sub("%25", part), safe=_KEPT, errors="surrogateescape")
