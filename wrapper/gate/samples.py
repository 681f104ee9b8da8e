"""Decode a batch of remote_write: its samples, and their timestamps; pure.

A batch is the body of one request: protobuf, compressed with snappy (block format). Only the fields
that the gate needs are defined here. Protobuf preserves all other fields when it parses and writes
a message. In this folder, "samples" includes histograms.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
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

LARGEST = 64 << 20  # bytes of a batch after decompression
MOST_FIELDS = 2_000_000  # each needs 60 bytes of memory, and may be as short as two bytes
PROBES = 16  # series that are read if not all are
VERSION_2 = "io.prometheus.write.v2.request"
TIME = attrgetter("timestamp")
SAMPLES = attrgetter("samples")
HISTOGRAMS = attrgetter("histograms")

# Message → field → (number, is repeated, its type: of protobuf, or the name of a message). From
# prompb/remote.proto, prompb/types.proto and io/prometheus/write/v2/types.proto. Labels, symbols
# and values are defined to keep the order of the fields: protobuf writes undefined fields last.
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
        "labels_refs": (1, True, Field.TYPE_BYTES),  # a packed field is encoded as bytes
        "samples": (2, True, "Sample"),
        "histograms": (3, True, "Histogram"),
        "exemplars": (4, True, "Exemplar"),
    },
    "Request2": {"symbols": (4, True, Field.TYPE_BYTES), "timeseries": (5, True, "Series2")},
}


# The first byte of each repeated field; these have the numbers 1 to 5. The bytes with 0x80 are of
# a number that is encoded in more bytes than needed.
_TAGS = bytes(number << 3 | 2 | more for number in range(1, 6) for more in (0, 0x80))


class Undecodable(ValueError):
    """A body is not a batch: snappy or protobuf cannot decode it, or it is too large to decode."""


class Protocol(enum.Enum):
    """The version of the remote_write protocol of a batch, by its Content-Type."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"

    @classmethod
    def of(cls, content_type: str) -> Protocol:
        """Return the protocol of a Content-Type: V1 unless it names V2, as receivers read it."""
        words = content_type.lower().replace('"', "").replace(" ", "").split(";")
        return cls.V2 if f"proto={VERSION_2}" in words else cls.V1


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of samples, histograms and exemplars in a batch.

    They are the values of the fields X-Prometheus-Remote-Write-…-Written.
    """

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    @property
    def timed(self) -> int:
        """The number of samples and histograms together."""
        return self.samples + self.histograms


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest and the latest timestamp of the samples in a batch, in ms."""

    earliest: int
    latest: int


def span(body: bytes, protocol: Protocol, *, is_thorough: bool = True) -> Span | None:
    """Return the time span of a batch's samples, or None if it has none; raise ``Undecodable``.

    If not ``is_thorough``, only 16 series, spread evenly, are read. This is for batches that arrive
    often.
    """
    series = parsed(body, protocol).timeseries
    times: list[int] = []
    if not is_thorough and len(series) > PROBES:
        step = (len(series) - 1) / (PROBES - 1)
        times = list(times_of(series[round(number * step)] for number in range(PROBES)))
    times = times or list(times_of(series))  # those 16 may have only exemplars
    return Span(min(times), max(times)) if times else None


def counts(body: bytes, protocol: Protocol) -> Counts:
    """Return the number of samples, histograms and exemplars of a batch; raise ``Undecodable``."""
    return counts_of(parsed(body, protocol))


def compressed(raw: bytes) -> bytes:
    """Return bytes compressed with snappy, as the body of a request."""
    return bytes(cramjam.snappy.compress_raw(raw))


def parsed(body: bytes, protocol: Protocol) -> Any:
    """Return the message in a body; raise ``Undecodable``."""
    try:
        if cramjam.snappy.decompress_raw_len(body) > LARGEST:
            raise Undecodable(
                f"batch of {len(body)} bytes: larger than {LARGEST} bytes when decompressed"
            )
        raw = bytes(cramjam.snappy.decompress_raw(body))
        if _most_fields(raw) > MOST_FIELDS:
            raise Undecodable(
                f"batch of {len(body)} bytes: may have more than {MOST_FIELDS} fields"
            )
        return REQUESTS[protocol].FromString(raw)
    except (cramjam.DecompressionError, DecodeError) as error:
        raise Undecodable(f"batch of {len(body)} bytes: {error}") from error


def _most_fields(raw: bytes) -> int:
    """Return an upper bound of the number of fields; a rough one if the message is small."""
    most = len(raw) // 2
    return most if most <= MOST_FIELDS else len(raw) - len(raw.translate(None, _TAGS))


def times_of(series: Any) -> Iterator[int]:
    """Yield the timestamp of each sample and histogram, in ms."""
    samples = chain.from_iterable(map(SAMPLES, series))
    histograms = chain.from_iterable(map(HISTOGRAMS, series))
    return map(TIME, chain(samples, histograms))


def counts_of(request: Any) -> Counts:
    """Return the number of samples, histograms and exemplars of a message."""
    series = request.timeseries
    exemplars = sum(len(each.exemplars) for each in series)
    return Counts(
        sum(map(len, map(SAMPLES, series))), sum(map(len, map(HISTOGRAMS, series))), exemplars
    )


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
