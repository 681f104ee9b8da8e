"""Passes values from one writer to many readers, through a shared memfd.

The memfd has several *regions*, each for one value. A region has two *slots*, which are written in
turn. Each slot has a header of sequence number, length and CRC. A reader takes the newest complete
slot.

Guarantee: writing never blocks. A reader never sees a mixture of two values, whenever it reads and
whenever the writer dies.

Limitation: there must be only one writer per region.
"""

from __future__ import annotations

import os
import struct
import zlib

SLOT_BYTES = 8 << 20  # sparse: only written pages take memory
_HEADER = struct.Struct("<QQI")  # sequence, length, CRC of both and the payload
_PREFIX = struct.Struct("<QQ")
_ATTEMPTS = 100


class TooLarge(ValueError):
    """A value does not fit into a slot. The previous value stays."""


class SharedWriter:
    """Writes to one region of a memfd."""

    def __init__(self, fd: int, region: int = 0) -> None:
        """Use the descriptor; it is not closed here."""
        self._fd = fd
        self._region = region
        self._sequence = 0

    def write(self, payload: bytes) -> None:
        """Write a value; raise TooLarge."""
        if _HEADER.size + len(payload) > SLOT_BYTES:
            raise TooLarge(f"{len(payload)} bytes")
        self._sequence += 1
        header = _HEADER.pack(self._sequence, len(payload), _crc(self._sequence, payload))
        os.pwrite(self._fd, header + payload, _offset(self._region, self._sequence % 2))


class SharedReader:
    """Reads the newest value of one region. An unchanged value is not read again."""

    def __init__(self, fd: int, region: int = 0) -> None:
        """Use the descriptor; it is not closed here."""
        self._fd = fd
        self._region = region
        self._sequence = 0
        self._fresh: bytes | None = None

    def read_if_new(self) -> bytes | None:
        """Return the newest value; None if it was returned before, or if there is none.

        Also returns None if the writer is just writing at each attempt.
        """
        self._fresh = None
        if self._header((self._sequence + 1) % 2)[0] <= self._sequence:
            return None  # the slot of the next value is unchanged
        for _ in range(_ATTEMPTS):
            if any(self._take(slot) for slot in self._newest_first()):
                break
        return self._fresh

    def _newest_first(self) -> list[int]:
        return sorted((0, 1), key=lambda slot: self._header(slot)[0], reverse=True)

    def _header(self, slot: int) -> tuple[int, int, int]:
        data = os.pread(self._fd, _HEADER.size, _offset(self._region, slot))
        return _HEADER.unpack(data) if len(data) == _HEADER.size else (0, 0, 0)

    def _take(self, slot: int) -> bool:
        """Read a slot; return whether it is complete, and not older than the last value read."""
        sequence, length, crc = self._header(slot)
        if sequence == self._sequence:
            return True  # also 0: nothing has been written yet
        if sequence < self._sequence or length > SLOT_BYTES:
            return False
        payload = os.pread(self._fd, length, _offset(self._region, slot) + _HEADER.size)
        if len(payload) != length or crc != _crc(sequence, payload):
            return False
        self._sequence, self._fresh = sequence, payload
        return True


def _offset(region: int, slot: int) -> int:
    return (2 * region + slot) * SLOT_BYTES


def _crc(sequence: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_PREFIX.pack(sequence, len(payload))))
