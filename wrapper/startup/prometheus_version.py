"""The version of the Prometheus in a command, which its own ``--version`` tells.

Only a program whose name begins with ``prometheus`` and that is no script is run: a script could
start a second Prometheus. Where this ends: what a script starts, and what was built without a
version, has none.
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
    """Asks once; whoever needs the answer waits for it, until ``LIMIT_S`` after the asking.

    It takes as long as the imports before the start of Prometheus, and another core runs it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._asked: subprocess.Popen[bytes] | None = None
        self._until = 0.0
        self._answer: str | None = None

    def ask(self) -> None:
        """Start to ask, unless that has been done; return at once."""
        with self._lock:
            self._ask()

    def answer(self) -> str:
        """Return the version, "" if it is not known."""
        with self._lock:
            self._ask()
            if self._answer is None:
                self._answer = self._wait()
            return self._answer

    def forget(self) -> None:
        """Wait for no answer any more."""
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
            with suppress(subprocess.TimeoutExpired):  # one that waits for its disk does not end
                self._asked.communicate(timeout=_END_LIMIT_S)
            return ""
        answer = _ANSWER.search(said.decode(errors="replace"))
        return answer[1] if answer else ""


def prometheus_in(command: Sequence[str]) -> str:
    """Return the path of the Prometheus in a command, "" without one; another may precede it.

    A program of that name which is a script does not count: to ask it could start a Prometheus.
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
    """Run ``--version``; None if that is not possible."""
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
