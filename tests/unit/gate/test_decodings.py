"""Batches are decoded in order, and thoroughly if there are few of them."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.gate.batches import batch
from wrapper.gate.decodings import MOST_BYTES, MOST_THOROUGH, MOST_WAITING, Decodings
from wrapper.gate.watermark import TrackedRequest


def test_ten_batches_a_second_are_decoded_thoroughly() -> None:
    """The first ten batches of a second are decoded thoroughly, the others are probed."""
    decodings = Decodings()
    found = []
    for number in range(30):
        decodings.add("a", number, TrackedRequest(0, 0, None), batch(("m", 1), came=1))
        decoding = decodings.next(5.0 + number / 20)
        assert decoding
        assert decoding.number == number
        found.append(decoding.is_thorough)
    assert found == [True] * MOST_THOROUGH + [False] * 10 + [True] * 10


def test_endpoint_is_listed_until_its_request_is_decoded() -> None:
    """An endpoint is listed as waiting until its request has been decoded."""
    decodings = Decodings()
    request = TrackedRequest(0, 0, None)
    decodings.add("a", 7, request, batch(("m", 1), came=1))
    decoding = decodings.next(1.0)
    assert decodings.next(1.0) is None
    assert list(decodings.names()) == ["a"]
    assert decoding
    assert decodings.done(decoding) is request
    assert decodings.done(decoding) is None
    assert list(decodings.names()) == []


def test_oldest_batch_is_dropped_if_there_are_too_many() -> None:
    """If too many batches wait, the oldest are not decoded, so that they do not fill the memory."""
    decodings = Decodings()
    for number in range(MOST_WAITING + 3):
        decodings.add("a", number, TrackedRequest(0, 0, None), batch(("m", 1), came=1))
    decoding = decodings.next(1.0)
    assert decoding
    assert decoding.number == 3
    assert len(list(decodings.names())) == MOST_WAITING


def test_oldest_batch_is_dropped_if_they_are_too_large() -> None:
    """If the waiting batches are too large, the oldest are not decoded; the newest always is."""
    decodings = Decodings()
    large = replace(batch(("m", 1), came=1), body=bytes(MOST_BYTES // 2 + 1))
    for number in range(5):
        decodings.add("a", number, TrackedRequest(0, 0, None), large)
    decoding = decodings.next(1.0)
    assert decoding
    assert decoding.number == 4
    decodings.add("a", 5, TrackedRequest(0, 0, None), replace(large, body=bytes(2 * MOST_BYTES)))
    decoding = decodings.next(1.0)
    assert decoding
    assert decoding.number == 5
