"""The content of a lock file: the record as a line of JSON, and a line with its checksum.

Guarantee: a reader gets a record that was written completely, or none. The fields of a record are
bounded. The lock decides who may write, not this module.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import zlib
from dataclasses import asdict

from wrapper.election import lease_fields as fields
from wrapper.model.lease import LeaseRecord, ObservedLease

_LONGEST_CONTENT = 65536
# A write is incomplete only for a moment: a reader tries this often, with this pause.
_TRIES = 20
_PAUSE_S = 0.001


def put(fd: int, record: LeaseRecord) -> ObservedLease:
    """Write the record in place: after a rename, the lock would stay with the old file."""
    line = json.dumps(asdict(record)).encode()
    content = b"%s\n%08x\n" % (line, zlib.crc32(line))
    if os.pwrite(fd, content, 0) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(fd, len(content))
    return ObservedLease(record, _version(content))


def content_of(fd: int) -> ObservedLease:
    """Return the file's record and version; no record if it is empty or stays damaged."""
    for _ in range(_TRIES):
        content = os.pread(fd, _LONGEST_CONTENT, 0)
        record = _decoded(content)
        if record is not None:
            return ObservedLease(record, _version(content))
        if not content:
            return ObservedLease(None)
        time.sleep(_PAUSE_S)
    return ObservedLease(None, _version(content))


def _version(content: bytes) -> str:
    """Return a hash of the record's lines; the rest of a longer, older record is ignored."""
    return hashlib.sha256(b"\n".join(content.split(b"\n")[:2])).hexdigest()[:16]


def _decoded(content: bytes) -> LeaseRecord | None:
    """Return the record, or None if it is not complete."""
    line, _, rest = content.partition(b"\n")
    if rest.partition(b"\n")[0] != b"%08x" % zlib.crc32(line):
        return None
    values = fields.parsed(line.decode(errors="replace"))
    return LeaseRecord(
        holder=fields.name(values.get("holder")),
        duration_s=fields.seconds(values.get("duration_s")),
        acquire_time=fields.name(values.get("acquire_time")),
        renew_time=fields.name(values.get("renew_time")),
        transitions=fields.count(values.get("transitions")),
        incarnation=fields.optional_name(values.get("incarnation")),
        url=fields.url(values.get("url")),
        marks=fields.marks(values.get("marks")),
    )
