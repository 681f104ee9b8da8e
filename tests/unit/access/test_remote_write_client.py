"""The connection fields of ``remote_write``: read from YAML, and again by the gate."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from wrapper.access.http_config import ClientTls
from wrapper.access.proxy_environment import BadProxy
from wrapper.access.remote_write_client import RemoteWriteClient, read_client
from wrapper.access.tls_values import Text, TlsVersion, Versions
from wrapper.documents.problems import ConfigurationError, Problems
from wrapper.documents.source import Source
from wrapper.documents.yaml_fields import read_fields

RECEIVER = urlsplit("https://receiver.test/api/v1/write")
AT = "http://proxy.test:3128"


def fields_of(text: str) -> dict[str, Any]:
    """Return the fields of an entry; raise ConfigurationError with its problems."""
    problems = Problems()
    fields = read_client(read_fields(Source("r.yml", text.encode()), problems), "/etc/prometheus")
    problems.raise_if_any()
    return fields


def client(text: str) -> RemoteWriteClient:
    """Return the gate's client of an entry, after the transfer as JSON."""
    return RemoteWriteClient.of(json.loads(json.dumps(fields_of(text))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("url: http://a", RemoteWriteClient()),
        ("enable_http2: false", RemoteWriteClient()),
        ("follow_redirects: false", RemoteWriteClient(follow_redirects=False)),
        (
            "tls_config: {ca_file: ca.pem, cert_file: /c.pem, key_file: k.pem, server_name: a.b}",
            RemoteWriteClient(
                ClientTls(
                    Text(path="/etc/prometheus/ca.pem"),
                    Text(path="/c.pem"),
                    Text(path="/etc/prometheus/k.pem"),
                    "a.b",
                )
            ),
        ),
        (
            "tls_config: {ca: A, cert: B, key: C, insecure_skip_verify: true, min_version: TLS13}",
            RemoteWriteClient(
                ClientTls(
                    Text("A"),
                    Text("B"),
                    Text("C"),
                    is_unverified=True,
                    versions=Versions(TlsVersion.TLS13, TlsVersion.TLS13),
                )
            ),
        ),
        (
            "tls_config: {max_version: TLS12}",
            RemoteWriteClient(
                ClientTls(versions=Versions(TlsVersion.TLS12, TlsVersion.TLS12)),
            ),
        ),
        (f"proxy_url: {AT}", RemoteWriteClient(proxy_url=AT)),
        (
            f"{{proxy_url: {AT}, no_proxy: 'a,b', proxy_connect_header: {{X-A: [b, c]}}}}",
            RemoteWriteClient(
                proxy_url=AT, no_proxy="a,b", connect_fields=(("X-A", "b"), ("X-A", "c"))
            ),
        ),
        ("proxy_from_environment: true", RemoteWriteClient(proxy_from_environment=True)),
    ],
)
def test_each_field_is_passed_to_the_gate(text: str, expected: RemoteWriteClient) -> None:
    """The fields pass through JSON, with absolute paths, and Go's defaults for missing ones."""
    assert client(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "proxy_url: socks5://SECRET@p:1080",
            "r.yml:1:1: proxy_url is not a supported proxy URL (SOCKS is not supported): write http://HOST:PORT",
        ),
        (
            "tls_config: {min_version: TLS10}",
            "r.yml:1:14: TLS 1.0 and 1.1 are not supported (RFC 8996); write TLS12",
        ),
        (
            "tls_config: {cert_file: c}",
            "r.yml:1:13: key_file: missing; set key_file or key: a certificate needs its key",
        ),
        (
            "tls_config: {ca_ref: SECRET}",
            "r.yml:1:14: secret managers are not supported; use a file instead",
        ),
        (
            "no_proxy: SECRET",
            "r.yml:1:1: has no effect without proxy_url; set proxy_url too, or remove this field",
        ),
        (
            f"{{proxy_from_environment: true, proxy_url: {AT}}}",
            "r.yml:1:32: proxy_from_environment is given as well; keep one of them",
        ),
        (
            "{proxy_from_environment: true, no_proxy: a}",
            "r.yml:1:32: proxy_from_environment is given as well; keep one of them",
        ),
        (
            "proxy_connect_header: {X-A: [SECRET]}",
            "r.yml:1:1: has no effect without a proxy; set proxy_url, or remove this field",
        ),
        (
            "proxy_connect_header: {X-A: SECRET}",
            "r.yml:1:24: must be a list, not a single value",
        ),
        ("follow_redirects: SECRET", "r.yml:1:1: must be true or false, not a single value"),
    ],
)
def test_fields_that_the_gate_does_not_support_are_refused(text: str, line: str) -> None:
    """The message has the place, the cause and the remedy, but not the value."""
    with pytest.raises(ConfigurationError) as refused:
        fields_of(text)
    assert refused.value.problems == (line,)


@pytest.mark.parametrize(
    ("text", "receiver", "environ", "expected"),
    [
        ("{}", "https://r.test/", {"HTTPS_PROXY": AT}, None),
        (f"proxy_url: {AT}", "https://r.test/", {}, "proxy_url"),
        (f"proxy_url: {AT}", "http://127.0.0.1/", {}, "proxy_url"),
        (f"{{proxy_url: {AT}, no_proxy: r.test}}", "https://r.test/", {}, None),
        (f"{{proxy_url: {AT}, no_proxy: r.test}}", "https://s.test/", {}, "proxy_url"),
        (f"{{proxy_url: {AT}, no_proxy: r.test}}", "http://127.0.0.1/", {}, None),
        (f"proxy_url: {AT}", "https://r.test/", {"NO_PROXY": "*"}, "proxy_url"),
        ("proxy_from_environment: true", "https://r.test/", {"HTTPS_PROXY": AT}, "HTTPS_PROXY"),
        ("proxy_from_environment: true", "http://r.test/", {"HTTPS_PROXY": AT}, None),
        (
            "proxy_from_environment: true",
            "https://r.test/",
            {"HTTPS_PROXY": AT, "NO_PROXY": ".test"},
            None,
        ),
    ],
)
def test_proxy_is_that_of_prometheus(
    text: str, receiver: str, environ: dict[str, str], expected: str | None
) -> None:
    """The proxy is chosen by the rules of Prometheus' common HTTP client."""
    proxy = client(text).proxy(urlsplit(receiver), environ)
    assert (proxy and proxy.named_by) == expected


def test_unusable_proxy_of_the_environment_is_refused() -> None:
    """An unusable proxy of the gate's environment is refused; an https proxy is accepted."""
    reader = client("proxy_from_environment: true")
    with pytest.raises(BadProxy):
        reader.proxy(RECEIVER, {"HTTPS_PROXY": "socks5://p:1080"})
    assert reader.proxy(RECEIVER, {"HTTPS_PROXY": "https://p:3128"}) is not None


def test_representation_has_no_secrets() -> None:
    """The representation, which may be logged, has no secrets."""
    text = (
        "{proxy_url: 'http://u:SECRET@p:1', proxy_connect_header: {X-A: [SECRET]}, "
        "tls_config: {cert: SECRET, key: SECRET}}"
    )
    assert "SECRET" not in repr(client(text))
