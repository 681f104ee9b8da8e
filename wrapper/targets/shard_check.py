"""Checks whether the configured shard exists, since its name may be mistyped.

If no answer since the start had a group of the shard, the name is most likely mistyped.

Guarantee: until an answer has a group of the shard, answers that only have groups of other shards
never empty a file. A file that has no groups stays as it is, so a start does not fail because a
shard has no targets.

Limitations: an answer without any group has no information about shards. A shard that had targets
may lose its last one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from wrapper.base.shown_text import in_short
from wrapper.targets.answer_check import SHARD, Content, Unacceptable

LOG = logging.getLogger(__name__)
NO_SHARD = "shard"  # reason of a failure: no group has the shard
MOST_NAMED = 10
_CURE = "correct --targets-shard, or set --targets-allow-empty if it has no targets yet"


class ShardCheck:
    """Checks the answers of all feeds. A shard that one feed has had exists for all feeds."""

    def __init__(self) -> None:
        self._is_seen = False
        self._said: dict[str, str] = {}

    def check(self, file: str, shard: str, content: Content, *, may_be_none: bool) -> None:
        """Warn once if no group has the shard; raise Unacceptable if the shard may be mistyped.

        ``file`` is the file for the content. ``shard`` "" means all shards. ``may_be_none``: the
        file has no groups, or may lose them.
        """
        if shard and content.groups:
            self._is_seen = True
        if not content.others:
            self._said.pop(file, None)
            return
        problem = none_of(shard, content.others)
        if not self._is_seen and not may_be_none:
            raise Unacceptable(NO_SHARD, f"{_CURE}; {problem}")
        if self._said.get(file) != problem:
            self._said[file] = problem
            LOG.warning("the shard has no targets", extra={"file": file, "reason": problem})


def none_of(shard: str, others: Sequence[str]) -> str:
    """Return the text that no group has the shard, with up to MOST_NAMED shards of the groups."""
    names = [in_short(each) if each else f"none, without {SHARD}" for each in others[:MOST_NAMED]]
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return in_short(
        f"no group has the shard {in_short(shard)!r}; there are: {', '.join(names)}{more}"
    )
