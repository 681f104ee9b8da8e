"""The exporter-toolkit's format of a web configuration: its fields, and what is refused."""

from __future__ import annotations

import re

import pytest

from wrapper.access.tls_values import Text, TlsVersion, Versions
from wrapper.access.web_config import (
    ClientAuth,
    ClientRequirements,
    ServerTls,
    WebConfig,
    read_client_requirements,
    read_web_config,
)
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

# The two example users of the format's documentation, with their hashes.
ALICE = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
BOB = "$2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m"
PAIR = "cert_file: c.pem, key_file: k.pem"
SUITE_OF_TLS13 = "cipher_suites: [TLS_AES_128_GCM_SHA256]"


def read(text: str) -> WebConfig:
    """Return the configuration of a file in /etc/web."""
    return read_web_config(Source("w.yml", text.encode(), "/etc/web"))


def read_tls(fields: str) -> ServerTls:
    """Return the TLS configuration of such a file, with a certificate."""
    tls = read(f"tls_server_config: {{{PAIR}, {fields}}}").tls
    assert tls is not None
    return tls


def refusal(text: str) -> str:
    """Return the reason for which such a file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return "\n".join(caught.value.problems)


def test_documented_example_is_read() -> None:
    """The documentation's example has a certificate and a key in the same folder, and two users."""
    config = read(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
        f"basic_auth_users:\n  alice: {ALICE}\n  bob: {BOB}\n"
    )
    assert config.tls == ServerTls(
        certificate=Text(path="/etc/web/server.crt"),
        key=Text(path="/etc/web/server.key"),
        client_auth=ClientAuth.NONE,
        client_ca=Text(),
        allowed_names=None,
        versions=Versions(TlsVersion.TLS12, TlsVersion.TLS13),
        ciphers=(),
        prefers_server_ciphers=True,
        curve="",
    )
    assert dict(config.users) == {"alice": ALICE, "bob": BOB}
    assert config.requires_authentication


def test_empty_configuration_requires_nothing() -> None:
    """Without TLS and users, nothing is required, whatever is set for HTTP."""
    for text in ("{}", "http_server_config: {http2: true}", "rate_limit: {interval: 0, burst: 5}"):
        assert read(text) == WebConfig()
    assert not read("{}").requires_authentication


def test_certificate_and_key_may_be_inline() -> None:
    """Certificate, key and CA may be inline or files; absolute paths stay."""
    tls = read(
        "tls_server_config:\n  cert: C\n  key: |\n    K\n  client_ca_file: /ca.pem\n"
        "  client_auth_type: RequireAndVerifyClientCert\n"
    ).tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.client_ca) == (
        Text("C"),
        Text("K\n"),
        Text(path="/ca.pem"),
    )


@pytest.mark.parametrize(
    ("name", "client_auth"),
    [
        ("NoClientCert", ClientAuth.NONE),
        ("RequestClientCert", ClientAuth.NONE),
        ("VerifyClientCertIfGiven", ClientAuth.IF_GIVEN),
        ("RequireAndVerifyClientCert", ClientAuth.REQUIRED),
    ],
)
def test_types_of_client_authentication(name: str, client_auth: ClientAuth) -> None:
    """Only one type of client authentication identifies clients."""
    tls = read_tls(f"client_auth_type: {name}")
    assert tls.client_auth is client_auth
    assert WebConfig(tls).requires_authentication is (client_auth is ClientAuth.REQUIRED)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("min_version: TLS13", Versions(TlsVersion.TLS13, TlsVersion.TLS13)),
        ("max_version: TLS12", Versions(TlsVersion.TLS12, TlsVersion.TLS12)),
        (SUITE_OF_TLS13, Versions(TlsVersion.TLS13, TlsVersion.TLS13)),
    ],
)
def test_range_of_tls_versions(fields: str, expected: Versions) -> None:
    """The range follows from the fields; cipher suites of TLS 1.3 only exclude older versions."""
    assert read_tls(fields).versions == expected


def test_cipher_suites_and_curve_have_openssls_names() -> None:
    """Go's names become OpenSSL's; cipher suites of TLS 1.3 cannot be chosen."""
    tls = read_tls(
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,"
        " TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256], curve_preferences: [X25519],"
        " prefer_server_cipher_suites: false"
    )
    assert tls.ciphers == ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305")
    assert (tls.curve, tls.prefers_server_ciphers) == ("X25519", False)


def test_headers_and_names_of_clients_are_read() -> None:
    """The five headers can be set, empty ones are left out; clients' names stay as written."""
    config = read(
        "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff,"
        ' X-XSS-Protection: "", Strict-Transport-Security: max-age=9,'
        " Content-Security-Policy: \"default-src 'self'\"}}"
    )
    assert dict(config.headers) == {
        "X-Frame-Options": "deny",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=9",
        "Content-Security-Policy": "default-src 'self'",
    }
    tls = read_tls(
        "client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a.b, 1.10, 10.0.0.1]"
    )
    assert tls.allowed_names == ("a.b", "1.10", "10.0.0.1")


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ("", "1:1", "no configuration; write {}"),
        ("# nothing\n", "1:1", "no configuration"),
        ("[]", "1:1", "the file must be a mapping, not a list"),
        ("a: [", "1:5", "not YAML"),
        ("tls_config: {}", "1:1", 'unknown key "tls_config"; did you mean "tls_server_config"?'),
        (f"tls_server_config: {{{PAIR}, key_fle: x}}", "1:56", 'did you mean "key_file"?'),
        ("tls_server_config: []", "1:1", "must be a mapping, not a list"),
        (
            f"tls_server_config: {{{PAIR}, min_version: [x]}}",
            "1:56",
            "must be a single value, not a",
        ),
        ("tls_server_config: {cert_file: c}", "1:20", "key_file: missing; set key_file or key"),
        ("tls_server_config: {key: k}", "1:20", "cert_file: missing; set cert_file or cert"),
        ("tls_server_config: {min_version: TLS13}", "1:20", "TLS needs cert_file and key_file"),
        (f"tls_server_config: {{{PAIR}, cert: x}}", "1:56", "cert_file is given as well"),
        (f"tls_server_config: {{{PAIR}, client_auth_type: Any}}", "1:56", 'unknown value "Any"'),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
            "1:56",
            "not be verified; write RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: x}}",
            "1:56",
            "no effect without client_auth_type",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}",
            "1:56",
            "no effect unless client_auth_type is Req",
        ),
        (f"tls_server_config: {{{PAIR}, min_version: TLS1}}", "1:56", 'did you mean "TLS1'),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS10}}",
            "1:56",
            "TLS 1.0 and 1.1 are not supported",
        ),
        (
            f"tls_server_config: {{{PAIR}, max_version: TLS11}}",
            "1:56",
            "TLS 1.0 and 1.1 are not supported",
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
            "1:76",
            "below min_version",
        ),
        (f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_X]}}", "1:56", 'suite "TLS_X"'),
        (
            f"tls_server_config: {{{PAIR}, max_version: TLS12, {SUITE_OF_TLS13}}}",
            "1:76",
            "none of these is for TLS 1.2",
        ),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [P]}}", "1:56", 'unknown curve "P"'),
        (
            f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}",
            "1:56",
            "Python can set one curve",
        ),
        (f"tls_server_config: {{{PAIR}, cert_file: c}}", "1:56", "is already on line 1"),
        ("basic_auth_users: {a: secret}", "1:20", "not a bcrypt hash; make one with: htpasswd"),
        (f"basic_auth_users: {{a: {ALICE}x}}", "1:20", "not a bcrypt hash"),
        (
            f"basic_auth_users: {{a: $2y$18${ALICE[7:]}}}",
            "1:20",
            "a hash of cost 18 takes minutes or days to check; make one with: htpasswd",
        ),
        ("basic_auth_users: {a: [x]}", "1:20", "must be a single value"),
        ("http_server_config: {http3: true}", "1:22", 'did you mean "http2"?'),
        ("http_server_config: {http2: 1}", "1:22", "must be true or false, not a single value"),
        ("http_server_config: {headers: {X-A: b}}", "1:32", "this header cannot be set"),
        (
            "http_server_config: {headers: {X-Frame-Options: x}}",
            "1:32",
            "must be deny or sameorigin",
        ),
        ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}}', "1:32", "one line"),
        ("rate_limit: {interval: 1s, burst: 20}", "1:14", "rate limits are not supported"),
        ("auth_excluded_paths: [/x]", "1:1", 'unknown key "auth_excluded_paths"'),
    ],
)
def test_invalid_field_is_refused(text: str, place: str, cause: str) -> None:
    """One mistake leads to one line with its place."""
    said = refusal(text)
    assert said.startswith(f"w.yml:{place}: ")
    assert cause in said
    assert "\n" not in said


def test_all_mistakes_are_reported_without_secrets() -> None:
    """Several mistakes are reported together, without hashes and keys."""
    said = refusal("basic_auth_users: {a: hunter2}\ntls_server_config: {key: hunter3}\nx: 1\n")
    assert [line.split(": ")[0] for line in said.splitlines()] == [
        "w.yml:1:20",
        "w.yml:2:20",
        "w.yml:3:1",
    ]
    assert not re.search("hunter", said)
    assert ALICE not in repr(read(f"basic_auth_users: {{a: {ALICE}}}"))


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("{}", ClientRequirements()),
        ("tls_server_config: {}", ClientRequirements()),
        ("tls_server_config: {min_version: TLS13}", ClientRequirements()),
        (f"tls_server_config: {{{PAIR}}}", ClientRequirements(tls=True)),
        ("basic_auth_users: {a: b}", ClientRequirements(password=True)),
        ("basic_auth_users: {}", ClientRequirements()),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
            ClientRequirements(tls=True, certificate=True),
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
            ClientRequirements(tls=True, certificate=True),
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequestClientCert}}",
            ClientRequirements(tls=True),
        ),
        ("from_the_future: 1\nbasic_auth_users: {a: b}", ClientRequirements(password=True)),
        ("a: [", ClientRequirements()),
        ("", ClientRequirements()),
    ],
)
def test_requirements_of_another_server_are_read(
    text: str, requirements: ClientRequirements
) -> None:
    """Of a file that Prometheus checks itself, only the requirements for clients are read."""
    assert read_client_requirements(Source("w.yml", text.encode())) == requirements
