"""The commands ``status`` and ``step-down``: requests to the API of a running replica.

Exit status: 0 if exactly one replica leads, or the step-down is complete; 2 if the API gave no
usable answer or refused; 1 otherwise. ``step-down`` uses the API if the API authenticates its
clients. Otherwise it writes the pause file and sends a signal to the supervisor on this machine,
which it finds by the port of its API.
"""

from __future__ import annotations

import getpass
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, TextIO, TypeGuard
from urllib.parse import SplitResult, quote, urlsplit

import psutil
from urllib3.exceptions import HTTPError

from wrapper.access.http_client import Connection
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.request_errors import ServerDescription, explain, trust_by
from wrapper.base.log import say
from wrapper.base.url_encoding import to_uri
from wrapper.commands.configuration_lines import configuration_lines
from wrapper.commands.gate_lines import gate_lines
from wrapper.commands.remote_args import CommandFailed, RemoteRequest, read_arguments
from wrapper.documents.problems import ConfigurationError
from wrapper.election import step_down_pause
from wrapper.election.step_down_rules import NO_AUTHENTICATION, STATUS_FORM, refusal_reason
from wrapper.model.snapshot import named
from wrapper.options.loading import SettingsError, load
from wrapper.options.prometheus_args import ChildArguments
from wrapper.startup.prepare import output_of

GOOD, UNCONFIRMED, FAILED = 0, 1, 2
_LIMIT_S = 10.0
_PATIENCE_S = 15.0
_FORCED_S = 5.0  # after --force, how long to wait for a successor, which may not be ready
_IS_JSON = (("Content-Type", "application/json"),)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})
_HEADS: tuple[str, ...] = ("REPLICA", "ROLE", "LEADER", "PROMETHEUS", "CONFIG", "SINCE", "WHY")
_WEB = "wrapper.web.app"
_NO_STATUS = "its answer is not a replica's status"
_PROGRAMS = frozenset({"prometheus-elector", "wrapper", "__main__.py"})
Json = dict[str, Any]


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command in ``arguments``, those of the program; return the exit status."""
    try:
        request = read_arguments(arguments, environ)
        api = Api(request.url, request.http_config)
        return _status(api) if arguments[0] == "status" else _step_down(api, request)
    except CommandFailed as error:
        _say(f"prometheus-elector {arguments[0]}: {error}", sys.stderr)
        return FAILED


# --- requests to the API ----------------------------------------------------------------------


class Api:
    """A client of the API of one replica.

    If the URL has a user but no password, it prompts for the password. Raises CommandFailed if the
    URL or the file of --http-config is invalid.
    """

    def __init__(self, url: str, http_config: str = "") -> None:
        try:
            parts = urlsplit(to_uri(url))
        except ValueError as error:
            shown = url.rpartition("@")[2]
            raise CommandFailed(f"{shown} is {error}; write http://HOST:9095") from error
        try:
            self._access = PrometheusAccess(http_config).current()
        except ConfigurationError as error:
            raise CommandFailed(f"--http-config: {'; '.join(error.problems)}") from error
        self.host = parts.hostname or ""
        self.port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        self.parts = _with_password(parts)
        self._server = ServerDescription(str(self), "prometheus-elector", trust_by("--http-config"))

    def __str__(self) -> str:
        return f"{self.parts.scheme}://{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Send a request; return the answer's status code and JSON object; raise CommandFailed."""
        content = None if body is None else json.dumps(body).encode()
        target = self.parts.path.rstrip("/") + path
        connection = Connection(self.parts, self._access)
        try:
            answer = connection.ask(method, target, _LIMIT_S, _IS_JSON, content)
            value = json.loads(answer.read())
        except (OSError, HTTPException, HTTPError, ValueError, RecursionError) as error:
            failure = explain(error, self._server, _LIMIT_S)
            may_be_tls = failure.kind == "broken" and self.parts.scheme == "http"
            hint = f"; if it uses TLS, write https://{self.parts.netloc.rpartition('@')[2]}"
            raise CommandFailed(failure.text + (hint if may_be_tls else "")) from error
        finally:
            connection.end()
        if not isinstance(value, dict):
            raise CommandFailed(f"{self} is not the API of a prometheus-elector")
        return answer.status, value

    def fleet(self) -> list[Json]:
        """Return the status of all replicas, that of this replica first; raise CommandFailed."""
        replicas = self._get("/_elector/fleet").get("replicas")
        if not isinstance(replicas, list) or not all(isinstance(each, dict) for each in replicas):
            raise CommandFailed(
                f"{self} sent no list of replicas: it is another program, or another version"
            )
        return replicas

    def status(self) -> Json:
        """Return the status of this replica; raise CommandFailed."""
        status = self._get("/_elector/status")
        if not is_status(status):
            raise CommandFailed(f"{self}: {_NO_STATUS}")
        return status

    def _get(self, path: str) -> Json:
        code, answer = self.ask("GET", path)
        if code != HTTPStatus.OK:
            raise CommandFailed(f"{self}: {answer.get('error', f'HTTP {code}')}")
        return answer


def _with_password(parts: SplitResult) -> SplitResult:
    """Return the URL; if it has a user but no password, prompt for it; raise CommandFailed."""
    if parts.username is None or parts.password is not None:
        return parts
    try:
        password = getpass.getpass("Password: ")
    except (EOFError, OSError) as error:
        cure = "name a file with it: basic_auth in --http-config=FILE"
        raise CommandFailed(
            f"no terminal to ask for {parts.username}'s password; {cure}"
        ) from error
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}")


def is_status(value: object) -> TypeGuard[Json]:
    """Return whether ``value`` has the fields of a status that this module uses."""
    return (
        isinstance(value, dict)
        and all(
            name in value and isinstance(value[name], kind) for name, kind in STATUS_FORM.items()
        )
        and all(
            isinstance(value.get(name), dict | None) for name in ("prometheus", "configuration")
        )
    )


def _say(text: str, stream: TextIO | None = None) -> None:
    """Print a line without its control characters, to standard output by default."""
    say("".join(filter(str.isprintable, text)), stream)


# --- status -----------------------------------------------------------------------------------


def _status(api: Api) -> int:
    replicas = api.fleet()
    for line in (*table(replicas), *configuration_lines(replicas), *gate_lines(replicas)):
        _say(line)
    known = filter(is_status, (each.get("status") for each in replicas))
    leaders = sum(status["is_leader"] for status in known)
    return GOOD if leaders == 1 else UNCONFIRMED


def table(replicas: Sequence[Json]) -> Iterator[str]:
    """Yield the lines of a table with one row for each replica, without control characters."""
    rows = [_HEADS, *map(_row, replicas)]
    cells = [["".join(c for c in cell if c.isprintable()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _row(replica: Json) -> tuple[str, ...]:
    status = replica.get("status")
    if not is_status(status):
        why = _NO_STATUS if status is not None else f"unreachable: {replica.get('problem', '')}"
        return str(replica.get("url", "?")), "?", "?", "?", "?", "?", why
    prometheus, configuration = status.get("prometheus") or {}, status.get("configuration")
    ready = "ready" if prometheus.get("is_ready") else "not ready"
    config = "own file" if not configuration else _config(configuration)
    since = str(status.get("role_since", "")).replace("+00:00", "Z")
    leader = named(status["leader"])
    return status["identity"], status["role"], leader, ready, config, since, status["reason"]


def _config(configuration: Json) -> str:
    if not configuration.get("is_valid"):
        return "invalid"
    return "loaded" if configuration.get("is_loaded") else "not confirmed"


# --- step-down --------------------------------------------------------------------------------


def _step_down(api: Api, request: RemoteRequest) -> int:
    body: Json = {"force": request.is_forced}
    if request.for_s is not None:
        body["for_s"] = request.for_s
    before = api.status()
    code, answer = api.ask("POST", "/_elector/step-down", body)
    if api.host in _LOOPBACK and lacks_authentication(code, answer):
        _by_signal(api, request)
    elif code != HTTPStatus.OK:
        raise CommandFailed(_with_flag(str(answer.get("error", f"HTTP {code}"))))
    if request.for_s == 0:
        _say(f"{before['identity']} takes part in the election again")
        return GOOD
    return _await_outcome(api, request, before)


def _with_flag(refusal: str) -> str:
    """Return a reason to refuse, with the flag of this command instead of the API's field."""
    return refusal.replace("force it", "use --force")


def lacks_authentication(code: int, answer: Json) -> bool:
    """Return whether an API refused because it does not authenticate its clients.

    A replica of an earlier build says so only in its text.
    """
    is_said = answer.get("errorType") == NO_AUTHENTICATION
    is_in_text = "does not authenticate clients" in str(answer.get("error"))
    return code == HTTPStatus.FORBIDDEN and (is_said or is_in_text)


def _by_signal(api: Api, request: RemoteRequest) -> None:
    """Request the step-down by a signal on this machine, after the same checks as in the API."""
    own, *others = (each.get("status") for each in api.fleet() or [{}])
    if not is_status(own):
        raise CommandFailed(f"{api}: {_NO_STATUS}")
    known = list(filter(is_status, others))
    wrong = refusal_reason(own, known, is_forced=request.is_forced, for_s=request.for_s)
    if wrong:
        raise CommandFailed(_with_flag(wrong))
    supervisor = supervisor_on(api.host, api.port)
    try:
        if request.for_s is not None:
            owner = supervisor.uids().real  # this command may run as root
            step_down_pause.write(
                step_down_pause.path_of(output_of_process(supervisor)), request.for_s, owner
            )
        supervisor.send_signal(signal.SIGUSR1)
    except (OSError, psutil.Error) as error:
        raise CommandFailed(f"the supervisor cannot be signalled: {error}") from error


def supervisor_on(host: str, port: int) -> psutil.Process:
    """Return the supervisor whose API listens on this local address; raise CommandFailed."""
    try:
        for listener in _listeners(host, port):
            process = psutil.Process(listener)
            is_ours = _WEB in process.cmdline()
            while _WEB in process.cmdline():  # a worker of the web process, or the web process
                process = psutil.Process(process.ppid())
            if is_ours:
                return process
    except psutil.Error:
        pass
    raise CommandFailed(
        f"no prometheus-elector of this user listens on {host}:{port} of this machine"
    )


def _listeners(host: str, port: int) -> Iterator[int]:
    """Yield the IDs of processes that listen on this address, or on all addresses.

    Those on exactly this address come first.
    """
    at = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    wanted = [_LOOPBACK - {"localhost"} if host == "localhost" else {host}, _ALL_ADDRESSES]
    for addresses in wanted:
        for each in at:
            ip, listening_port = each.laddr or ("", 0)
            if each.pid and listening_port == port and ip in addresses:
                yield each.pid


def output_of_process(supervisor: psutil.Process) -> Path:
    """Return a supervisor's output file, from its command line and environment.

    Raises CommandFailed if its arguments cannot be found in the command line.
    """
    command_line = supervisor.cmdline()
    found = (at for at, word in enumerate(command_line) if Path(word).name in _PROGRAMS)
    first = next(found, None)
    if first is None:
        raise CommandFailed(
            f"the output file of process {supervisor.pid} is not known, because its program has "
            "another name; start it as prometheus-elector"
        )
    try:
        settings = load(
            command_line[first + 1 :], supervisor.environ(), hostname="", incarnation=""
        )
    except SettingsError as error:
        settings = error.settings
    output = output_of(settings, ChildArguments.parse(settings.child))
    return Path(supervisor.cwd()) / output


def _await_outcome(api: Api, request: RemoteRequest, before: Json) -> int:
    """Wait for the outcome of the step-down and print it; return the exit status.

    After --force there may be no new leader. A failed request is retried, because the API may be
    unreachable for a moment during a hand-over.
    """
    until = time.monotonic() + _PATIENCE_S
    leader, own = before["leader"], before["identity"]
    while time.monotonic() < until:
        with suppress(CommandFailed):
            status = api.status()
            leader = status["leader"]
            if outcome := outcome_of(status, before, request.for_s):
                _say(outcome)
                return GOOD
            if request.is_forced and before["is_leader"] and not leader:
                until = min(until, time.monotonic() + _FORCED_S)
        time.sleep(0.2)
    _say(f"{own} was asked to step down; {who_leads(leader)} so far")
    return UNCONFIRMED


def who_leads(leader: str | None) -> str:
    """Return a sentence about who leads; ``leader`` is "" for nobody, None if not known."""
    return "the leader is not known" if leader is None else f"{leader or 'nobody'} leads"


def outcome_of(status: Json, before: Json, for_s: float | None) -> str:
    """Return a sentence about the outcome that ``status`` shows, "" if none yet.

    ``before`` is the status before the request, ``for_s`` the requested pause in seconds.
    """
    own, leader, until = status["identity"], status["leader"], status.get("paused_until")
    if for_s and until in (None, before.get("paused_until")):
        return ""
    if not before["is_leader"]:
        return f"{own} stays out of the election until {until}; {who_leads(leader)}"
    return f"{own} has stepped down; {leader} leads" if leader and leader != own else ""
