"""What is in a batch of remote_write: read, counted, cut and split by the times of samples; pure.

A batch is the body of one request: protobuf, packed by snappy (block format). Only the fields that
matter here are defined; protobuf keeps the others as they came, through parsing and writing.
Samples and histograms alike are called samples. Exemplars are never a reason to keep or to cut: a
receiver ignores one that it has, and their times may be the application's.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import cramjam
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

LARGEST = 256 << 20  # bytes of a batch when unpacked
PROBES = 16  # series that are looked at where not all are
VERSION_2 = "io.prometheus.write.v2.request"
TIME = attrgetter("timestamp")
SAMPLES = attrgetter("samples")
HISTOGRAMS = attrgetter("histograms")

# Message → field → (number, is repeated, its type: of protobuf, or the name of a message). From
# prompb/remote.proto, prompb/types.proto and io/prometheus/write/v2/types.proto. Labels, symbols
# and values are defined because what is not is written after what is: so the order stays.
MESSAGES: dict[str, dict[str, tuple[int, bool, Any]]] = {
    "Sample": {
        "value": (1, False, Field.TYPE_DOUBLE),
        "timestamp": (2, False, Field.TYPE_INT64),
    },
    "Histogram": {"timestamp": (15, False, Field.TYPE_INT64)},
    "Exemplar": {"timestamp": (3, False, Field.TYPE_INT64)},
    "Series1": {
        "labels": (1, True, Field.TYPE_BYTES),
        "samples": (2, True, "Sample"),
        "exemplars": (3, True, "Exemplar"),
        "histograms": (4, True, "Histogram"),
    },
    "Request1": {"timeseries": (1, True, "Series1"), "metadata": (3, True, Field.TYPE_BYTES)},
    "Series2": {
        "labels_refs": (1, True, Field.TYPE_BYTES),  # packed, so runs of bytes
        "samples": (2, True, "Sample"),
        "histograms": (3, True, "Histogram"),
        "exemplars": (4, True, "Exemplar"),
    },
    "Request2": {"symbols": (4, True, Field.TYPE_BYTES), "timeseries": (5, True, "Series2")},
}


class Undecodable(ValueError):
    """A body is no batch: not packed by snappy, no such message, or larger than ``LARGEST``."""


class Protocol(enum.Enum):
    """The protocol of a batch, by its Content-Type."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"

    @classmethod
    def of(cls, content_type: str) -> Protocol:
        """Return the protocol; whatever does not say that it is 2 is 1, as receivers have it."""
        words = content_type.lower().replace('"', "").replace(" ", "").split(";")
        return cls.V2 if f"proto={VERSION_2}" in words else cls.V1


@dataclass(frozen=True, slots=True)
class Counts:
    """How many a batch has of each, as the fields X-Prometheus-Remote-Write-…-Written say."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    @property
    def timed(self) -> int:
        """How many samples and histograms."""
        return self.samples + self.histograms


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest and the latest time of the samples in a batch, in ms."""

    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a batch, as a batch of its own."""

    body: bytes
    counts: Counts


def span(body: bytes, protocol: Protocol, *, is_thorough: bool = True) -> Span | None:
    """Return the span of a batch's samples, None without any.

    Not thorough: of the first sample of 16 series, spread evenly: for batches that come often.
    """
    series = _parsed(body, protocol).timeseries
    if not is_thorough and len(series) > PROBES:
        step = (len(series) - 1) / (PROBES - 1)
        series = [series[round(number * step)] for number in range(PROBES)]
    times = list(_times(series))
    return Span(min(times), max(times)) if times else None


def counts(body: bytes, protocol: Protocol) -> Counts:
    """Return how many samples, histograms and exemplars a batch has."""
    return _counts(_parsed(body, protocol))


def newer(body: bytes, protocol: Protocol, mark: int) -> tuple[Part | None, int]:
    """Return what a batch has besides samples at or before a mark, and how many those are.

    The part is None where nothing is left. Series that become empty go.
    """
    request = _parsed(body, protocol)
    before = _counts(request)
    _keep(request, lambda at: at > mark)
    part = _part(request)
    left_out = before.timed - part.counts.timed
    if left_out == 0:
        return Part(body, before), 0
    return (part if _is_worth(request) else None), left_out


def split_at(body: bytes, protocol: Protocol, until: int) -> tuple[Part | None, Part | None]:
    """Return what a batch has up to a time, and what is later; None for a part without samples.

    A batch without any samples is all in the first. Exemplars are split by their own times, but
    never into a part that has no samples; what else there is goes with the first that exists.
    """
    early, late = _parsed(body, protocol), _parsed(body, protocol)
    whole = _counts(early)
    _keep(early, lambda at: at <= until)
    _keep(late, lambda at: at > until)
    if not _counts(late).timed:
        return Part(body, whole), None
    if not _counts(early).timed:
        return None, Part(body, whole)
    _keep(early, lambda at: at <= until, of="exemplars")
    _keep(late, lambda at: at > until, of="exemplars")
    if protocol is Protocol.V1:
        del late.metadata[:]
    return _part(early), _part(late)


def by_timestamp(body: bytes, protocol: Protocol, most: int) -> list[tuple[int, int]]:
    """Return at most so many spans (first, last) of time, ascending, that hold all samples."""
    times = sorted(set(_times(_parsed(body, protocol).timeseries)))
    each = -(-len(times) // most) or 1
    runs = (times[start : start + each] for start in range(0, len(times), each))
    return [(run[0], run[-1]) for run in runs]


def within(
    body: bytes, protocol: Protocol, first: int, last: int, *, has_rest: bool = False
) -> Part:
    """Return the samples of a batch within a span of time, and exemplars and metadata if asked."""
    request = _parsed(body, protocol)
    _keep(request, lambda at: first <= at <= last)
    if not has_rest:
        _keep(request, lambda _: False, of="exemplars")
        if protocol is Protocol.V1:
            del request.metadata[:]
    return _part(request)


def halves(body: bytes, protocol: Protocol) -> tuple[Part, Part] | None:
    """Return a batch in two, by series; None if it has but one."""
    first, second = _parsed(body, protocol), _parsed(body, protocol)
    middle = len(first.timeseries) // 2
    if not middle:
        return None
    del first.timeseries[middle:]
    del second.timeseries[:middle]
    if protocol is Protocol.V1:
        del second.metadata[:]
    return _part(first), _part(second)


def packed(raw: bytes) -> bytes:
    """Return bytes packed by snappy, as a body."""
    return bytes(cramjam.snappy.compress_raw(raw))


def _parsed(body: bytes, protocol: Protocol) -> Any:
    try:
        if cramjam.snappy.decompress_raw_len(body) > LARGEST:
            raise Undecodable(f"batch of {len(body)} bytes: it is larger than {LARGEST} unpacked")
        raw = bytes(cramjam.snappy.decompress_raw(body))
        return REQUESTS[protocol].FromString(raw)
    except (cramjam.DecompressionError, DecodeError) as error:
        raise Undecodable(f"batch of {len(body)} bytes: {error}") from error


def _times(series: Any) -> Iterator[int]:
    """Yield the time of each sample and histogram."""
    samples = chain.from_iterable(map(SAMPLES, series))
    histograms = chain.from_iterable(map(HISTOGRAMS, series))
    return map(TIME, chain(samples, histograms))


def _counts(request: Any) -> Counts:
    series = request.timeseries
    exemplars = sum(len(each.exemplars) for each in series)
    return Counts(
        sum(map(len, map(SAMPLES, series))), sum(map(len, map(HISTOGRAMS, series))), exemplars
    )


def _part(request: Any) -> Part:
    return Part(packed(request.SerializeToString()), _counts(request))


def _is_worth(request: Any) -> bool:
    """Tell whether something is left to send: a series, or metadata."""
    return bool(request.timeseries or getattr(request, "metadata", ()))


def _keep(request: Any, is_wanted: Callable[[int], bool], of: str = "") -> None:
    """Take out what is not wanted by its time, and the series that become empty."""
    kinds = (of,) if of else ("samples", "histograms")
    for number in range(len(request.timeseries) - 1, -1, -1):
        series = request.timeseries[number]
        taken = sum(_filter(getattr(series, kind), is_wanted) for kind in kinds)
        if taken and not (series.samples or series.histograms or series.exemplars):
            del request.timeseries[number]


def _filter(entries: Any, is_wanted: Callable[[int], bool]) -> int:
    """Take out what is not wanted, from the end; return how many."""
    unwanted = [at for at, entry in enumerate(entries) if not is_wanted(entry.timestamp)]
    for at in reversed(unwanted):
        del entries[at]
    return len(unwanted)


def _requests() -> dict[Protocol, Any]:
    package = "gate"
    file = FileDescriptorProto(name="gate.proto", package=package, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, is_repeated, kind) in fields.items():
            label = Field.LABEL_REPEATED if is_repeated else Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = Field.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = kind
    pool = DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName
    return {
        Protocol.V1: GetMessageClass(found(f"{package}.Request1")),
        Protocol.V2: GetMessageClass(found(f"{package}.Request2")),
    }


REQUESTS = _requests()
