"""Remote-write requests of protocol 1 and 2, encoded without the program's own code."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cramjam
import requests

Labels = Mapping[str, str]
Sample = tuple[int, float]  # milliseconds since 1970, value
Series = tuple[Labels, Iterable[Sample]]

VERSION = "X-Prometheus-Remote-Write-Version"
HEADERS = {
    1: {"Content-Type": "application/x-protobuf", VERSION: "0.1.0"},
    2: {
        "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        VERSION: "2.0.0",
    },
}


def body(series: Iterable[Series], protocol: int = 1) -> bytes:
    """Return a compressed request body in this protocol."""
    message = _message_1(series) if protocol == 1 else _message_2(series)
    return bytes(cramjam.snappy.compress_raw(message))


def headers(protocol: int = 1) -> dict[str, str]:
    """Return the header of a request in this protocol."""
    return {"Content-Encoding": "snappy", "User-Agent": "tests", **HEADERS[protocol]}


def post(url: str, series: Iterable[Series], protocol: int = 1) -> requests.Response:
    """Send one request."""
    data = body(series, protocol)
    return requests.post(url, data=data, headers=headers(protocol), timeout=10)


def series_of(body: bytes) -> Iterator[tuple[dict[str, str], list[Sample]]]:
    """Yield labels and samples of the series in a body of protocol 1, without metadata."""
    message = bytes(cramjam.snappy.decompress_raw(body))
    for series in _contents(message, 1):
        pairs = (list(_fields(label)) for label in _contents(series, 1))
        labels = {str(name, "utf-8"): str(value, "utf-8") for (_, name), (_, value) in pairs}
        yield labels, [_sample(dict(_fields(each))) for each in _contents(series, 2)]


def _message_1(series: Iterable[Series]) -> bytes:
    return b"".join(field(1, _series_1(labels, samples)) for labels, samples in series)


def _series_1(labels: Labels, samples: Iterable[Sample]) -> bytes:
    pairs = (
        field(1, field(1, name.encode()) + field(2, value.encode()))
        for name, value in sorted(labels.items())
    )
    return b"".join(pairs) + _samples(samples)


def _message_2(series: Iterable[Series]) -> bytes:
    symbols: dict[str, int] = {"": 0}
    found = []
    for labels, samples in series:
        words = [word for pair in sorted(labels.items()) for word in pair]
        references = b"".join(varint(symbols.setdefault(word, len(symbols))) for word in words)
        found.append(field(5, field(1, references) + _samples(samples)))
    return b"".join([field(4, word.encode()) for word in symbols] + found)


def _samples(samples: Iterable[Sample]) -> bytes:
    return b"".join(
        field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)) for at, value in samples
    )


def field(number: int, content: bytes) -> bytes:
    """Return a field that contains bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return a number in protobuf's encoding, a negative one in 64 bits."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _sample(fields: Mapping[int, bytes | int]) -> Sample:
    value = fields.get(1, bytes(8))
    at = fields.get(2, 0)
    assert isinstance(value, bytes), fields
    assert isinstance(at, int), fields
    return at, struct.unpack("<d", value)[0]


def _contents(message: bytes, number: int) -> Iterator[bytes]:
    """Yield the content of each field with this number."""
    for each, content in _fields(message):
        if each == number:
            assert isinstance(content, bytes), number
            yield content


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and content of each field; the content is an int or bytes."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag & 7 == 0:
            number, at = _read_varint(message, at)
            yield tag >> 3, number
            continue
        size = 8
        if tag & 7 == 2:
            size, at = _read_varint(message, at)
        yield tag >> 3, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
