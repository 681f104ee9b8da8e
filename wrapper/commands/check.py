"""The command ``check``: reads and renders the configuration as a start does, and reports problems.

Exit status: 0 if the configuration can be used, 1 if it cannot, 2 if it could not be checked. The
report shows no secrets. ``--print=follower|leader`` prints a whole rendering, with its secrets.

Guarantee: the command starts only promtool and Prometheus, and these only if flags request it. It
writes only the files that these programs read. It sends no requests, except to the Prometheus that
it has started.
"""

from __future__ import annotations

import gc
import io
import itertools
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from yaml.nodes import MappingNode

from wrapper.access.remote_write_client import TLS_FILES
from wrapper.base import early_signals
from wrapper.base.log import say_problems
from wrapper.configuration import check_report
from wrapper.configuration.check_report import FAILING, REFUSED, UNSENT, CheckResult, Missing
from wrapper.configuration.client_files import client_files
from wrapper.configuration.file_checks import problem_of
from wrapper.configuration.inputs import BadInputs, Inputs
from wrapper.configuration.leader_difference import Comparison, compare_texts
from wrapper.configuration.promtool import Promtool, distinct
from wrapper.configuration.scratch_rendering import NoVerdict
from wrapper.documents.yaml_nodes import compose
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import Settings
from wrapper.startup.agent_feature import problems_of_agent
from wrapper.startup.prepare import output_of, problems_of_promtool, promtool_of, sources_of
from wrapper.startup.trial_start import TrialStart

GOOD, UNUSABLE, UNCHECKED = 0, 1, 2
_PROMETHEUS = "prometheus"
Checker = Promtool | TrialStart
Checkers = dict[str, Checker]


def run(settings: Settings) -> int:
    """Check the configuration that these settings name; return the exit status."""
    gc.disable()  # almost nothing that is allocated here becomes garbage
    _be_a_filter()
    arguments = ChildArguments.parse(settings.child)
    obstacles = [
        *arguments.problems,
        *problems_of_promtool(settings),
        *_problems_of_trial_start(settings),
    ]
    if obstacles:
        say_problems(obstacles)
        return UNCHECKED
    output = output_of(settings, arguments)
    inputs = Inputs(sources_of(settings, arguments, output))
    checkers = _checkers(settings, arguments, output)
    folder = None if settings.command.syntax_only else str(output.parent.absolute())
    if settings.command.print == "report":
        return _report(inputs, checkers, folder)
    return _print(inputs, checkers, Role(settings.command.print), folder)


def _problems_of_trial_start(settings: Settings) -> list[str]:
    """Return the problems that prevent --start from starting Prometheus."""
    program = settings.child[0] if settings.child else _PROMETHEUS
    if not settings.command.start:
        return []
    if shutil.which(program):
        of_agent = problems_of_agent(settings.child, ChildArguments.parse(settings.child))
        return [*_problems_of_script(settings, program), *of_agent]
    wrong = f"--start: {program}: no such command, or it may not be executed"
    return [f"{wrong}; write Prometheus' path after --, for example -- /bin/prometheus"]


def _problems_of_script(settings: Settings, program: str) -> list[str]:
    """Return a problem if a script may start Prometheus with the configuration that is in use.

    As at a start, a script that gets --config.file is expected to pass it on to Prometheus.
    """
    names_file = ChildArguments.parse(settings.child).names_config_file
    if names_file or Path(program).name == _PROMETHEUS:
        return []
    wrong = f"--start: {program}: a script may start Prometheus with its own configuration"
    return [f"{wrong}; write Prometheus' own command after --, for example -- /bin/prometheus"]


def _checkers(settings: Settings, arguments: ChildArguments, output: Path) -> dict[str, Checker]:
    """Return the programs that check each rendering, by the title of their report section."""
    checkers: dict[str, Checker] = {}
    promtool = promtool_of(settings, arguments, output)
    if promtool is not None:
        checkers[f"{promtool.program} check config"] = promtool
    if settings.command.start:
        command = settings.child or (_PROMETHEUS,)
        trial_start = TrialStart(command, output, is_agent=arguments.is_agent)
        checkers[f"{trial_start.program}, started for a moment"] = trial_start
    return checkers


# --- --print: one rendering, for other programs ---------------------------------------------------


def _print(inputs: Inputs, checkers: Checkers, role: Role, folder: str | None) -> int:
    """Write one rendering, and nothing else, to standard output; return the exit status.

    Problems are written to standard error.
    """
    try:
        renderings = inputs.read(is_start=True)
    except BadInputs as error:
        say_problems(error.problems)
        return UNUSABLE
    sys.stdout.buffer.write(renderings.of(role).content)
    sys.stdout.buffer.flush()
    missing = _missing(renderings, folder)
    say_problems(f"{each.place}: {each.problem}; {each.effect}" for each in missing)
    results = [
        each for checker in checkers.values() for each in _check_results(checker, renderings)
    ]
    say_problems(filter(None, (each.no_verdict or each.refusal for each in results)))
    return _status(results, missing)


# --- the report -----------------------------------------------------------------------------------


def _report(inputs: Inputs, checkers: Checkers, folder: str | None) -> int:
    """Write the report; if the inputs are invalid, only their section; return the exit status."""
    try:
        renderings = inputs.read(is_start=True)
    except BadInputs as error:
        _say(_inputs(inputs), check_report.problems(error.problems))
        _say(check_report.result(len(error.problems), has_started=False))
        return UNUSABLE
    ignored_parts = inputs.ignored_parts()
    _say(_inputs(inputs), *([check_report.ignored_parts(ignored_parts)] if ignored_parts else []))
    _say(check_report.renderings(renderings))
    if inputs.sources.gate is not None:
        _say(check_report.gate(renderings.leader.endpoints))
    if inputs.notes:
        _say(check_report.notes(inputs.notes))
    if inputs.receiver_notes:
        _say(check_report.receiver_notes(inputs.receiver_notes))
    if relabeling_notes := inputs.relabeling_notes():
        _say(check_report.relabeling_notes(relabeling_notes))
    _say(check_report.comparison(_comparison(inputs)))
    missing = _missing(renderings, folder)
    if missing:
        _say(check_report.missing(missing))
    results: list[CheckResult] = []
    for title, checker in checkers.items():
        verdicts = _check_results(checker, renderings)
        _say(check_report.check_results(title, verdicts))
        results += verdicts
    status = _status(results, missing)
    refusals = sum(bool(each.refusal) for each in results) + sum(each.is_needed for each in missing)
    has_started = any(isinstance(each, TrialStart) for each in checkers.values())
    result = check_report.result(refusals, has_started=has_started)
    _say(check_report.UNCHECKED if status == UNCHECKED else result)
    return status


def _inputs(inputs: Inputs) -> str:
    """Return the section of the report about the inputs that could be read."""
    texts = inputs.texts()
    if not texts:
        return check_report.unread(map(str, inputs.sources.paths))
    kinds = _kinds(inputs)
    read = [(source.name, next(kinds), len(source.content)) for source in texts]
    return check_report.inputs(read, map(str, inputs.absent()))


def _kinds(inputs: Inputs) -> Iterator[str]:
    """Yield the kind of each input, in the order of reading."""
    if inputs.sources.leader_configs is None:
        yield "follower and leader"
    else:
        yield "the follower's, whole"
        yield from itertools.repeat("overrides of the leader")


def _comparison(inputs: Inputs) -> Comparison:
    """Return the differences between the follower's and the leader's configuration."""
    has_sections = inputs.sources.leader_configs is None
    return compare_texts(
        inputs.texts(),
        inputs.variables(),
        has_sections=has_sections,
        gate=inputs.sources.gate,
    )


# --- files, promtool and Prometheus ---------------------------------------------------------------


def _missing(renderings: Renderings, folder: str | None) -> list[Missing]:
    """Return the files that the renderings name and that cannot be read; [] if ``folder`` is None.

    Relative paths start at ``folder``.
    """
    found: dict[tuple[str, str], Missing] = {}
    for rendering in distinct(renderings) if folder is not None else ():
        root = compose(rendering.content, "")
        for file in client_files(root) if isinstance(root, MappingNode) else ():
            wrong = problem_of(file.under(folder or ""), is_pem=file.is_needed and file.is_pem)
            if wrong:
                effect = REFUSED if file.is_needed else FAILING
                missing = Missing(rendering.role, file.place, wrong, effect)
                found.setdefault((file.place, wrong), missing)
    return [*found.values(), *(_missing_at_gate(renderings.leader) if folder is not None else ())]


def _missing_at_gate(leader: Rendering) -> Iterator[Missing]:
    """Yield the files for the gate's connections to receivers that cannot be read."""
    for endpoint in leader.endpoints:
        files = endpoint.client.get("tls_config", {})
        for field in TLS_FILES:
            wrong = problem_of(files[field], is_pem=True) if field in files else ""
            if wrong:
                place = f"tls_config.{field} of {endpoint.name}"
                yield Missing(leader.role, place, wrong, UNSENT)


def _check_results(checker: Checker, renderings: Renderings) -> list[CheckResult]:
    """Return the verdict of promtool or Prometheus on each rendering."""
    results = []
    for rendering in distinct(renderings):
        try:
            results.append(CheckResult(rendering, checker.refusal(rendering)))
        except NoVerdict as error:
            results.append(CheckResult(rendering, no_verdict=str(error)))
    return results


def _status(results: list[CheckResult], missing: list[Missing]) -> int:
    if any(each.refusal for each in results) or any(each.is_needed for each in missing):
        return UNUSABLE
    return UNCHECKED if any(each.no_verdict for each in results) else GOOD


def _say(*parts: str) -> None:
    for part in parts:
        print(part)  # noqa: T201


def _be_a_filter() -> None:
    """Behave as a filter in a shell's pipeline.

    SIGPIPE ends the program silently. Other signals end it after cleaning up. Characters that the
    output's encoding does not have are escaped.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    early_signals.end_quietly(signal.SIGHUP)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
