"""Checks the files that configure TLS and passwords, before the start.

Prometheus may demand a password or a client certificate, which this program then needs. If this
program has them, its proxy must not give everyone access to Prometheus. So the API then has to
authenticate its clients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wrapper.access.http_config import HttpConfig
from wrapper.access.prometheus_access import PrometheusAccess, opened
from wrapper.access.reloading_file import LARGEST_FILE
from wrapper.access.web_access import WebAccess
from wrapper.access.web_config import ClientRequirements, WebConfig, read_client_requirements
from wrapper.base import files
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import Settings


@dataclass(frozen=True, slots=True)
class AuthCheck:
    """The result of the check.

    - ``access``: the credentials for Prometheus, none if there are problems.
    - ``requirements``: what Prometheus demands of its clients.
    - ``problems``: one message for each problem.
    """

    access: PrometheusAccess = field(default_factory=PrometheusAccess)
    requirements: ClientRequirements = field(default_factory=ClientRequirements)
    problems: tuple[str, ...] = ()


def check_auth(settings: Settings, arguments: ChildArguments) -> AuthCheck:
    """Read the files; return the credentials, what Prometheus demands, and the problems."""
    if settings.mode.is_init:
        return AuthCheck()
    access, http_problems = opened("--prometheus-http-config", settings.web.prometheus_http_config)
    http = access.current().config
    web, web_problems = _web_config(settings)
    requirements, problems = _requirements(settings, arguments)
    if not http_problems:
        problems += _unmet(requirements, arguments, http)
    if settings.mode.is_plain:
        problems = []  # Prometheus checks its own file, and runs even if our requests to it fail
    if not http_problems and not web_problems:
        problems += _open_relay(settings, http, web)
    return AuthCheck(access, requirements, (*http_problems, *web_problems, *problems))


def _web_config(settings: Settings) -> tuple[WebConfig, list[str]]:
    try:
        access = WebAccess(settings.web.web_config_file)
    except ConfigurationError as error:
        return WebConfig(), [f"--web-config-file: {each}" for each in error.problems]
    return access.current().config, []


def _requirements(
    settings: Settings, arguments: ChildArguments
) -> tuple[ClientRequirements, list[str]]:
    """Return what this replica's Prometheus demands of its clients, and problems of its file."""
    path = arguments.web_config_file
    if not path or not settings.mode.owns_child:
        return ClientRequirements(), []
    try:
        content = files.read_input(Path(path), LARGEST_FILE)
    except files.InputError as error:
        return ClientRequirements(), [f"--web.config.file: {error}"]
    return read_client_requirements(Source(path, content)), []


def _unmet(
    requirements: ClientRequirements, arguments: ChildArguments, http: HttpConfig
) -> list[str]:
    """Return a problem for each demand of Prometheus that the credentials do not meet."""
    where = f"--web.config.file={arguments.web_config_file}"
    cure = "in the file that --prometheus-http-config names"
    problems = []
    if requirements.password and http.credentials is None:
        text = "Prometheus requires a user name and a password, and none is configured"
        problems.append(f"{where}: {text}; set basic_auth {cure}")
    if requirements.certificate and not http.tls.certificate:
        text = "Prometheus requires a client certificate, and none is configured"
        problems.append(f"{where}: {text}; set cert_file and key_file in tls_config {cure}")
    return problems


def _open_relay(settings: Settings, http: HttpConfig, web: WebConfig) -> list[str]:
    """Return a problem if the proxy would give everyone access to a protected Prometheus."""
    if not (settings.web.proxy_enabled and http.can_authenticate) or web.requires_authentication:
        return []
    text = (
        "--api-proxy-enabled: with the credentials of --prometheus-http-config, all who can reach "
        "the API could query Prometheus; set --web-config-file with "
        "basic_auth_users, or with client_auth_type: RequireAndVerifyClientCert"
    )
    return [text]
