"""Checks user names and passwords by bcrypt, and caches the results.

A bcrypt hash takes 50 ms or more. It is computed in another thread, one at a time. The result is
cached under a keyed digest, and the password is not stored.

Guarantees: an unknown name takes as long as a known one. Wrong passwords have a cache of their own,
so that they never evict a right one.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping

MOST_KEPT = 1000
_MOST_BYTES = 72  # bytes of a password that are used, as in Prometheus
_DUMMY_HASH = "$2b${:02d}$" + "." * 22 + "A" * 31  # no password has this hash
_LOWEST_COST = 10


class Passwords:
    """Checks names and passwords. ``run_in_thread`` runs a call in another thread."""

    def __init__(
        self, run_in_thread: Callable[[Callable[[], bool]], bool], most_kept: int = MOST_KEPT
    ) -> None:
        self._run_in_thread = run_in_thread
        self._most_kept = most_kept
        self._key = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    def are_right(self, name: str, password: bytes, users: Mapping[str, str]) -> bool:
        """Return whether this is the password of that user."""
        hashed = users.get(name) or dummy_hash(users)
        digest = self._digest(name, hashed, password)
        known = self._known(digest)
        return (
            self._run_in_thread(lambda: self._judge(digest, hashed, password))
            if known is None
            else known
        )

    def _judge(self, digest: bytes, hashed: str, password: bytes) -> bool:
        """Compute the result, unless another request has computed it in the meantime."""
        known = self._known(digest)
        if known is None:
            known = _is_match(hashed, password)
            self._keep(self._right if known else self._wrong, digest)
        return known

    def _keep(self, results: OrderedDict[bytes, None], digest: bytes) -> None:
        results[digest] = None
        if len(results) > self._most_kept:
            results.popitem(last=False)

    def _known(self, digest: bytes) -> bool | None:
        if digest in self._right:
            self._right.move_to_end(digest)
            return True
        return False if digest in self._wrong else None

    def _digest(self, *parts: str | bytes) -> bytes:
        data = [part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
                for part in parts]  # fmt: skip
        message = b"".join(b"%d:%b" % (len(part), part) for part in data)
        return hashlib.blake2b(message, key=self._key, digest_size=32).digest()


def dummy_hash(users: Mapping[str, str]) -> str:
    """Return a hash that no password has, with the highest cost of all users."""
    costs = [int(hashed[4:6]) for hashed in users.values()]
    return _DUMMY_HASH.format(max(costs, default=_LOWEST_COST))


def _is_match(hashed: str, password: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - only if there are users

    try:
        return bcrypt.checkpw(password[:_MOST_BYTES], hashed.encode())
    except ValueError:
        return False
