"""Batches of ``remote_write`` for tests, in the full definitions of both protocols."""

from __future__ import annotations

from typing import Any

import cramjam
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from wrapper.gate.held import Batch
from wrapper.gate.samples import Counts, Protocol

V1, V2 = Protocol.V1, Protocol.V2
TEXT, NUMBER, DOUBLE, UNSIGNED = (
    Field.TYPE_STRING,
    Field.TYPE_INT64,
    Field.TYPE_DOUBLE,
    Field.TYPE_UINT32,
)
FULL: dict[str, dict[str, tuple[int, bool, Any]]] = {
    "Label": {"name": (1, False, TEXT), "value": (2, False, TEXT)},
    "Sample": {"value": (1, False, DOUBLE), "timestamp": (2, False, NUMBER)},
    "Histogram": {"sum": (3, False, DOUBLE), "timestamp": (15, False, NUMBER)},
    "Exemplar1": {
        "labels": (1, True, "Label"),
        "value": (2, False, DOUBLE),
        "timestamp": (3, False, NUMBER),
    },
    "Series1": {
        "labels": (1, True, "Label"),
        "samples": (2, True, "Sample"),
        "exemplars": (3, True, "Exemplar1"),
        "histograms": (4, True, "Histogram"),
    },
    "Metadata1": {"type": (1, False, NUMBER), "family": (2, False, TEXT), "help": (4, False, TEXT)},
    "Request1": {
        "timeseries": (1, True, "Series1"),
        "metadata": (3, True, "Metadata1"),
        "vendor": (1000, False, TEXT),
    },
    "Exemplar2": {
        "labels_refs": (1, True, UNSIGNED),
        "value": (2, False, DOUBLE),
        "timestamp": (3, False, NUMBER),
    },
    "Metadata2": {"type": (1, False, NUMBER), "help_ref": (3, False, UNSIGNED)},
    "Series2": {
        "labels_refs": (1, True, UNSIGNED),
        "samples": (2, True, "Sample"),
        "histograms": (3, True, "Histogram"),
        "exemplars": (4, True, "Exemplar2"),
        "metadata": (5, False, "Metadata2"),
        "created_timestamp": (6, False, NUMBER),
    },
    "Request2": {"symbols": (4, True, TEXT), "timeseries": (5, True, "Series2")},
}


def _messages() -> dict[str, Any]:
    file = FileDescriptorProto(name="full.proto", package="full", syntax="proto3")
    for name, fields in FULL.items():
        message = file.message_type.add(name=name)
        for key, (number, is_repeated, kind) in fields.items():
            label = Field.LABEL_REPEATED if is_repeated else Field.LABEL_OPTIONAL
            field = message.field.add(name=key, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = Field.TYPE_MESSAGE, f".full.{kind}"
            else:
                field.type = kind
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"full.{name}")) for name in FULL}


MESSAGES = _messages()


def new(protocol: Protocol) -> Any:
    """Return an empty request."""
    return MESSAGES["Request1" if protocol is V1 else "Request2"]()


def pack(request: Any) -> bytes:
    """Return a request as a body."""
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def read(body: bytes, protocol: Protocol) -> Any:
    """Return a body as a request."""
    request = new(protocol)
    request.ParseFromString(bytes(cramjam.snappy.decompress_raw(body)))
    return request


def body(*samples: tuple[str, int], protocol: Protocol = V1) -> bytes:
    """Return a body with one series for each sample: (name, time)."""
    request = new(protocol)
    if protocol is V2:
        request.symbols.extend(["", "__name__", *(name for name, _ in samples)])
    for number, (name, at) in enumerate(samples):
        series = request.timeseries.add()
        if protocol is V1:
            series.labels.add(name="__name__", value=name)
        else:
            series.labels_refs.extend([1, number + 2])
        series.samples.add(value=1.5, timestamp=at)
    return pack(request)


def samples_in(found: bytes, protocol: Protocol = V1) -> list[tuple[str, int]]:
    """Return name and time of each sample, as ``body`` takes them."""
    request = read(found, protocol)
    return [
        (
            series.labels[0].value if protocol is V1 else request.symbols[series.labels_refs[1]],
            sample.timestamp,
        )
        for series in request.timeseries
        for sample in series.samples
    ]


def batch(
    *samples: tuple[str, int],
    came: int,
    protocol: Protocol = V1,
    counts: Counts | None = None,
) -> Batch:
    """Return a batch that was received at the time ``came``."""
    fields = (("content-type", "application/x-protobuf"),)
    return Batch(body(*samples, protocol=protocol), fields, protocol, came, counts)
