"""Reads the fields of a ``remote_write`` about its connection, which the gate makes; pure.

The fields are read twice. First they are read from the configuration, where each field takes effect
or is refused with its place. The result is in ``Endpoint.client``, from which the gate reads it
without YAML. TLS has Go's defaults.

Limitations: ``enable_http2`` is accepted without effect, since the gate uses HTTP/1.1. The files
that the fields name are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from wrapper.access.http_config import ClientTls, read_tls
from wrapper.access.proxy_environment import BadProxy, HttpProxy, needs_proxy, proxy_for
from wrapper.access.tls_values import Text, TlsVersion, Versions

if TYPE_CHECKING:
    from wrapper.documents.yaml_fields import FieldReader

FIELDS = (
    "tls_config",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "follow_redirects",
    "enable_http2",
)
TLS_FILES = ("ca_file", "cert_file", "key_file")
PROXY_SCHEMES = ("http", "https")
_NO_PROXY = "has no effect without proxy_url; set proxy_url too, or remove this field"


@dataclass(frozen=True, slots=True)
class RemoteWriteClient:
    """The settings by which the gate connects to one receiver.

    - ``tls``: the TLS settings;
    - ``proxy_url``: the proxy's URL; "" for none, or for that of the environment;
    - ``no_proxy``: exceptions from ``proxy_url``, in the format of ``NO_PROXY``;
    - ``proxy_from_environment``: use the proxy that the environment names;
    - ``connect_fields``: additional header fields of a CONNECT request to the proxy;
    - ``follow_redirects``: follow the receiver's redirects.
    """

    tls: ClientTls = field(default_factory=ClientTls)
    proxy_url: str = field(default="", repr=False)
    no_proxy: str = ""
    proxy_from_environment: bool = False
    connect_fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    follow_redirects: bool = True

    def proxy(self, url: SplitResult, environ: Mapping[str, str]) -> HttpProxy | None:
        """Return the proxy to use for a receiver's URL, None for no proxy; raise BadProxy."""
        if self.proxy_from_environment:
            return proxy_for(url, environ, PROXY_SCHEMES)
        if not self.proxy_url or (self.no_proxy and not needs_proxy(url, self.no_proxy)):
            return None  # without no_proxy, Go's client uses the proxy for loopback too
        return HttpProxy.read(self.proxy_url, "proxy_url", PROXY_SCHEMES)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RemoteWriteClient:
        """Return the client with these fields of ``Endpoint.client`` (see ``read_client``)."""
        tls = fields.get("tls_config", {})
        return cls(
            tls=ClientTls(
                ca=_text(tls, "ca"),
                certificate=_text(tls, "cert"),
                key=_text(tls, "key"),
                server_name=tls.get("server_name", ""),
                is_unverified=tls.get("insecure_skip_verify", False),
                versions=Versions(
                    TlsVersion[tls.get("min_version", TlsVersion.TLS12.name)],
                    TlsVersion[tls.get("max_version", TlsVersion.TLS13.name)],
                ),
            ),
            proxy_url=fields.get("proxy_url", ""),
            no_proxy=fields.get("no_proxy", ""),
            proxy_from_environment=fields.get("proxy_from_environment", False),
            connect_fields=tuple(
                (name, value)
                for name, values in fields.get("proxy_connect_header", {}).items()
                for value in values
            ),
            follow_redirects=fields.get("follow_redirects", True),
        )


def read_client(reader: FieldReader, folder: str) -> dict[str, Any]:
    """Return the fields of an entry about its connection, except those with their default.

    Relative paths are relative to ``folder``. Problems are added to the reader's.
    """
    found: dict[str, Any] = {
        "tls_config": _tls_fields(read_tls(reader.section("tls_config"), folder)),
        "proxy_url": reader.text("proxy_url"),
        "no_proxy": reader.text("no_proxy"),
        "proxy_from_environment": reader.is_on("proxy_from_environment", default=False),
        "proxy_connect_header": _read_header(reader.section("proxy_connect_header")),
    }
    _check_proxy(reader, found)
    given = {name: value for name, value in found.items() if value}
    if not reader.is_on("follow_redirects", default=True):
        given["follow_redirects"] = False
    reader.is_on("enable_http2", default=True)
    return given


def _check_proxy(reader: FieldReader, found: Mapping[str, Any]) -> None:
    """Add a problem for each proxy setting that Prometheus, or the gate, refuses."""
    url, excepted, of_environment = (
        found[name] for name in ("proxy_url", "no_proxy", "proxy_from_environment")
    )
    if url:
        try:
            HttpProxy.read(url, "proxy_url", PROXY_SCHEMES)
        except BadProxy as error:
            reader.add_problem("proxy_url", str(error))
    if of_environment and (url or excepted):
        name = "proxy_url" if url else "no_proxy"
        reader.add_problem(name, "proxy_from_environment is given as well; keep one of them")
    elif excepted and not url:
        reader.add_problem("no_proxy", _NO_PROXY)
    if any(found["proxy_connect_header"].values()) and not (url or of_environment):
        text = "has no effect without a proxy; set proxy_url, or remove this field"
        reader.add_problem("proxy_connect_header", text)


def _read_header(reader: FieldReader) -> dict[str, list[str]]:
    return {name: list(reader.texts(name)) for name in reader.names}


def _tls_fields(tls: ClientTls) -> dict[str, Any]:
    """Return the fields of a ``tls_config``, except those with their default."""
    found: dict[str, Any] = {}
    for name, text in (("ca", tls.ca), ("cert", tls.certificate), ("key", tls.key)):
        found |= {name: text.inline, f"{name}_file": text.path}
    found |= {"server_name": tls.server_name, "insecure_skip_verify": tls.is_unverified}
    if tls.versions != Versions():
        found["min_version"] = tls.versions.lowest.name
        found["max_version"] = tls.versions.highest.name
    return {name: value for name, value in found.items() if value}


def _text(fields: Mapping[str, Any], name: str) -> Text:
    return Text(fields.get(name, ""), fields.get(f"{name}_file", ""))
