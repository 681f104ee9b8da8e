"""Detects objects that stay in memory until the garbage collector runs, because of a cycle."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


class Traced(bytes):
    """Bytes whose release from memory a test can observe."""

    def trace(self) -> Callable[[], bool]:
        """Return a function that returns whether the bytes are freed.

        Bytes do not support weak references, but the token does.
        """
        self.token = _Token()
        token = weakref.ref(self.token)
        return lambda: token() is None


class _Token:
    """An object that only the bytes refer to."""


@contextmanager
def collector_off() -> Iterator[None]:
    """Switch the garbage collector off inside this context, so that cycles stay."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def stays(
    call: Callable[[], object], kind: type[Exception], settle: Callable[[], object] = int
) -> bool:
    """Return whether a call's error, or its cause, keeps the frames of the call in memory.

    ``settle`` is called afterwards, for objects that are freed only then.
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
