"""One turn of the loop: its own actions are in the snapshot of the same turn."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.unit.known import but
from tests.unit.supervision.test_plan import CHOSEN, HELD, POLICY
from wrapper.base import clock
from wrapper.base.thread_group import ThreadGroup
from wrapper.model.actions import Action, ArmSwitch, WriteRendering
from wrapper.model.events import Event
from wrapper.model.snapshot import Snapshot
from wrapper.supervision.event_queue import Events
from wrapper.supervision.performer import Output, Performer, PerformerParts
from wrapper.supervision.snapshot_builder import Constants
from wrapper.supervision.supervisor import InitialState, Supervisor


class Turn:
    """A supervisor with a real performer, which stops after its first snapshot."""

    def __init__(self, output: Path, **parts: Any) -> None:
        none: dict[str, Any] = dict.fromkeys(field.name for field in fields(PerformerParts))
        given = none | {"output": Output(output, 0o600)} | parts
        events = Events()
        self.performer = Performer(PerformerParts(**given), events.put, ThreadGroup(events.put))
        self.snapshots: list[Snapshot] = []
        snapshots: Any = self
        constants = Constants("a", "lease n/l", "", None)
        held = replace(HELD, renewed_at=clock.now())
        chosen = but(CHOSEN, lease_view=held, lease_last_renewed_at=clock.now())
        initial = InitialState(chosen, POLICY, constants)
        self.supervisor = Supervisor(initial, events, self.performer, snapshots)

    def publish(self, snapshot: Snapshot) -> None:
        """Keep the snapshot, and end the loop."""
        self.snapshots.append(snapshot)
        self.performer.exit_status = 0


def test_possible_writer_is_known_before_the_file_is_written(tmp_path: Path) -> None:
    """Before the switch is armed and the file is written, the observation has a possible writer.

    This also holds if the supervisor hangs in the middle of the turn.
    """
    turn, perform = Turn(tmp_path / "prometheus.yml"), Performer.perform
    known = []

    def note(action: Action) -> Event | None:
        known.append((type(action), turn.supervisor._observation.writer.may_write))
        return perform(turn.performer, action)

    turn.performer.perform = note  # type: ignore[method-assign]
    turn.supervisor.run()
    assert known == [(ArmSwitch, True), (WriteRendering, True)]


def test_started_web_server_is_known_in_the_same_turn(tmp_path: Path) -> None:
    """A web server is known in the turn that starts it, so that it is not started twice."""
    turn = Turn(tmp_path / "prometheus.yml", start_web=lambda: Popen(["true"], process_group=0))
    turn.supervisor._observation = but(turn.supervisor._observation, web_pid=None)
    turn.supervisor.run()
    assert turn.supervisor._observation.web.pid is not None
    turn.performer.leave_nothing()


def test_snapshot_shows_a_possible_writer_in_the_turn_of_the_write(tmp_path: Path) -> None:
    """From the turn that orders the write, the snapshot shows a possible writer."""
    turn = Turn(tmp_path / "prometheus.yml")
    turn.supervisor.run()
    [snapshot] = turn.snapshots
    assert (snapshot.role, snapshot.may_write) == ("leader", True)
