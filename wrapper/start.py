"""Before anything is started: read the inputs, and find all that would keep this from running.

Nothing is written here, no process is started and no lock is taken.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from wrapper.inputs import BadInputs, Inputs, Sources
from wrapper.kubeconfig import check_kubeconfig
from wrapper.model import Renderings
from wrapper.prometheus_args import ChildArguments
from wrapper.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    """What was found out before anything was started; ``problems`` when it cannot be."""

    settings: Settings
    arguments: ChildArguments
    inputs: Inputs
    renderings: Renderings | None
    problems: tuple[str, ...] = ()
    output: Path = field(default_factory=Path)

    @property
    def overrides(self) -> bool:
        """Whether a leader reads anything else than a follower."""
        return self.renderings is not None and self.renderings.has_overrides

    @property
    def good(self) -> Renderings:
        """The renderings of a start without problems."""
        if self.renderings is None:
            raise RuntimeError("a start with problems has no renderings")
        return self.renderings


def prepare(settings: Settings) -> Start:
    """Read the inputs and look for everything that would keep this from running."""
    arguments = ChildArguments.parse(settings.child)
    leader_config = Path(settings.leader_config) if settings.leader_config else None
    inputs = Inputs(Sources(Path(settings.config), leader_config))
    renderings, problems = _render(settings, inputs)
    output = Path(settings.output or arguments.config_file)
    problems += _problems_of_child(settings, arguments)
    problems += _problems_of_output(output)
    start = Start(settings, arguments, inputs, renderings, tuple(problems), output)
    if settings.lock_kind(has_overrides=start.overrides) == "kubernetes" and not settings.init:
        unusable = check_kubeconfig(settings.kubeconfig)
        problems += [unusable] if unusable else []
    return Start(settings, arguments, inputs, renderings, tuple(problems), output)


def _render(settings: Settings, inputs: Inputs) -> tuple[Renderings | None, list[str]]:
    if not settings.config:
        return None, []  # the settings have said so
    try:
        return inputs.read(is_start=True), []
    except BadInputs as error:
        return None, list(error.problems)


def _problems_of_child(settings: Settings, arguments: ChildArguments) -> list[str]:
    if not settings.child:
        return []
    command = settings.child[0]
    found = [] if shutil.which(command) else [_no_such_command(command)]
    return [*found, *arguments.problems]


def _no_such_command(command: str) -> str:
    return (
        f"{command}: no such command, or it may not be executed; "
        "write Prometheus' path after --, for example -- /bin/prometheus"
    )


def _problems_of_output(output: Path) -> list[str]:
    folder = output.parent
    if not folder.is_dir():
        return [f"--output={output}: its folder {folder} does not exist; create it"]
    if not os.access(folder, os.W_OK | os.X_OK):
        who = f"user {os.getuid()}"
        return [f"--output={output}: {who} cannot write in {folder}; name a folder where it can"]
    return []
