"""Configuration files for serving and requests, and files that one run saves for the next."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.fuzz.yaml_texts import Writer, damaged, plain
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.reloading_file import Reading
from wrapper.access.tls_context import server_context
from wrapper.access.web_config import read_client_requirements, read_web_config
from wrapper.base.shared_memory import SLOT_BYTES, SharedReader, SharedWriter
from wrapper.configuration.gate_comment import endpoints_in
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.election.credentials import read_credentials
from wrapper.election.kubeconfig import ClusterAccess, NoAccess, check_kubeconfig
from wrapper.election.lock_content import content_of

WEB = (
    *("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit", "headers"),
    *(
        "cert_file",
        "key_file",
        "client_ca_file",
        "client_auth_type",
        "min_version",
        "cipher_suites",
    ),
    *("curve_preferences", "client_allowed_sans", "http2", "X-Frame-Options", "interval", "cert"),
    *("RequireAndVerifyClientCert", "TLS12", "TLS13", "TLS_AES_128_GCM_SHA256", "CurveP256", "key"),
    *("$2y$10$" + "a" * 53, "$2y$31$" + "a" * 53, "nosniff", "true", "deny"),
)
CLIENT = (
    *(
        "basic_auth",
        "authorization",
        "bearer_token",
        "tls_config",
        "http_headers",
        "oauth2",
        "type",
    ),
    *("username", "password", "password_file", "credentials", "credentials_file", "ca", "ca_file"),
    *("server_name", "insecure_skip_verify", "X-A", "values", "secrets", "files", "Authorization"),
    *("follow_redirects", "proxy_url", "Bearer", "true", "/dev/null", "min_version", "TLS13"),
)
KUBE = (
    *("contexts", "clusters", "users", "context", "cluster", "user", "name", "current-context"),
    *("server", "https://h", "http://h", "certificate-authority", "certificate-authority-data"),
    *("token", "tokenFile", "username", "password", "client-key", "client-certificate-data"),
    *("insecure-skip-tls-verify", "proxy-url", "namespace", "tls-server-name", "true", "YTpi", "c"),
)
KUBECONFIG = b"""\
current-context: c
contexts: [{name: c, context: {cluster: c, user: c}}]
"""
seeds = st.integers(0, 1 << 60)


def written(seed: int, words: tuple[str, ...], sections: tuple[str, ...] = ()) -> bytes:
    """Return a file with these words in any places; ``sections`` are at the top level."""
    chance = Random(seed)
    writer = Writer(chance, words)
    if not sections:
        return damaged(writer.document(), chance)
    parts = chance.sample(sections, chance.randint(1, len(sections)))
    return damaged("".join(f"{part}:{writer.below()}\n" for part in parts), chance)


def check(problems: tuple[str, ...]) -> None:
    """Check that each problem is one printable line."""
    assert problems
    assert all(line.isprintable() and len(line) < 2000 for line in problems), problems


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all examples."""
    return tmp_path_factory.mktemp("files")


@fuzzed(250, seed=seeds)
def test_web_config(seed: int) -> None:
    """A web configuration is read, or refused with problems."""
    source = Source("web.yml", written(seed, WEB, WEB[:4]), "/etc")
    read_client_requirements(source)
    try:
        config = read_web_config(source)
        if config.tls is not None:
            server_context(config.tls, Reading().read)
    except ConfigurationError as error:
        check(error.problems)


@fuzzed(150, seed=seeds)
def test_http_config(folder: Path, seed: int) -> None:
    """An HTTP configuration gives valid header fields, or is refused with problems."""
    path = folder / "http.yml"
    path.write_bytes(written(seed, CLIENT, CLIENT[:5]))
    try:
        access = PrometheusAccess(str(path)).current()
    except ConfigurationError as error:
        return check(error.problems)
    for name, value in access.fields:
        assert not {"\r", "\n"} & set(name + value)
        value.encode("latin-1")
    return None


@fuzzed(150, seed=seeds, has_context=st.booleans())
def test_kubeconfig(folder: Path, seed: int, *, has_context: bool) -> None:
    """A kubeconfig gives an API server and credentials, or the reason in one line."""
    path = folder / "kubeconfig"
    below = Writer(Random(seed), KUBE)
    entries = "".join(
        f"{kind}s: [{{name: c, {kind}: {below.flow()}}}]\n" for kind in ("cluster", "user")
    )
    text = KUBECONFIG + entries.encode(errors="replace") if has_context else written(seed, KUBE)
    path.write_bytes(text)
    said = check_kubeconfig(str(path))
    assert said.isprintable()
    access = ClusterAccess.find(str(path))
    try:
        read_credentials(access, Reading())
        access.namespace()
    except NoAccess as error:
        check((str(error),))


@fuzzed(
    150,
    values=st.dictionaries(
        st.sampled_from(
            [
                "holder",
                "duration_s",
                "acquire_time",
                "renew_time",
                "transitions",
                "incarnation",
                "url",
                "marks",
            ]
        ),
        plain(),
    ),
    cut=st.integers(0, 30),
    is_signed=st.booleans(),
)
def test_lock_file(values: dict[str, Any], cut: int, *, is_signed: bool) -> None:
    """A lock file gives a record with bounded fields, or none."""
    line = json.dumps(values).encode()
    sum_ = b"%08x" % zlib.crc32(line if is_signed else b"")
    fd = os.memfd_create("lock")
    try:
        content = line + b"\n" + sum_ + b"\n"
        os.write(fd, content[: len(content) - cut] if cut < 10 else content)
        record = content_of(fd).record
    finally:
        os.close(fd)
    if record is not None:
        assert 1 <= record.duration_s < 2**31
        assert 0 <= record.transitions < 2**31
        assert record.holder.isprintable()
        assert len(record.holder) <= 512


@fuzzed(60, writes=st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=12)), max_size=3))
def test_shared_memory(writes: list[tuple[int, bytes]]) -> None:
    """Whatever overwrites it, a reader returns a complete value or none."""
    fd = os.memfd_create("snapshot")
    try:
        writer, reader = SharedWriter(fd), SharedReader(fd)
        writer.write(b"first")
        writer.write(b"second")
        for at, data in writes:
            os.pwrite(fd, data, at + SLOT_BYTES * (at % 2))
        assert reader.read_if_new() in (b"first", b"second", None)
    finally:
        os.close(fd)


@fuzzed(100, value=plain())
def test_endpoints_of_a_saved_rendering(value: Any) -> None:
    """The comment of a rendering gives endpoints, or none."""
    line = json.dumps(value).encode()
    for each in endpoints_in(b"a: 1\n# prometheus-elector gate: " + line + b"\n"):
        assert isinstance(each.name, str)
