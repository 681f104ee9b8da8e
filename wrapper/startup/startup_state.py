"""What is known before anything is started: settings, inputs, renderings and problems.

Data types. The only I/O is to read the renderings that an earlier run has saved.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wrapper.configuration.inputs import Inputs
from wrapper.configuration.last_good import LastGood
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import NO_LOCK, Lock, Settings

if TYPE_CHECKING:
    import socket

    from wrapper.access.prometheus_access import PrometheusAccess
    from wrapper.base.files import OutputLock
    from wrapper.election.file_lease import FileLease

# A placeholder for the file that Prometheus reads in both roles if this program does not render it.
# Its content is not known.
_OWN_FILE = Rendering(Role.FOLLOWER, b"", "", writes_remotely=False)
UNCHANGED = Renderings(_OWN_FILE, _OWN_FILE)


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """The follower rendering with which Prometheus exited before it was ready, and its status."""

    fingerprint: str
    status: int

    @property
    def text(self) -> str:
        """A sentence about what happened, to show."""
        return (
            f"Prometheus exited with status {self.status} when started with the newest "
            "configuration; see the log of Prometheus"
        )


@dataclass(frozen=True, slots=True)
class StartupHandles:
    """The locks and the socket that are opened before Prometheus is started.

    - ``file_lease``: the lock file that elects the leader, None without one.
    - ``output_lock``: the lock of the output file, None if this program writes no output.
    - ``gate_listener``: the listening socket of the gate, None without a gate.
    """

    file_lease: FileLease | None = None
    output_lock: OutputLock | None = None
    gate_listener: socket.socket | None = None

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptors of both locks, which Prometheus and the gate inherit.

        So a lock is free only when all these processes have ended. In a sidecar, the descriptor of
        the lease changes if the lock file is replaced.
        """
        return tuple(each.fileno() for each in (self.output_lock, self.file_lease) if each)


@dataclass(frozen=True, slots=True)
class StartupState:
    """What is known before the start. Nothing is started if there are ``problems``.

    - ``arguments``: Prometheus' own arguments.
    - ``renderings``: both renderings of the newest valid input; None if there is none.
    - ``output``: the file that Prometheus reads.
    - ``access``: the credentials for Prometheus, None without.
    - ``targets_access``: the credentials for the feeds, None if no file is fetched.
    - ``last_good``: the renderings that were last in force, if Prometheus is started with them
      because the input was refused. Either this program refused it; then ``renderings`` are the
      same ones. Or Prometheus refused it in the previous run.
    - ``refusal``: one line for each reason of the refusal.
    - ``refused``: the rendering with which Prometheus exited in the previous run.
    - ``lock``: what elects the leader.
    """

    settings: Settings
    arguments: ChildArguments
    inputs: Inputs
    renderings: Renderings | None
    problems: tuple[str, ...] = ()
    output: Path = field(default_factory=Path)
    access: PrometheusAccess | None = None
    targets_access: PrometheusAccess | None = None
    last_good: Renderings | None = None
    refusal: tuple[str, ...] = ()
    refused: RefusedInput | None = None
    lock: Lock = NO_LOCK

    @property
    def is_plain(self) -> bool:
        """Whether Prometheus reads its own file, and its command is not changed."""
        return self.settings.mode.is_plain

    @property
    def own_folder(self) -> Path | None:
        """The folder of the default output, which has to be created; None if an output is named."""
        is_default = self.settings.mode.reads_child_config and not self.settings.files.output
        return self.output.parent if is_default else None

    @property
    def may_override(self) -> bool:
        """Whether the replicas need a leader now, or may need one after an edit of the inputs."""
        has_leader = self.renderings is not None and self.renderings.needs_leader
        return has_leader or bool(self.settings.files.leader_config)

    @property
    def base_url(self) -> str:
        """The URL of this replica's Prometheus, "" if it is not known."""
        settings = self.settings
        if settings.mode.owns_child:
            return self.arguments.base_url
        for url, ending in (
            (settings.notifier.url, "/-/reload"),
            (settings.health_checks.readiness_url, "/-/ready"),
            (settings.health_checks.health_url, "/-/healthy"),
        ):
            if url.endswith(ending):
                return url.removesuffix(ending)
        return ""

    def uses_file(self, path: Path) -> bool:
        """Return whether a file is an input or the output."""
        is_output = not self.is_plain and is_same_file(path, self.output)
        return is_output or self.inputs.reads(path)

    @property
    def good(self) -> Renderings:
        """The renderings; raise RuntimeError if this start has problems and none."""
        if self.renderings is None:
            raise RuntimeError("a start with problems has no renderings")
        return self.renderings

    @property
    def first(self) -> Rendering:
        """The rendering that Prometheus is started with."""
        return (self.last_good or self.good).follower

    @property
    def saved(self) -> LastGood:
        """The files in which renderings in force are saved for the next start."""
        return LastGood(self.output, self.settings.files.output_mode)

    @property
    def can_re_execute(self) -> bool:
        """Whether a Prometheus that exits before it is ready gets the saved configuration.

        That is done only once for a rendering, not if it was refused in the previous run too.
        """
        if not self.settings.mode.owns_child or self.is_plain or self.last_good is not None:
            return False
        has_been = self.refused is not None and self.refused.fingerprint == self.first.fingerprint
        return not has_been and self.saved.can_replace(self.first)

    def with_last_good(self) -> StartupState:
        """Return this start; if the input was refused, ``last_good`` is what was saved."""
        if self.settings.is_check or self.is_plain:
            return self
        if self.renderings is None:
            good = self.saved.load() if self.refusal else None
            return replace(self, renderings=good, last_good=good)
        refused = self.refused
        if refused is None or refused.fingerprint != self.renderings.follower.fingerprint:
            return self
        good = self.saved.load()
        return self if good is None else replace(self, last_good=good, refusal=(refused.text,))


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file."""
    return os.path.realpath(one) == os.path.realpath(other)
