"""Bodies of remote_write, valid or nearly valid protobuf and snappy: a strategy for bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

import cramjam
from hypothesis import strategies as st

from tests.fuzz.choices import Choices
from tests.remote_write import field, varint

TIMES = (1_800_000_000_000, 0, 1, -1, 1_800_000_000_001, 1_800_000_060_000, 2**63 - 1, -(2**63))
VALUES = tuple(struct.pack("<d", each) for each in (1.5, float("nan"), float("inf"), 0.0, -0.0))
TEXTS = (b"a", b"__name__", b"", b"\xff", b"b" * 300, b"\x00")
NUMBERS = (1, 2, 3, 4, 5, 6, 15, 16, 1000, 0, 2**29 - 1, 2**29)
VARINTS = (0, 1, 127, 128, 2**31, 2**32, 2**63, 2**64 - 1)
BROKEN_VARINTS = (b"\x80", b"\xff" * 9 + b"\x02", b"\xff" * 11, b"\x80\x00", b"\x80" * 9 + b"\x00")
DEEP = 200


def sample(choices: Choices) -> bytes:
    """Return the fields of a sample."""
    at = varint(choices.of(TIMES) + choices.number(3))
    return odd(choices, b"\x09" + choices.of(VALUES) + b"\x10" + at)


def histogram(choices: Choices) -> bytes:
    """Return the fields of a histogram."""
    return odd(choices, b"\x78" + varint(choices.of(TIMES)))


def exemplar(choices: Choices) -> bytes:
    """Return the fields of an exemplar."""
    return odd(choices, b"\x11" + choices.of(VALUES) + b"\x18" + varint(choices.of(TIMES)))


def series_1(choices: Choices) -> bytes:
    """Return the fields of a series of protocol 1."""
    labels = [field(1, field(1, choices.of(TEXTS)) + field(2, choices.of(TEXTS)))]
    parts = [*labels * choices.number(3), *_times(choices, (2, 4, 3))]
    return odd(choices, b"".join(parts))


def series_2(choices: Choices) -> bytes:
    """Return the fields of a series of protocol 2."""
    references = b"".join(varint(choices.of(VARINTS)) for _ in range(choices.number(4)))
    return odd(choices, b"".join([field(1, references), *_times(choices, (2, 3, 4))]))


def _times(choices: Choices, numbers: tuple[int, int, int]) -> list[bytes]:
    kinds = (sample, histogram, exemplar)
    chosen = [choices.number(4) for _ in range(choices.number(3))]
    return [field(numbers[max(each - 2, 0)], kinds[max(each - 2, 0)](choices)) for each in chosen]


def message(choices: Choices, *, is_second: bool) -> bytes:
    """Return a request of either protocol."""
    number, series = (5, series_2) if is_second else (1, series_1)
    parts = [field(number, series(choices)) for _ in range(choices.number(4))]
    other = field(4 if is_second else 3, choices.of(TEXTS))
    return odd(choices, b"".join([*[other] * choices.number(2), *parts]))


def odd(choices: Choices, content: bytes) -> bytes:
    """Return the fields of a message, with something unusual in some cases."""
    kind = choices.number(63)
    number = choices.of(NUMBERS)
    more: dict[int, Callable[[], bytes]] = {
        1: lambda: varint(number << 3) + varint(choices.of(VARINTS)),
        2: lambda: varint(number << 3) + choices.of(BROKEN_VARINTS),
        3: lambda: field(number, choices.of(TEXTS)),
        4: lambda: varint(number << 3 | 1) + b"8 bytes "[: choices.number(8)],
        5: lambda: varint(number << 3 | 5) + b"four"[: choices.number(4)],
        6: lambda: varint(number << 3 | 3) * (1 + choices.number(DEEP)),
        7: lambda: varint(number << 3 | 3) * DEEP + varint(number << 3 | 4) * DEEP,
        8: lambda: varint(number << 3 | 4),
        9: lambda: varint(number << 3 | 6 + choices.number(1)),
        10: lambda: varint(number << 3 | 2) + varint(choices.of(VARINTS)),
    }
    at = choices.number(1) * len(content)
    return content[:at] + more.get(kind, bytes)() + content[at:]


def body(choices: Choices) -> bytes:
    """Return a body, compressed in most cases."""
    raw = message(choices, is_second=bool(choices.number(1)))
    packed = bytes(cramjam.snappy.compress_raw(raw))
    return {
        1: lambda: raw,
        2: lambda: packed[: choices.number(255)],
        3: lambda: varint(choices.of(VARINTS)) + packed,  # with a wrong length
        4: lambda: varint(choices.of(VARINTS)) + packed[1:],
        5: lambda: bytes(cramjam.zstd.compress(raw)),
        6: lambda: bytes(cramjam.snappy.compress(raw)),
        7: lambda: raw[: choices.number(255)],
    }.get(choices.number(31), lambda: packed)()


BODIES = st.binary(min_size=40, max_size=250).map(lambda source: body(Choices(source)))
