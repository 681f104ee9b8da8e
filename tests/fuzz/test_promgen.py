"""Answers and messages of Promgen, a broker, or another program in their place."""

from __future__ import annotations

import contextlib
import json
from random import Random
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.fuzz.yaml_texts import Writer, damaged, plain
from wrapper.base.shown_text import in_short
from wrapper.model.events import Event
from wrapper.model.fetched_file import FileKind
from wrapper.supervision.prometheus_api import read_evidence, read_replay
from wrapper.targets.answer_check import Unacceptable, read_answer
from wrapper.targets.answer_errors import redirect_refused, status_refused
from wrapper.targets.broker import Broker, BrokerUnreachable, Message
from wrapper.targets.promgen_task import BadTask, ForeignMessage, read_task
from wrapper.targets.target_queue import TargetQueue

RULES = (
    *("groups", "rules", "name", "alert", "record", "expr", "for", "labels", "annotations", "up"),
    *("interval", "limit"),
)
texts = st.text(max_size=12) | st.sampled_from(["host:1", "__shard", "a", "b", "", "\ud800", "<p>"])
labels = st.dictionaries(texts, texts | plain(2), max_size=3)
groups = st.fixed_dictionaries(
    {"targets": st.lists(texts, max_size=3)}, optional={"labels": labels, "x": plain(2)}
)
seeds = st.integers(0, 1 << 60)
names = st.sampled_from(
    ["write_config", "write_urls", "write_rules", "reload_prometheus", "clear_tombstones", "x"]
).map("promgen.tasks.{}".format)
keywords = st.dictionaries(
    st.sampled_from(["path", "reload", "chmod", "x"]),
    plain(2) | st.sampled_from(["/p/r.yml", "/p/../r", "/\x00", "/" + "a" * 300, 0o644, 0o77777]),
    max_size=3,
)


@fuzzed(150, given=st.lists(groups | plain(2), max_size=4), seed=seeds, shard=texts)
def test_targets(given: list[Any], seed: int, shard: str) -> None:
    """Targets are accepted unchanged or filtered by shard, or refused in one line."""
    chance = Random(seed)
    body = damaged(json.dumps(given), chance)
    try:
        content = read_answer(FileKind.TARGETS, body, shard)
    except Unacceptable as error:
        return check(str(error))
    assert content.data == body if not shard else isinstance(json.loads(content.data), list)
    assert content.targets >= 0
    return None


def check(text: str) -> None:
    """Check that a text can be shown in a log, a metric and a page."""
    assert text
    assert len(in_short(text)) <= 300
    in_short(text).encode()


@fuzzed(200, seed=seeds)
def test_rules(seed: int) -> None:
    """Rules are accepted unchanged, or refused."""
    chance = Random(seed)
    body = damaged("groups:" + Writer(chance, RULES).below() + "\n", chance)
    try:
        assert read_answer(FileKind.RULES, body).data == body
    except Unacceptable as error:
        check(str(error))


@fuzzed(150, location=texts | st.text(), status=st.integers(100, 999), phrase=texts)
def test_any_redirect_and_status_has_a_message(location: str, status: int, phrase: str) -> None:
    """Any redirect and any status give a message."""
    url = "http://promgen/api/v1/targets"
    assert redirect_refused(url, location)
    assert status_refused(url, status, phrase)


tasks = st.builds(
    lambda name, args, kwargs: ({"task": name}, [args, kwargs, {}]),
    names,
    st.lists(plain(2), max_size=4),
    keywords,
)
messages = tasks | st.tuples(
    st.dictionaries(st.sampled_from(["task", "id"]), plain(2)) | plain(2), plain()
)


@fuzzed(100, message=tasks | st.tuples(st.dictionaries(st.just("task"), plain(2)), plain()))
def test_tasks(message: tuple[dict[str, Any], Any]) -> None:
    """A message gives a task with a valid path and mode, or is foreign, or bad."""
    try:
        task = read_task(*message)
    except (ForeignMessage, BadTask) as error:
        return check(str(error))
    assert task.path == "" or task.path.startswith("/")
    assert task.mode is None or 0o400 <= task.mode <= 0o777
    return None


class FailingDispatch:
    """A dispatch that always fails."""

    def begin(self, *_: object) -> int:
        """Raise an error as a bug would."""
        raise RuntimeError("played")


@fuzzed(40, given=st.lists(st.tuples(messages, st.booleans()), max_size=5))
def test_no_message_ends_the_queue(given: list[tuple[tuple[Any, Any], bool]]) -> None:
    """Each message is settled or held, and none ends the queue."""
    settled: list[str] = []
    reports: list[Event] = []

    class Played(Broker):
        def listen(self, on_message: Any, on_tick: Any) -> None:
            on_tick()
            for (headers, body), is_broken in given:
                played = SimpleNamespace(
                    headers=headers,
                    decode=(lambda: 1 / 0) if is_broken else (lambda body=body: body),
                    ack=lambda: settled.append("ack"),
                    requeue=lambda: settled.append("requeue"),
                    MessageStateError=KeyError,
                )
                on_message(Message(played))
                on_tick()
            listening.end()
            raise BrokerUnreachable("over")

    listening = TargetQueue(Played("amqp://h", "q"), "q", FailingDispatch(), reports.append)  # type: ignore[arg-type]
    listening.run()
    assert len(settled) + len(listening._held) + len(listening._pending) == len(given)


@fuzzed(150, shown=st.binary(max_size=60), number=st.text(max_size=12))
def test_any_answer_of_prometheus_is_handled(shown: bytes, number: str) -> None:
    """Any metrics and pages of Prometheus give evidence and progress, or a ValueError."""
    metric = f"prometheus_config_last_reload_successful {number}\n".encode(errors="replace")
    with contextlib.suppress(ValueError):  # which the caller treats as no answer
        read_evidence(shown, metric, 1.0)
    read_replay(shown.decode(errors="replace"))
