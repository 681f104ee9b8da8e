"""Finds the version of the Prometheus in a command, by running its ``--version``.

A program is run only if its name begins with ``prometheus`` and it is not a script: a script could
start a second Prometheus.

Limitation: the version is not known if a script starts Prometheus, or if Prometheus was built
without one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wrapper.base import clock

LIMIT_S = 5.0  # on an idle machine it takes 0.1 s
_END_LIMIT_S = 0.5
_NAME = "prometheus"
_ELF = b"\x7fELF"
_ANSWER = re.compile(r"^prometheus, version (\S+) +\(", re.MULTILINE)


class PrometheusVersion:
    """Runs ``--version`` once, in the background; ``answer`` waits for the result.

    It waits at most until ``LIMIT_S`` after the program was started. That takes as long as the
    imports before the start of Prometheus, and runs on another core meanwhile.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._asked: subprocess.Popen[bytes] | None = None
        self._until = 0.0
        self._answer: str | None = None

    def ask(self) -> None:
        """Start the program unless it was started before; return at once."""
        with self._lock:
            self._ask()

    def answer(self) -> str:
        """Wait for the version and return it, "" if it is not known."""
        with self._lock:
            self._ask()
            if self._answer is None:
                self._answer = self._wait()
            return self._answer

    def forget(self) -> None:
        """Kill the program if it has not answered; the version is then not known."""
        with self._lock:
            if self._asked is not None and self._answer is None:
                self._asked.kill()
                self._answer = self._wait()

    def _ask(self) -> None:
        if self._until:
            return
        self._until = clock.now() + LIMIT_S
        program = prometheus_in(self._command)
        if program:
            self._asked = _run(program)

    def _wait(self) -> str:
        if self._asked is None:
            return ""
        try:
            said, _ = self._asked.communicate(timeout=max(self._until - clock.now(), 0))
        except subprocess.TimeoutExpired:
            self._asked.kill()
            with suppress(subprocess.TimeoutExpired):  # a process that waits for a disk stays
                self._asked.communicate(timeout=_END_LIMIT_S)
            return ""
        answer = _ANSWER.search(said.decode(errors="replace"))
        return answer[1] if answer else ""


def prometheus_in(command: Sequence[str]) -> str:
    """Return the path of the Prometheus in a command, "" if there is none.

    Other words may precede it in the command. A script does not count: if it were run, it could
    start a Prometheus.
    """
    for word in command:
        path = shutil.which(word) if Path(word).name.startswith(_NAME) else None
        if path and _is_binary(path):
            return path
    return ""


def _is_binary(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False


def _run(program: str) -> subprocess.Popen[bytes] | None:
    """Start the program with ``--version`` and return its process, None if that fails."""
    try:
        return subprocess.Popen(
            (program, "--version"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError:
        return None
