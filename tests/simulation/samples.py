"""Samples, and real request bodies with them, packed as Prometheus does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import cramjam

from wrapper.gate.samples import REQUESTS, Protocol, compressed

_REQUEST = REQUESTS[Protocol.V1]


class Sample(NamedTuple):
    """A value of a series at a time in ms; the value identifies the Prometheus that scraped it."""

    series: str
    at: int
    life: int


def body_of(samples: Iterable[Sample]) -> bytes:
    """Return the body of a request with these samples; the order within a series is kept."""
    request = _REQUEST()
    by_series = itertools.groupby(sorted(samples, key=lambda each: each.series), _series)
    for series, of_series in by_series:
        entry = request.timeseries.add(labels=[series.encode()])
        for sample in of_series:
            entry.samples.add(value=sample.life, timestamp=sample.at)
    return compressed(request.SerializeToString())


def unpacked(body: bytes) -> list[Sample]:
    """Return the samples of a body."""
    request = _REQUEST.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    return [
        Sample(entry.labels[0].decode(), sample.timestamp, int(sample.value))
        for entry in request.timeseries
        for sample in entry.samples
    ]


def _series(sample: Sample) -> str:
    return sample.series
