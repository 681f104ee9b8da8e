"""A held batch is sent with the credentials of Prometheus' newest request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.gate.driving import OK, A, came, counted, gate, order, state
from wrapper.gate.decisions import Answer, Hold, PassOn, Refuse, Replay
from wrapper.gate.gate import FIRST, Gate
from wrapper.gate.held import OVERHEAD, Batch

DENIED = Answer(401, problem="HTTP 401: token expired")


def by(token: str, at: float) -> Batch:
    """Return a batch with this token."""
    batch = came(at)
    return replace(batch, fields=(*batch.fields, ("Authorization", token), ("X-Scope-OrgID", "a")))


def successor(*tokens: str) -> Gate:
    """Return a gate that has just opened, and that holds a batch for each of these tokens."""
    found = gate()
    for at, token in enumerate(tokens):
        assert isinstance(found.receive("a", by(token, at), at), Hold)
    order(found, 10, open_until=1000.0)
    return found


def sent(given: Gate, now: float) -> tuple[Replay, str]:
    """Return the next replayed request and its token; all its other fields must be there."""
    step = given.next_to_replay("a", now)
    assert isinstance(step, Replay)
    fields = dict(step.fields)
    assert len(fields) == len(step.fields) == 3
    assert (fields["content-type"], fields["X-Scope-OrgID"]) == ("application/x-protobuf", "a")
    return step, fields["Authorization"]


@pytest.mark.parametrize("is_busy", [False, True])
def test_held_batches_are_sent_with_the_newest_token(*, is_busy: bool) -> None:
    """Held batches are sent with the newest token, also if its own request was refused.

    The token with which they were received may have expired.
    """
    leader = successor("old", "old", "old")
    new = by("new", 11)
    refused = leader.refuse("a", new, 11) if is_busy else leader.receive("a", new, 11)
    assert isinstance(refused, Refuse)
    for _ in range(3):
        step, token = sent(leader, 11)
        leader.replayed(step, OK if token == "new" else DENIED, 11)
    assert leader.next_to_replay("a", 11) is None
    assert "samples_given_up" not in counted(leader, 11)


def test_fields_that_describe_a_batch_stay_with_it() -> None:
    """Encoding, version and attempt are those of the held batch; all other fields are the newest.

    The next batch may be of the other protocol, or a first attempt.
    """
    found = gate()
    own = (("Content-Encoding", "snappy"), ("X-Prometheus-Remote-Write-Version", "0.1.0"))
    found.receive("a", replace(came(1), fields=(*own, ("retry-attempt", "2"))), 1)
    found.receive("a", replace(came(2), fields=(("Content-Encoding", "zstd"), ("b", "c"))), 2)
    order(found, 10, open_until=1000.0)
    step = found.next_to_replay("a", 10)
    assert isinstance(step, Replay)
    assert step.fields == (("b", "c"), *own, ("retry-attempt", "2"))


def test_credentials_need_no_memory_for_each_batch() -> None:
    """Credentials are not kept for each held batch; its own fields count as held memory."""
    found = gate()
    before = came(1).size
    found.receive("a", by("x" * 100_000, 1), 1)
    assert state(found, 1).held_bytes == before
    more = (("content-type", "x" * 8000), ("content-encoding", "y" * 8000))
    found.receive("a", replace(came(2), fields=more), 2)
    wanted = before + OVERHEAD + len(came(2).body) + 16_000 + 28
    assert state(found, 2).held_bytes == wanted


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_final_if_sent_again(status: int) -> None:
    """After refused credentials, nothing is sent or given up until Prometheus' next request."""
    leader = successor("old", "old")
    denied = Answer(status, problem="no")
    leader.replayed(sent(leader, 11)[0], denied, 11)
    assert isinstance(leader.next_to_replay("a", 500), float)
    assert state(leader, 500).problem == "no"
    assert leader.receive("a", by("newer", 501), 501) == Refuse(FIRST, 1)
    step, token = sent(leader, 501)
    assert token == "newer"
    leader.replayed(step, OK, 501)
    leader.replayed(sent(leader, 501)[0], denied, 501)
    assert "samples_given_up" not in counted(leader, 502), "what was accepted, may have expired"
    leader.receive("a", by("newest", 502), 502)
    leader.replayed(sent(leader, 502)[0], OK, 502)
    assert counted(leader, 502)["batches_sent_on"] == 2


def test_credentials_of_one_receiver_are_not_sent_to_another() -> None:
    """If the receiver's URL changes, held batches wait until Prometheus sends to the new one."""
    leader = successor("for a", "for a")
    order(leader, 11, endpoints=(replace(A, timeout_s=7.0),))
    leader.replayed(sent(leader, 11)[0], OK, 11)
    order(leader, 12, endpoints=(replace(A, url="http://elsewhere/"),))
    assert isinstance(leader.next_to_replay("a", 13), float)
    leader.receive("a", by("for another", 14), 14)
    assert sent(leader, 14)[1] == "for another"


def test_receiver_that_refuses_for_good_does_not_delay_live_samples() -> None:
    """If the next request's credentials are refused too, all held batches are given up."""
    leader = successor(*["bad"] * 50)
    leader.replayed(sent(leader, 11)[0], DENIED, 11)
    leader.receive("a", by("bad", 12), 12)
    for _ in range(50):
        leader.replayed(sent(leader, 12)[0], DENIED, 12)
    assert counted(leader, 12)["samples_given_up"] == 50
    assert isinstance(leader.receive("a", by("bad", 13), 13), PassOn)


@pytest.mark.parametrize("status", [503, 429, None])
def test_answer_that_is_not_final_proves_nothing_about_credentials(status: int | None) -> None:
    """An answer that is not final does not count as acceptance: the next refusal is final."""
    leader = successor("a")
    leader.replayed(sent(leader, 11)[0], DENIED, 11)
    leader.receive("a", by("b", 12), 12)
    leader.replayed(sent(leader, 20)[0], Answer(status), 20)
    leader.replayed(sent(leader, 50)[0], DENIED, 50)
    assert counted(leader, 50)["samples_given_up"] == 1


@pytest.mark.parametrize("status", [204, 400])
def test_other_final_answer_proves_accepted_credentials(status: int) -> None:
    """A final answer proves the credentials accepted: if refused later, they have expired."""
    leader = successor("a", "a")
    leader.replayed(sent(leader, 11)[0], DENIED, 11)
    leader.receive("a", by("b", 12), 12)
    leader.replayed(sent(leader, 12)[0], Answer(status), 12)
    leader.replayed(sent(leader, 13)[0], DENIED, 13)
    assert isinstance(leader.next_to_replay("a", 13), float)
    assert state(leader, 13).held_batches == 1


def test_refused_credentials_are_tried_again_by_a_later_leader() -> None:
    """A refusal after the order to close gives nothing up, and a later leader tries again."""
    leader = successor("old", "old")
    leader.replayed(sent(leader, 11)[0], DENIED, 11)
    leader.receive("a", by("old", 12), 12)
    step = sent(leader, 12)[0]
    order(leader, 13, open_until=None)
    leader.replayed(step, DENIED, 13)
    assert state(leader, 14).held_batches == 2
    leader.receive("a", by("old", 20), 20)
    order(leader, 30, open_until=1000.0)
    leader.replayed(sent(leader, 31)[0], DENIED, 31)
    assert state(leader, 31).held_batches == 3
    leader.receive("a", by("new", 32), 32)
    assert sent(leader, 32)[1] == "new"
