"""Requests to fetch feeds: their results, and the tasks of Promgen for one file or all files."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests import promgen
from tests.process.feeding import LIMIT_S, ONE, TWO, FeedSetup, fetch_now, running
from tests.promgen import RULES, TARGETS, URLS
from tests.support import wait_until
from wrapper.base import clock
from wrapper.model.events import FeedReported
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.targets import fetch_pacing
from wrapper.targets.broker import missing_for
from wrapper.targets.promgen_task import BadTask, Task
from wrapper.targets.task_dispatch import TaskDispatch

OUTPUT = "--output={}/out.yml"


@pytest.mark.usefixtures("unpaced")
def test_rules_are_fetched_once_prometheus_is_ready(feed_setup: FeedSetup) -> None:
    """Until Prometheus has been ready, targets are fetched but rules are not.

    A request for rules is answered afterwards.
    """
    feed_setup.ready.clear()
    told = list[str]()
    running(feed_setup.keeper(RULES)).ask(None, told.append)
    assert fetch_now(running(feed_setup.keeper())) == ""
    assert feed_setup.names == ["targets.json"]
    assert not told
    feed_setup.ready.set()
    wait_until(lambda: told == [""], LIMIT_S, "they are fetched")
    assert feed_setup.file(RULES).exists()


def test_concurrent_requests_share_one_fetch(feed_setup: FeedSetup) -> None:
    """Requests during a fetch share the next one, which begins after them."""
    keeper, gate, told = feed_setup.keeper(), threading.Event(), list[str]()

    def answer_late(to: Any) -> None:
        gate.wait(LIMIT_S)
        promgen.answer(to, ONE)

    feed_setup.server.act = answer_late
    running(keeper)
    wait_until(lambda: feed_setup.server.requests, LIMIT_S, "the first fetch is under way")
    for _ in range(50):
        keeper.ask(0o600, told.append)
    gate.set()
    wait_until(lambda: len(told) == 50, LIMIT_S, "all are told")
    assert told == [""] * 50
    assert len(feed_setup.server.requests) == 2
    assert feed_setup.file().stat().st_mode & 0o777 == 0o600
    assert [type(event) for event in feed_setup.events] == [FeedReported] * 2


def test_a_failed_fetch_is_reported_and_retried(feed_setup: FeedSetup) -> None:
    """A failed fetch is reported to the request, and is retried soon."""
    keeper, told = feed_setup.keeper(interval_s=0.05), list[str]()
    feed_setup.server.act = promgen.with_status(500)
    keeper.ask(None, told.append)
    running(keeper)
    wait_until(lambda: told, LIMIT_S, "it is told")
    assert "HTTP 500" in told[0]
    feed_setup.server.act = None
    wait_until(feed_setup.file().exists, LIMIT_S, "it is tried again")


def test_continuous_requests_are_paced(feed_setup: FeedSetup) -> None:
    """If each answer causes a new request, fetches are paced, and all requests are answered.

    A Promgen that saves many objects causes such requests.
    """
    keeper, told = running(feed_setup.keeper()), list[str]()
    wait_until(lambda: feed_setup.events, LIMIT_S, "the first fetch is over")
    ends = clock.now() + 4 * fetch_pacing.APART_S

    def answer(to: Any) -> None:
        promgen.answer(to, ONE if clock.now() < ends else TWO)
        if clock.now() < ends:
            keeper.ask(None, told.append)

    feed_setup.server.act = answer
    keeper.ask(None, told.append)
    wait_until(lambda: clock.now() >= ends, LIMIT_S, "the burst ends")
    keeper.ask(None, told.append)
    wait_until(
        lambda: feed_setup.file().read_bytes() == TWO,
        fetch_pacing.APART_S + 1.0,
        "the end is there",
    )
    assert len(feed_setup.server.requests) <= 1 + 5
    wait_until(lambda: len(told) == len(feed_setup.server.requests), LIMIT_S, "all are told")


def dispatch(feed_setup: FeedSetup, *feeds: Feed) -> TaskDispatch:
    """Return a dispatch of these feeds, or of the usual three."""
    usual = [
        Feed(f"{feed_setup.server.url}{api}", str(feed_setup.file(api)))
        for api in (TARGETS, URLS, RULES)
    ]
    return TaskDispatch(
        feeds or usual,
        lambda feed: running(feed_setup.keeper_of(feed)),
        {},
        lambda path: path.name == "taken.yml",
    )


def done_with(at: TaskDispatch, task: Task) -> list[str]:
    """Run a task, and return the results of its parts."""
    told = list[str]()
    parts = at.begin(task, told.append)
    wait_until(lambda: len(told) == parts, LIMIT_S, "the task is done")
    return told


@pytest.mark.parametrize(
    ("kind", "api"), [(FileKind.TARGETS, TARGETS), (FileKind.URLS, URLS), (FileKind.RULES, RULES)]
)
@pytest.mark.usefixtures("unpaced")
def test_a_task_fetches_the_file_of_its_kind(
    feed_setup: FeedSetup, kind: FileKind, api: str
) -> None:
    """A task fetches the file of its kind once more, and no other file."""
    at = dispatch(feed_setup)
    wait_until(lambda: len(feed_setup.names) >= 3, LIMIT_S, "all three are there")
    assert done_with(at, Task(kind)) == [""]
    wait_until(lambda: len(feed_setup.server.requests) == 4, LIMIT_S, "one more fetch")
    assert feed_setup.server.requests[-1][0] == api


def test_only_promgens_files_count_unannounced_changes(feed_setup: FeedSetup) -> None:
    """Unannounced changes are counted only for Promgen's paths.

    Other servers send no messages about their files.
    """
    feed_setup.server.bodies["/other"] = ONE
    other = Feed(f"{feed_setup.server.url}/other", str(feed_setup.folder / "other.json"))
    own = Feed(f"{feed_setup.server.url}{TARGETS}", str(feed_setup.file(TARGETS)))
    assert dispatch(feed_setup, own, other).unannounced_changes().keys() == {own.path}


@pytest.mark.usefixtures("unpaced")
def test_a_task_can_add_a_file(feed_setup: FeedSetup) -> None:
    """A task for a new file in a feed's folder fetches it from the URL of its kind."""
    at, path = dispatch(feed_setup), feed_setup.folder / "new.json"
    for _ in range(2):
        assert done_with(at, Task(FileKind.URLS, str(path))) == [""]
    assert path.read_bytes() == ONE


def test_a_task_cannot_write_other_files(
    feed_setup: FeedSetup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A task is refused if its file is outside the folders, behind a link, or not a feed's."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (feed_setup.folder / "link").symlink_to(elsewhere)
    (feed_setup.folder / "dangling.json").symlink_to(elsewhere / "x.json")
    (feed_setup.folder / "prometheus.yml").write_text("mine")
    at = dispatch(feed_setup)
    for kind, path, said in (
        (FileKind.TARGETS, elsewhere / "x.json", "not in a folder"),
        (FileKind.TARGETS, feed_setup.folder / ".." / elsewhere.name / "x.json", "not in a folder"),
        (FileKind.TARGETS, feed_setup.folder / "link/x.json", "not in a folder"),
        (FileKind.TARGETS, feed_setup.folder / "sub/x.json", "not in a folder"),
        (FileKind.TARGETS, feed_setup.folder / "dangling.json", "not a feed's"),
        (FileKind.RULES, feed_setup.folder / "prometheus.yml", "not a feed's"),
        (FileKind.RULES, feed_setup.folder / ".rules.yml.good", r"named \*.yml"),
        (FileKind.RULES, feed_setup.folder / "x.json", r"named \*.yml"),
        (FileKind.TARGETS, feed_setup.folder / "x.yml", r"named \*.json"),
        (FileKind.RULES, feed_setup.folder / "taken.yml", "is or would be part of"),
        (FileKind.TARGETS, feed_setup.file(URLS), "holds urls, not targets"),
    ):
        with pytest.raises(BadTask, match=said):
            at.begin(Task(kind, str(path)), lambda _problem: None)
    assert (feed_setup.folder / "prometheus.yml").read_text() == "mine"
    assert list(elsewhere.iterdir()) == []


def test_a_task_of_a_kind_without_a_feed_is_refused(feed_setup: FeedSetup) -> None:
    """A task for rules is refused if no feed fetches rules."""
    at = dispatch(feed_setup, Feed(f"{feed_setup.server.url}{TARGETS}", str(feed_setup.file())))
    with pytest.raises(BadTask, match="no --targets-url fetches rules"):
        at.begin(Task(FileKind.RULES), lambda _problem: None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--targets-url=http://p/={}/none/t.json",), "none does not exist; create it"),
        (("--targets-url=http://p/={}/prometheus.yml",), "this file is the configuration itself"),
        (("--targets-url=http://p/={}/link/prometheus.yml",), "this file is the configuration"),
        (
            ("--targets-url=http://p/={}/link/l/x.yml", "--leader-config={}/l", OUTPUT),
            "this file is the configuration itself, or a part of it",
        ),
        (
            ("--targets-url=http://p/={}/a.json", "--targets-url=http://q/={}/link/a.json"),
            "are one file; give each URL its own",
        ),
        (
            ("--targets-url=http://p/={}/t.json", "--targets-http-config={}/none.yml"),
            "--targets-http-config: /",
        ),
        (
            ("--targets-url=http://p/={}/t.json", "--targets-http-config={}/prometheus.yml"),
            "prometheus.yml:1:1",
        ),
    ],
)
def test_wrong_feed_options_are_errors_at_the_start(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Options with which a feed cannot work exit with status 2 and a message."""
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    (tmp_path / "l").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    own = [word.format(tmp_path) for word in words]
    argv = [sys.executable, "-m", "wrapper", *own, "--", "false"]
    argv.append(f"--config.file={tmp_path}/prometheus.yml")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("amqp://r/", "kombu"),
        ("amqps://r/", "amqp"),
        ("redis://r/0", "kombu"),
        ("rediss://r/0", "redis"),
    ],
)
def test_a_broker_needs_its_extra(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a package for the broker is missing, the message gives the command that installs it."""
    assert missing_for(url) == ""
    monkeypatch.setitem(sys.modules, package, None)
    assert missing_for(url) == (
        f"{package} is not installed; install prometheus-elector with it: "
        "pip install 'prometheus-elector[promgen]'"
    )
