"""Messages of the queue in situations that a real broker or dispatch does not repeat."""

from __future__ import annotations

import errno
import logging
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from wrapper.base.threads import ThreadRefused
from wrapper.model.events import Event
from wrapper.targets import target_queue
from wrapper.targets.broker import Broker, BrokerUnreachable, NotInstalled
from wrapper.targets.promgen_task import Task
from wrapper.targets.target_queue import GIVE_BACK_FIRST_S, GIVE_BACK_MOST_S, TargetQueue


@dataclass
class FakeMessage:
    """A message, and a record of its acknowledgement."""

    headers: dict[str, Any]
    outcomes: list[str] = field(default_factory=list)

    def body(self) -> Any:
        """Return a body in Celery's format."""
        return [[], {}, {}]

    def acknowledge(self) -> None:
        """Record the acknowledgement."""
        self.outcomes.append("acknowledged")

    def give_back(self) -> None:
        """Record that the message was given back."""
        self.outcomes.append("given back")


class Broken:
    """A dispatch that fails unexpectedly."""

    def begin(self, _task: Task, _done: Any) -> int:
        """Raise an error whose text must not be logged."""
        raise OSError("hunter2")


def queue_of(dispatch: Any) -> TargetQueue:
    """Return a queue with this dispatch, without a broker."""
    events: list[Event] = []
    return TargetQueue(Broker("redis://h/0", "q"), "q", dispatch, events.append)


def test_a_task_with_an_unexpected_error_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """If a task fails unexpectedly, it is acknowledged, so that it does not come again.

    The log has only the type of the error.
    """
    message: Any = FakeMessage({"task": "promgen.tasks.write_config"})
    with caplog.at_level(logging.WARNING):
        queue_of(Broken())._take(message)
    assert message.outcomes == ["acknowledged"]
    assert "(OSError)" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_task_without_a_thread_is_given_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If no thread can be started for a task, it is given back later, and the log has the cause."""

    class Refused:
        """A dispatch without a thread for a new file."""

        def begin(self, _task: Task, _done: Any) -> int:
            """Fail as the start of a thread does."""
            raise ThreadRefused(errno.EAGAIN, "no thread can be started; raise the limit")

    at = [100.0]
    monkeypatch.setattr("wrapper.base.clock.now", lambda: at[0])
    message: Any = FakeMessage({"task": "promgen.tasks.write_config"})
    given = queue_of(Refused())
    with caplog.at_level(logging.WARNING):
        given._take(message)
    assert message.outcomes == []
    assert given._state.messages == {"given_back": 1}
    (record,) = caplog.records
    assert "given back" in record.getMessage()
    assert vars(record)["reason"] == "no thread can be started; raise the limit"
    at[0] += GIVE_BACK_FIRST_S
    given._tick()
    assert message.outcomes == ["given back"]


class Done:
    """A dispatch that completes each task at once."""

    def begin(self, _task: Task, done: Any) -> int:
        """Complete the task."""
        done("")
        return 1


def test_a_queue_unknown_to_promgen_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """A third change of a file without a message is reported once; each message resets that."""
    found = {"/t.json": 5, "/r.yml": 5}
    events: list[Event] = []
    given = TargetQueue(Broker("redis://h/0", "q"), "q", Done(), events.append, lambda: dict(found))  # type: ignore[arg-type]

    def told() -> tuple[int, bool, int]:
        given._tell_at = 0.0  # as if it were some time later
        given._tick()
        reasons = [str(vars(record).get("reason")) for record in caplog.records]
        said = sum("register-server" in reason for reason in reasons)
        return given._state.unannounced_changes, "register-server" in given._state.problem, said

    with caplog.at_level(logging.INFO):
        assert told() == (0, False, 0), "what was before it listened"
        found |= {"/t.json": 7, "/r.yml": 6, "/new.yml": 1}
        assert told() == (2, False, 0)
        message: Any = FakeMessage({"task": "promgen.tasks.write_config"})
        given._take(message)
        assert told() == (0, False, 0)
        found |= {"/t.json": 10}
        assert told() == told() == (3, True, 1)
        given._take(FakeMessage({"task": "somebody.elses"}))  # type: ignore[arg-type]
        assert told() == (3, True, 1), "what comes round again tells nothing"
        given._take(message)
        given._take(message)
        assert told() == (0, False, 1)
        found |= {"/t.json": 13}
        assert told() == (3, True, 2)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["INFO", "WARNING", "WARNING", "INFO", "WARNING"], "told, left, heard, told"
    assert [event.state["unannounced_changes"] for event in events] == [0, 2, 0, 3, 3, 0, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize("task", [[], {}, 3, None])
def test_a_message_without_a_task_name_is_held(task: Any) -> None:
    """A message whose header names no task is held, and nothing is started."""
    message: Any = FakeMessage({"task": task})
    queue_of(Broken())._take(message)
    assert message.outcomes == []


def test_too_many_held_messages_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the limit of held messages is reached, a warning suggests how to remove them, once."""
    monkeypatch.setattr(target_queue, "MOST_UNACKNOWLEDGED", 3)
    given = queue_of(Broken())
    messages: list[Any] = [FakeMessage({"task": "promgen.tasks.process_alert"}) for _ in range(5)]
    with caplog.at_level(logging.WARNING):
        for message in messages[:2]:
            given._take(message)
        assert all("purge" not in vars(record)["reason"] for record in caplog.records)
        for message in messages[2:]:
            given._take(message)
    assert ["purge" in vars(record)["reason"] for record in caplog.records].count(True) == 1


def test_a_held_message_is_given_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A held message is given back after 30 s, and only once."""
    at = [100.0]
    monkeypatch.setattr("wrapper.base.clock.now", lambda: at[0])
    given, message = queue_of(Broken()), FakeMessage({"task": "promgen.tasks.process_alert"})
    given._take(message)  # type: ignore[arg-type]
    for later, outcomes in ((29.9, []), (30.0, ["given back"]), (60.0, ["given back"])):
        at[0] = 100.0 + later
        given._tick()
        assert message.outcomes == outcomes


def test_the_pause_grows_with_each_failure() -> None:
    """The pause before a message is given back grows; failures at one moment count once."""
    given = queue_of(Broken())
    assert given._pause_s(100.0) == GIVE_BACK_FIRST_S
    assert given._pause_s(101.0) == GIVE_BACK_FIRST_S - 1.0
    assert given._pause_s(105.0) == 2 * GIVE_BACK_FIRST_S
    assert given._pause_s(115.0) == given._pause_s(135.0) == GIVE_BACK_MOST_S


def test_a_missing_package_is_not_an_unreachable_broker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A package that cannot be imported gives the install command, and its own log message."""
    monkeypatch.setitem(sys.modules, "kombu", None)
    with pytest.raises(NotInstalled, match=r"kombu.*pip install 'prometheus-elector") as caught:
        Broker("redis://h/0", "q").listen(lambda _message: None, lambda: None)
    with caplog.at_level(logging.WARNING):
        queue_of(Broken())._disconnected(caught.value)
        queue_of(Broken())._disconnected(BrokerUnreachable("gone"))
    first, second = caplog.records
    assert "pip install" in vars(first)["reason"]
    assert vars(second)["reason"] == "gone"
    assert first.getMessage() != second.getMessage()


@pytest.mark.parametrize("url", ["amqp://me:hun/ter2@h/", "redis://h:port/0", "amqp://[host"])
def test_an_invalid_broker_url_is_unreachable(url: str) -> None:
    """An invalid broker URL is reported as unreachable, without any part of its password."""
    with pytest.raises(BrokerUnreachable) as caught:
        Broker(url, "q").listen(lambda _message: None, lambda: None)
    assert "hun" not in str(caught.value)
    assert "ter2" not in str(caught.value)
