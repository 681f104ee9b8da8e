"""Held batches share one memory limit, and are taken out oldest first."""

from __future__ import annotations

import pytest

from tests.unit.gate.batches import V1
from wrapper.gate.held import OVERHEAD, Batch, Budget, HeldBatches

FIELDS = (("content-type", "proto"),)
SIZE = 100 + 17 + OVERHEAD


def of(came: int) -> Batch:
    """Return a batch with a body of 100 bytes and fields of 17."""
    return Batch(b"x" * 100, FIELDS, V1, came)


def test_endpoints_share_one_memory_limit() -> None:
    """Memory that one endpoint uses is not free for another until it is given back."""
    budget = Budget(2 * SIZE)
    a, b = HeldBatches(budget), HeldBatches(budget)
    assert a.add(of(1))
    assert b.add(of(2))
    assert not a.add(of(3))
    assert (len(a), a.bytes, len(b), b.bytes, budget.used) == (1, SIZE, 1, SIZE, 2 * SIZE)
    assert b.pop().came == 2
    assert (len(b), b.bytes, budget.used) == (0, 0, SIZE)
    assert a.add(of(3))
    assert not b.add(of(4))


@pytest.mark.parametrize(
    ("mark", "left"), [(9, [10, 20, 15]), (10, [20, 15]), (19, [20, 15]), (20, []), (99, [])]
)
def test_mark_releases_batches_received_up_to_it(mark: int, left: list[int]) -> None:
    """A mark releases batches in order.

    After the clock has gone back, an older batch waits for the newer one before it.
    """
    budget = Budget(10 * SIZE)
    held = HeldBatches(budget)
    for came in (10, 20, 15):
        held.add(of(came))
    assert held.release(mark) == 3 - len(left)
    assert [each.came for each in held] == left
    assert held.bytes == budget.used == len(left) * SIZE
    assert (held.oldest.came if held.oldest else None) == (left[0] if left else None)


def test_reserved_memory_is_available_later() -> None:
    """Reserved memory is available to its owner only, until it is used or given back."""
    budget = Budget(SIZE)
    held = HeldBatches(budget)
    assert held.reserve(SIZE)
    assert not held.add(of(1))
    assert held.add(of(2), is_reserved=True)
    assert budget.used == SIZE
    assert held.give_up()[0].came == 2
    assert held.reserve(SIZE)
    held.unreserve(SIZE)
    assert (budget.used, held.bytes, len(held)) == (0, 0, 0)


def test_one_batch_may_exceed_the_memory_limit() -> None:
    """A forced batch is held beyond the limit, and counts, so that others wait for it."""
    held = HeldBatches(Budget(SIZE))
    assert held.add(of(1))
    assert held.add(of(2), is_forced=True)
    held.pop()
    assert not held.add(of(3))
    held.pop()
    assert held.add(of(3))
