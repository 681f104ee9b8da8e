"""The subcommands ``status`` and ``step-down``: ask a running replica's API, and tell a terminal.

Exit status: 0 it is well (exactly one leads), or it is done; 1 it is not; 2 it could not be asked.
A step-down goes over the API where that knows its clients, else by a file and a signal to the
supervisor on this machine, which is found by the port that its API listens on.
"""

from __future__ import annotations

import base64
import getpass
import http.client
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeGuard
from urllib.parse import SplitResult, unquote, urlsplit

from wrapper.election import pause
from wrapper.election.succession import why_not
from wrapper.options.durations import parse_duration
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import SettingsError, load
from wrapper.start import output_of

GOOD, NOT_SO, UNASKED = 0, 1, 2
COMMANDS = ("status", "step-down")
_LIMIT_S = 10.0
_PATIENCE_S = 15.0
_FORBIDDEN = 403
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADS: tuple[str, ...] = ("REPLICA", "ROLE", "LEADER", "PROMETHEUS", "CONFIG", "SINCE", "WHY")
_WEB = "wrapper.web.web"
_WANTED = {"identity": str, "role": str, "is_leader": bool, "leader": str, "reason": str}
_NO_STATUS = "what it says has not the form of a status"
_PROGRAMS = frozenset({"prometheus-elector", "wrapper", "__main__.py"})
Json = dict[str, Any]


class Unasked(Exception):
    """A question cannot be put, or brings no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the words of the command say; ``for_s`` is None where nothing was said of it."""

    url: str
    for_s: float | None = None
    is_forced: bool = False


def run(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what the words after the program's name ask for; return the exit status."""
    try:
        asked = read_words(words[1:], environ)
        api = Api(asked.url)
        return _status(api) if words[0] == "status" else _step_down(api, asked)
    except Unasked as error:
        _say(f"prometheus-elector {words[0]}: {error}", sys.stderr)
        return UNASKED


def read_words(words: Sequence[str], environ: Mapping[str, str]) -> Asked:
    """Read a URL, ``--for`` and ``--force``; raise Unasked."""
    port = environ.get("ELECTOR_API_LISTEN_ADDRESS", "").rpartition(":")[2] or "9095"
    url, for_s, is_forced = f"http://127.0.0.1:{port}", None, False
    left = list(words)
    while left:
        name, equals, value = left.pop(0).partition("=")
        match "--" + name.lstrip("-") if name.startswith("-") else "":
            case "--for":
                for_s = _duration(value if equals else left.pop(0) if left else "")
            case "--force":
                is_forced = True
            case "":
                url = name + equals + value
            case _:
                raise Unasked(f"{name}: unknown; there are URL, --for=30m and --force")
    return Asked(url if "://" in url else f"http://{url}", for_s, is_forced)


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise Unasked(f"--for={text}: {error}") from error
    if not 0 <= seconds <= pause.LONGEST_S:
        raise Unasked(f"--for={text}: write a time from 0s to {pause.LONGEST_S / 3600:g}h")
    return seconds


# --- asking -----------------------------------------------------------------------------------


class Api:
    """One replica's API; a password that the URL leaves out is asked for."""

    def __init__(self, url: str) -> None:
        try:
            self.parts: SplitResult = urlsplit(url)
            self.port = self.parts.port or {"http": 80, "https": 443}[self.parts.scheme]
        except (ValueError, KeyError) as error:
            raise Unasked(f"{url} is no URL: write http://HOST:9095") from error
        self.host = self.parts.hostname or ""
        self._fields = {"Content-Type": "application/json"}
        if self.parts.username is not None:
            password = self.parts.password
            given = getpass.getpass("Password: ") if password is None else unquote(password)
            pair = f"{unquote(self.parts.username)}:{given}".encode()
            self._fields["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"

    def __str__(self) -> str:
        return f"{self.parts.scheme}://{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Return the answer's code and JSON; raise Unasked."""
        content = None if body is None else json.dumps(body)
        connection = self._connection()
        try:
            connection.request(method, self.parts.path.rstrip("/") + path, content, self._fields)
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise Unasked(f"{self} does not answer as it should: {error}") from error
        finally:
            connection.close()
        if not isinstance(told, dict):
            raise Unasked(f"{self} is not the API of a prometheus-elector")
        return answer.status, told

    def _connection(self) -> http.client.HTTPConnection:
        if self.parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=_LIMIT_S, context=context
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=_LIMIT_S)

    def fleet(self) -> list[Json]:
        """Return what all replicas say, the one that is asked first; raise Unasked."""
        replicas = self._told("/_elector/fleet").get("replicas")
        if not isinstance(replicas, list) or not all(isinstance(each, dict) for each in replicas):
            raise Unasked(f"{self} does not say what the replicas say; is it of another version?")
        return replicas

    def status(self) -> Json:
        """Return what the replica says of itself; raise Unasked."""
        told = self._told("/_elector/status")
        if not is_status(told):
            raise Unasked(f"{self}: {_NO_STATUS}")
        return told

    def _told(self, path: str) -> Json:
        code, told = self.ask("GET", path)
        if code != http.client.OK:
            raise Unasked(f"{self}: {told.get('error', f'HTTP {code}')}")
        return told


def is_status(told: object) -> TypeGuard[Json]:
    """Tell whether it has the form of a status, as far as it is used here."""
    return (
        isinstance(told, dict)
        and all(isinstance(told.get(name), kind) for name, kind in _WANTED.items())
        and all(isinstance(told.get(name), dict | None) for name in ("prometheus", "configuration"))
    )


def _say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, without what a terminal would act on; on standard output unless told."""
    print("".join(filter(str.isprintable, text)), file=stream)


# --- status -----------------------------------------------------------------------------------


def _status(api: Api) -> int:
    replicas = api.fleet()
    for line in table(replicas):
        _say(line)
    known = filter(is_status, (each.get("status") for each in replicas))
    leaders = sum(told["is_leader"] for told in known)
    return GOOD if leaders == 1 else NOT_SO


def table(replicas: Sequence[Json]) -> Iterator[str]:
    """Yield the lines of a table, a replica each; control characters are left out."""
    rows = [_HEADS, *map(_row, replicas)]
    cells = [["".join(c for c in cell if c.isprintable()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _row(replica: Json) -> tuple[str, ...]:
    told = replica.get("status")
    if not is_status(told):
        why = _NO_STATUS if told is not None else f"unreachable: {replica.get('problem', '')}"
        return str(replica.get("url", "?")), "?", "?", "?", "?", "?", why
    prometheus, configuration = told.get("prometheus") or {}, told.get("configuration")
    ready = "ready" if prometheus.get("is_ready") else "not ready"
    config = "own file" if not configuration else _config(configuration)
    since = str(told.get("role_since", "")).replace("+00:00", "Z")
    leader = told["leader"] or "nobody"
    return told["identity"], told["role"], leader, ready, config, since, told["reason"]


def _config(configuration: Json) -> str:
    if not configuration.get("is_valid"):
        return "invalid"
    return "loaded" if configuration.get("is_loaded") else "not confirmed"


# --- step-down --------------------------------------------------------------------------------


def _step_down(api: Api, asked: Asked) -> int:
    body: Json = {"force": asked.is_forced}
    if asked.for_s is not None:
        body["for_s"] = asked.for_s
    before = api.status()
    code, told = api.ask("POST", "/_elector/step-down", body)
    if code == _FORBIDDEN and api.host in _LOOPBACK and "does not know who asks" in str(told):
        _by_signal(api, asked)
    elif code != http.client.OK:
        raise Unasked(str(told.get("error", f"HTTP {code}")))
    if asked.for_s == 0:
        _say(f"{before['identity']} keeps out of the election no longer")
        return GOOD
    return _await_outcome(api, asked, before)


def _by_signal(api: Api, asked: Asked) -> None:
    """Do on this machine what the API would."""
    own, *others = (each.get("status") for each in api.fleet() or [{}])
    if not is_status(own):
        raise Unasked(f"{api}: {_NO_STATUS}")
    known = list(filter(is_status, others))
    wrong = why_not(own, known, is_forced=asked.is_forced, for_s=asked.for_s)
    if wrong:
        raise Unasked(wrong.replace("force it", "use --force"))
    try:
        pid, output = supervisor_on(api.port)
        if asked.for_s is not None:
            owner = Path(f"/proc/{pid}").stat().st_uid  # this may be root, and the supervisor not
            pause.write(pause.path_of(output), asked.for_s, owner)
        os.kill(pid, signal.SIGUSR1)
    except OSError as error:
        raise Unasked(f"the supervisor cannot be told: {error}") from error


def supervisor_on(port: int) -> tuple[int, Path]:
    """Return the supervisor whose API listens on a port here, and its output; raise Unasked."""
    import psutil  # noqa: PLC0415 - heavy, and only for this

    def listens(connection: Any) -> bool:
        is_open = connection.status == psutil.CONN_LISTEN and connection.pid
        return bool(is_open) and connection.laddr.port == port

    try:
        found = next(filter(listens, psutil.net_connections("tcp")))
        process = psutil.Process(found.pid)
        is_ours = _WEB in process.cmdline()
        while _WEB in process.cmdline():  # a worker, and the process that started it
            process = psutil.Process(process.ppid())
        if is_ours:
            return process.pid, _output(process.cmdline(), process)
    except (psutil.Error, StopIteration):
        pass
    raise Unasked(f"no prometheus-elector of this user listens on port {port} of this machine")


def _output(words: list[str], supervisor: Any) -> Path:
    """Return where a supervisor writes, by its own words and environment."""
    first = next(at for at, word in enumerate(words) if Path(word).name in _PROGRAMS)
    try:
        settings = load(words[first + 1 :], supervisor.environ(), hostname="", incarnation="")
    except SettingsError as error:
        settings = error.settings
    output = output_of(settings, ChildArguments.parse(settings.child))
    return Path(supervisor.cwd()) / output


def _await_outcome(api: Api, asked: Asked, before: Json) -> int:
    """Tell what comes of it, as far as it can be seen in time; forced, nobody may come."""
    until = time.monotonic() + _PATIENCE_S
    leader, own = "", before["identity"]
    while time.monotonic() < until:
        code, told = api.ask("GET", "/_elector/status")
        if code == http.client.OK and is_status(told):
            leader = told["leader"]
            if outcome := outcome_of(told, before, asked.for_s):
                _say(outcome)
                return GOOD
            if asked.is_forced and before["is_leader"] and not leader:
                break
        time.sleep(0.2)
    _say(f"{own} was asked to step down; {leader or 'nobody'} leads so far")
    return NOT_SO


def outcome_of(told: Json, before: Json, for_s: float | None) -> str:
    """Return in words what a status shows to have come of it, "" for nothing yet."""
    own, leader, until = told["identity"], told["leader"], told.get("paused_until")
    if for_s and until in (None, before.get("paused_until")):
        return ""
    if not before["is_leader"]:
        return f"{own} keeps out of the election until {until}; {leader or 'nobody'} leads"
    return f"{own} has stepped down; {leader} leads" if leader not in ("", own) else ""
