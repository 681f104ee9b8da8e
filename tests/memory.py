"""What stays in memory until the garbage collector runs, as all in a cycle of references does."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


class Traced(bytes):
    """Bytes of which a test can ask whether they are still in memory."""

    def trace(self) -> Callable[[], bool]:
        """Return what tells whether these bytes are gone. Bytes take no weak reference."""
        self.token = _Token()
        token = weakref.ref(self.token)
        return lambda: token() is None


class _Token:
    """What the bytes alone hold."""


@contextmanager
def collector_off() -> Iterator[None]:
    """Have no garbage collector inside this context: a cycle stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def stays(
    call: Callable[[], object], kind: type[Exception], settle: Callable[[], object] = int
) -> bool:
    """Return whether the error of a call, or its cause, keeps the frames of the call in memory.

    ``settle`` is called after it, for what is freed only then.
    """

    def called(_token: _Token) -> None:
        call()

    token = _Token()
    is_there = weakref.ref(token)
    with collector_off():
        with pytest.raises(kind) as caught:
            called(token)
        del caught, token
        settle()
        return is_there() is not None
