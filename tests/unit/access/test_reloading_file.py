"""Files about TLS and passwords that change: the value in use, and the logged errors."""

from __future__ import annotations

import base64
import logging
import os
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.support import let_pass, wait_until
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.reloading_file import Reading, ReloadingFile
from wrapper.access.web_access import WebAccess
from wrapper.documents.problems import ConfigurationError

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a CA."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of a configuration file."""
    return tmp_path / "config.yml"


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the reasons of the logged errors."""
    return [str(vars(x)["reason"]) for x in caplog.records if x.levelno == logging.ERROR]


def refusal(make: Callable[[str], object], file: Path) -> str:
    """Return the reason for which a file is refused at the start."""
    with pytest.raises(ConfigurationError) as caught:
        make(str(file))
    return str(caught.value)


# --- values made from files ----------------------------------------------------------------------


def test_invalid_change_is_logged_once_and_the_old_value_stays(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A change is used; an invalid one is logged once, and the old value stays until corrected."""

    def make(reading: Reading) -> str:
        text = reading.read(str(file)).decode()
        if text.startswith("bad"):
            raise ConfigurationError([f"{text} is bad"])
        return text

    file.write_text("one")
    renewed = ReloadingFile("config.yml", make)
    assert renewed.current() == "one"
    for number, bad in enumerate(("bad 0", "bad 1", "bad 1")):
        file.write_text(bad)
        wanted = min(number + 1, 2)
        wait_until(lambda n=wanted: renewed.current() and len(errors(caplog)) == n, 15, "said")  # type: ignore[misc]
        assert renewed.current() == "one"
    file.write_text("two")
    wait_until(lambda: renewed.current() == "two", 15, "it is mended")
    assert errors(caplog) == ["bad 0 is bad", "bad 1 is bad"]


def test_file_with_a_future_time_is_read_once(file: Path) -> None:
    """A file with a time in the future is not read repeatedly: the clock may have been set back."""
    reads = []

    def make(reading: Reading) -> int:
        reads.append(reading.read(str(file)))
        return len(reads)

    file.write_text("one")
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    renewed = ReloadingFile("config.yml", make)
    let_pass(0.06)  # a file that has just changed may change again unnoticed
    for _ in range(3):
        let_pass(0.06)
        renewed.current()
    assert len(reads) <= 2
    file.write_text("two")
    wait_until(lambda: renewed.current() and reads[-1] == b"two", 15, "a change is seen")


def test_missing_file_is_used_when_it_appears(tmp_path: Path, file: Path) -> None:
    """A file that an invalid configuration names is watched, and used when it appears."""
    file.write_text("basic_auth: {username: a, password: b}")
    access = PrometheusAccess(str(file))
    before = access.current()
    file.write_text("basic_auth: {username: a, password_file: secret}")
    assert access.current().fields == before.fields
    (tmp_path / "secret").write_text("c\n")
    wait_until(lambda: access.current().fields != before.fields, 15, "the new password is in force")
    assert access.current().fields == (("Authorization", basic("a:c")),)


def test_equal_content_gives_the_same_value(file: Path) -> None:
    """A file that is only touched gives the same value, so that connections are kept."""
    file.write_text("basic_auth: {username: a, password: b}")
    access = PrometheusAccess(str(file))
    first = access.current()
    for _ in range(3):
        file.write_text(file.read_text())
        let_pass(0.06)
        assert access.current() is first
    file.write_text("basic_auth: {username: a, password: c}")
    wait_until(lambda: access.current() is not first, 15, "the change is taken")


# --- requests to Prometheus -----------------------------------------------------------------------


def basic(pair: str) -> str:
    """Return the value of Authorization for a pair NAME:PASSWORD."""
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{}", ()),
        ("basic_auth: {username: ä, password: ' p '}", (("Authorization", basic("ä: p ")),)),
        ("authorization: {credentials_file: t}", (("Authorization", "Bearer token"),)),
        ("authorization: {type: Custom, credentials: x y}", (("Authorization", "Custom x y"),)),
        (
            "http_headers: {X-A: {values: [a, b], files: [t]}, X-B: {secrets: [c]}}",
            (("X-A", "a"), ("X-A", "b"), ("X-A", "token"), ("X-B", "c")),
        ),
    ],
)
def test_header_fields_are_set(
    tmp_path: Path, file: Path, text: str, fields: tuple[tuple[str, str], ...]
) -> None:
    """White space around a file's content is removed; an inline value stays as written."""
    (tmp_path / "t").write_text("  token\n")
    file.write_text(text)
    assert PrometheusAccess(str(file)).current().fields == fields


def test_requests_without_a_file_are_anonymous() -> None:
    """Without a file, requests have no fields, the system's CAs and the URL's host name."""
    access = PrometheusAccess().current()
    assert (access.fields, access.server_name("h")) == ((), "h")
    assert access.tls.verify_mode is ssl.CERT_REQUIRED


def test_tls_of_the_client_is_set(file: Path, authority: Authority) -> None:
    """The CA, the client's certificate and the server's name come from the file."""
    pair = authority.issue("client", usage="clientAuth")
    file.write_text(
        f"tls_config: {{ca_file: {authority.file}, cert_file: {pair.certificate},"
        f" key_file: {pair.key}, server_name: s, min_version: TLS13}}"
    )
    access = PrometheusAccess(str(file)).current()
    assert access.server_name("h") == "s"
    assert access.tls.minimum_version is ssl.TLSVersion.TLSv1_3
    assert len(access.tls.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("tls_config: {ca_file: none.pem}", "none.pem: No such file"),
        ("tls_config: {ca: nonsense}", "the CA: no readable certificate in it"),
        ("tls_config: {cert: x, key: y}", "cert and key: no readable certificate and key"),
        ('authorization: {credentials: "a\\nb"}', "the credentials: must be a single line"),
        ("authorization: {credentials_file: none}", "none: No such file"),
        ('tls_config: {ca_file: "a\\0b"}', "a\ufffdb: no file can have this path"),
    ],
)
def test_unusable_access_is_refused(file: Path, text: str, cause: str) -> None:
    """Problems of the named files are reported at the start."""
    file.write_text(text)
    assert cause in refusal(PrometheusAccess, file)


# --- the web server -------------------------------------------------------------------------------


def serving(authority: Authority, more: str = "", name: str = "server") -> str:
    """Return a web configuration with TLS."""
    pair = authority.issue(name)
    return f"tls_server_config: {{cert_file: {pair.certificate}, key_file: {pair.key}{more}}}\n"


def test_certificate_and_key_may_be_inline(file: Path, authority: Authority) -> None:
    """Certificate and key may be part of the configuration."""
    pair = authority.issue("inline")
    indented = (each.read_text().replace("\n", "\n    ") for each in (pair.certificate, pair.key))
    file.write_text("tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n".format(*indented))
    assert WebAccess(str(file)).current().tls is not None


def test_unusable_pair_is_refused(file: Path, authority: Authority) -> None:
    """A key of another certificate, an encrypted key, and a file that is no PEM are refused."""
    one, other = authority.issue("one"), authority.issue("other")
    template = "tls_server_config: {{cert_file: {}, key_file: {}}}"
    file.write_text(template.format(one.certificate, other.key))
    assert "the key does not match the certificate" in refusal(WebAccess, file)
    locked = other.key.with_suffix(".locked")
    encrypt = ["openssl", "pkcs8", "-topk8", "-passout", "pass:x", "-in", str(other.key)]
    subprocess.run([*encrypt, "-out", str(locked)], check=True, capture_output=True)
    file.write_text(template.format(other.certificate, locked))
    cause = f"{other.certificate} and {locked}: the key is encrypted"
    assert cause in refusal(WebAccess, file)
    file.write_text(template.format(file, file))
    assert "must be PEM" in refusal(WebAccess, file)


@pytest.mark.parametrize(
    ("fields", "verify_mode", "lowest"),
    [
        ("", ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2),
        (", client_auth_type: RequestClientCert", ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2),
        (", client_auth_type: VerifyClientCertIfGiven", ssl.CERT_OPTIONAL, ssl.TLSVersion.TLSv1_2),
        (", min_version: TLS13", ssl.CERT_NONE, ssl.TLSVersion.TLSv1_3),
        (
            ", client_auth_type: RequireAndVerifyClientCert, curve_preferences: [X25519]",
            ssl.CERT_OPTIONAL,
            ssl.TLSVersion.TLSv1_2,
        ),
    ],
)
def test_tls_of_the_server_is_set(
    file: Path,
    authority: Authority,
    fields: str,
    verify_mode: ssl.VerifyMode,
    lowest: ssl.TLSVersion,
) -> None:
    """A client's certificate is requested, but not required: health checks have none."""
    file.write_text(serving(authority, fields))
    tls = WebAccess(str(file)).current().tls
    assert tls is not None
    assert (tls.verify_mode, tls.minimum_version) == (verify_mode, lowest)


def test_cipher_suites_are_limited_to_the_named_ones(file: Path, authority: Authority) -> None:
    """For TLS 1.2 only the named cipher suites are used."""
    suites = ", cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"
    file.write_text(serving(authority, suites))
    tls = WebAccess(str(file)).current().tls
    assert tls is not None
    old = [each["name"] for each in tls.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert old == ["ECDHE-ECDSA-AES256-GCM-SHA384"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("tls → users", "TLS cannot be switched on or off"),
        ("users → tls", "TLS cannot be switched on or off"),
        ("users → {}", "no longer requires passwords;"),
        ("tls users → tls", "no longer requires passwords;"),
        ("mtls users → tls users", "no longer requires client certificates"),
        ("mtls users → tls", "no longer requires passwords and client certificates"),
        ("users → ", "no configuration"),
    ],
)
def test_edit_cannot_remove_protection(
    file: Path,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    edit: str,
    reason: str,
) -> None:
    """An edit that removes TLS or the authentication of clients is refused."""
    required = serving(authority, ", client_auth_type: RequireAndVerifyClientCert")
    texts = {
        "tls": serving(authority),
        "mtls": required,
        "users": f"basic_auth_users: {{a: {HASH}}}\n",
        "{}": "{}",
    }
    before, after = ("".join(texts[word] for word in x.split()) for x in edit.split("→"))
    file.write_text(before)
    access = WebAccess(str(file))
    config = access.current().config
    file.write_text(after)
    wait_until(lambda: access.current() is not None and bool(errors(caplog)), 15, "it is said")
    assert reason in errors(caplog)[0]
    assert access.current().config == config
