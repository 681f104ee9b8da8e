"""Prometheus' format of an HTTP client configuration: its fields, and what is refused."""

from __future__ import annotations

import pytest

from wrapper.access.http_config import (
    Basic,
    ClientTls,
    Header,
    HttpConfig,
    Token,
    read_http_config,
)
from wrapper.access.tls_values import Text, TlsVersion, Versions
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source


def read(text: str) -> HttpConfig:
    """Return the configuration of a file in /etc/http."""
    return read_http_config(Source("h.yml", text.encode(), "/etc/http"))


def beside(name: str) -> Text:
    """Return the text of a file in the same folder."""
    return Text(path=f"/etc/http/{name}")


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("{}", None),
        ("basic_auth: {}", None),
        ("basic_auth: {username: a, password: 1.10}", Basic(Text("a"), Text("1.10"))),
        ("basic_auth: {username: a}", Basic(Text("a"), Text())),
        ("basic_auth: {username_file: u, password_file: p}", Basic(beside("u"), beside("p"))),
        ("authorization: {credentials: t}", Token("Bearer", Text("t"))),
        ("authorization: {type: ' Digest ', credentials: t}", Token("Digest", Text("t"))),
        ("authorization: {credentials_file: /t}", Token("Bearer", Text(path="/t"))),
        ("bearer_token: t", Token("Bearer", Text("t"))),
        ("bearer_token_file: t", Token("Bearer", beside("t"))),
    ],
)
def test_credentials_are_read(text: str, credentials: Basic | Token | None) -> None:
    """Each form of credentials is read, including the old one of a bearer token."""
    config = read(text)
    assert config == HttpConfig(credentials=credentials)
    assert config.can_authenticate is (credentials is not None)


def test_tls_is_read() -> None:
    """Files, inline texts, the server's name and versions of TLS are read."""
    config = read(
        "tls_config: {ca_file: ca.pem, cert: C, key_file: k.pem, server_name: prom.example,"
        " insecure_skip_verify: yes, min_version: TLS12, max_version: TLS12}"
    )
    assert config.tls == ClientTls(
        ca=beside("ca.pem"),
        certificate=Text("C"),
        key=beside("k.pem"),
        server_name="prom.example",
        is_unverified=True,
        versions=Versions(TlsVersion.TLS12, TlsVersion.TLS12),
    )
    assert config.can_authenticate
    assert not read("tls_config: {ca_file: ca.pem}").can_authenticate


def test_headers_are_read() -> None:
    """Values, secrets and files of a header are read; a secret counts as authentication."""
    config = read("http_headers: {X-Scope-OrgID: {values: [a, b]}, X-Key: {secrets: [s]}}")
    assert config.headers == (
        Header("X-Scope-OrgID", (Text("a"), Text("b")), is_secret=False),
        Header("X-Key", (Text("s"),), is_secret=True),
    )
    assert config.can_authenticate
    assert not read("http_headers: {X-Scope-OrgID: {values: [a]}}").can_authenticate
    assert read("http_headers: {X-Key: {files: [k]}}").headers[0].values == (beside("k"),)


@pytest.mark.parametrize(
    "text",
    [
        "follow_redirects: true",
        "follow_redirects: false",
        "enable_http2: true",
        "proxy_from_environment: false",
        "proxy_url: ''\nno_proxy: ''",
        "oauth2: {}",
    ],
)
def test_fields_without_effect_are_accepted(text: str) -> None:
    """Fields that only allow more, or change nothing, are accepted."""
    assert read(text) == HttpConfig()


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ("", "1:1", "no configuration"),
        ("- a", "1:1", "must be a mapping, not a list"),
        ("basic_aut: {}", "1:1", 'did you mean "basic_auth"?'),
        ("basic_auth: {user: a}", "1:14", 'did you mean "username"?'),
        ("basic_auth: {username: a, username_file: b}", "1:14", "username_file is given as well"),
        ("basic_auth: {password: a, password_file: b}", "1:14", "password_file is given as well"),
        ("basic_auth: {password_ref: b}", "1:14", "secret managers are not supported"),
        ("authorization: {type: basic}", "1:17", "use basic_auth"),
        ("authorization: {type: a b}", "1:17", "one word"),
        ("authorization: {credentials: a, credentials_file: b}", "1:17", "is given as well"),
        ("basic_auth: {username: a}\nauthorization: {credentials: b}", "2:1", "basic_auth is giv"),
        ("basic_auth: {username: a}\nbearer_token: b", "2:1", "basic_auth is given as well"),
        ("bearer_token: b\nauthorization: {credentials: b}", "1:1", "authorization is given as"),
        ("oauth2: {client_id: a, token_url: b}", "1:1", "not supported; use authorization"),
        ("tls_config: {cert_file: a}", "1:13", "key_file: missing"),
        ("tls_config: {key: a}", "1:13", "cert_file: missing"),
        ("tls_config: {ca: a, ca_file: b}", "1:14", "ca_file is given as well"),
        ("tls_config: {min_version: TLS10}", "1:14", "TLS 1.0 and 1.1 are not supported"),
        ("tls_config: {insecure_skip_verify: maybe}", "1:14", "must be true or false"),
        ("proxy_url: http://p", "1:1", "never use a proxy"),
        ("proxy_from_environment: true", "1:1", "never use a proxy"),
        (
            "http_headers: {Authorization: {values: [Token a]}}",
            "1:16",
            "set authorization: {type: SCHEME, credentials: …}",
        ),
        (
            "http_headers: {authorization: {files: [a]}}",
            "1:16",
            "set authorization: {type: SCHEME",
        ),
        ("http_headers: {host: {values: [a]}}", "1:16", "this header cannot be set"),
        ("http_headers: {Transfer-Encoding: {values: [a]}}", "1:16", "this header cannot be set"),
        ("http_headers: {'a b': {values: [a]}}", "1:16", "this header cannot be set"),
        ("http_headers: {X-A: {values: [a]}, x-a: {secrets: [a]}}", "1:36", "set twice"),
        ("http_headers: {X-A: {value: [a]}}", "1:22", 'did you mean "values"?'),
        ("http_headers: {X-A: b}", "1:16", "must be a mapping"),
    ],
)
def test_invalid_field_is_refused(text: str, place: str, cause: str) -> None:
    """One mistake leads to one line with its place."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    (said,) = caught.value.problems
    assert said.startswith(f"h.yml:{place}: ")
    assert cause in said


def test_representation_has_no_secret() -> None:
    """The representation, which may be logged, has no secret."""
    config = read("basic_auth: {username: u, password: hunter2}\nhttp_headers: {A: {secrets: [h]}}")
    assert "hunter" not in repr(config)
