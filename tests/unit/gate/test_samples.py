"""The gate reads a few fields of batches; the others stay unchanged."""

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
def test_content_type_determines_the_protocol(content_type: str, protocol: Protocol) -> None:
    """Only the parameter of protocol 2 selects it; any other content type means protocol 1."""
    assert Protocol.of(content_type) is protocol


@pytest.mark.parametrize("protocol", [V1, V2])
@given(times=st.lists(TIMES, max_size=40))
@settings(max_examples=30, deadline=None)
def test_span_covers_all_samples(protocol: Protocol, times: list[int]) -> None:
    """The span has the earliest and latest time of all samples; an empty batch has none."""
    found = span(body(*((f"m{at}", at) for at in times), protocol=protocol), protocol)
    assert found == (Span(min(times), max(times)) if times else None)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_histograms_count_and_exemplars_do_not(protocol: Protocol) -> None:
    """The span includes histograms, but no exemplars: their time may be the application's."""
    request = new(protocol)
    series = request.timeseries.add()
    series.samples.add(timestamp=50)
    series.histograms.add(timestamp=40)
    series.histograms.add(timestamp=60)
    series.exemplars.add(timestamp=1)
    assert span(pack(request), protocol) == Span(40, 60)
    assert counts(pack(request), protocol) == Counts(samples=1, histograms=2, exemplars=1)
    assert counts(pack(request), protocol).timed == 3


def test_probe_reads_some_series_and_both_ends() -> None:
    """A probe reads 16 series, including the first and the last."""
    many = [("m", 500)] * 100
    many[0], many[-1], many[1] = ("m", 400), ("m", 600), ("m", 1)
    assert span(body(*many), V1) == Span(1, 600)
    assert span(body(*many), V1, is_thorough=False) == Span(400, 600)
    few = body(("m", 3), ("m", 1), ("m", 2))
    assert span(few, V1, is_thorough=False) == Span(1, 3)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_probe_finds_samples_among_exemplars(protocol: Protocol) -> None:
    """A probe finds the only sample among many exemplars.

    Prometheus sends each exemplar as a series; a batch counts as empty only if it has no sample.
    """
    request = new(protocol)
    for _ in range(100):
        request.timeseries.add().exemplars.add(timestamp=1)
    assert span(pack(request), protocol, is_thorough=False) is None
    request.timeseries[3].samples.add(timestamp=7)
    assert span(pack(request), protocol, is_thorough=False) == Span(7, 7)


@pytest.mark.parametrize("protocol", [V1, V2])
def test_unknown_fields_are_kept(protocol: Protocol) -> None:
    """Labels, values, metadata, symbols and a vendor's fields are written as they were read."""
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
def test_undecodable_batch_is_an_error(protocol: Protocol, broken: bytes) -> None:
    """A body that is not Snappy or not protobuf raises the same error."""
    with pytest.raises(Undecodable):
        span(broken, protocol)
    with pytest.raises(Undecodable):
        counts(broken, protocol)


def test_batch_that_is_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose stated length is too large is refused before memory is allocated."""
    monkeypatch.setattr(samples, "LARGEST", 1000)
    assert span(bytes(cramjam.snappy.compress_raw(b"\x12\x00" * 500)), V1) is None
    with pytest.raises(Undecodable, match="larger than 1000"):
        span(bytes(cramjam.snappy.compress_raw(b"\x12\x00" * 501)), V1)
