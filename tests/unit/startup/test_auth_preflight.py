"""The check that Prometheus' requirements, our credentials and the API's clients fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapper.access.web_config import ClientRequirements
from wrapper.options.loading import load
from wrapper.options.prometheus_args import ChildArguments
from wrapper.startup.auth_preflight import check_auth

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
USERS = f"basic_auth_users: {{alice: {HASH}}}"
PAIR = "cert_file: c, key_file: k"
CERTIFICATES = f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}"
PASSWORD = "basic_auth: {username: a, password: b}"
PROXY = "--api-proxy-enabled"


def found(
    folder: Path, *flags: str, child: str | None = None, http: str | None = None, web: str = ""
) -> tuple[ClientRequirements, list[str]]:
    """Return the requirements and problems with these files; None or "" means no file."""
    words, command = [*flags], ["prometheus"]
    for flag, text in (("prometheus-http-config", http), ("web-config-file", web or None)):
        if text is not None:
            (folder / f"{flag}.yml").write_text(text)
            words.append(f"--{flag}={folder / flag}.yml")
    if child is not None:
        (folder / "child.yml").write_text(child)
        command.append(f"--web.config.file={folder / 'child.yml'}")
    words = [*words, "--config=c.yml", "--lease-lock=none", "--", *command]
    settings = load(words, {}, hostname="h", incarnation="i")
    auth = check_auth(settings, ChildArguments.parse(settings.child))
    return auth.requirements, list(auth.problems)


@pytest.mark.parametrize(
    ("child", "http", "requirements"),
    [
        (None, None, ClientRequirements()),
        ("{}", None, ClientRequirements()),
        (f"tls_server_config: {{{PAIR}}}", None, ClientRequirements(tls=True)),
        (USERS, PASSWORD, ClientRequirements(password=True)),
        (USERS, "authorization: {credentials: t}", ClientRequirements(password=True)),
    ],
)
def test_requirements_that_are_met(
    tmp_path: Path, child: str | None, http: str | None, requirements: ClientRequirements
) -> None:
    """The requirements of Prometheus are known, and there are no problems."""
    assert found(tmp_path, child=child, http=http) == (requirements, [])


@pytest.mark.parametrize(
    ("child", "http", "cause", "cure"),
    [
        (USERS, None, "password", "set basic_auth in the file"),
        (USERS, "{}", "password", "set basic_auth in the file"),
        (CERTIFICATES, PASSWORD, "client certificate", "set cert_file and key_file"),
    ],
)
def test_requirements_that_are_not_met(
    tmp_path: Path, child: str, http: str | None, cause: str, cure: str
) -> None:
    """One line names Prometheus' file, what is missing, and where to set it."""
    _, (problem,) = found(tmp_path, child=child, http=http)
    place, _, rest = problem.partition(": ")
    assert place == f"--web.config.file={tmp_path / 'child.yml'}"
    assert cause in rest.partition("; ")[0]
    assert cure in problem
    assert problem.endswith("in the file that --prometheus-http-config names")


@pytest.mark.parametrize(
    ("flags", "http", "web", "is_refused"),
    [
        ((PROXY,), PASSWORD, "", True),
        ((PROXY,), PASSWORD, "http_server_config: {http2: true}", True),
        ((PROXY,), "http_headers: {X-Key: {secrets: [a]}}", "", True),
        ((PROXY,), "http_headers: {X-Scope-OrgID: {values: [a]}}", "", False),
        ((PROXY,), "tls_config: {insecure_skip_verify: true}", "", False),
        ((PROXY,), PASSWORD, USERS, False),
        ((), PASSWORD, "", False),
        ((PROXY, "--init"), PASSWORD, "", False),
    ],
)
def test_proxy_with_credentials_needs_authenticated_clients(
    tmp_path: Path, flags: tuple[str, ...], http: str, web: str, is_refused: bool
) -> None:
    """A proxy that adds our credentials is refused unless its clients authenticate."""
    _, problems = found(tmp_path, *flags, http=http, web=web)
    assert [problem.partition(":")[0] for problem in problems] == [PROXY] * is_refused


def test_problems_of_all_files_are_reported(tmp_path: Path) -> None:
    """Problems of several files, also missing ones, are reported together."""
    path = tmp_path / "none.yml"
    words = ("--config=c.yml", "--lease-lock=none", f"--web-config-file={path}")
    settings = load((*words, "--", "prometheus"), {}, hostname="h", incarnation="i")
    auth = check_auth(
        settings, ChildArguments.parse(("prometheus", "--web.config.file=/none/w.yml"))
    )
    assert auth.problems == (
        f"--web-config-file: {path}: No such file or directory; create it, or correct the path",
        "--web.config.file: /none/w.yml: No such file or directory; create it, or correct the path",
    )
