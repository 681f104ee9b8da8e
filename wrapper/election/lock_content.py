"""What stands in a lock file: the record as one line of JSON, its checksum as another.

The guarantee: a reader gets a record that was written whole, within the bounds of its fields, or
none. Where it ends: who may write is the lock's to say.
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
# A write is seen half done only for an instant: so many tries, with this pause between them.
_TRIES = 20
_PAUSE_S = 0.001


def put(fd: int, record: LeaseRecord) -> ObservedLease:
    """Write in place, since a rename would leave the lock behind."""
    line = json.dumps(asdict(record)).encode()
    content = b"%s\n%08x\n" % (line, zlib.crc32(line))
    if os.pwrite(fd, content, 0) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(fd, len(content))
    return ObservedLease(record, _version(content))


def content_of(fd: int) -> ObservedLease:
    """Return what stands in the file; no record where it is empty or stays damaged."""
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
    """Return a word that changes with the record; what a cut-off longer one left counts not."""
    return hashlib.sha256(b"\n".join(content.split(b"\n")[:2])).hexdigest()[:16]


def _decoded(content: bytes) -> LeaseRecord | None:
    """Return the record, None where a write is half done."""
    line, _, rest = content.partition(b"\n")
    if rest.partition(b"\n")[0] != b"%08x" % zlib.crc32(line):
        return None
    said = fields.parsed(line.decode(errors="replace"))
    return LeaseRecord(
        holder=fields.name(said.get("holder")),
        duration_s=fields.seconds(said.get("duration_s")),
        acquire_time=fields.name(said.get("acquire_time")),
        renew_time=fields.name(said.get("renew_time")),
        transitions=fields.count(said.get("transitions")),
        incarnation=fields.optional_name(said.get("incarnation")),
        url=fields.url(said.get("url")),
    )
