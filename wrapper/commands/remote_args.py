"""Parses the arguments of the commands ``status`` and ``step-down``, and finds the default URL.

Limitation: this module does not read the file that --http-config names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wrapper.access.web_config import read_client_requirements
from wrapper.base.durations import parse_duration
from wrapper.documents.source import Source
from wrapper.election import step_down_pause
from wrapper.options.flag_values import boolean

_ALL_ADDRESSES = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_WORDS = {
    "status": "URL and --http-config=FILE",
    "step-down": "URL, --http-config=FILE, --for=30m and --force",
}


class CommandFailed(Exception):
    """The command failed: its arguments are wrong, or the API gave no usable answer or refused.

    The message is the cause.
    """


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """The parsed arguments.

    - ``url``: the URL of the API.
    - ``for_s``: the value of --for in seconds, None without it.
    - ``is_forced``: whether --force is given.
    - ``http_config``: the value of --http-config, "" without it.
    """

    url: str
    for_s: float | None = None
    is_forced: bool = False
    http_config: str = ""


def read_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> RemoteRequest:
    """Parse the arguments of the program; raise CommandFailed."""
    command, *left = arguments
    url, values = "", {}
    while left:
        name, equals, value = left.pop(0).partition("=")
        flag = "--" + name.lstrip("-") if name.startswith("-") else ""
        if not flag and url:
            raise CommandFailed(
                f"{name}: only one URL is allowed, and {url} is already given; remove one"
            )
        if not flag:
            url = name + equals + value
        elif flag == "--force" and command == "step-down":
            values[flag] = value if equals else "true"
        elif flag == "--http-config" or (flag == "--for" and command == "step-down"):
            values[flag] = value if equals else left.pop(0) if left else ""
            if not values[flag]:
                raise CommandFailed(
                    f"{flag}: its value is missing; {command} takes {_WORDS[command]}"
                )
        else:
            raise CommandFailed(f"{name}: unknown; {command} takes {_WORDS[command]}")
    return _request(url or default_url(environ), values)


def _request(url: str, values: Mapping[str, str]) -> RemoteRequest:
    return RemoteRequest(
        url=url if "://" in url else f"http://{url}",
        for_s=_duration(values["--for"]) if "--for" in values else None,
        is_forced=_boolean(values.get("--force", "false")),
        http_config=values.get("--http-config", ""),
    )


def _boolean(text: str) -> bool:
    try:
        return boolean(text)
    except KeyError as error:
        raise CommandFailed(f"--force={text}: write --force, or leave it out") from error


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise CommandFailed(f"--for={text}: {error}") from error
    if not 0 <= seconds <= step_down_pause.LONGEST_S:
        raise CommandFailed(
            f"--for={text}: write a time from 0s to {step_down_pause.LONGEST_S / 3600:g}h"
        )
    return seconds


def default_url(environ: Mapping[str, str]) -> str:
    """Return the URL of the API of a replica that runs on this machine with this environment."""
    host, _, port = environ.get("ELECTOR_API_LISTEN_ADDRESS", "").rpartition(":")
    scheme = "https" if _is_over_tls(environ.get("ELECTOR_WEB_CONFIG_FILE", "")) else "http"
    return f"{scheme}://{_ALL_ADDRESSES.get(host, host)}:{port or '9095'}"


def _is_over_tls(web_config_file: str) -> bool:
    if not web_config_file:
        return False
    try:
        content = Path(web_config_file).read_bytes()
    except OSError:
        return False
    return read_client_requirements(Source(web_config_file, content)).tls
