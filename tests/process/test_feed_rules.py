"""Files of rules kept as a Promgen-like server says: Prometheus has to have loaded them."""

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


def test_changed_rules_are_loaded_and_unchanged_are_not(kept: Kept) -> None:
    """One reload for a change, and nothing is left beside the file."""
    keeper = kept.keeper(RULES)
    for _ in range(3):
        assert keeper.update() == ""
    assert kept.reloads.asked == [True]
    assert kept.names == ["rules.yml"]


def test_refused_rules_make_room_for_the_last_good_ones(kept: Kept) -> None:
    """They are put back and loaded, and the refused ones are not tried again; newer ones are."""
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
def test_who_asks_for_rules_that_are_refused_need_not_ask_again(kept: Kept) -> None:
    """They are at fault themselves, seen or unseen; where that is not known it may help."""
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
    """The reason may have passed, and nobody knows of it."""
    monkeypatch.setattr(fetch_loop, "REFUSED_S", 0.0)
    keeper = kept.keeper(RULES)
    keeper.update()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert "so it says" in keeper.update()
    assert keeper.update() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


def test_refused_rules_without_any_before_leave_none(kept: Kept) -> None:
    """A file without groups takes their place, which every Prometheus loads."""
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    assert kept.keeper(RULES).update()
    assert kept.file(RULES).read_bytes() == NO_RULES


def test_rules_are_not_blamed_where_the_old_are_refused_as_well(kept: Kept) -> None:
    """The reason lies elsewhere, so that they are tried again."""
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
def test_rules_that_may_be_good_are_tried_again(
    kept: Kept, verdicts: tuple[Verdict | ReloadAnswer, ...]
) -> None:
    """The last good ones are put back all the same."""
    keeper = kept.keeper(RULES)
    keeper.update()
    kept.reloads.verdicts = [*verdicts, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.update()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert keeper.update() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


def test_rules_that_are_not_confirmed_are_loaded_at_the_next_round(kept: Kept) -> None:
    """The last good ones are kept meanwhile, for a start in between."""
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


def test_a_start_puts_unconfirmed_rules_aside(kept: Kept) -> None:
    """Prometheus starts with the last good ones: it would not start with broken ones."""
    kept.file(RULES).write_bytes(promgen.rules())
    kept.reloads.verdicts = [Verdict.UNCONFIRMED]
    kept.server.bodies[RULES] = promgen.rules("nonsense (")
    keeper = kept.keeper(RULES)
    keeper.update()
    assert list(unsettled_in(kept.folder)) == [], "somebody is about it"
    keeper._file._let_go()  # as its end does
    for file in unsettled_in(kept.folder):
        file.restore()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert kept.names == ["rules.yml"]


@pytest.mark.parametrize("error", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_rules_are_loaded_all_the_same(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """Not every filesystem has them; a start puts aside what it finds, as without."""

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


def test_a_start_looks_after_what_a_task_had_made(tmp_path: Path) -> None:
    """It is no feed any more, but Prometheus reads it all the same."""
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    (tmp_path / "made.yml").write_bytes(promgen.rules("nonsense ("))
    (tmp_path / ".made.yml.good").write_bytes(promgen.rules())
    own = f"--targets-url=http://127.0.0.1:1/={tmp_path}/t.json"
    argv = [sys.executable, "-m", "wrapper", own, "--", "false"]
    subprocess.run([*argv, f"--config.file={tmp_path}/prometheus.yml"], check=False, timeout=60)
    assert (tmp_path / "made.yml").read_bytes() == promgen.rules()
    assert not (tmp_path / ".made.yml.good").exists()


@pytest.mark.usefixtures("unpaced")
def test_a_file_that_nobody_can_read_keeps_no_feed_from_fetching(kept: Kept) -> None:
    """A number that Python takes for an attack; the same in an answer is a wrong answer."""
    endless = b"[" + b"9" * 5000 + b"]"
    kept.file().write_bytes(endless)
    keeper, told = kept.keeper(), list[str]()
    running(keeper).ask(None, told.append)
    wait_until(lambda: told == [""], LIMIT_S, "it is fetched")
    kept.server.bodies[TARGETS] = endless
    assert done_by(keeper) == ""
    assert "a number is too long" in keeper.state.problem


@pytest.mark.usefixtures("unpaced")
def test_a_path_that_cannot_be_ends_no_thread(kept: Kept) -> None:
    """Whoever asks is told."""
    feed = Feed(f"{kept.server.url}{TARGETS}", f"{kept.folder}/a\0b.json")
    assert done_by(running(kept.keeper_of(feed))) != ""
