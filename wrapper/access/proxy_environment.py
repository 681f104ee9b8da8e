"""Selects the HTTP proxy for a URL by the environment variables, with Go's rules; pure.

The rules are those of ``ProxyFromEnvironment`` in Go's net/http. So this program, Prometheus and
kubectl use the same proxy:

- The URL's scheme selects ``HTTPS_PROXY`` or ``HTTP_PROXY``, or else the same name in lower case.
- No proxy is used for localhost and loopback addresses, nor for the entries of ``NO_PROXY``. An
  entry is a host (with its subdomains), ``.domain`` (subdomains only), an address or a network
  (CIDR), each with or without a port, or ``*``.

Limitation: ``ALL_PROXY`` and SOCKS are ignored.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class BadProxy(ValueError):
    """A proxy's URL cannot be used. The text has the place where it is set, but not the URL."""


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A proxy, and the variable or field that names it. Its URL may contain a password.

    ``connect_fields`` are additional header fields of a CONNECT request.
    """

    url: SplitResult
    named_by: str
    connect_fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def read(cls, text: str, named_by: str, schemes: tuple[str, ...]) -> HttpProxy:
        """Return the proxy for a URL or HOST:PORT; raise BadProxy."""
        wrong = (
            f"{named_by} is not a supported proxy URL (SOCKS is not supported): "
            f"write {schemes[0]}://HOST:PORT"
        )
        try:
            url = urlsplit(text if "://" in text else f"http://{text}")
            is_good = url.scheme in schemes and bool(url.hostname) and url.port != 0
        except ValueError:
            raise BadProxy(wrong) from None
        if not is_good:
            raise BadProxy(wrong)
        return cls(url, named_by)

    @property
    def port(self) -> int:
        """The port that the proxy listens on."""
        return self.url.port or DEFAULT_PORTS[self.url.scheme]

    @property
    def fields(self) -> dict[str, str]:
        """The header fields with the name and password in its URL, if it has them."""
        return {} if self.url.username is None else {"Proxy-Authorization": basic(self.url)}

    def __str__(self) -> str:
        """Return its URL without credentials, and what names it."""
        place = self.url.netloc.rpartition("@")[2]
        return f"the proxy {self.url.scheme}://{place} of {self.named_by}"


def basic(url: SplitResult) -> str:
    """Return the Authorization value for the name and password in a URL."""
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def proxy_for(
    url: SplitResult, environ: Mapping[str, str], schemes: tuple[str, ...] = ("http",)
) -> HttpProxy | None:
    """Return the proxy to use for a URL, None for no proxy; raise BadProxy.

    ``schemes`` are the schemes of proxies that the caller supports.
    """
    upper = f"{url.scheme.upper()}_PROXY"
    variable = next((name for name in (upper, upper.lower()) if environ.get(name)), None)
    excepted = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if variable is None or not needs_proxy(url, excepted):
        return None
    return HttpProxy.read(environ[variable], variable, schemes)


def needs_proxy(url: SplitResult, excepted: str) -> bool:
    """Return whether a URL is neither on loopback nor matches one of these NO_PROXY entries."""
    host = (url.hostname or "").strip()
    if host == "localhost" or _is_loopback(host):
        return False
    port = str(url.port or DEFAULT_PORTS.get(url.scheme) or "")
    entries = (entry.strip().lower() for entry in excepted.split(","))
    return not any(_names(entry, host, port) for entry in entries if entry)


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _names(entry: str, host: str, port: str) -> bool:
    """Return whether an entry of NO_PROXY matches this host and port."""
    if entry == "*":
        return True
    if "/" in entry:
        return _holds(entry, host)
    name, its_port = _split(entry)
    if its_port and its_port != port:
        return False
    if _holds(name, host):
        return True
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else f".{host}".endswith(f".{name}")


def _split(entry: str) -> tuple[str, str]:
    """Return host and port of an entry, "" for no port; IPv6 may be in brackets."""
    if entry.count(":") > 1 and not entry.startswith("["):
        return entry, ""
    name, colon, port = entry.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = entry, ""
    return name.removeprefix("[").removesuffix("]"), port


def _holds(network: str, host: str) -> bool:
    """Return whether a host is an address in this network, or equals this address."""
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
