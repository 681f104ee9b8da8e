"""Promgen's tasks: a real Celery sends them through real brokers; replicas act on them."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import celery
import kombu
import pytest
import requests
from kombu.exceptions import MessageStateError

from tests import promgen
from tests.certificates import Authority
from tests.log_lines import LogLine
from tests.promgen import RULES, TARGETS, Promgen, group
from tests.real.brokers import PortMapper, RabbitMq, Redis
from tests.real.fleet import own_lines
from tests.real.parts import Program, program, started
from tests.real.test_plain import Plain
from tests.real.test_targets import CONFIG, LIMIT_S, NONSENSE, rules, targets
from tests.support import wait_until
from wrapper.targets.broker import Broker, BrokerUnreachable, Message
from wrapper.targets.target_queue import LEAVE_ALONE_S

QUEUE = "prometheus001"
OTHERS = 600
ONE = promgen.targets(group("127.0.0.1:1"))
TWO = promgen.targets(group("127.0.0.1:1"), group("127.0.0.1:2"))


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Start each broker when a test first needs it."""
    with ExitStack() as stack:

        def redis() -> Redis:
            return stack.enter_context(started(Redis(tmp_path_factory.mktemp("redis"))))

        def rabbitmq() -> RabbitMq:
            folder = tmp_path_factory.mktemp("rabbitmq")
            mapper = stack.enter_context(started(PortMapper(folder)))
            return stack.enter_context(started(RabbitMq(folder, mapper)))

        yield _Lazily({"redis": redis, "rabbitmq": rabbitmq})


class _Lazily(dict[str, Any]):
    """Makes each value at its first use."""

    def __init__(self, makers: dict[str, Callable[[], Any]]) -> None:
        self._makers = makers

    def __missing__(self, name: str) -> Any:
        self[name] = self._makers[name]()
        return self[name]


@pytest.fixture
def broker(request: pytest.FixtureRequest, brokers: dict[str, Any]) -> Iterator[Any]:
    """Give a broker with an empty queue."""
    part = brokers[getattr(request, "param", "redis")]
    _purge(part.url)
    yield part
    if not part.is_running:
        part.start()


on_both = pytest.mark.parametrize("broker", ["redis", "rabbitmq"], indirect=True)


def _purge(url: str) -> None:
    with kombu.Connection(url) as connection, connection.channel() as channel:
        _queue()(channel).declare()
        _queue()(channel).purge()


def _queue() -> kombu.Queue:
    return kombu.Queue(QUEUE, kombu.Exchange(QUEUE, "direct"), QUEUE)


def messages(part: Plain) -> dict[str, float]:
    """Return the numbers of the broker's messages, by their result."""
    name = "prometheus_elector_targets_queue_messages_total{"
    lines = requests.get(f"http://{part.api}/_elector/metrics", timeout=5).text.split("\n")
    found = (line.partition("}") for line in lines if line.startswith(name))
    return {head.partition('"')[2].strip('"'): float(value) for head, _, value in found}


class Server:
    """A plain Prometheus whose targets and rules are fetched once an hour, or by a task."""

    def __init__(self, folder: Path, url: str) -> None:
        self.promgen = Promgen()
        self.promgen.bodies = {TARGETS: ONE, RULES: promgen.rules()}
        self.files = folder / "files"
        self.files.mkdir()
        self.part = Plain(folder / "plain")
        self.part.config.write_text(CONFIG.format(folder=self.files))
        at = self.part.argv.index("--")
        self.part.argv[at:at] = [
            f"--targets-url={self.promgen.url}{TARGETS}={self.files}/t.json",
            f"--targets-url={self.promgen.url}{RULES}={self.files}/r.yml",
            "--targets-interval=1h",
            f"--targets-queue={QUEUE}",
        ]
        path = f"{Path(program('promtool')).parent}:{os.environ['PATH']}"
        self.part.argv[1:1] = [f"ELECTOR_TARGETS_BROKER={url}", f"PATH={path}"]

    @property
    def messages(self) -> dict[str, float]:
        """The numbers of messages, by their result."""
        return messages(self.part)

    @property
    def queue(self) -> dict[str, Any]:
        """The state of the queue in the status; empty before the first report."""
        status = requests.get(f"http://{self.part.api}/_elector/status", timeout=5).json()
        return status["targets"]["queue"] or {}

    def await_start(self) -> None:
        """Wait until the first targets and rules are fetched, and the queue is connected."""
        self.await_line("info", "t.json groups=", "first targets")
        self.await_line("info", "r.yml groups=", "first rules")
        wait_until(lambda: self.queue.get("is_connected"), LIMIT_S, "the queue is heard")

    def await_line(self, level: str, pattern: str, what: str, count: int = 1) -> None:
        """Wait until `count` of its own log lines at this level match."""

        def matching() -> list[LogLine]:
            return [x for x in own_lines(self.part, level) if re.search(pattern, x.text)]

        wait_until(lambda: len(matching()) >= count, LIMIT_S, what)


@pytest.fixture
def server(tmp_path: Path, broker: Program) -> Iterator[Server]:
    """Run a server that is connected to the broker."""
    given = Server(tmp_path, broker.url)  # type: ignore[attr-defined]
    try:
        with started(given.part):
            given.await_start()
            yield given
    finally:
        given.promgen.close()


class Sender:
    """A Celery application that sends tasks as Promgen does: by name, to a server's queue."""

    def __init__(self, url: str) -> None:
        self.app = celery.Celery("promgen", broker=url)
        self.url = url

    def send(self, name: str, **kwargs: Any) -> None:
        """Send a task."""
        self.app.send_task(f"promgen.tasks.{name}", kwargs=kwargs, queue=QUEUE)

    def waiting(self) -> int:
        """Return how many messages are still in the queue."""
        with kombu.Connection(self.url) as connection, connection.channel() as channel:
            return int(_queue()(channel).queue_declare().message_count)


@pytest.fixture
def sender(broker: Any) -> Iterator[Sender]:
    """Give a sender; its connections are closed at the end."""
    part = Sender(broker.url)
    yield part
    part.app.close()


@on_both
def test_a_task_causes_a_fetch(server: Server, sender: Sender) -> None:
    """A task causes a fetch; once targets or rules are loaded, it is acknowledged."""
    server.promgen.bodies |= {TARGETS: TWO, RULES: promgen.rules("up == 1")}
    sender.send("write_config")
    wait_until(lambda: len(targets(server.part.url)) == 2, LIMIT_S, "the targets are there")
    assert rules(server.part.url) == ["up == 0"]
    sender.send("write_rules", reload=True)
    wait_until(lambda: rules(server.part.url) == ["up == 1"], LIMIT_S, "the rules are there")
    wait_until(lambda: server.messages == {"acknowledged": 2}, LIMIT_S, "both are acknowledged")
    sender.send("reload_prometheus")
    wait_until(lambda: server.messages == {"acknowledged": 3}, LIMIT_S, "a reload is confirmed")
    assert sender.waiting() == 0


def test_many_tasks_cause_few_fetches(server: Server, sender: Sender) -> None:
    """Tasks that arrive during a fetch are done together by the next fetch."""
    before, gate = len(server.promgen.requests), threading.Event()

    def answer_late(to: Any) -> None:
        gate.wait(LIMIT_S)
        promgen.answer(to, ONE)

    server.promgen.act = answer_late
    for _ in range(100):
        sender.send("write_config")
    wait_until(lambda: sender.waiting() == 0, LIMIT_S, "all are taken")
    gate.set()
    wait_until(lambda: server.messages == {"acknowledged": 100}, LIMIT_S, "all are acknowledged")
    assert len(server.promgen.requests) - before <= 3


@on_both
def test_a_failed_task_is_retried(server: Server, sender: Sender) -> None:
    """A task is given back while Promgen answers 500, and acknowledged when it works again."""
    server.promgen.act = promgen.with_status(500)
    sender.send("write_config")
    wait_until(lambda: server.messages.get("given_back"), LIMIT_S, "it is given back")
    assert "acknowledged" not in server.messages
    server.promgen.act = None
    wait_until(lambda: server.messages.get("acknowledged") == 1, LIMIT_S, "it is done at last")


@on_both
def test_a_task_with_an_invalid_answer_is_not_retried(server: Server, sender: Sender) -> None:
    """When Promgen's answer has no targets, the file stays and the status reports a problem.

    The task is acknowledged.
    """
    server.promgen.act = promgen.with_status(200)
    sender.send("write_config")
    wait_until(lambda: server.messages == {"acknowledged": 1}, LIMIT_S, "it is acknowledged")
    assert (server.files / "t.json").read_bytes() == ONE
    status = requests.get(f"http://{server.part.api}/_elector/status", timeout=5).json()
    [problem] = filter(None, (each["problem"] for each in status["targets"]["feeds"]))
    assert problem


def test_a_task_with_refused_rules_is_not_retried(server: Server, sender: Sender) -> None:
    """When rules are refused, the last good ones stay, and the status names file and rule.

    The task is acknowledged.
    """
    server.promgen.bodies[RULES] = NONSENSE
    sender.send("write_rules")
    wait_until(lambda: server.messages == {"acknowledged": 1}, LIMIT_S, "it is acknowledged")
    assert rules(server.part.url) == ["up == 0"]
    status = requests.get(f"http://{server.part.api}/_elector/status", timeout=5).json()
    [problem] = filter(None, (each["problem"] for each in status["targets"]["feeds"]))
    assert f"{server.files}/r.yml" in problem
    assert 'group "promgen", rule 1, "Down"' in problem
    server.await_line("warn", "rule 1, ..Down", "the log says so too")


@on_both
def test_other_messages_do_not_delay_ours(server: Server, sender: Sender) -> None:
    """A task behind hundreds of other messages is done long before those are given back."""
    before = len(server.promgen.requests)
    for number in range(OTHERS):
        sender.app.send_task("promgen.tasks.process_alert", args=[number], queue=QUEUE)
    sender.send("write_config")
    wait_until(lambda: server.messages.get("acknowledged") == 1, LEAVE_ALONE_S / 2, "ours is done")
    assert server.messages == {"left_alone": OTHERS, "acknowledged": 1}
    assert len(server.promgen.requests) == before + 1


def test_other_messages_are_left_alone(server: Server, sender: Sender) -> None:
    """Messages of others stay unacknowledged while our tasks are done.

    A task with an invalid path is dropped.
    """
    sender.app.send_task("promgen.tasks.process_alert", args=[1], queue=QUEUE)
    sender.app.send_task("promgen.tasks.write_config", queue=QUEUE, serializer="pickle")
    wait_until(lambda: server.messages.get("left_alone") == 2, LIMIT_S, "both are left alone")
    sender.send("write_config")
    wait_until(lambda: server.messages.get("acknowledged") == 1, LIMIT_S, "ours is done")
    sender.send("write_config", path="/etc/passwd.json")
    wait_until(lambda: server.messages.get("dropped") == 1, LIMIT_S, "a bad path is dropped")
    server.part.stop()
    assert "estoring" not in server.part.log.read_text(), "a library's line"


def test_the_certificate_of_redis_is_verified(tmp_path: Path) -> None:
    """Redis' certificate is verified by the CA in the URL, or else by the system's CAs."""
    redis = Redis(tmp_path, Authority(tmp_path))
    with started(redis):
        with pytest.raises(BrokerUnreachable, match="certificate verify failed"):
            Broker(redis.url, QUEUE).listen(lambda _message: None, _heard)
        with pytest.raises(_Heard):
            Broker(f"{redis.url}?ssl_ca_certs={redis.ca}", QUEUE).listen(lambda _: None, _heard)


@on_both
@pytest.mark.parametrize("error", [OSError, KeyError, RuntimeError, ImportError])
@pytest.mark.parametrize("where", ["message", "tick"])
def test_our_own_errors_are_not_taken_for_the_brokers(
    sender: Sender, broker: Any, where: str, error: type[Exception]
) -> None:
    """An error of our callback is raised unchanged, even if kombu raises its type too."""
    ours = error("ours")

    def fail(called: str) -> None:
        if called == where:
            raise ours

    sender.send("write_config")
    with pytest.raises(error) as caught:
        Broker(broker.url, QUEUE).listen(lambda _message: fail("message"), lambda: fail("tick"))
    assert caught.value is ours


@on_both
@pytest.mark.parametrize("settle", [Message.acknowledge, Message.give_back])
def test_settling_a_message_without_a_broker_fails(
    sender: Sender, broker: Any, settle: Callable[[Message], None]
) -> None:
    """When the broker dies before a message is settled, BrokerUnreachable is raised."""
    sender.send("write_config")

    def settle_late(message: Message) -> None:
        broker.stop(signal.SIGKILL)
        settle(message)

    with pytest.raises(BrokerUnreachable):
        Broker(broker.url, QUEUE).listen(settle_late, lambda: None)


@on_both
def test_a_message_is_settled_once(sender: Sender, broker: Any) -> None:
    """Acknowledging a message twice raises MessageStateError."""
    sender.send("write_config")

    def settle_twice(message: Message) -> None:
        message.acknowledge()
        message.acknowledge()

    with pytest.raises(MessageStateError):
        Broker(broker.url, QUEUE).listen(settle_twice, lambda: None)


class _Heard(BaseException):
    """Raised once the broker is connected."""


def _heard() -> None:
    raise _Heard


@on_both
def test_a_restarted_broker_is_connected_again(server: Server, sender: Sender, broker: Any) -> None:
    """After the broker is killed and restarted, a task is done again.

    Meanwhile Prometheus runs on, and the status shows no connection.
    """
    broker.stop(signal.SIGKILL)
    server.await_line("warn", f" queue={QUEUE} reason=", "it is missed")
    wait_until(lambda: not server.queue["is_connected"], LIMIT_S, "the API tells it")
    assert requests.get(f"{server.part.url}/-/healthy", timeout=5).ok
    broker.start()
    server.await_line("info", f" queue={QUEUE}$", "it is heard again", 2)
    wait_until(lambda: server.queue["is_connected"], LIMIT_S, "the API tells that too")
    sender.send("write_config")
    wait_until(lambda: server.messages.get("acknowledged") == 1, LIMIT_S, "a task is answered")


@on_both
def test_a_broker_that_hangs_counts_as_lost(broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the broker hangs but its machine still acknowledges packets, the connection ends."""
    monkeypatch.setattr("wrapper.targets.broker.HEARTBEAT_S", 1)
    is_connected, errors = threading.Event(), list[BaseException]()

    def listen() -> None:
        try:
            Broker(broker.url, QUEUE).listen(lambda _message: None, is_connected.set)
        except BrokerUnreachable as error:
            errors.append(error)

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    assert is_connected.wait(LIMIT_S)
    broker.freeze()
    try:
        listening.join(LIMIT_S)
        assert errors
    finally:
        broker.thaw()
        listening.join(LIMIT_S)


def test_a_queue_without_tasks_despite_changes_is_reported(
    broker: Any, sender: Sender, tmp_path: Path
) -> None:
    """When fetches find changes but no task arrives, log and status report the queue.

    The first message ends this.
    """
    given = Server(tmp_path, broker.url)
    given.part.argv[given.part.argv.index("--targets-interval=1h")] = "--targets-interval=1s"
    try:
        with started(given.part):
            given.await_start()
            for body in (TWO, ONE, TWO):
                given.promgen.bodies[TARGETS] = body
                file = given.files / "t.json"
                wait_until(lambda b=body, f=file: f.read_bytes() == b, LIMIT_S, "found")  # type: ignore[misc]
            given.await_line("warn", "register-server SHARD", "it is told")
            wait_until(lambda: given.queue["problem"], LIMIT_S, "the API tells it")
            sender.send("write_config")
            given.await_line("info", f" queue={QUEUE}$", "the log tells that it is heard", 2)
            wait_until(lambda: given.queue["problem"] == "", LIMIT_S, "the API tells that too")
    finally:
        given.promgen.close()


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_a_queue_with_other_properties_is_used(broker: Any, tmp_path: Path) -> None:
    """A queue that exists with other properties is used; declaring it again would be refused."""
    name = "prometheus002"
    with kombu.Connection(broker.url) as connection, connection.channel() as channel:
        channel.queue_declare(
            name, durable=True, auto_delete=False, arguments={"x-max-priority": 5}
        )
    given = Server(tmp_path, broker.url)
    given.part.argv[given.part.argv.index(f"--targets-queue={QUEUE}")] = f"--targets-queue={name}"
    with started(given.part):
        wait_until(lambda: given.queue["is_connected"], LIMIT_S, "the queue is heard")
        assert given.queue["name"] == name
    given.promgen.close()


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_a_task_of_a_killed_program_is_done_by_the_next(
    server: Server, sender: Sender, broker: Any, tmp_path: Path
) -> None:
    """When the program is killed before it acknowledges a task, the next run does the task."""
    server.promgen.act = promgen.with_status(500)
    sender.send("write_config")
    wait_until(lambda: server.promgen.statuses.count(500), LIMIT_S, "it is under way")
    server.part.kill()
    (tmp_path / "next").mkdir()
    after = Server(tmp_path / "next", broker.url)
    with started(after.part):
        wait_until(lambda: after.messages == {"acknowledged": 1}, LIMIT_S, "it is done")
    after.promgen.close()
