"""The credentials of a kubeconfig or service account, and the requests that use them."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from wrapper.access.prometheus_access import Access
from wrapper.access.reloading_file import Reading
from wrapper.election.credentials import read_credentials
from wrapper.election.kubeconfig import ClusterAccess, NoAccess

ReadAccess = Callable[..., Access]


@pytest.fixture
def access_of(tmp_path: Path) -> ReadAccess:
    """Return a function that reads a kubeconfig with this user, and these keys of its cluster."""

    def read(user: dict[str, Any], server: str = "https://s", **cluster: object) -> Access:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": server} | cluster}],
            "users": [{"name": "u", "user": user}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(content))
        return read_credentials(ClusterAccess((tmp_path / "kubeconfig",)), Reading())

    return read


@pytest.mark.parametrize(
    ("user", "value"),
    [
        ({}, None),
        ({"token": "inline\n"}, "Bearer inline"),
        ({"token": "inline", "tokenFile": "token"}, "Bearer filed"),
        ({"username": "a", "password": "b"}, "Basic YTpi"),
        ({"token": "inline", "exec": {"command": "/none"}}, "Bearer inline"),
    ],
)
def test_credentials_have_the_precedence_of_client_go(
    access_of: ReadAccess, tmp_path: Path, user: dict[str, Any], value: str | None
) -> None:
    """A token file precedes a token, which precedes a plugin; paths are relative to the file."""
    (tmp_path / "token").write_text(" filed\n")
    assert dict(access_of(user).fields).get("Authorization") == value


def base64_of(path: Path | str) -> str:
    """Return a file's content in base64, as in a kubeconfig."""
    return base64.b64encode(Path(path).read_bytes()).decode()


@pytest.mark.parametrize("is_inline", [True, False])
def test_certificates_come_from_files_or_inline_data(
    access_of: ReadAccess, tmp_path: Path, *, is_inline: bool
) -> None:
    """Only the given CA is trusted, and the client's certificate is used."""
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("client").paths
    named = {"client-certificate": certificate, "client-key": key}
    user = {f"{name}-data": base64_of(path) for name, path in named.items()}
    cluster: dict[str, object] = {"certificate-authority-data": base64_of(authority.file)}
    if not is_inline:
        user = {name: str(Path(path).relative_to(tmp_path)) for name, path in named.items()}
        cluster = {"certificate-authority": str(authority.file.relative_to(tmp_path))}
    access = access_of(user, **cluster)
    assert access.tls.cert_store_stats()["x509_ca"] == 1
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert access.config.tls.certificate


def test_tls_server_name_and_skip_verify_are_used(access_of: ReadAccess) -> None:
    """``tls-server-name`` and ``insecure-skip-tls-verify`` have their effect."""
    assert access_of({}).server_name("s") == "s"
    assert access_of({}, **{"tls-server-name": "other"}).server_name("s") == "other"
    assert access_of({}, **{"insecure-skip-tls-verify": True}).tls.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ({"tokenFile": "none"}, "none: No such file or directory; "),
        ({"token": "SECRET\nSECRET"}, "must be a single line of text"),
        ({"client-certificate-data": "SECRET", "client-key-data": "S"}, "-data is not base64"),
        (
            {"client-certificate-data": "U0VDUkVU", "client-key-data": "U0VDUkVU"},
            "cert and key: no readable certificate and key",
        ),
        ({"exec": {"SECRET": "S"}}, "exec has no command: name the program"),
        ({"exec": "SECRET"}, "exec has no command: name the program"),
        ({"auth-provider": {"SECRET": "S"}}, "auth-provider is not supported: name a plugin"),
    ],
)
def test_unusable_credentials_are_reported(
    access_of: ReadAccess, user: dict[str, Any], problem: str
) -> None:
    """The problem names the file, but shows none of its values."""
    with pytest.raises(NoAccess, match=r"^the kubeconfig .*/kubeconfig cannot be used: ") as caught:
        access_of(user)
    assert problem in str(caught.value)
    assert "SECRET" not in str(caught.value)
