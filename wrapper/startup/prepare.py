"""Reads the inputs before anything is started, and reports all problems together.

Guarantee: this module writes no file, takes no lock and starts no process. Exceptions: promtool and
its temporary file with --config-check; and ``prometheus --help`` if the command enables the agent
feature.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wrapper.base import files
from wrapper.configuration.inputs import BadInputs, Inputs, Sources
from wrapper.model.configuration import Renderings
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import Mode, Settings
from wrapper.startup.agent_feature import problems_of_agent
from wrapper.startup.startup_state import UNCHANGED, RefusedInput, StartupState, is_same_file

if TYPE_CHECKING:
    from wrapper.access.prometheus_access import PrometheusAccess
    from wrapper.configuration.gate_settings import GateSettings
    from wrapper.configuration.promtool import Promtool
    from wrapper.startup.auth_preflight import AuthCheck


def prepare(settings: Settings, refused: RefusedInput | None = None) -> StartupState:
    """Read the inputs, and return what is known before the start, with all problems.

    ``refused`` is the rendering with which Prometheus exited in the previous run, if that run has
    executed this program again; otherwise None.
    """
    arguments = ChildArguments.parse(settings.child)
    auth = _check_auth(settings, arguments)
    of_auth = auth.problems if auth is not None else ()
    access = auth.access if auth is not None else None
    if auth is not None and auth.requirements.tls:
        arguments = arguments.over_tls()
    output = output_of(settings, arguments)
    if settings.mode.is_plain:
        inputs = Inputs(sources_of(settings, arguments, output))
        targets, problems = _look_at_targets(settings, inputs.reads)
        auto_reload_problems = (
            arguments.auto_reload_problems if settings.targets.fetches_rules else ()
        )
        found = (*_problems_of_command(settings), *auto_reload_problems, *of_auth, *problems)
        return StartupState(settings, arguments, inputs, UNCHANGED, found, output, access, targets)
    promtool = promtool_of(settings, arguments, output)
    judge = promtool.problems if promtool is not None else None
    inputs = Inputs(sources_of(settings, arguments, output), judge)
    renderings, refusal = _render(settings, inputs)
    start = StartupState(settings, arguments, inputs, renderings, (), output, refusal=refusal)
    start = replace(start, refused=refused).with_last_good()
    start = replace(start, lock=settings.lease.lock_of(os.getuid(), start.may_override))
    problems = [*_problems_of_child(settings, arguments), *problems_of_promtool(settings)]
    targets, of_targets = _look_at_targets(settings, start.uses_file)
    problems += [*of_auth, *of_targets, *_problems_of_output(start), *_problems_of_lock(start)]
    if settings.lease.is_on_kubernetes and not settings.mode.is_init:
        problems += _problems_of_kubeconfig(settings)
    if problems or start.renderings is None:  # report all problems together
        problems = [*refusal, *problems]
    return replace(start, problems=tuple(problems), access=access, targets_access=targets)


def _check_auth(settings: Settings, arguments: ChildArguments) -> AuthCheck | None:
    """Check TLS and passwords if a file configures them; otherwise import nothing, return None."""
    named = (
        settings.web.prometheus_http_config,
        settings.web.web_config_file,
        arguments.web_config_file,
    )
    if not any(named):
        return None
    from wrapper.startup.auth_preflight import check_auth  # noqa: PLC0415 - rarely needed

    return check_auth(settings, arguments)


def _look_at_targets(
    settings: Settings, is_used: Callable[[Path], bool]
) -> tuple[PrometheusAccess | None, list[str]]:
    """Return the credentials for the feeds, and problems of the flags --targets-…."""
    if settings.mode.is_init or not settings.targets.feeds:
        return None, []
    from wrapper.startup.targets_preflight import look_at_targets  # noqa: PLC0415 - rarely needed

    return look_at_targets(settings, is_used)


def output_of(settings: Settings, arguments: ChildArguments) -> Path:
    """Return the file that Prometheus reads; for a check without flags, a file beside the input."""
    if settings.is_check and not settings.files.output and not settings.child:
        return Path(settings.files.config).parent / arguments.config_file
    if settings.files.output or not settings.mode.reads_child_config:
        return Path(settings.files.output or arguments.config_file)
    return Path(arguments.storage_path) / "prometheus-elector" / "prometheus.yml"


def promtool_of(settings: Settings, arguments: ChildArguments, output: Path) -> Promtool | None:
    """Return the promtool that checks renderings, None without --config-check."""
    if not shutil.which(settings.files.promtool):
        return None  # not requested, or missing: problems_of_promtool reports the latter
    from wrapper.configuration.promtool import Promtool  # noqa: PLC0415 - rarely needed

    return Promtool(
        settings.files.promtool,
        output,
        is_agent=arguments.is_agent,
        features=arguments.features,
        has_files=not settings.command.syntax_only,
    )


def problems_of_promtool(settings: Settings) -> list[str]:
    """Return a problem if promtool is requested but cannot be run."""
    program = settings.files.promtool
    if not program or shutil.which(program):
        return []
    wrong = f"--config-check={program}: no such command, or it may not be executed"
    return [f"{wrong}; write promtool's path, for example --config-check=/bin/promtool"]


def sources_of(settings: Settings, arguments: ChildArguments, output: Path) -> Sources:
    """Return the files that the configuration comes from, in any of the three modes."""
    is_whole = bool(settings.files.leader_config) or settings.mode.reads_child_config
    return Sources(
        config=Path(settings.files.config or arguments.config_file),
        config_flag="--config" if settings.files.config else "--config.file",
        leader_configs=tuple(map(Path, settings.files.leader_config)) if is_whole else None,
        output_folder=output.parent,
        environ=dict(os.environb) if settings.files.envsubst else None,
        allow_unset=settings.files.allow_unset,
        are_files_here=settings.mode.owns_child and not settings.is_check,
        gate=_gate_of(settings, output),
    )


def _gate_of(settings: Settings, output: Path) -> GateSettings | None:
    """Return the settings of the gate that a rendering depends on, None without a gate."""
    if not settings.gate.enabled:
        return None
    from wrapper.configuration.gate_settings import GateSettings  # noqa: PLC0415 - few have a gate

    return GateSettings(
        f"http://{settings.gate.address}",
        str(output.parent.absolute()),
        settings.gate.memory_bytes,
        settings.lease.duration_s,
        settings.replica.identity,
    )


def _render(settings: Settings, inputs: Inputs) -> tuple[Renderings | None, tuple[str, ...]]:
    if not settings.has_input:
        return None, ()  # the settings already have this problem
    try:
        return inputs.read(is_start=True), ()
    except BadInputs as error:
        return None, error.problems


def _problems_of_child(settings: Settings, arguments: ChildArguments) -> list[str]:
    if not settings.child:
        return []
    if of_command := _problems_of_command(settings):
        return [*of_command, *arguments.problems]
    return [*arguments.problems, *problems_of_agent(settings.child, arguments)]


def _problems_of_command(settings: Settings) -> list[str]:
    command = settings.child[0]
    if shutil.which(command):
        return []
    wrong = f"{command}: no such command, or it may not be executed"
    return [f"{wrong}; write Prometheus' path after --, for example -- /bin/prometheus"]


def _problems_of_kubeconfig(settings: Settings) -> list[str]:
    from wrapper.election.kubeconfig import check_kubeconfig  # noqa: PLC0415 - not for --init

    unusable = check_kubeconfig(settings.lease.kubeconfig)
    return [unusable] if unusable else []


def _problems_of_lock(start: StartupState) -> list[str]:
    """Return a problem if this is a pod and the lock would be a lock file by default.

    There each replica may have its own file, so that each would lead.
    """
    settings = start.settings
    if not settings.replica.is_in_pod or settings.mode.is_init or settings.is_check:
        return []
    if settings.lease.lock_word != "auto" or start.lock.kind != "file":
        return []
    problem = (
        "--lease-name: missing, and this is a pod: with a lock file in its own volume each replica "
        "would lead and write; name the Lease, the same for all, for example "
        "--lease-name=prometheus, or, for a volume that all share, --lease-lock=file:PATH"
    )
    return [problem]


def _problems_of_output(start: StartupState) -> list[str]:
    """Return problems of the output file, for example that it cannot be written.

    The settings already have the problem if no output is named.
    """
    settings = start.settings
    if not settings.files.output and not settings.child and not settings.is_check:
        return []
    output, named = start.output, _named_output(start)
    folder = start.own_folder or output.parent
    if start.own_folder is not None:
        folder = next(above for above in folder.absolute().parents if files.exists(above))
    if problem := files.folder_problem(folder):
        return [f"{named}: {problem}"]
    if not files.is_replaceable(output):
        cure = "name one; check --print=follower prints the configuration"
        return [f"{named}: it is a folder or a device, not a regular file; {cure}"]
    if settings.has_input and start.inputs.reads(output):
        return [f"{named}: it is also an input and would be overwritten; {_other_output(start)}"]
    return _problem_of_another_file(start)


def _named_output(start: StartupState) -> str:
    """Return where the output's name comes from, for messages: the flag, or its default."""
    if start.settings.files.output:
        return f"--output={start.output}"
    source = (
        "Prometheus' storage folder" if start.settings.mode.reads_child_config else "--config.file"
    )
    return f"--output (not given; by default {start.output}, from {source})"


def _other_output(start: StartupState) -> str:
    """Return the advice how to name another output file."""
    if start.settings.files.output or start.settings.mode.reads_child_config:
        return "name another file with --output"
    return (
        "write another --config.file after --, or leave --config out: then Prometheus' own file is "
        "the follower's configuration, and is never written"
    )


def _problem_of_another_file(start: StartupState) -> list[str]:
    """Return a problem if Prometheus reads another file than the output.

    Without --config.file, Prometheus is started with the output. A script that starts Prometheus
    may add --config.file itself. That is not known here, so it is not a problem.
    """
    read = Path(start.arguments.config_file)
    if start.settings.mode is not Mode.OWNER or not start.arguments.names_config_file:
        return []
    if is_same_file(start.output, read):
        return []
    wrong = f"--output={start.output}: Prometheus reads --config.file={read}, another file"
    return [f"{wrong}; leave --output out, or write --config.file={start.output} after --"]
