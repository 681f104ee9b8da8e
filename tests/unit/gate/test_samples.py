"""Batches are read by a few of their fields; the rest stays as it came."""

from __future__ import annotations

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gate.batches import V1, V2, body, new, pack, read
from wrapper.gate import samples
from wrapper.gate.samples import REQUESTS, Counts, Protocol, Span, Undecodable, counts, span

TIMES = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@pytest.mark.parametrize(
    ("content_type", "protocol"),
    [
        ("application/x-protobuf", V1),
        ("application/x-protobuf;proto=prometheus.WriteRequest", V1),
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", V2),
        ('Application/X-Protobuf; Proto="io.prometheus.write.v2.Request"; x=y', V2),
        ("", V1),
    ],
)
def test_the_content_type_says_which_protocol_it_is(content_type: str, protocol: Protocol) -> None:
    """Protocol 2 says so in the parameter; whatever does not is protocol 1."""
    assert Protocol.of(content_type) is protocol


@pytest.mark.parametrize("protocol", [V1, V2])
@given(times=st.lists(TIMES, max_size=40))
@settings(max_examples=30, deadline=None)
def test_the_span_is_of_all_samples(protocol: Protocol, times: list[int]) -> None:
    """The earliest and the latest, wherever they stand; nothing of an empty batch."""
    found = span(body(*((f"m{at}", at) for at in times), protocol=protocol), protocol)
    assert found == (Span(min(times), max(times)) if times else None)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_histograms_count_and_exemplars_do_not(protocol: Protocol) -> None:
    """A histogram has a time of its own; an exemplar's time may be the application's."""
    request = new(protocol)
    series = request.timeseries.add()
    series.samples.add(timestamp=50)
    series.histograms.add(timestamp=40)
    series.histograms.add(timestamp=60)
    series.exemplars.add(timestamp=1)
    assert span(pack(request), protocol) == Span(40, 60)
    assert counts(pack(request), protocol) == Counts(samples=1, histograms=2, exemplars=1)
    assert counts(pack(request), protocol).timed == 3


def test_a_probe_looks_at_some_series_and_at_both_ends() -> None:
    """Not thorough: 16 of the series, the first and the last among them."""
    many = [("m", 500)] * 100
    many[0], many[-1], many[1] = ("m", 400), ("m", 600), ("m", 1)
    assert span(body(*many), V1) == Span(1, 600)
    assert span(body(*many), V1, is_thorough=False) == Span(400, 600)
    few = body(("m", 3), ("m", 1), ("m", 2))
    assert span(few, V1, is_thorough=False) == Span(1, 3)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_a_probe_finds_samples_among_exemplars(protocol: Protocol) -> None:
    """Prometheus sends each exemplar as a series: a batch counts as empty only if it has none."""
    request = new(protocol)
    for _ in range(100):
        request.timeseries.add().exemplars.add(timestamp=1)
    assert span(pack(request), protocol, is_thorough=False) is None
    request.timeseries[3].samples.add(timestamp=7)
    assert span(pack(request), protocol, is_thorough=False) == Span(7, 7)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_what_is_not_known_stays(protocol: Protocol) -> None:
    """Labels, values, metadata, symbols and what a vendor added come out as they went in."""
    request = new(protocol)
    series = request.timeseries.add()
    series.samples.add(value=0.25, timestamp=7)
    series.histograms.add(sum=0.5, timestamp=8)
    exemplar = series.exemplars.add(value=0.75, timestamp=9)
    if protocol is V1:
        series.labels.add(name="a", value="ü")
        exemplar.labels.add(name="trace", value="x")
        request.metadata.add(type=1, family="a", help="h")
        request.vendor = "of a vendor"
    else:
        request.symbols.extend(["", "a", "b"])
        series.labels_refs.extend([1, 2, 300])
        exemplar.labels_refs.extend([1, 2])
        series.metadata.type = 2
        series.created_timestamp = 5
    raw = request.SerializeToString()
    again = REQUESTS[protocol].FromString(raw).SerializeToString()
    assert read(samples.compressed(again), protocol) == request
    assert len(again) == len(raw)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"abc",
        b"\xff\xff\xff\xff\xff\x0f",
        body(("m", 1))[:-3],
        samples.compressed(b"\x0a\xff"),
    ],
)
@pytest.mark.parametrize("protocol", [V1, V2])
def test_what_is_no_batch_is_told(protocol: Protocol, broken: bytes) -> None:
    """Neither snappy nor protobuf: one error, for all."""
    with pytest.raises(Undecodable):
        span(broken, protocol)
    with pytest.raises(Undecodable):
        counts(broken, protocol)


def test_a_batch_that_is_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The length that it says is looked at before memory is taken."""
    monkeypatch.setattr(samples, "LARGEST", 1000)
    assert span(bytes(cramjam.snappy.compress_raw(b"\x12\x00" * 500)), V1) is None
    with pytest.raises(Undecodable, match="larger than 1000"):
        span(bytes(cramjam.snappy.compress_raw(b"\x12\x00" * 501)), V1)
