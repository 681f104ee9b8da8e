"""Files of rules from a server like Promgen: Prometheus has to load them."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tests import promgen
from tests.process.feeding import LIMIT_S, FeedSetup, fetch_now, running
from tests.promgen import RULES, TARGETS
from tests.support import wait_until
from wrapper.model.fetched_file import Feed
from wrapper.model.roles import Verdict
from wrapper.supervision.reload_requests import ReloadAnswer
from wrapper.targets import fetch_loop
from wrapper.targets.target_file import NO_RULES, unsettled_in

AMBIGUOUS = ReloadAnswer(Verdict.REFUSED, "so it says", is_ambiguous=True)


def test_only_changed_rules_are_reloaded(feed_setup: FeedSetup) -> None:
    """A change causes one reload; unchanged rules cause none, and no extra file remains."""
    keeper = feed_setup.keeper(RULES)
    for _ in range(3):
        assert keeper.update() == ""
    assert feed_setup.reloads.asked == [True]
    assert feed_setup.names == ["rules.yml"]


def test_refused_rules_are_replaced_by_the_last_good_ones(feed_setup: FeedSetup) -> None:
    """If Prometheus refuses rules, the last good ones are restored and loaded.

    The refused rules are not tried again; newer ones are.
    """
    keeper = feed_setup.keeper(RULES)
    keeper.update()
    feed_setup.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    feed_setup.server.bodies[RULES] = promgen.rules("nonsense (")
    for _ in range(3):
        assert "so it says" in keeper.update()
    assert feed_setup.file(RULES).read_bytes() == promgen.rules()
    assert feed_setup.reloads.asked == [True, True, False]
    assert feed_setup.names == ["rules.yml"]
    assert keeper.state.errors == {"refused": 3}
    feed_setup.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update() == ""
    assert feed_setup.file(RULES).read_bytes() == promgen.rules("up")


@pytest.mark.usefixtures("unpaced")
def test_refused_rules_are_no_failure_of_the_request(feed_setup: FeedSetup) -> None:
    """A request whose rules are refused counts as done; an ambiguous refusal is reported."""
    keeper = running(feed_setup.keeper(RULES))
    assert fetch_now(keeper) == ""
    feed_setup.reloads.verdicts = [AMBIGUOUS, Verdict.LOADED, Verdict.REFUSED, Verdict.LOADED]
    feed_setup.server.bodies[RULES] = promgen.rules("nonsense (")
    assert "so it says" in fetch_now(keeper)
    for _ in range(2):
        assert fetch_now(keeper) == ""
        assert "so it says" in keeper.state.problem
    assert keeper.state.errors == {"refused": 3}
    feed_setup.server.act = promgen.with_status(500)
    assert "HTTP 500" in fetch_now(keeper)


def test_refused_rules_are_tried_again_after_a_long_time(
    feed_setup: FeedSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long time, refused rules are tried again, because the reason may have passed."""
    monkeypatch.setattr(fetch_loop, "REFUSED_S", 0.0)
    keeper = feed_setup.keeper(RULES)
    keeper.update()
    feed_setup.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    feed_setup.server.bodies[RULES] = promgen.rules("up")
    assert "so it says" in keeper.update()
    assert keeper.update() == ""
    assert feed_setup.file(RULES).read_bytes() == promgen.rules("up")


def test_refused_first_rules_are_replaced_by_no_rules(feed_setup: FeedSetup) -> None:
    """If the first rules are refused, a file without groups replaces them."""
    feed_setup.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    assert feed_setup.keeper(RULES).update()
    assert feed_setup.file(RULES).read_bytes() == NO_RULES


def test_rules_are_retried_if_the_old_ones_are_refused_too(feed_setup: FeedSetup) -> None:
    """If the old rules are refused too, the new ones are not the reason, and are retried."""
    keeper = feed_setup.keeper(RULES)
    keeper.update()
    feed_setup.reloads.verdicts = [Verdict.REFUSED, Verdict.REFUSED, Verdict.LOADED]
    feed_setup.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    assert keeper.state.errors == {"refused": 1}
    assert feed_setup.file(RULES).read_bytes() == promgen.rules()
    assert keeper.update() == ""
    assert feed_setup.file(RULES).read_bytes() == promgen.rules("up")


@pytest.mark.parametrize(
    "verdicts",
    [(AMBIGUOUS, Verdict.LOADED), (Verdict.REFUSED, Verdict.UNCONFIRMED)],
    ids=["a configuration is under way", "nothing is heard of the old ones"],
)
def test_rules_are_retried_after_an_unclear_refusal(
    feed_setup: FeedSetup, verdicts: tuple[Verdict | ReloadAnswer, ...]
) -> None:
    """After an unclear refusal, the last good rules are restored, and the new ones retried."""
    keeper = feed_setup.keeper(RULES)
    keeper.update()
    feed_setup.reloads.verdicts = [*verdicts, Verdict.LOADED]
    feed_setup.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    assert feed_setup.file(RULES).read_bytes() == promgen.rules()
    assert keeper.update() == ""
    assert feed_setup.file(RULES).read_bytes() == promgen.rules("up")


def test_unconfirmed_rules_are_reloaded_at_the_next_update(feed_setup: FeedSetup) -> None:
    """Unconfirmed rules are loaded again at the next update.

    Until then the last good ones are kept beside the file, for a start in between.
    """
    feed_setup.file(RULES).write_bytes(NO_RULES)
    feed_setup.reloads.verdicts = [Verdict.UNCONFIRMED, Verdict.LOADED]
    keeper = feed_setup.keeper(RULES)
    assert keeper.update()
    assert keeper.state.errors == {"unconfirmed": 1}
    assert feed_setup.names == [".rules.yml.good", "rules.yml"]
    assert keeper.state.last_change_time == 0
    assert keeper.update() == ""
    assert keeper.state.last_change_time > 0
    assert feed_setup.reloads.asked == [True, True]
    assert feed_setup.names == ["rules.yml"]


def test_a_start_restores_the_last_good_rules(feed_setup: FeedSetup) -> None:
    """At a start, unconfirmed rules are replaced by the last good ones.

    Prometheus would not start with broken rules.
    """
    feed_setup.file(RULES).write_bytes(promgen.rules())
    feed_setup.reloads.verdicts = [Verdict.UNCONFIRMED]
    feed_setup.server.bodies[RULES] = promgen.rules("nonsense (")
    keeper = feed_setup.keeper(RULES)
    keeper.update()
    assert list(unsettled_in(feed_setup.folder)) == [], "somebody is about it"
    keeper._file._let_go()  # as the end of the process does
    for file in unsettled_in(feed_setup.folder):
        file.restore()
    assert feed_setup.file(RULES).read_bytes() == promgen.rules()
    assert feed_setup.names == ["rules.yml"]


@pytest.mark.parametrize("error", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_rules_are_loaded_without_file_locks(
    feed_setup: FeedSetup, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """On a filesystem without locks, rules are loaded, and a start restores the last good ones."""

    def fail(_fd: int, _operation: int) -> None:
        raise OSError(error, "no locks here")

    monkeypatch.setattr("fcntl.flock", fail)
    keeper = feed_setup.keeper(RULES)
    assert keeper.update() == ""
    feed_setup.reloads.verdicts = [Verdict.UNCONFIRMED]
    feed_setup.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    for file in unsettled_in(feed_setup.folder):
        file.restore()
    assert feed_setup.file(RULES).read_bytes() == promgen.rules()


def test_a_start_restores_rules_that_a_task_added(tmp_path: Path) -> None:
    """A start restores the last good rules also for a file that is no feed's any more.

    Prometheus still reads it.
    """
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    (tmp_path / "made.yml").write_bytes(promgen.rules("nonsense ("))
    (tmp_path / ".made.yml.good").write_bytes(promgen.rules())
    own = f"--targets-url=http://127.0.0.1:1/={tmp_path}/t.json"
    argv = [sys.executable, "-m", "wrapper", own, "--", "false"]
    subprocess.run([*argv, f"--config.file={tmp_path}/prometheus.yml"], check=False, timeout=60)
    assert (tmp_path / "made.yml").read_bytes() == promgen.rules()
    assert not (tmp_path / ".made.yml.good").exists()


@pytest.mark.usefixtures("unpaced")
def test_an_unreadable_file_does_not_prevent_a_fetch(feed_setup: FeedSetup) -> None:
    """A file with a number that is too long for Python is replaced; such an answer is an error."""
    endless = b"[" + b"9" * 5000 + b"]"
    feed_setup.file().write_bytes(endless)
    keeper, told = feed_setup.keeper(), list[str]()
    running(keeper).ask(None, told.append)
    wait_until(lambda: told == [""], LIMIT_S, "it is fetched")
    feed_setup.server.bodies[TARGETS] = endless
    assert fetch_now(keeper) == ""
    assert "a number is too long" in keeper.state.problem


@pytest.mark.usefixtures("unpaced")
def test_an_impossible_path_is_reported(feed_setup: FeedSetup) -> None:
    """For a path with a NUL byte, the fetch reports a problem, and its thread goes on."""
    feed = Feed(f"{feed_setup.server.url}{TARGETS}", f"{feed_setup.folder}/a\0b.json")
    assert fetch_now(running(feed_setup.keeper_of(feed))) != ""
