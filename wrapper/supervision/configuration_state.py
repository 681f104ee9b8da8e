"""The state of the configuration, from the inputs to what Prometheus has in force; pure.

``loaded_rendering`` tracks what is in force, ``config_rollback`` what is refused, and
``config_saving`` what is saved for the next start. This module combines them.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action, ReloadPrometheus, SaveRenderings, WriteRendering
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.events import (
    ConfigurationRead,
    ConfigurationRejected,
    Event,
    LoadedObserved,
    ReloadAnswered,
    RenderingsSaved,
    RenderingWritten,
    SignalReceived,
    WriteFailed,
)
from wrapper.model.roles import Role
from wrapper.supervision import config_rollback, config_saving, loaded_rendering
from wrapper.supervision.config_rollback import RollbackState
from wrapper.supervision.config_saving import Saving
from wrapper.supervision.loaded_rendering import LoadState, Outcome


@dataclass(frozen=True, slots=True)
class FailedWrite:
    """Why the last write of a rendering failed.

    ``problem`` is "" if it succeeded, or if another write is in progress.
    """

    problem: str = ""
    role: Role | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class ConfigurationState:
    """The newest valid renderings, and whether they are written and loaded.

    ``problem`` is why newer inputs are invalid, "" if there are no newer inputs.
    """

    renderings: Renderings
    loading: LoadState
    rollback: RollbackState = field(default_factory=RollbackState)
    problem: str = ""
    failed_write: FailedWrite = field(default_factory=FailedWrite)
    saving: Saving = field(default_factory=Saving)

    @property
    def is_in_force(self) -> bool:
        """Whether Prometheus has loaded the output file; True if it reads its own file instead."""
        return self.loading.written is None or self.loading.is_loaded

    @property
    def rejection(self) -> str:
        """Why Prometheus does not use the newest input, "" if it does or is about to load it."""
        return self.problem or self.rollback.problem

    def target(self, role: Role) -> Rendering:
        """Return the rendering that a role should load."""
        return config_rollback.target(self.rollback, self.renderings, role)

    def write_problem(self, role: Role) -> str:
        """Return why the last write failed if it was of this role's rendering, "" otherwise."""
        return self.failed_write.problem if self.failed_write.role is role else ""


def fold(  # noqa: PLR0913 - all that the judgement of a rendering takes
    configuration: ConfigurationState,
    happened: Event | Action,
    now: float,
    *,
    role: Role,
    limit_s: float,
    ignores_refusals: bool,
) -> ConfigurationState:
    """Return the state after one event, or after one action of the plan.

    A reload may take ``limit_s`` seconds. If ``ignores_refusals`` is true, a refusal is ignored,
    because it may be about other files than the configuration (``requested_reload``).
    """
    match happened:
        case ConfigurationRead() | ConfigurationRejected() | SignalReceived(signal.SIGHUP):
            return _fold_input(configuration, happened)
        case WriteRendering() | RenderingWritten() | WriteFailed():
            return _fold_write(configuration, happened, now)
        case SaveRenderings(renderings):
            return replace(
                configuration, saving=config_saving.started(configuration.saving, renderings)
            )
        case RenderingsSaved(renderings, problem):
            return replace(configuration, saving=config_saving.ended(renderings, problem, now))
        case ReloadPrometheus() | ReloadAnswered() | LoadedObserved():
            loading = _fold_reload(
                configuration.loading, happened, now, ignores_refusals=ignores_refusals
            )
            rollback = config_rollback.after_reload(
                configuration.rollback, configuration.renderings, role, loading, now, limit_s
            )
            return replace(configuration, loading=loading, rollback=rollback)
        case _:
            return configuration


def _fold_input(
    configuration: ConfigurationState,
    happened: ConfigurationRead | ConfigurationRejected | SignalReceived,
) -> ConfigurationState:
    retried = config_rollback.tried_again(configuration.rollback)
    match happened:
        case ConfigurationRead(renderings):
            return replace(configuration, renderings=renderings, problem="", rollback=retried)
        case ConfigurationRejected(problem):
            return replace(configuration, problem=problem)
        case SignalReceived():
            return replace(configuration, rollback=retried)


def _fold_write(
    configuration: ConfigurationState,
    happened: WriteRendering | RenderingWritten | WriteFailed,
    now: float,
) -> ConfigurationState:
    """Return the state after a step of a write.

    The rendering counts as possibly loaded from the decision to write it.
    """
    loading, failed = configuration.loading, FailedWrite()
    match happened:
        case WriteRendering(rendering):
            loading = loaded_rendering.write_started(loading, rendering)
        case RenderingWritten(rendering):
            loading = loaded_rendering.written(loading, rendering, now)
        case WriteFailed(rendering, problem):
            loading, failed = (
                loaded_rendering.write_failed(loading),
                FailedWrite(problem, rendering.role, now),
            )
    return replace(configuration, loading=loading, failed_write=failed)


def _fold_reload(
    before: LoadState,
    happened: ReloadPrometheus | ReloadAnswered | LoadedObserved,
    now: float,
    *,
    ignores_refusals: bool,
) -> LoadState:
    match happened:
        case ReloadPrometheus():
            loading = loaded_rendering.reload_sent(before, now)
        case ReloadAnswered():
            loading = loaded_rendering.answered(before, happened, now)
        case LoadedObserved(evidence):
            loading = loaded_rendering.observed(before, evidence)
    if ignores_refusals and loading.outcome in {Outcome.FAILED, Outcome.REFUSED}:
        return replace(loading, outcome=before.outcome, problem=before.problem)
    return loading
