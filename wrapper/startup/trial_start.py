"""Checks a rendering by starting Prometheus with it, on an empty data folder.

Prometheus reads the certificates, creates all queues and loads the rules. It listens on a free
loopback port, and is killed as soon as it is ready.

Guarantee: this Prometheus sends no samples and no alerts (``rendering_for_check``).

Limitations: existing data, and flags that matter only with data, are not checked. Until it is
killed, this Prometheus may scrape targets and send traces.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from wrapper.base import clock
from wrapper.base.process import start_child
from wrapper.configuration.redact import message_without_secrets
from wrapper.configuration.rendering_for_check import rendering_for_check
from wrapper.configuration.scratch_rendering import NoVerdict, TemporaryRendering
from wrapper.model.configuration import Rendering
from wrapper.options.prometheus_args import with_flags
from wrapper.supervision.prometheus_api import PrometheusApi

LIMIT_S = 60.0  # for one rendering: loading the rules of a large server takes seconds
_POLL_S = 0.02
_PROBE_S = 5.0
_LONGEST = 600  # characters of Prometheus' output
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_NAME = "this rendering"  # in messages, in place of the temporary file
_UNPARSABLE = re.compile(rf"parsing YAML file {_NAME}: .*\bline \d+", re.DOTALL)


class TrialStart:
    """Starts a Prometheus for each rendering, one at a time."""

    def __init__(
        self, command: Sequence[str], output: Path, *, is_agent: bool, limit_s: float = LIMIT_S
    ) -> None:
        """Store Prometheus' command; renderings are written to a file beside ``output``."""
        self._command = tuple(command)
        self._is_agent = is_agent
        self._limit_s = limit_s
        self._temporary = TemporaryRendering(output)
        self._running: subprocess.Popen[bytes] | None = None
        atexit.register(self._end)

    @property
    def program(self) -> str:
        """The program, by name or path."""
        return self._command[0]

    def refusal(self, rendering: Rendering) -> str:
        """Return why Prometheus does not start with a rendering, "" if it does.

        Raise NoVerdict if that could not be found out.
        """
        with unused_address() as address:
            status, output = self._start(rendering_for_check(rendering.content, address))
            if status != 0 and _UNPARSABLE.search(output):
                # The original cannot be parsed, so starting it is harmless: it gives the right line
                # numbers.
                status, output = self._start(rendering.content)
        if status == 0:
            return ""
        words = (
            message_without_secrets(rendering.content, output) or f"exit status {status}, no output"
        )
        return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"

    def _start(self, content: bytes) -> tuple[int, str]:
        """Start Prometheus; return 0 if it becomes ready, else its exit status; and its errors."""
        with (
            self._temporary.written(content) as path,
            _temporary_folder() as folder,
            (folder / "log").open("w+b") as log,
        ):
            address = f"127.0.0.1:{_free_port()}"
            try:
                self._running = start_child(
                    self._words(path, folder / "data", address),
                    environment=_environ(),
                    output=log.fileno(),
                )
            except OSError as error:
                raise NoVerdict(f"{self.program} cannot be started: {error.strerror}") from error
            try:
                status = self._await_verdict(self._running, f"http://{address}")
            finally:
                self._end()
            log.seek(0)
            text = log.read().decode(errors="replace").replace(str(path), _NAME)
            return status, "; ".join(_complaints(text))

    def _words(self, config: Path, data: Path, address: str) -> tuple[str, ...]:
        """Return Prometheus' command, with the flags changed that have to differ in a check."""
        kind = "agent" if self._is_agent else "tsdb"
        return with_flags(
            self._command,
            {
                "config.file": str(config),
                f"storage.{kind}.path": str(data),
                "web.listen-address": address,
                "log.format": "json",
                "log.level": "info",
            },
            without=("web.config.file", "web.external-url", "web.route-prefix"),
        )

    def _await_verdict(self, process: subprocess.Popen[bytes], url: str) -> int:
        """Return 0 once Prometheus is ready, or its exit status if it exits before.

        Raise NoVerdict if it is killed by a signal, or is not ready in time.
        """
        until = clock.now() + self._limit_s
        with closing(PrometheusApi(url)) as api:
            while clock.now() < until:
                status = process.poll()
                if status is not None and status <= 0:
                    raise NoVerdict(f"{self.program} ended before it was ready: status {status}")
                if status is not None:
                    return status
                if api.probe(api.url("/-/ready"), _PROBE_S).is_ok:
                    return 0
                time.sleep(_POLL_S)
        raise NoVerdict(f"{self.program} was not ready within {self._limit_s:g} s and was killed")

    def _end(self) -> None:
        """Kill Prometheus. It is not sent SIGTERM, because it would then flush its queues first."""
        running, self._running = self._running, None
        if running is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.pid, 9)
            running.wait()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Provide an empty folder; raise NoVerdict if none can be created."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="prometheus-elector-")
    except OSError as error:
        text = f"no folder for temporary files: {error.strerror}; name one in the variable TMPDIR"
        raise NoVerdict(text) from error
    with folder as path:
        yield Path(path)


def _environ() -> dict[str, str]:
    """Return the environment without the variables that name proxies."""
    return {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES}


@contextmanager
def unused_address() -> Iterator[str]:
    """Reserve a loopback address on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _complaints(log: str) -> Iterator[str]:
    """Yield the errors in Prometheus' log, or the last line of its output if there are none."""
    lines = [line for line in log.splitlines() if line.strip()]
    found = False
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and str(entry.get("level", "")).lower() == "error":
            found = True
            yield str(entry.get("err") or entry.get("msg"))
    if not found and lines:
        yield lines[-1]
