"""Checks the files about TLS and passwords before the start.

Prometheus may demand a password or a certificate, which this program must have. And if it has them,
its proxy must not give everyone access: then the API has to authenticate its clients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wrapper.access.http_config import HttpConfig
from wrapper.access.prometheus_access import PrometheusAccess, opened
from wrapper.access.reloading_file import LARGEST_FILE
from wrapper.access.web_access import WebAccess
from wrapper.access.web_config import Demands, WebConfig, read_demands
from wrapper.base import files
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import Settings


@dataclass(frozen=True, slots=True)
class AuthCheck:
    """What the files say; ``problems`` are lines for people.

    ``access`` has the credentials for Prometheus, none if there are problems.
    """

    access: PrometheusAccess = field(default_factory=PrometheusAccess)
    demands: Demands = field(default_factory=Demands)
    problems: tuple[str, ...] = ()


def check_auth(settings: Settings, arguments: ChildArguments) -> AuthCheck:
    """Read the files; return what Prometheus demands, and problems."""
    if settings.mode.is_init:
        return AuthCheck()
    access, http_problems = opened(settings.web.prometheus_http_config)
    http = access.current().config
    web, web_problems = _web_config(settings)
    demands, problems = _demands(settings, arguments)
    if not http_problems:
        problems += _unmet(demands, arguments, http)
    if settings.mode.is_plain:
        problems = []  # Prometheus checks its own file, and may run even if requests to it fail
    if not http_problems and not web_problems:
        problems += _open_relay(settings, http, web)
    return AuthCheck(access, demands, (*http_problems, *web_problems, *problems))


def _web_config(settings: Settings) -> tuple[WebConfig, list[str]]:
    try:
        access = WebAccess(settings.web.web_config_file)
    except ConfigurationError as error:
        return WebConfig(), list(error.problems)
    return access.current().config, []


def _demands(settings: Settings, arguments: ChildArguments) -> tuple[Demands, list[str]]:
    """Return what our own Prometheus demands of its clients."""
    path = arguments.web_config_file
    if not path or not settings.mode.owns_child:
        return Demands(), []
    try:
        content = files.read_input(Path(path), LARGEST_FILE)
    except files.InputError as error:
        return Demands(), [f"--web.config.file: {error}"]
    return read_demands(Source(path, content)), []


def _unmet(demands: Demands, arguments: ChildArguments, http: HttpConfig) -> list[str]:
    """Return a problem for each demand of Prometheus that cannot be met."""
    where = f"--web.config.file={arguments.web_config_file}"
    cure = "in the file that --prometheus-http-config names"
    problems = []
    if demands.password and http.credentials is None:
        text = "Prometheus demands a user name and a password, and none is configured"
        problems.append(f"{where}: {text}; set basic_auth {cure}")
    if demands.certificate and not http.tls.certificate:
        text = "Prometheus demands a client certificate, and none is configured"
        problems.append(f"{where}: {text}; set cert_file and key_file in tls_config {cure}")
    return problems


def _open_relay(settings: Settings, http: HttpConfig, web: WebConfig) -> list[str]:
    """Refuse a proxy that would give everyone access to a protected Prometheus."""
    if not (settings.web.proxy_enabled and http.opens_doors) or web.knows_its_clients:
        return []
    text = (
        "--api-proxy-enabled: with the credentials of --prometheus-http-config, all who can reach "
        "the API could query Prometheus; set --web-config-file with "
        "basic_auth_users, or with client_auth_type: RequireAndVerifyClientCert"
    )
    return [text]
