"""Checks renderings with promtool before Prometheus loads them.

If promtool is missing, is killed, or takes longer than ``limit_s``, there is no verdict
(``NoVerdict``). That is not a refusal. The messages of promtool are passed on without the
rendering's known secrets, and without the name of the temporary file.

Limitations: promtool does not read certificates, keys and passwords; it only looks whether some of
those of scrape jobs exist. It accepts duplicates in remote_write (2.42 and 3.16).
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wrapper.configuration.redact import message_without_secrets
from wrapper.configuration.rendering_without_files import rendering_without_files
from wrapper.configuration.scratch_rendering import NoVerdict, TemporaryRendering
from wrapper.model.configuration import Rendering, Renderings

LOG = logging.getLogger(__name__)
LIMIT_S = 30.0  # for one rendering; 10,000 scrape jobs take a few seconds
_LONGEST = 600  # characters of a message
_FIRST_FAILURE_TO_RUN = 126  # from here on, as in a shell: not executable, not found, killed


class Promtool:
    """Checks renderings with ``promtool check config``, one at a time."""

    def __init__(  # noqa: PLR0913 - each is one fact about what is checked
        self,
        program: str,
        output: Path,
        *,
        is_agent: bool,
        features: Sequence[str] = (),
        has_files: bool = True,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Take the program, by name or path, and the output's path.

        - ``features``: those that Prometheus is started with (``PromtoolRunner``);
        - ``has_files``: the credentials that a rendering names have to exist.
        """
        self.program = program
        self._temporary = TemporaryRendering(output)
        self._options = ("--agent",) if is_agent else ()
        self._has_files = has_files
        self._runner = PromtoolRunner(program, features, limit_s)
        atexit.register(self._runner.end)

    def problems(self, renderings: Renderings) -> tuple[str, ...]:
        """Return a line for each rendering that is refused; log a missing verdict."""
        found = []
        for rendering in distinct(renderings):
            try:
                found.append(self.refusal(rendering))
            except NoVerdict as error:
                LOG.warning(
                    "promtool could not check the configuration; it is used unchecked",
                    extra={"role": rendering.role, "reason": str(error)},
                )
        return tuple(filter(None, found))

    def refusal(self, rendering: Rendering) -> str:
        """Return in one line why a rendering is refused, "" if it is not; raise NoVerdict."""
        content = rendering.content
        if not self._has_files:
            content = rendering_without_files(content)
        with self._temporary.written(content) as path:
            status, said = self._runner.run("config", *self._options, str(path))
        if status == 0:
            return ""
        words = _words(said, path, rendering) or f"exit status {status}, without a message"
        return (
            f"the {rendering.role}'s rendering: {self.program} check config: {words}; "
            f"line numbers refer to check --print={rendering.role}"
        )


class PromtoolRunner:
    """Runs ``promtool check``, one process at a time, each for at most ``limit_s``."""

    def __init__(
        self, program: str, features: Sequence[str] = (), limit_s: float = LIMIT_S
    ) -> None:
        """Take the program, by name or path, and the features that Prometheus is started with.

        Without them, promtool refuses rules that such a Prometheus accepts. It only warns of those
        that it does not know.
        """
        self.program = program
        self._options = (f"--enable-feature={','.join(features)}",) if features else ()
        self._limit_s = limit_s
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, *words: str, inherit: tuple[int, ...] = ()) -> tuple[int, str]:
        """Return exit status and output of promtool; raise NoVerdict."""
        command = [self.program, "check", *words, *self._options]
        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=inherit,
            ) as self._running:
                said = self._await_words(self._running)
                status = self._running.returncode
        except OSError as error:
            raise NoVerdict(f"{self.program} cannot be started: {error.strerror}") from error
        finally:
            self._running = None
        if status < 0 or status >= _FIRST_FAILURE_TO_RUN:
            raise NoVerdict(f"{self.program} was killed or did not run: status {status}")
        return status, said.decode(errors="replace")

    def _await_words(self, process: subprocess.Popen[bytes]) -> bytes:
        try:
            return process.communicate(timeout=self._limit_s)[0]
        except subprocess.TimeoutExpired as error:
            _kill(process)
            raise NoVerdict(
                f"{self.program} has not answered within {self._limit_s:g} s and was killed"
            ) from error

    def end(self) -> None:
        """Kill the running promtool, if any."""
        if self._running is not None:
            _kill(self._running)


def distinct(renderings: Renderings) -> tuple[Rendering, ...]:
    """Return both renderings, or one if they are equal."""
    both = (renderings.follower, renderings.leader)
    return both if renderings.has_overrides else both[:1]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program's process group, if it still exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 9)


def _words(said: str, path: Path, rendering: Rendering) -> str:
    """Return promtool's message about a rendering, on one line, shortened if long."""
    _, _, reason = said.partition("FAILED:")
    text = (reason or said).replace("parsing YAML file ", "").replace(f"{path}: ", "")
    line = message_without_secrets(rendering.content, text.replace(str(path), "the file"))
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
