"""Keeps the last valid renderings in files beside the output, for the next start.

If the input is refused at a start, the kept renderings are used instead. So a bad edit does no harm
at a restart either. There are up to three files:

- ``.OUTPUT.good-follower`` and ``.OUTPUT.good-leader``: the renderings of the last input that was
  in force in either role. The second exists only if there are overrides.
- ``.OUTPUT.proven-leader``: the rendering that was last in force while this replica led. It exists
  only if it differs from ``good-leader``: an input that only works for the follower must not
  replace a rendering that works for the leader.

The files have the output's permissions and are replaced atomically. Prometheus never reads them.

Limitation: the files are lost if the output's folder does not survive the restart.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from wrapper.base import files
from wrapper.configuration.inputs import LARGEST_INPUT
from wrapper.configuration.render import recognized
from wrapper.documents.problems import ConfigurationError
from wrapper.model.configuration import Rendering, Renderings, SavedRenderings
from wrapper.model.roles import Role

LOG = logging.getLogger(__name__)


class LastGoodUnusable(Exception):
    """A kept file exists, but cannot be used."""


class LastGood:
    """The kept files of one output. Only the process that holds the output's lock writes them."""

    def __init__(self, output: Path, mode: int) -> None:
        """Take the output's path and its permission bits."""
        self._mode = mode
        self.follower, self.leader, self.proven = (
            output.parent / f".{output.name}.{kind}"
            for kind in ("good-follower", "good-leader", "proven-leader")
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all kept files."""
        return self.follower, self.leader, self.proven

    def load(self) -> Renderings | None:
        """Return the renderings last in force; None if none are kept, or if one cannot be used."""
        try:
            follower = self._read(self.follower, Role.FOLLOWER)
            leader = self._read(self.leader, Role.LEADER)
        except LastGoodUnusable as error:
            text = "the last good configuration cannot be used"
            LOG.warning(text, extra={"reason": str(error)})
            return None
        if follower is None:
            return None
        return Renderings(follower, leader or replace(follower, role=Role.LEADER))

    def proven_leader(self, newest: Rendering) -> Rendering | None:
        """Return the rendering last in force while leading; None if it is missing or unusable.

        If it equals ``newest``, that is returned without parsing the file.
        """
        path = self.proven if files.exists(self.proven) else self.leader
        try:
            if path.read_bytes() == newest.content:
                return newest
            return self._read(path, Role.LEADER)
        except (OSError, LastGoodUnusable):
            return None

    def can_replace(self, follower: Rendering) -> bool:
        """Return whether another rendering of the follower is kept, and can be used."""
        try:
            if self.follower.read_bytes() == follower.content:
                return False
        except OSError:
            return False
        return self.load() is not None

    def save(self, renderings: SavedRenderings) -> None:
        """Write these renderings to the files.

        Raises OSError. The renderings that were kept before can then still be used.
        """
        good = renderings.good
        if renderings.leader is not None:
            files.write_if_changed(self.proven, renderings.leader.content, self._mode)
        if good.has_overrides:
            files.write_if_changed(self.leader, good.leader.content, self._mode)
        files.write_if_changed(self.follower, good.follower.content, self._mode)
        if not good.has_overrides:
            self.leader.unlink(missing_ok=True)
        if renderings.leader is None:
            self.proven.unlink(missing_ok=True)

    def _read(self, path: Path, role: Role) -> Rendering | None:
        """Return a kept rendering; None if there is no such file; raise LastGoodUnusable."""
        if not files.exists(path):
            return None
        try:
            return recognized(role, files.read_input(path, 2 * LARGEST_INPUT), str(path))
        except (files.InputError, ConfigurationError) as error:
            raise LastGoodUnusable(str(error)) from error
