"""What the files about TLS and passwords say at the start, and what of it does not fit.

There are two doors: Prometheus' own, which this program has to get through, and that of the API,
which must not be open to everyone where the proxy behind it has a key to the first.
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
class Doors:
    """What was found; ``problems`` are lines for people.

    ``access`` is how Prometheus is asked; anybody's where there are problems.
    """

    access: PrometheusAccess = field(default_factory=PrometheusAccess)
    demands: Demands = field(default_factory=Demands)
    problems: tuple[str, ...] = ()


def look(settings: Settings, arguments: ChildArguments) -> Doors:
    """Read the files, and return what Prometheus demands and what is wrong."""
    if settings.mode.is_init:
        return Doors()
    access, http_problems = opened(settings.web.prometheus_http_config)
    http = access.current().config
    web, web_problems = _web_config(settings)
    demands, problems = _demands(settings, arguments)
    if not http_problems:
        problems += _unmet(demands, arguments, http)
    if settings.mode.is_plain:
        problems = []  # Prometheus judges its own file, and runs also where nobody can ask it
    if not http_problems and not web_problems:
        problems += _open_relay(settings, http, web)
    return Doors(access, demands, (*http_problems, *web_problems, *problems))


def _web_config(settings: Settings) -> tuple[WebConfig, list[str]]:
    try:
        access = WebAccess(settings.web.web_config_file)
    except ConfigurationError as error:
        return WebConfig(), list(error.problems)
    return access.current().config, []


def _demands(settings: Settings, arguments: ChildArguments) -> tuple[Demands, list[str]]:
    """Return what our own Prometheus will ask of us."""
    path = arguments.web_config_file
    if not path or not settings.mode.owns_child:
        return Demands(), []
    try:
        content = files.read_input(Path(path), LARGEST_FILE)
    except files.InputError as error:
        return Demands(), [f"--web.config.file: {error}"]
    return read_demands(Source(path, content)), []


def _unmet(demands: Demands, arguments: ChildArguments, http: HttpConfig) -> list[str]:
    """Say what Prometheus demands and nobody has given us."""
    where = f"--web.config.file={arguments.web_config_file}"
    cure = "in the file that --prometheus-http-config names"
    problems = []
    if demands.password and http.credentials is None:
        text = "Prometheus wants a name and a password, and none is known here"
        problems.append(f"{where}: {text}; give them as basic_auth {cure}")
    if demands.certificate and not http.tls.certificate:
        text = "Prometheus wants a client certificate, and none is known here"
        problems.append(f"{where}: {text}; give cert_file and key_file in tls_config {cure}")
    return problems


def _open_relay(settings: Settings, http: HttpConfig, web: WebConfig) -> list[str]:
    """Refuse that whoever reaches the API gets through to a Prometheus that others cannot reach."""
    if not (settings.web.proxy_enabled and http.opens_doors) or web.knows_its_clients:
        return []
    text = (
        "--api-proxy-enabled: with the credentials of --prometheus-http-config it would open "
        "Prometheus to everyone who reaches the API; give --web-config-file with "
        "basic_auth_users, or with client_auth_type: RequireAndVerifyClientCert"
    )
    return [text]
