"""Checks rules with promtool, before they replace the last good ones.

With ``--config-check``, that promtool also checks rules. If it gives no verdict, the rules are
accepted. Without the flag, a promtool on the PATH only explains why Prometheus has refused rules:
Prometheus' own answer names neither file nor rule.

promtool reads the rules from memory, so that no additional file appears in a folder from which
Prometheus loads rules.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wrapper.configuration.promtool import PromtoolRunner
from wrapper.configuration.scratch_rendering import NoVerdict

LOG = logging.getLogger(__name__)
_LONGEST = 600  # characters of promtool's message


class RuleCheck:
    """Runs ``promtool check rules``, for one file at a time."""

    def __init__(
        self, program: str, *, is_judge: bool = True, features: Sequence[str] = ()
    ) -> None:
        """Take the program, by name or path, and the features that Prometheus is started with.

        ``is_judge``: promtool may refuse rules; otherwise it only explains a refusal.
        """
        self._runner = PromtoolRunner(program, features)
        self._is_judge = is_judge
        atexit.register(self._runner.end)

    def refusal(self, name: Path, rules: bytes) -> str:
        """Return in one line why promtool refuses the rules for this file; "" if it does not."""
        if not self._is_judge:
            return ""
        try:
            return self._words(name, rules)
        except (NoVerdict, OSError) as error:
            extra = {"file": name, "reason": str(error)}
            LOG.warning("promtool could not check the rules; they are used unchecked", extra=extra)
            return ""

    def explanation(self, name: Path, rules: bytes) -> str:
        """Return why Prometheus has refused rules; "" if promtool finds no reason."""
        try:
            return self._words(name, rules)
        except (NoVerdict, OSError):
            return ""

    def _words(self, name: Path, rules: bytes) -> str:
        """Return promtool's errors in these rules; "" for none; raise NoVerdict, OSError."""
        with _in_memory(rules) as (descriptor, path):
            status, said = self._runner.run("rules", path, inherit=(descriptor,))
        if status == 0:
            return ""
        words = said.rpartition("FAILED:")[2].replace(f"{path}: ", "").replace(path, name.name)
        line = "; ".join(filter(None, map(str.strip, words.splitlines())))[:_LONGEST]
        return f"{self._runner.program} check rules: {line or f'exit status {status}'}"


@contextmanager
def _in_memory(content: bytes) -> Iterator[tuple[int, str]]:
    """Provide a path to bytes that a child can open if it inherits the descriptor."""
    descriptor = os.memfd_create("rules", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
