"""The subcommand ``check``: read and render as a start would, and tell what comes of it.

Nothing is started but promtool where it is asked for, nothing is written but what that reads, and
nobody is talked to. Exit status: 0 the configuration can be used; 1 it cannot; 2 it could not be
checked. The report shows no secrets; ``--print=follower|leader`` shows all.
"""

from __future__ import annotations

import gc
import io
import itertools
import signal
import sys
from collections.abc import Iterable, Iterator

from wrapper.configuration import report
from wrapper.configuration.beside_output import Unanswered
from wrapper.configuration.comparison import Comparison, compare_texts
from wrapper.configuration.inputs import BadInputs, Inputs
from wrapper.configuration.promtool import Promtool, distinct
from wrapper.configuration.report import Judged
from wrapper.model import Renderings, Role
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import Settings
from wrapper.start import output_of, problems_of_promtool, promtool_of, sources_of

GOOD, UNUSABLE, UNCHECKED = 0, 1, 2


def run(settings: Settings) -> int:
    """Check the configuration that these settings name; return the exit status."""
    gc.disable()  # of what is made here, little is ever garbage
    _be_a_filter()
    arguments = ChildArguments.parse(settings.child)
    obstacles = [*arguments.problems, *problems_of_promtool(settings)]
    if obstacles:
        _complain(obstacles)
        return UNCHECKED
    output = output_of(settings, arguments)
    inputs = Inputs(sources_of(settings, arguments, output))
    promtool = promtool_of(settings, arguments, output)
    if settings.print == "report":
        return _report(inputs, promtool)
    return _print(inputs, promtool, Role(settings.print))


# --- one rendering, for programs ------------------------------------------------------------------


def _print(inputs: Inputs, promtool: Promtool | None, role: Role) -> int:
    """Write one rendering's bytes on standard output, and nothing else there."""
    try:
        renderings = inputs.read(is_start=True)
    except BadInputs as error:
        _complain(error.problems)
        return UNUSABLE
    sys.stdout.buffer.write(renderings.of(role).content)
    sys.stdout.buffer.flush()
    judged = _judged(promtool, renderings)
    _complain(filter(None, (each.unanswered or each.refusal for each in judged)))
    return _status(judged)


# --- the report, for people -----------------------------------------------------------------------


def _report(inputs: Inputs, promtool: Promtool | None) -> int:
    """Write the report as far as it goes; return the exit status."""
    try:
        renderings = inputs.read(is_start=True)
    except BadInputs as error:
        _say(_inputs(inputs), report.problems(error.problems))
        _say(report.result(len(error.problems), is_judged=False))
        return UNUSABLE
    left_out = inputs.left_out()
    _say(_inputs(inputs), *([report.left_out(left_out)] if left_out else []))
    _say(report.renderings(renderings), report.comparison(_comparison(inputs)))
    judged = _judged(promtool, renderings)
    if promtool is not None:
        _say(report.judgement(promtool.program, judged))
    status = _status(judged)
    refusals = sum(bool(each.refusal) for each in judged)
    result = report.result(refusals, is_judged=promtool is not None)
    _say(report.UNCHECKED if status == UNCHECKED else result)
    return status


def _inputs(inputs: Inputs) -> str:
    """Tell what was read, as far as it could be."""
    texts = inputs.texts()
    if not texts:
        return report.unread(map(str, inputs.sources.paths))
    kinds = _kinds(inputs)
    read = [(source.name, next(kinds), len(source.content)) for source in texts]
    return report.inputs(read, map(str, inputs.absent()))


def _kinds(inputs: Inputs) -> Iterator[str]:
    """Yield what each input is, in the order in which they are read."""
    if inputs.sources.leader_configs is None:
        yield "follower and leader"
    else:
        yield "the follower's, whole"
        yield from itertools.repeat("overrides of the leader")


def _comparison(inputs: Inputs) -> Comparison:
    """Compare what the follower and the leader read of good inputs."""
    has_sections = inputs.sources.leader_configs is None
    return compare_texts(inputs.texts(), inputs.variables(), has_sections=has_sections)


# --- promtool, and what is said -------------------------------------------------------------------


def _judged(promtool: Promtool | None, renderings: Renderings) -> list[Judged]:
    """Ask promtool about each rendering, where it is to be asked."""
    if promtool is None:
        return []
    judged = []
    for rendering in distinct(renderings):
        try:
            judged.append(Judged(rendering, promtool.refusal(rendering)))
        except Unanswered as error:
            judged.append(Judged(rendering, unanswered=str(error)))
    return judged


def _status(judged: list[Judged]) -> int:
    if any(each.refusal for each in judged):
        return UNUSABLE
    return UNCHECKED if any(each.unanswered for each in judged) else GOOD


def _say(*parts: str) -> None:
    for part in parts:
        print(part)  # noqa: T201


def _be_a_filter() -> None:
    """End quietly when nobody reads on; show what the terminal cannot."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(problems: Iterable[str]) -> None:
    for problem in problems:
        print(f"prometheus-elector: {problem}", file=sys.stderr)  # noqa: T201
