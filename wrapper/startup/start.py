"""What is known before anything is started: settings, inputs, renderings, problems.

Nothing is done here but reading the renderings that are kept for a restart.
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

# Stands for the file that a plain Prometheus reads in each role; its content is not known.
_OWN_FILE = Rendering(Role.FOLLOWER, b"", "", writes_remotely=False)
UNCHANGED = Renderings(_OWN_FILE, _OWN_FILE)


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """The follower rendering with which Prometheus exited before it was ready, and the status."""

    fingerprint: str
    status: int

    @property
    def text(self) -> str:
        """What happened, for people."""
        return (
            f"Prometheus exited with status {self.status} when started with the newest "
            "configuration; see the log of Prometheus"
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What was locked and opened before Prometheus is started; None if there is no such thing.

    ``locks`` are descriptors that Prometheus and the gate keep: of the output's lock, and of the
    lease's. So both are free only when both are dead.
    """

    file_lease: FileLease | None = None
    output_lock: OutputLock | None = None
    gate_listener: socket.socket | None = None

    @property
    def locks(self) -> tuple[int, ...]:
        """See the class; as a sidecar, the lease's changes with a lock file that is replaced."""
        return tuple(each.fileno() for each in (self.output_lock, self.file_lease) if each)


@dataclass(frozen=True, slots=True)
class Start:
    """What is known before the start; nothing is started if there are ``problems``.

    ``access`` is None without credentials for Prometheus, ``targets_access`` if no file is fetched.
    ``last_good`` is what Prometheus had in force last, if it is started with that because the input
    was refused: by this program, so that ``renderings`` are the same ones, or by Prometheus in the
    run before. ``refusal`` has a line for each reason. ``refused`` is what Prometheus exited with
    in the run before. ``lock`` is what elects the leader.
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
        """Whether Prometheus is started with its command unchanged, and reads its own file."""
        return self.settings.mode.is_plain

    @property
    def own_folder(self) -> Path | None:
        """The default output's folder, which has to be created; None for a named output."""
        is_default = self.settings.mode.is_stand_in and not self.settings.files.output
        return self.output.parent if is_default else None

    @property
    def may_override(self) -> bool:
        """Whether the leader has overrides, or may get them by an edit."""
        has_leader = self.renderings is not None and self.renderings.needs_leader
        return has_leader or bool(self.settings.files.leader_config)

    @property
    def base_url(self) -> str:
        """The URL of Prometheus, "" if it is not known."""
        settings = self.settings
        if settings.mode.owns_child:
            return self.arguments.base_url
        for url, ending in (
            (settings.notifier.url, "/-/reload"),
            (settings.probing.readiness_url, "/-/ready"),
            (settings.probing.health_url, "/-/healthy"),
        ):
            if url.endswith(ending):
                return url.removesuffix(ending)
        return ""

    def takes(self, path: Path) -> bool:
        """Tell whether a file is an input or the output."""
        is_output = not self.is_plain and is_same_file(path, self.output)
        return is_output or self.inputs.reads(path)

    @property
    def good(self) -> Renderings:
        """The renderings of a start without problems."""
        if self.renderings is None:
            raise RuntimeError("a start with problems has no renderings")
        return self.renderings

    @property
    def first(self) -> Rendering:
        """The rendering that Prometheus is started with."""
        return (self.last_good or self.good).follower

    @property
    def keeper(self) -> LastGood:
        """The renderings in force that are saved for the next start."""
        return LastGood(self.output, self.settings.files.output_mode)

    @property
    def can_start_over(self) -> bool:
        """Whether Prometheus can be restarted once with another configuration."""
        if not self.settings.mode.owns_child or self.is_plain or self.last_good is not None:
            return False
        has_been = self.refused is not None and self.refused.fingerprint == self.first.fingerprint
        return not has_been and self.keeper.can_replace(self.first)

    def with_last_good(self) -> Start:
        """Return this start, with the saved configuration if the input was refused."""
        if self.settings.is_check or self.is_plain:
            return self
        if self.renderings is None:
            good = self.keeper.load() if self.refusal else None
            return replace(self, renderings=good, last_good=good)
        refused = self.refused
        if refused is None or refused.fingerprint != self.renderings.follower.fingerprint:
            return self
        good = self.keeper.load()
        return self if good is None else replace(self, last_good=good, refusal=(refused.text,))


def is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file."""
    return os.path.realpath(one) == os.path.realpath(other)
