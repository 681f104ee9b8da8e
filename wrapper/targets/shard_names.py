"""Whether a shard can be meant: one of which no target was ever seen is most likely mistyped.

The guarantee: until some answer since the start had a group of the shard, no answer with groups of
others alone empties a file, however often it comes. One that is without groups already stays so: no
start fails for a shard that has no targets. Where it ends: an answer without any group says nothing
of shards; and a shard that had targets may lose its last.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from wrapper.model.fetched_file import in_short
from wrapper.targets.answer_check import SHARD, Content, Unacceptable

LOG = logging.getLogger(__name__)
NO_SHARD = "shard"  # why it failed
MOST_NAMED = 10
_CURE = "correct --targets-shard, or set --targets-allow-empty if it has no targets yet"


class ShardCheck:
    """Judges the answers of all feeds; what one has seen holds for the others."""

    def __init__(self) -> None:
        """Have seen nothing."""
        self._is_seen = False
        self._said: dict[str, str] = {}

    def check(self, file: str, shard: str, content: Content, *, may_be_none: bool) -> None:
        """Warn once of groups of other shards alone; raise Unacceptable where they cannot be meant.

        ``file`` is what the content is to become; ``shard`` "" is all of them. ``may_be_none``:
        where none is of the shard, nothing is lost, or that is allowed.
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
    """Say that no group is of a shard, and of which the groups are, the first of many."""
    names = [in_short(each) if each else f"none, without {SHARD}" for each in others[:MOST_NAMED]]
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return in_short(f"no group is of {in_short(shard)!r}, but of: {', '.join(names)}{more}")
