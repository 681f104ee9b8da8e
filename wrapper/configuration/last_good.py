"""The renderings that Prometheus last had in force, kept beside the output for the next start.

A start whose input is refused takes these, so that a bad edit does no harm at a restart either.
There is a file for each role, ``.OUTPUT.good-follower`` and ``.OUTPUT.good-leader``, with the
output's own permissions; without overrides there is only the follower's. Both are replaced whole.
Prometheus never reads them. Where it ends: an output folder that does not outlive a restart.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from wrapper import files
from wrapper.configuration.inputs import LARGEST_INPUT
from wrapper.configuration.problems import ConfigurationError
from wrapper.configuration.render import recognized
from wrapper.model import Rendering, Renderings, Role

LOG = logging.getLogger(__name__)


class LastGood:
    """The files beside one output; only who holds the output's lock writes them."""

    def __init__(self, output: Path, mode: int) -> None:
        """Take the output and its permission bits."""
        self._output = output
        self._mode = mode

    def path(self, role: Role) -> Path:
        """Return the file of one role."""
        return self._output.parent / f".{self._output.name}.good-{role}"

    def load(self) -> Renderings | None:
        """Return what is kept, None where nothing is, or nothing that can be used."""
        follower = self._read(Role.FOLLOWER)
        if follower is None:
            return None
        leader = self._read(Role.LEADER)
        return Renderings(follower, leader or replace(follower, role=Role.LEADER))

    def can_replace(self, follower: Rendering) -> bool:
        """Tell whether a follower rendering is kept, and is another than this one."""
        path = self.path(Role.FOLLOWER)
        return path.exists() and not files.is_current(path, follower.content, self._mode)

    def keep(self, renderings: Renderings) -> None:
        """Keep these from now on; raise OSError, and what was kept is then still of use."""
        leader = self.path(Role.LEADER)
        if renderings.has_overrides:
            self._write(leader, renderings.leader)
        else:
            leader.unlink(missing_ok=True)
        self._write(self.path(Role.FOLLOWER), renderings.follower)

    def _write(self, path: Path, rendering: Rendering) -> None:
        if not files.is_current(path, rendering.content, self._mode):
            files.write_atomically(path, rendering.content, self._mode)

    def _read(self, role: Role) -> Rendering | None:
        path = self.path(role)
        if not path.exists():
            return None
        try:
            return recognized(role, files.read_input(path, LARGEST_INPUT), str(path))
        except (files.InputError, ConfigurationError) as error:
            text = "the last configuration that was in force cannot be used"
            LOG.warning(text, extra={"reason": str(error)})
            return None
