"""Files of rules from a server like Promgen: Prometheus has to load them."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tests import promgen
from tests.process.feeding import LIMIT_S, Kept, done_by, running
from tests.promgen import RULES, TARGETS
from tests.support import wait_until
from wrapper.model.fetched_file import Feed
from wrapper.model.roles import Verdict
from wrapper.supervision.reload_requests import ReloadAnswer
from wrapper.targets import fetch_loop
from wrapper.targets.target_file import NO_RULES, unsettled_in

AMBIGUOUS = ReloadAnswer(Verdict.REFUSED, "so it says", is_ambiguous=True)


def test_only_changed_rules_are_reloaded(kept: Kept) -> None:
    """A change causes one reload; unchanged rules cause none, and no extra file remains."""
    keeper = kept.keeper(RULES)
    for _ in range(3):
        assert keeper.update() == ""
    assert kept.reloads.asked == [True]
    assert kept.names == ["rules.yml"]


def test_refused_rules_are_replaced_by_the_last_good_ones(kept: Kept) -> None:
    """If Prometheus refuses rules, the last good ones are restored and loaded.

    The refused rules are not tried again; newer ones are.
    """
    keeper = kept.keeper(RULES)
    keeper.update()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("nonsense (")
    for _ in range(3):
        assert "so it says" in keeper.update()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert kept.reloads.asked == [True, True, False]
    assert kept.names == ["rules.yml"]
    assert keeper.state.errors == {"refused": 3}
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


@pytest.mark.usefixtures("unpaced")
def test_refused_rules_are_no_failure_of_the_request(kept: Kept) -> None:
    """A request whose rules are refused counts as done; an ambiguous refusal is reported."""
    keeper = running(kept.keeper(RULES))
    assert done_by(keeper) == ""
    kept.reloads.verdicts = [AMBIGUOUS, Verdict.LOADED, Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("nonsense (")
    assert "so it says" in done_by(keeper)
    for _ in range(2):
        assert done_by(keeper) == ""
        assert "so it says" in keeper.state.problem
    assert keeper.state.errors == {"refused": 3}
    kept.server.act = promgen.with_status(500)
    assert "HTTP 500" in done_by(keeper)


def test_refused_rules_are_tried_again_after_a_long_time(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long time, refused rules are tried again, because the reason may have passed."""
    monkeypatch.setattr(fetch_loop, "REFUSED_S", 0.0)
    keeper = kept.keeper(RULES)
    keeper.update()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert "so it says" in keeper.update()
    assert keeper.update() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


def test_refused_first_rules_are_replaced_by_no_rules(kept: Kept) -> None:
    """If the first rules are refused, a file without groups replaces them."""
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    assert kept.keeper(RULES).update()
    assert kept.file(RULES).read_bytes() == NO_RULES


def test_rules_are_retried_if_the_old_ones_are_refused_too(kept: Kept) -> None:
    """If the old rules are refused too, the new ones are not the reason, and are retried."""
    keeper = kept.keeper(RULES)
    keeper.update()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    assert keeper.state.errors == {"refused": 1}
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert keeper.update() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


@pytest.mark.parametrize(
    "verdicts",
    [(AMBIGUOUS, Verdict.LOADED), (Verdict.REFUSED, Verdict.UNCONFIRMED)],
    ids=["a configuration is under way", "nothing is heard of the old ones"],
)
def test_rules_are_retried_after_an_unclear_refusal(
    kept: Kept, verdicts: tuple[Verdict | ReloadAnswer, ...]
) -> None:
    """After an unclear refusal, the last good rules are restored, and the new ones retried."""
    keeper = kept.keeper(RULES)
    keeper.update()
    kept.reloads.verdicts = [*verdicts, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert keeper.update() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


def test_unconfirmed_rules_are_reloaded_at_the_next_update(kept: Kept) -> None:
    """Unconfirmed rules are loaded again at the next update.

    Until then the last good ones are kept beside the file, for a start in between.
    """
    kept.file(RULES).write_bytes(NO_RULES)
    kept.reloads.verdicts = [Verdict.UNCONFIRMED, Verdict.LOADED]
    keeper = kept.keeper(RULES)
    assert keeper.update()
    assert keeper.state.errors == {"unconfirmed": 1}
    assert kept.names == [".rules.yml.good", "rules.yml"]
    assert keeper.state.last_change_time == 0
    assert keeper.update() == ""
    assert keeper.state.last_change_time > 0
    assert kept.reloads.asked == [True, True]
    assert kept.names == ["rules.yml"]


def test_a_start_restores_the_last_good_rules(kept: Kept) -> None:
    """At a start, unconfirmed rules are replaced by the last good ones.

    Prometheus would not start with broken rules.
    """
    kept.file(RULES).write_bytes(promgen.rules())
    kept.reloads.verdicts = [Verdict.UNCONFIRMED]
    kept.server.bodies[RULES] = promgen.rules("nonsense (")
    keeper = kept.keeper(RULES)
    keeper.update()
    assert list(unsettled_in(kept.folder)) == [], "somebody is about it"
    keeper._file._let_go()  # as the end of the process does
    for file in unsettled_in(kept.folder):
        file.restore()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert kept.names == ["rules.yml"]


@pytest.mark.parametrize("error", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_rules_are_loaded_without_file_locks(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """On a filesystem without locks, rules are loaded, and a start restores the last good ones."""

    def fail(_fd: int, _operation: int) -> None:
        raise OSError(error, "no locks here")

    monkeypatch.setattr("fcntl.flock", fail)
    keeper = kept.keeper(RULES)
    assert keeper.update() == ""
    kept.reloads.verdicts = [Verdict.UNCONFIRMED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    for file in unsettled_in(kept.folder):
        file.restore()
    assert kept.file(RULES).read_bytes() == promgen.rules()


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
def test_an_unreadable_file_does_not_prevent_a_fetch(kept: Kept) -> None:
    """A file with a number that is too long for Python is replaced; such an answer is an error."""
    endless = b"[" + b"9" * 5000 + b"]"
    kept.file().write_bytes(endless)
    keeper, told = kept.keeper(), list[str]()
    running(keeper).ask(None, told.append)
    wait_until(lambda: told == [""], LIMIT_S, "it is fetched")
    kept.server.bodies[TARGETS] = endless
    assert done_by(keeper) == ""
    assert "a number is too long" in keeper.state.problem


@pytest.mark.usefixtures("unpaced")
def test_an_impossible_path_is_reported(kept: Kept) -> None:
    """For a path with a NUL byte, the fetch reports a problem, and its thread goes on."""
    feed = Feed(f"{kept.server.url}{TARGETS}", f"{kept.folder}/a\0b.json")
    assert done_by(running(kept.keeper_of(feed))) != ""
