"""A batch of remote_write, cut and split by the times of its samples; pure.

Whatever is not defined in ``samples`` goes along. Exemplars are never a reason to keep or to cut: a
receiver ignores one that it has, and their times may be the application's. All raise
``Undecodable``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from wrapper.gate.samples import (
    REQUESTS,
    Counts,
    Protocol,
    counts_of,
    packed,
    parsed,
    times_of,
)

GOLDEN = 5**0.5 / 2 + 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a batch, as a batch of its own."""

    body: bytes = field(repr=False)
    counts: Counts
    times: int = 0  # how many different times its samples have, where that is known


def newer(body: bytes, protocol: Protocol, mark: int) -> tuple[bytes | None, int]:
    """Return what a batch has besides samples at or before a mark, and how many those are.

    The body is None where nothing is left. Series that become empty go.
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
    return packed(request.SerializeToString()), left_out


def split_at(body: bytes, protocol: Protocol, until: int) -> tuple[Part | None, Part | None]:
    """Return what a batch has up to a time, and what is later; None for a part without samples.

    A batch without any samples is all in the first. Exemplars are split by their own times, but
    never into a part that has no samples; what else there is goes with the first that exists.
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
    """Return a batch in at most so many parts, by the times of its samples, oldest first.

    What has no time of its own (metadata, a series of exemplars alone) goes with the last.
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


def apart(body: bytes, protocol: Protocol, most: int) -> tuple[list[Part], Part | None]:
    """Return at most so many series with samples, spread over all, each alone; and the rest."""
    request = parsed(body, protocol)
    timed = [at for at, each in enumerate(request.timeseries) if each.samples or each.histograms]
    chosen = [timed[at] for at in _spread(min(most, len(timed)), len(timed))]
    shared = _without_series(request, has_metadata=False)
    singles = [_of(protocol, shared, [request.timeseries[at]]) for at in chosen]
    for at in reversed(chosen):
        del request.timeseries[at]
    return singles, (_part(request) if request.timeseries else None)


def halves(body: bytes, protocol: Protocol) -> tuple[Part, Part] | None:
    """Return a batch in two, by series; None if it has but one."""
    first, second = parsed(body, protocol), parsed(body, protocol)
    middle = len(first.timeseries) // 2
    if not middle:
        return None
    del first.timeseries[middle:]
    del second.timeseries[:middle]
    if protocol is Protocol.V1:
        del second.metadata[:]
    return _part(first), _part(second)


def _spread(count: int, among: int) -> list[int]:
    """Return so many places, ascending: both ends, and others at no regular distance.

    Of a scrape that was cut in the middle one end is known and the other new; and what alternates
    is met too.
    """
    if count == among:
        return list(range(among))
    found = set((0, among - 1)[:count])
    number = 0
    while len(found) < count:
        found.add(int(number * GOLDEN % 1.0 * among))
        number += 1
    return sorted(found)


def _part(request: Any) -> Part:
    return Part(packed(request.SerializeToString()), counts_of(request))


def _without_series(request: Any, *, has_metadata: bool) -> bytes:
    """Return what a request has besides its series."""
    rest = type(request)()
    rest.CopyFrom(request)
    del rest.timeseries[:]
    if not has_metadata and isinstance(rest, REQUESTS[Protocol.V1]):
        del rest.metadata[:]
    return bytes(rest.SerializeToString())


def _within(series: Any, times: list[int]) -> Any:
    """Return a copy of a series with the samples of some times, ascending."""
    copy = type(series)()
    copy.CopyFrom(series)
    for kind in (copy.samples, copy.histograms):
        _filter(kind, lambda at: times[0] <= at <= times[-1])
    if times[-1] < max(times_of([series])):
        del copy.exemplars[:]
    return copy


def _of(protocol: Protocol, rest: bytes, series: list[Any], times: int = 1) -> Part:
    """Return a part of some series: messages one after the other are one message."""
    request = REQUESTS[protocol](timeseries=series)
    return Part(packed(rest + request.SerializeToString()), counts_of(request), times)


def _keep(request: Any, is_wanted: Callable[[int], bool]) -> None:
    """Take out the samples that are not wanted by their time, and series that become empty."""
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
    """Take out the exemplars that are not wanted by their time, and series that become empty."""
    for at in range(len(request.timeseries) - 1, -1, -1):
        series = request.timeseries[at]
        if not series.exemplars:
            continue
        _filter(series.exemplars, is_wanted)
        if not (series.samples or series.histograms or series.exemplars):
            del request.timeseries[at]


def _filter(entries: Any, is_wanted: Callable[[int], bool]) -> None:
    """Take out what is not wanted, from the end."""
    for at in range(len(entries) - 1, -1, -1):
        if not is_wanted(entries[at].timestamp):
            del entries[at]
