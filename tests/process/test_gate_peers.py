"""A standby's gate reads the leader's marks from its API, while it holds batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.running_gate import LIMIT_S, RunningGate, running_gate
from tests.process.stand_in import StandIn, running
from tests.support import let_pass, wait_until
from wrapper.gate.marks_of_peers import MarksOfPeers
from wrapper.model.gate import Endpoint
from wrapper.options.gate_options import GateOptions

BATCH = b"a batch"
Replica = Callable[..., StandIn]


@pytest.fixture
def replica() -> Iterator[Replica]:
    """Return a function that runs a replica's API with this status."""
    running_ones = []

    def run(identity: str, **status: Any) -> StandIn:
        context = running(StandIn())
        server = context.__enter__()  # ended below
        running_ones.append(context)
        server.play = lambda request: request.answer(200, status_of(identity, **status))
        return server

    yield run
    for each in running_ones:
        each.__exit__(None, None, None)


def status_of(identity: str, *, is_leader: bool, mark: int, ahead_s: float = 0.0) -> Any:
    """Return the status of a replica."""
    gate = {
        "time_ms": round((time.time() + ahead_s) * 1000),
        "endpoints": [{"name": "x", "mark_ms": mark}, {"name": 1, "mark_ms": "no"}, "no"],
    }
    role = "leader" if is_leader else "follower"
    return {
        "identity": identity,
        "role": role,
        "is_leader": is_leader,
        "leader": "a",
        "reason": "",
        "gate": gate,
    }


def standby(tmp_path: Path, *servers: StandIn) -> Any:
    """Run a gate with these peers."""
    return running_gate(tmp_path, peers=tuple(server.url for server in servers))


def hold(gate: RunningGate, leader: str = "a") -> int:
    """Make the gate hold a batch, and return a mark that would release it."""
    gate.order(Endpoint("x", "http://127.0.0.1:1/"), leader=leader)
    assert gate.post(BATCH).status_code == 204
    gate.await_endpoint(lambda each: each.held_batches == 1, "it holds a batch")
    return round(time.time() * 1000)


def later() -> int:
    """Return a mark that releases everything that is held now."""
    return round((time.time() + 60) * 1000)


def test_marks_and_clock_offset_of_the_leader_are_used(tmp_path: Path, replica: Replica) -> None:
    """The leader's mark releases batches, and the offset of its clock is reported."""
    follower = replica("c", is_leader=False, mark=later())
    leader = replica("a", is_leader=True, mark=later(), ahead_s=7.0)
    with standby(tmp_path, follower, leader) as gate:
        hold(gate)
        assert gate.counted("batches_released") == 1
        report = gate.await_report(lambda report: report.clock_offset_s is not None, "the clock")
        assert report.clock_offset_s == pytest.approx(7.0, abs=1.0)
        assert {request.headers.get("Authorization") for request in leader.seen} == {None}


def test_only_the_leader_is_asked_on_one_connection(tmp_path: Path, replica: Replica) -> None:
    """Once the leader is found, only the leader is asked, on one connection."""
    follower = replica("c", is_leader=False, mark=0)
    leader = replica("a", is_leader=True, mark=0)
    with standby(tmp_path, follower, leader) as gate:
        hold(gate)
        wait_until(lambda: len(leader.seen) >= 4, LIMIT_S, "the leader is asked again and again")
        assert len(follower.seen) == 1
        ports = {request.client_address for request in leader.seen}
        assert len(ports) == 2, "one to find it, one to ask it"


@pytest.mark.parametrize(
    "status",
    [
        {"identity": "c", "is_leader": True},
        {"identity": "a", "is_leader": False},
    ],
    ids=["another identity", "does not say that it leads"],
)
def test_marks_of_other_replicas_are_ignored(
    tmp_path: Path, replica: Replica, status: dict[str, Any]
) -> None:
    """Marks are used only from the replica that holds the lease and reports that it leads."""
    server = replica(**status, mark=later())
    with standby(tmp_path, server) as gate:
        hold(gate)
        wait_until(lambda: len(server.seen) >= 3, LIMIT_S, "it is asked, and has reported")
        assert gate.reports[-1].endpoints[0].mark is None


def test_impossible_marks_are_ignored(tmp_path: Path, replica: Replica) -> None:
    """Marks and times that are too large are ignored; they could end the gate."""
    status = status_of("a", is_leader=True, mark=2**60)
    status["gate"]["time_ms"] = 10**400
    server = replica("a", is_leader=True, mark=0)
    server.play = lambda request: request.answer(200, status)
    with standby(tmp_path, server) as gate:
        hold(gate)
        wait_until(lambda: len(server.seen) >= 4, LIMIT_S, "it asks again and again")
        assert gate.reports[-1].endpoints[0].mark is None


def test_no_peer_is_asked_while_nothing_is_held(tmp_path: Path, replica: Replica) -> None:
    """No peer is asked while nothing is held, or while no leader is known."""
    leader = replica("a", is_leader=True, mark=0)
    with standby(tmp_path, leader) as gate:
        gate.order(Endpoint("x", "http://127.0.0.1:1/"), leader="a")
        let_pass(1.0)
        assert leader.seen == []
        hold(gate, leader="")
        let_pass(1.0)
        assert leader.seen == []


def test_a_refused_request_for_marks_is_repeated(tmp_path: Path, replica: Replica) -> None:
    """If the leader's API answers 401, the gate asks again; the lease has the marks too."""
    server = replica("a", is_leader=True, mark=later())
    allowed = server.play
    server.play = lambda request: request.answer(401, {"error": "who are you?"})
    with standby(tmp_path, server) as gate:
        hold(gate)
        wait_until(lambda: len(server.seen) >= 3, LIMIT_S, "it is asked, and has reported")
        assert gate.reports[-1].endpoints[0].mark is None
        server.play = allowed
        assert gate.counted("batches_released") == 1


def test_the_pause_grows_while_the_leader_is_not_found() -> None:
    """The pause grows to 5 s while the leader is not found, and restarts with a new leader."""
    options = GateOptions(listen_fd=0, control_fd=0, parent_pid=0, memory_bytes=0, identity="b")
    marks = MarksOfPeers(options)
    pauses = []
    for _ in range(6):
        assert marks.ask("a") is None
        pauses.append(marks.pause_s)
    assert pauses == pytest.approx([0.66, 1.32, 2.64, 5.0, 5.0, 5.0])
    assert marks.ask("c") is None
    assert marks.pause_s == pytest.approx(0.66)
