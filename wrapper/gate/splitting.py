"""Split a batch of remote_write, or remove samples from it, by timestamp or series; pure.

Fields that ``samples`` does not define are preserved. Exemplars never decide whether anything is
kept or cut: a receiver ignores an exemplar that it already has, and the timestamp of an exemplar
may come from the application.

All public functions raise ``Undecodable``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from wrapper.gate.samples import (
    REQUESTS,
    Counts,
    Protocol,
    compressed,
    counts_of,
    parsed,
    times_of,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a batch, as a batch of its own.

    ``times`` is the number of different timestamps of its samples, where that is known.
    """

    body: bytes = field(repr=False)
    counts: Counts
    times: int = 0


def without_known(body: bytes, protocol: Protocol, mark: int) -> tuple[bytes | None, int]:
    """Return a batch without the samples at or before a mark, and the number of those.

    The body is None if nothing is left. A series without samples and exemplars is removed.
    """
    request = parsed(body, protocol)
    times = list(times_of(request.timeseries))
    left_out = sum(at <= mark for at in times)
    if not left_out:
        return body, 0
    has_more = bool(counts_of(request).exemplars) or bool(getattr(request, "metadata", ()))
    if left_out == len(times) and not has_more:
        return None, left_out
    _keep(request, lambda at: at > mark)
    return compressed(request.SerializeToString()), left_out


def split_at(body: bytes, protocol: Protocol, until: int) -> tuple[Part | None, Part | None]:
    """Split a batch into the part up to a time in ms, and the part after it.

    A part without samples is None. A batch without any samples is all in the first part. Exemplars
    are split by their own timestamps, but never into a part that has no samples. Metadata is in the
    first part that exists.
    """
    early, late = parsed(body, protocol), parsed(body, protocol)
    is_late = [at > until for at in times_of(early.timeseries)]
    if not any(is_late):
        return Part(body, counts_of(early)), None
    if all(is_late):
        return None, Part(body, counts_of(late))
    _keep(early, lambda at: at <= until)
    _keep(late, lambda at: at > until)
    _keep_exemplars(early, lambda at: at <= until)
    _keep_exemplars(late, lambda at: at > until)
    if protocol is Protocol.V1:
        del late.metadata[:]
    return _part(early), _part(late)


def by_timestamp(body: bytes, protocol: Protocol, most: int) -> list[Part]:
    """Split a batch into at most ``most`` parts by timestamp, oldest first.

    Metadata, and series that have only exemplars, are in the last part.
    """
    request = parsed(body, protocol)
    times = sorted(set(times_of(request.timeseries)))
    each = -(-len(times) // most) or 1
    runs = [times[start : start + each] for start in range(0, len(times), each)] or [[]]
    groups: list[list[Any]] = [[] for _ in runs]
    for series in request.timeseries:
        found = {bisect_left(times, at) // each for at in times_of([series])} or {len(runs) - 1}
        alone = len(found) == 1
        for number in found:
            groups[number].append(series if alone else _within(series, runs[number]))
    rest = _without_series(request, has_metadata=True)
    shared = _without_series(request, has_metadata=False)
    last = len(runs) - 1
    return [
        _of(protocol, rest if number == last else shared, group, len(runs[number]))
        for number, group in enumerate(groups)
    ]


class SeriesOf:
    """The series of a batch. Any of them can be sent as a part.

    ``timed`` has the indexes of those with samples, ascending.
    """

    def __init__(self, body: bytes, protocol: Protocol) -> None:
        self._protocol = protocol
        self._request = parsed(body, protocol)
        self._first = _without_series(self._request, has_metadata=True)
        self._shared = _without_series(self._request, has_metadata=False)
        series = self._request.timeseries
        self.timed = [at for at, each in enumerate(series) if each.samples or each.histograms]

    def __len__(self) -> int:
        return len(self._request.timeseries)

    def part(self, indexes: Collection[int]) -> Part:
        """Return the part with these series; metadata goes with the first series."""
        series = [self._request.timeseries[at] for at in indexes]
        return _of(self._protocol, self._first if 0 in indexes else self._shared, series)

    def count(self, indexes: Iterable[int]) -> int:
        """Return the number of samples in these series."""
        series = (self._request.timeseries[at] for at in indexes)
        return sum(len(each.samples) + len(each.histograms) for each in series)


def _part(request: Any) -> Part:
    return Part(compressed(request.SerializeToString()), counts_of(request))


def _without_series(request: Any, *, has_metadata: bool) -> bytes:
    """Return a request without its series, as bytes."""
    rest = type(request)()
    rest.CopyFrom(request)
    del rest.timeseries[:]
    if not has_metadata and isinstance(rest, REQUESTS[Protocol.V1]):
        del rest.metadata[:]
    return bytes(rest.SerializeToString())


def _within(series: Any, times: list[int]) -> Any:
    """Return a copy of a series with only the samples of a range of timestamps."""
    copy = type(series)()
    copy.CopyFrom(series)
    for kind in (copy.samples, copy.histograms):
        _filter(kind, lambda at: times[0] <= at <= times[-1])
    if times[-1] < max(times_of([series])):
        del copy.exemplars[:]
    return copy


def _of(protocol: Protocol, rest: bytes, series: list[Any], times: int = 1) -> Part:
    """Return a part with these series; protobuf merges messages that are concatenated."""
    request = REQUESTS[protocol](timeseries=series)
    return Part(compressed(rest + request.SerializeToString()), counts_of(request), times)


def _keep(request: Any, is_wanted: Callable[[int], bool]) -> None:
    """Remove the samples whose time is not wanted, and series that become empty."""
    changed = [
        at
        for at, each in enumerate(request.timeseries)
        if not all(is_wanted(entry.timestamp) for entry in chain(each.samples, each.histograms))
    ]
    for at in reversed(changed):
        series = request.timeseries[at]
        _filter(series.samples, is_wanted)
        _filter(series.histograms, is_wanted)
        if not (series.samples or series.histograms or series.exemplars):
            del request.timeseries[at]


def _keep_exemplars(request: Any, is_wanted: Callable[[int], bool]) -> None:
    """Remove the exemplars whose time is not wanted, and series that become empty."""
    for at in range(len(request.timeseries) - 1, -1, -1):
        series = request.timeseries[at]
        if not series.exemplars:
            continue
        _filter(series.exemplars, is_wanted)
        if not (series.samples or series.histograms or series.exemplars):
            del request.timeseries[at]


def _filter(entries: Any, is_wanted: Callable[[int], bool]) -> None:
    """Remove the entries whose time is not wanted, from the end."""
    for at in range(len(entries) - 1, -1, -1):
        if not is_wanted(entries[at].timestamp):
            del entries[at]
