"""Any body of remote_write is read within limits, or Undecodable; no sample is lost."""

from __future__ import annotations

import re
from pathlib import Path

import cramjam
import pytest
from hypothesis import note
from hypothesis import strategies as st

from tests.fuzz.batches import BODIES, TIMES
from tests.fuzz.form import fuzzed
from tests.remote_write import field, varint
from wrapper.gate.decisions import Answer
from wrapper.gate.held import Batch
from wrapper.gate.replay import MOST_REQUESTS, count_of, replay
from wrapper.gate.samples import (
    LARGEST,
    MOST_FIELDS,
    Counts,
    Protocol,
    Undecodable,
    counts,
    parsed,
    span,
)
from wrapper.gate.splitting import SeriesOf, by_timestamp, split_at, without_known

PROTOCOLS = st.sampled_from(Protocol)
UNTIL = st.sampled_from(TIMES)


@fuzzed(400, body=BODIES, protocol=PROTOCOLS, until=UNTIL)
def test_a_batch_is_cut_without_loss(body: bytes, protocol: Protocol, until: int) -> None:
    """The parts of a split batch have as many samples as the batch."""
    note(repr(body))
    try:
        whole = counts(body, protocol).timed
    except Undecodable:
        return
    early, late = split_at(body, protocol, until)
    assert sum(each.counts.timed for each in (early, late) if each) == whole
    left, left_out = without_known(body, protocol, until)
    assert left_out + (counts(left, protocol).timed if left is not None else 0) == whole
    pieces = by_timestamp(body, protocol, 4)
    assert sum(each.counts.timed for each in pieces) == whole
    series = SeriesOf(body, protocol)
    assert sum(series.part([at]).counts.timed for at in series.timed) == whole
    assert series.count(range(len(series))) == whole


@fuzzed(400, body=BODIES, protocol=PROTOCOLS, is_thorough=st.booleans())
def test_any_body_is_read_or_undecodable(
    body: bytes, protocol: Protocol, is_thorough: bool
) -> None:
    """A body has a valid span or none, or raises Undecodable, and nothing else."""
    note(repr(body))
    try:
        found = span(body, protocol, is_thorough=is_thorough)
    except Undecodable:
        return
    assert found is None or found.earliest <= found.latest


ANSWERS = st.lists(
    st.builds(
        Answer,
        status=st.sampled_from((204, 400, 409, 500, 429, 413, 404, None)),
        retry_after_s=st.sampled_from((0.0, 1.0)),
        written=st.sampled_from((None, Counts(), Counts(1), Counts(10**18, 10**18, 10**18))),
    ),
    max_size=40,
)


@fuzzed(300, body=BODIES, protocol=PROTOCOLS, mark=st.one_of(st.none(), UNTIL), answers=ANSWERS)
def test_replaying_any_batch_ends(
    body: bytes, protocol: Protocol, mark: int | None, answers: list[Answer]
) -> None:
    """For any answers of the receiver, replaying a batch ends within limits.

    It counts no more samples as lost than the batch has.
    """
    note(repr(body))
    batch = Batch(body, (), protocol, 1_800_000_000_000)
    sending = replay(batch, mark, 5.0)
    answer: Answer | None = None
    try:
        for number in range(MOST_REQUESTS + 100):
            request = next(sending) if answer is None else sending.send(answer)
            assert 0 <= request.wait_s < 60
            answer = answers[number] if number < len(answers) else Answer(400)
    except StopIteration as end:
        lost = end.value.given_up + end.value.rejected_known + end.value.left_out
        assert lost <= max(count_of(batch), 1)
        return
    raise AssertionError("it goes on and on")


BOMBS = {
    "a length that lies": varint(2**32 - 1) + b"\x00",
    "the largest length": varint(LARGEST) + b"\x04ab",
    "zeros": bytes(cramjam.snappy.compress_raw(bytes(LARGEST + 1))),
    "series": bytes(cramjam.snappy.compress_raw(b"\x0a\x00" * (MOST_FIELDS + 1))),
    "samples": bytes(cramjam.snappy.compress_raw(field(1, b"\x12\x00" * (MOST_FIELDS + 1)))),
    "long tags": bytes(cramjam.snappy.compress_raw(b"\x8a\x00\x00" * (MOST_FIELDS + 1))),
    "symbols": bytes(cramjam.snappy.compress_raw(b"\x22\x00" * (MOST_FIELDS + 1))),
    "zstd": bytes(cramjam.zstd.compress(bytes(64 << 20))),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("protocol", Protocol)
def test_a_bomb_is_not_unpacked(body: bytes, protocol: Protocol) -> None:
    """A small body that would need gigabytes is refused before it needs them."""
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = peak_bytes()
    with pytest.raises(Undecodable):
        parsed(body, protocol)
    assert peak_bytes() - before < 2 * LARGEST + (16 << 20)


def peak_bytes() -> int:
    """Return the peak memory of this process."""
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) << 10
