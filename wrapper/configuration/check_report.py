"""Formats the parts of the report that ``check`` prints; pure.

Guarantee: a part contains no secrets if the arguments contain none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wrapper.base.durations import go_duration
from wrapper.configuration.leader_difference import Comparison
from wrapper.configuration.override_trace import OverrideEffect
from wrapper.configuration.receiver_notes import ReceiverNote
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.gate import Endpoint

REFUSED = "Prometheus refuses this configuration"
FAILING = "requests fail until it is there"
UNSENT = "the gate cannot send to this receiver"
UNCHECKED = "Result: this configuration could not be checked completely"
Rows = Iterable[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that a rendering names and that cannot be read.

    - ``role``: the rendering's role;
    - ``place``: the keys that lead to the file's path;
    - ``problem``: the path, and why it cannot be read;
    - ``effect``: what does not work without the file.
    """

    role: str
    place: str
    problem: str
    effect: str

    @property
    def is_needed(self) -> bool:
        """Whether the configuration cannot be used without it."""
        return self.effect != FAILING


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A program's verdict on one rendering.

    ``refusal`` has the reason if the rendering was refused, ``no_verdict`` why there is no verdict.
    If it was accepted, both are empty.
    """

    rendering: Rendering
    refusal: str = ""
    no_verdict: str = ""


def inputs(read: Sequence[tuple[str, str, int]], absent: Iterable[str]) -> str:
    """Return the part about the inputs read (name, kind, bytes) and the missing overrides."""
    rows = [(name, f"{what}, {_bytes(size)}") for name, what, size in read]
    rows += [(name, "missing or empty: no overrides") for name in absent]
    return _part("Inputs", _columns(rows))


def unread(names: Iterable[str]) -> str:
    """Return the part about the inputs if not all could be read."""
    return _part("Inputs", _columns((name, "not read; see Problems") for name in names))


def problems(found: Sequence[str]) -> str:
    """Return the part with the problems."""
    return _part("Problems", (f"  {line}" for line in found))


def ignored_parts(lines: Sequence[str]) -> str:
    """Return the part about the inputs' content that is not used."""
    return _part("Not used", (f"  {line}" for line in lines))


def renderings(both: Renderings) -> str:
    """Return the part about the renderings."""
    rows = [_rendering(both.follower)]
    if both.has_overrides:
        rows.append(_rendering(both.leader))
    else:
        rows.append(("leader", "the same as the follower's"))
    return _part("Renderings", _columns(rows))


def _rendering(rendering: Rendering) -> tuple[str, ...]:
    size = _bytes(len(rendering.content))
    writes = _writing(rendering)
    return rendering.role, f"valid YAML, {size}, {writes}, SHA-256 {rendering.fingerprint[:12]}…"


def _writing(rendering: Rendering) -> str:
    if not rendering.writes_remotely:
        return "no remote_write"
    if not rendering.endpoints:
        return "writes remotely"
    beside = "" if rendering.is_gated else ", and beside it"
    return f"writes remotely through the gate{beside}"


def gate(endpoints: Iterable[Endpoint]) -> str:
    """Return the part about what goes through the gate: name and receiver, without secrets."""
    rows = list(_columns((each.name, _receiver(each)) for each in endpoints))
    none = "  nothing: the leader adds no remote_write that the gate can send"
    return _part("Through the gate", rows or [none])


def _receiver(endpoint: Endpoint) -> str:
    url = urlsplit(endpoint.url)
    fields = ", ".join(endpoint.client)
    by = f", with {fields}" if fields else ""
    place = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{place}{url.path}, at most {go_duration(endpoint.timeout_s)}{by}"


def notes(lines: Sequence[str]) -> str:
    """Return the part about settings with which samples are lost in spite of the gate."""
    return _part("Samples that may be lost despite the gate", (f"  {line}" for line in lines))


def receiver_notes(found: Sequence[ReceiverNote]) -> str:
    """Return the part about receivers that may refuse what they are sent."""
    return _part("Receivers that may refuse the samples", (f"  {each.line}" for each in found))


def relabeling_notes(lines: Sequence[str]) -> str:
    """Return the part about relabeling rules that change other rules."""
    return _part("Relabeling rules that change other rules", (f"  {line}" for line in lines))


def check_results(title: str, results: Sequence[CheckResult]) -> str:
    """Return the part with a program's verdicts."""
    rows = [(each.rendering.role.value, _verdict(each)) for each in results]
    return _part(title, _columns(rows))


def missing(found: Sequence[Missing]) -> str:
    """Return the part about files that the renderings name and that cannot be read here."""
    rows = [(each.problem, f"{each.place} of the {each.role}'s: {each.effect}") for each in found]
    return _part("Files that cannot be read here", _columns(rows))


def _verdict(found: CheckResult) -> str:
    if found.no_verdict:
        return f"no answer: {found.no_verdict}"
    return f"refused: {found.refusal}" if found.refusal else "accepted"


def comparison(found: Comparison) -> str:
    """Return the parts with the effect of each override, and the difference of both roles."""
    effects = list(_columns(map(_effect, found.effects))) or ["  no overrides"]
    difference = [f"  {line}" for line in found.difference] or ["  none: both are the same"]
    return "\n".join(
        (
            _part("Effect of the leader's overrides", effects),
            _part("Difference between follower and leader, secrets hidden", difference),
        )
    )


def _effect(effect: OverrideEffect) -> tuple[str, ...]:
    return f"{effect.name}:{effect.line}", effect.path, effect.what


def result(count: int, *, has_started: bool) -> str:
    """Return the line that says whether the configuration can be used."""
    if not count:
        limit = "" if has_started else ", unless Prometheus refuses it (--start asks it)"
        return f"Result: this configuration can be used{limit}"
    return f"Result: this configuration cannot be used: {_many(count, 'problem')}"


def _part(title: str, lines: Iterable[str]) -> str:
    return "\n".join((title, *lines, ""))


def _columns(rows: Rows) -> Iterator[str]:
    """Yield rows as lines with aligned columns."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for *cells, last in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(("", *padded, last))


def _bytes(size: int) -> str:
    return f"{size:,} byte{'' if size == 1 else 's'}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
