"""Batches are cut and split: each sample is in exactly one piece, in its order."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gate.batches import V1, V2, body, new, pack, read, samples_in
from wrapper.gate.samples import Protocol, counts
from wrapper.gate.splitting import SeriesOf, by_timestamp, split_at, without_known

SAMPLES = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30)), max_size=25)
PROTOCOLS = st.sampled_from([V1, V2])


def has_no_empty_series(found: bytes, protocol: Protocol) -> bool:
    """Return whether each series has samples: receivers of protocol 2 refuse one without."""
    return all(each.samples for each in read(found, protocol).timeseries)


@given(samples=SAMPLES, mark=st.integers(-1, 31), protocol=PROTOCOLS)
@settings(max_examples=60, deadline=None)
def test_samples_newer_than_a_mark_stay(
    samples: list[tuple[str, int]], mark: int, protocol: Protocol
) -> None:
    """Exactly the newer samples stay, in order; a batch without any is None."""
    left, left_out = without_known(body(*samples, protocol=protocol), protocol, mark)
    wanted = [each for each in samples if each[1] > mark]
    assert left_out == len(samples) - len(wanted)
    if wanted or not samples:
        assert left is not None
        assert samples_in(left, protocol) == wanted
        assert has_no_empty_series(left, protocol)
    else:
        assert left is None


@given(samples=SAMPLES, until=st.integers(-1, 31), protocol=PROTOCOLS)
@settings(max_examples=60, deadline=None)
def test_batch_is_split_at_a_time(
    samples: list[tuple[str, int]], until: int, protocol: Protocol
) -> None:
    """Each sample is in one of the two parts, in order, and the counts match."""
    early, late = split_at(body(*samples, protocol=protocol), protocol, until)
    first = [each for each in samples if each[1] <= until]
    second = [each for each in samples if each[1] > until]
    assert bool(early) == (bool(first) or not samples)
    assert bool(late) == bool(second)
    assert (samples_in(early.body, protocol) if early else []) == first
    assert (samples_in(late.body, protocol) if late else []) == second
    assert (late.counts.samples if late else 0) == len(second)
    assert all(has_no_empty_series(each.body, protocol) for each in (early, late) if each)


@given(samples=SAMPLES, most=st.integers(1, 12), protocol=PROTOCOLS)
@settings(max_examples=60, deadline=None)
def test_pieces_by_timestamp_are_in_order(
    samples: list[tuple[str, int]], most: int, protocol: Protocol
) -> None:
    """There are at most the wanted number of pieces, in order of time and without overlap."""
    pieces = by_timestamp(body(*samples, protocol=protocol), protocol, most)
    found = [samples_in(each.body, protocol) for each in pieces]
    assert len(pieces) <= most
    assert sorted(chain(*found)) == sorted(samples)
    times = [sorted({at for _, at in each}) for each in found]
    assert list(chain(*times)) == sorted({at for _, at in samples})
    assert [each.times for each in pieces] == [len(each) for each in times]
    assert [each.counts.samples for each in pieces] == [len(each) for each in found]


@given(samples=SAMPLES, protocol=PROTOCOLS, data=st.data())
@settings(max_examples=40, deadline=None)
def test_part_has_the_requested_series(
    samples: list[tuple[str, int]], protocol: Protocol, data: st.DataObject
) -> None:
    """A part has the requested series and no others, and its count matches."""
    series = SeriesOf(body(*samples, protocol=protocol), protocol)
    assert series.timed == list(range(len(samples)))
    wanted = sorted(data.draw(st.sets(st.sampled_from(series.timed)) if samples else st.just(())))
    part = series.part(wanted)
    assert samples_in(part.body, protocol) == [samples[at] for at in wanted]
    assert part.counts.samples == series.count(wanted) == len(wanted)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_series_without_samples_is_not_timed(protocol: Protocol) -> None:
    """A histogram is a sample, an exemplar is not; metadata is sent with the first series only."""
    series = SeriesOf(pack(of_many_kinds(protocol)), protocol)
    assert (len(series), series.timed) == (2, [0])
    assert series.count([0, 1]) == series.part([0, 1]).counts.timed > 3
    if protocol is V1:
        found = [read(series.part([at]).body, V1).metadata for at in (0, 1)]
        assert [len(each) for each in found] == [1, 0]


def of_many_kinds(protocol: Protocol) -> Any:
    """Return a request whose series has samples, histograms and exemplars of times 1, 2 and 3."""
    request = new(protocol)
    if protocol is V1:
        request.metadata.add(family="m")
        request.vendor = "x"
    else:
        request.symbols.extend(["", "a", "b"])
    series = request.timeseries.add()
    alone = request.timeseries.add()
    for each in (series, alone):
        if protocol is V1:
            each.labels.add(name="a", value="b")
        else:
            each.labels_refs.extend([1, 2])
            each.metadata.type = 1
    for at in (1, 2, 3):
        series.samples.add(value=at, timestamp=at)
        series.histograms.add(sum=at, timestamp=at)
        series.exemplars.add(value=at, timestamp=at)
    alone.exemplars.add(value=9, timestamp=9)
    return request


def values(series: Any) -> tuple[list[float], list[float], list[float]]:
    """Return the values of the samples, the histograms and the exemplars of a series."""
    return (
        [each.value for each in series.samples],
        [each.sum for each in series.histograms],
        [each.value for each in series.exemplars],
    )


@pytest.mark.parametrize("protocol", [V1, V2])
def test_series_with_several_timestamps_is_cut(protocol: Protocol) -> None:
    """Samples and histograms are cut, exemplars only in a hand-over; all else stays."""
    whole = of_many_kinds(protocol)
    left, left_out = without_known(pack(whole), protocol, 1)
    assert left is not None
    found = read(left, protocol)
    assert left_out == 2
    assert values(found.timeseries[0]) == ([2, 3], [2, 3], [1, 2, 3])
    del whole.timeseries[0].samples[0], whole.timeseries[0].histograms[0]
    assert found == whole

    left, left_out = without_known(pack(of_many_kinds(protocol)), protocol, 3)
    assert left is not None
    alone = [values(each)[2] for each in read(left, protocol).timeseries]
    assert (left_out, counts(left, protocol).timed, alone) == (6, 0, [[1, 2, 3], [9]])

    early, late = split_at(pack(of_many_kinds(protocol)), protocol, 2)
    assert early
    assert late
    first, second = read(early.body, protocol), read(late.body, protocol)
    assert [values(each) for each in first.timeseries] == [([1, 2], [1, 2], [1, 2])]
    assert [values(each) for each in second.timeseries] == [([3], [3], [3]), ([], [], [9])]
    if protocol is V1:
        assert (len(first.metadata), len(second.metadata)) == (1, 0)
        assert first.vendor == second.vendor == "x"
    else:
        assert first.symbols == second.symbols == ["", "a", "b"]


@pytest.mark.parametrize("protocol", [V1, V2])
def test_data_without_a_time_is_in_the_last_piece(protocol: Protocol) -> None:
    """Metadata and exemplars are in the last piece; symbols are in each."""
    pieces = by_timestamp(pack(of_many_kinds(protocol)), protocol, 2)
    first, last = (read(each.body, protocol) for each in pieces)
    assert [each.counts.timed for each in pieces] == [4, 2]
    assert [values(each) for each in first.timeseries] == [([1, 2], [1, 2], [])]
    assert [values(each) for each in last.timeseries] == [([3], [3], [1, 2, 3]), ([], [], [9])]
    if protocol is V1:
        assert (len(first.metadata), len(last.metadata)) == (0, 1)
    else:
        assert first.symbols == last.symbols == ["", "a", "b"]


def test_metadata_alone_is_never_cut() -> None:
    """Metadata has no time: it stays whole and in the earlier part."""
    request = new(V1)
    request.metadata.add(family="m")
    alone = pack(request)
    assert without_known(alone, V1, 1000) == (alone, 0)
    early, late = split_at(alone, V1, 0)
    assert early is not None
    assert (early.body, late) == (alone, None)
    request.timeseries.add().samples.add(timestamp=5)
    left, left_out = without_known(pack(request), V1, 5)
    assert left is not None
    assert (read(left, V1).metadata[0].family, left_out) == ("m", 1)
    assert counts(left, V1).timed == 0
