"""Files kept as a Promgen-like server says: what changes them, what does not, what is told."""

from __future__ import annotations

import logging
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import promgen
from tests.process.feeding import LIMIT_S, ONE, TWO, Kept, done_by, running
from tests.promgen import TARGETS, URLS, group
from tests.support import wait_until
from wrapper.base import clock
from wrapper.base.shown_text import LONGEST
from wrapper.model.fetched_file import FileKind
from wrapper.targets import fetch_loop
from wrapper.targets.answer_check import EMPTY_SHARE, read_answer
from wrapper.targets.fetch_loop import JITTER
from wrapper.targets.fetch_requests import FetchRequest
from wrapper.targets.shard_check import none_of
from wrapper.targets.target_file import unsettled_in

# --- targets --------------------------------------------------------------------------------------


def test_the_file_is_what_came(kept: Kept) -> None:
    """Byte for byte, readable by all, and nothing else lies beside it."""
    keeper = kept.keeper()
    assert keeper.update() == ""
    assert kept.file().read_bytes() == ONE
    assert kept.file().stat().st_mode & 0o777 == 0o644
    assert (keeper.state.groups, keeper.state.targets) == (1, 1)
    assert keeper.state.last_success_time == keeper.state.last_change_time > 0
    assert kept.names == ["targets.json"]
    assert kept.reloads.asked == []


def test_what_killed_processes_have_left_is_removed(kept: Kept) -> None:
    """Beside the file, and beside the copy of the last good rules; nothing of others."""
    left = (".rules.yml.tmp-1", "..rules.yml.good.tmp-22")
    for name in (*left, ".other.yml.tmp-1"):
        (kept.folder / name).touch()
    kept.keeper(promgen.RULES)
    assert kept.names == [".other.yml.tmp-1"]


def test_unchanged_bytes_are_not_written(kept: Kept) -> None:
    """Neither where the server says so, nor where it sends them all again."""
    keeper = kept.keeper()
    keeper.update()
    before = kept.file().stat()
    changed_at = keeper.state.last_change_time
    assert keeper.update() == ""
    kept.server.act = lambda to: promgen.answer(to, ONE)
    keeper._validators = type(keeper._validators)()
    assert keeper.update() == ""
    assert kept.server.statuses == [200, 304, 200]
    assert (kept.file().stat().st_ino, kept.file().stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    assert keeper.state.last_change_time == changed_at


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("[]")])
def test_a_file_that_somebody_spoiled_is_made_again(
    kept: Kept, spoil: Callable[[Path], None]
) -> None:
    """What the server has not changed comes back all the same."""
    keeper = kept.keeper()
    keeper.update()
    spoil(kept.file())
    assert keeper.update() == ""
    assert kept.file().read_bytes() == ONE


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (promgen.with_status(500), "status"),
        (promgen.with_status(200), "shape"),
        (promgen.with_status(200, b""), "shape"),
        (promgen.with_status(200, b'{"detail": "no"}'), "shape"),
        (promgen.to_login, "redirect"),
        (promgen.half_of(TWO), "incomplete"),
        (promgen.without_length(TWO[: len(TWO) // 2]), "shape"),
        (promgen.endless, "too_large"),
    ],
)
def test_a_wrong_answer_changes_nothing(
    kept: Kept, act: Callable[[Any], None], reason: str
) -> None:
    """The file stays, the reason is told and counted, and a good answer ends it."""
    keeper = kept.keeper()
    keeper.update()
    kept.server.act = act
    assert keeper.update() == keeper.update() == keeper.state.problem
    assert kept.file().read_bytes() == ONE
    assert keeper.state.errors == {reason: 2}
    kept.server.act, kept.server.bodies[TARGETS] = None, TWO
    assert keeper.update() == keeper.state.problem == ""
    assert kept.file().read_bytes() == TWO
    assert keeper.state.errors == {reason: 2}


def test_a_file_that_was_never_written_has_no_content_to_keep(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so; of one that is there, that it stays."""
    kept.server.act = promgen.with_status(500)
    for has_file in (False, True):
        if has_file:
            kept.file().write_bytes(ONE)
        caplog.clear()
        assert kept.keeper().update()
        stays = "file not updated, it keeps its last good content"
        missing = "file not written, there is none yet"
        assert caplog.messages == [stays if has_file else missing]


def test_what_a_server_says_is_cut_and_made_printable(kept: Kept) -> None:
    """A reason phrase without end, with a terminal's commands and half a character."""
    said = b"HTTP/1.1 500 \x1b[2J\xed\xa0\x80" + b"x" * 5000
    kept.server.act = lambda to: to.wfile.write(said + b"\r\nContent-Length: 0\r\n\r\n")
    keeper = kept.keeper()
    assert keeper.update() == keeper.state.problem
    assert len(keeper.state.problem) <= 300
    assert keeper.state.problem.isprintable()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Give what moves the clock on."""
    real, shift = clock.now, [0.0]
    monkeypatch.setattr(clock, "now", lambda: real() + shift[0])

    def move(seconds: float) -> None:
        shift[0] += seconds

    return move


HALF_S = 3600.0 * EMPTY_SHARE  # of the interval


def test_a_list_that_is_suddenly_empty_has_to_come_twice(
    kept: Kept, later: Callable[[float], None]
) -> None:
    """Half the interval apart: once changes nothing, and another answer between starts anew."""
    keeper = kept.keeper()
    keeper.update()
    for body in (b"[]", ONE, b"[]"):
        later(HALF_S)
        kept.server.bodies[TARGETS] = body
        assert bool(keeper.update()) is (body == b"[]")
        assert kept.file().read_bytes() == ONE
    later(HALF_S)
    assert keeper.update() == ""
    assert kept.file().read_bytes() == b"[]"
    assert keeper.state.errors == {"empty": 2}


def test_changes_that_nobody_told_of_are_counted(kept: Kept) -> None:
    """Neither the first answer, nor what was asked for, nor what somebody else did to the file."""
    keeper = kept.keeper()
    told = FetchRequest(None, lambda _problem: None, clock.now())
    for body, requests, count in (
        (ONE, (), 0),
        (ONE, (), 0),
        (TWO, (), 1),
        (ONE, (told,), 1),
        (ONE, (), 1),
        (TWO, (), 2),
    ):
        kept.server.bodies[TARGETS] = body
        assert keeper.update(requests) == ""
        assert keeper.unannounced_changes == count
    kept.file().write_bytes(ONE)
    assert keeper.update() == ""
    assert kept.file().read_bytes() == TWO
    assert keeper.unannounced_changes == 2


def test_an_empty_list_counts_twice_in_a_row_only(
    kept: Kept, later: Callable[[float], None]
) -> None:
    """A failure between the two starts anew: a server in trouble says many things."""
    keeper = kept.keeper()
    keeper.update()
    for body in (b"[]", b"<html>", b"[]"):
        later(HALF_S)
        kept.server.bodies[TARGETS] = body
        assert keeper.update()
        assert kept.file().read_bytes() == ONE
    later(HALF_S)
    assert keeper.update() == ""


def test_empty_answers_of_one_burst_count_once(kept: Kept, later: Callable[[float], None]) -> None:
    """Any number of tasks, nearly half an interval long; they do not put off the end either."""
    keeper = kept.keeper()
    keeper.update()
    kept.server.bodies[TARGETS] = b"[]"
    first_at = clock.now()
    for _ in range(9):
        assert "suddenly empty" in keeper.update()
        assert 0 <= keeper._next_at() - first_at - HALF_S <= 3600.0 * JITTER + LIMIT_S
        later(HALF_S / 10)
    assert kept.file().read_bytes() == ONE
    later(HALF_S / 10)
    assert keeper.update() == ""


def test_what_is_suddenly_empty_is_asked_for_again_soon(kept: Kept) -> None:
    """By itself, half an interval later: not after a whole one, nor as soon as after a failure."""
    keeper = kept.keeper(interval_s=2.0)
    running(keeper)
    wait_until(kept.file().exists, LIMIT_S, "it is fetched")
    kept.server.bodies[TARGETS] = b"[]"
    wait_until(lambda: keeper.state.problem, LIMIT_S, "it is suddenly empty")
    before, since = len(kept.server.requests), clock.now()
    wait_until(lambda: kept.file().read_bytes() == b"[]", LIMIT_S, "it is believed")
    assert clock.now() - since >= 2.0 * EMPTY_SHARE - 0.2
    assert len(kept.server.requests) == before + 1


def test_who_asks_for_what_is_suddenly_empty_need_not_ask_again(kept: Kept) -> None:
    """It is fetched again by itself; the file stays, and the problem is told."""
    keeper = kept.keeper()
    keeper.update()
    kept.server.bodies[TARGETS] = b"[]"
    assert done_by(running(keeper)) == ""
    assert "suddenly empty" in keeper.state.problem
    assert kept.file().read_bytes() == ONE


@pytest.mark.parametrize(
    ("act", "shard", "said"),
    [
        (promgen.with_status(200), "", "not JSON"),
        (promgen.with_status(200, b""), "", "the answer is empty"),
        (promgen.with_status(200, b"[" + b"[]," * 600_000 + b"[]]"), "", "more than"),
        (promgen.endless, "", "--targets-max-size"),
        (None, "promshrad", "--targets-shard"),
    ],
)
@pytest.mark.usefixtures("unpaced")
def test_who_asks_for_what_cannot_become_the_file_need_not_ask_again(
    kept: Kept, act: Callable[[Any], None] | None, shard: str, said: str
) -> None:
    """The server has answered: another fetch at once would bring the same, again and again."""
    keeper = kept.keeper(shard=shard)
    kept.server.act = act
    assert done_by(running(keeper)) == ""
    assert said in keeper.state.problem
    assert not kept.file().exists()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (promgen.with_status(502), "HTTP 502"),
        (promgen.half_of(TWO), "missing"),
        (promgen.to_login, "redirect"),
    ],
)
@pytest.mark.usefixtures("unpaced")
def test_who_asks_is_told_that_no_good_answer_came(
    kept: Kept, act: Callable[[Any], None], said: str
) -> None:
    """Asking again may help; so it may where a file could not be written."""
    kept.server.act = act
    assert said in done_by(running(kept.keeper()))
    kept.server.act = None
    kept.file(URLS).mkdir()
    assert str(kept.file(URLS)) in done_by(running(kept.keeper(URLS)))


def test_what_was_there_at_the_start_counts(kept: Kept) -> None:
    """A start with an empty answer does not empty the file of the run before."""
    kept.file().write_bytes(ONE)
    kept.server.bodies[TARGETS] = b"[]"
    keeper = kept.keeper()
    assert keeper.state.targets == 1
    assert keeper.update()
    assert kept.file().read_bytes() == ONE


def test_an_empty_list_is_believed_where_that_is_allowed(kept: Kept) -> None:
    """--targets-allow-empty."""
    keeper = kept.keeper(allows_empty=True)
    keeper.update()
    kept.server.bodies[TARGETS] = b"[]"
    assert keeper.update() == ""
    assert kept.file().read_bytes() == b"[]"


def test_only_a_shards_groups_are_written(kept: Kept, later: Callable[[float], None]) -> None:
    """A shard that has lost its last target is a list that is suddenly empty."""
    kept.server.bodies[TARGETS] = TWO
    keeper = kept.keeper(shard="other")
    assert keeper.update() == ""
    assert read_answer(FileKind.TARGETS, kept.file().read_bytes()).targets == 1
    kept.server.bodies[TARGETS] = ONE
    assert "empty" in keeper.update()
    later(HALF_S)
    assert keeper.update() == ""
    assert read_answer(FileKind.TARGETS, kept.file().read_bytes()).is_empty


def test_a_shard_that_never_had_a_target_counts_as_mistyped(kept: Kept) -> None:
    """However often it comes, and whether or not there is a file: that stays as it is."""
    kept.server.bodies[TARGETS] = TWO
    keeper = kept.keeper(shard="promshrad")
    for _ in range(3):
        problem = keeper.update()
        assert "--targets-shard" in problem
        assert "no group has the shard 'promshrad'; there are: other, promshard" in problem
        assert kept.names == []
    assert keeper.state.problem == problem
    assert keeper.state.errors == {"shard": 3}
    kept.file().write_bytes(ONE)
    keeper = kept.keeper(shard="promshrad")
    assert [keeper.update(), keeper.update()] == [problem, problem]
    assert kept.file().read_bytes() == ONE


def test_a_shard_that_had_lost_its_targets_is_no_failure_after_a_start(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """The file has no groups, and none came: nothing changes, and the log says so once."""
    kept.file().write_bytes(b"[]\n")
    kept.file().chmod(fetch_loop.MODE)
    kept.server.bodies[TARGETS] = TWO
    keeper = kept.keeper(shard="gone")
    with caplog.at_level(logging.WARNING):
        assert [keeper.update(), keeper.update()] == ["", ""]
    assert (keeper.state.problem, keeper.state.errors) == ("", {})
    assert keeper.state.last_success_time > keeper.state.last_change_time == 0
    assert kept.file().read_bytes() == b"[]\n"
    (record,) = caplog.records
    assert vars(record)["reason"] == "no group has the shard 'gone'; there are: other, promshard"
    kept.server.bodies[TARGETS] = promgen.targets(group("a:1", shard="gone"))
    assert keeper.update() == ""
    assert keeper.state.targets == 1


def test_a_file_without_targets_of_a_shard_does_not_speak_for_another(kept: Kept) -> None:
    """The one that has targets stays: for it the shard may still be mistyped."""
    kept.file(URLS).write_bytes(b"[]\n")
    kept.file().write_bytes(ONE)
    assert kept.keeper(URLS, shard="promshrad").update() == ""
    assert "--targets-shard" in kept.keeper(shard="promshrad").update()
    assert kept.file().read_bytes() == ONE


def test_a_shard_may_have_no_targets_of_one_kind(kept: Kept) -> None:
    """What any feed has seen of it since the start counts for all; the log says so once."""
    kept.server.bodies |= {TARGETS: TWO, URLS: ONE}
    urls = kept.keeper(URLS, shard="other")
    assert "--targets-shard" in urls.update()
    assert kept.keeper(shard="other").update() == ""
    assert [urls.update(), urls.update()] == ["", ""]
    assert read_answer(FileKind.URLS, kept.file(URLS).read_bytes()).is_empty


def test_a_shard_without_targets_is_believed_where_that_is_allowed(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """--targets-allow-empty; a warning names the shards that there are, once."""
    keeper = kept.keeper(shard="new", allows_empty=True)
    with caplog.at_level(logging.WARNING):
        assert [keeper.update(), keeper.update()] == ["", ""]
    assert read_answer(FileKind.TARGETS, kept.file().read_bytes()).is_empty
    (record,) = caplog.records
    assert vars(record)["reason"] == "no group has the shard 'new'; there are: promshard"


def test_a_hundred_shards_are_told_by_the_first() -> None:
    """On one line, printable, whatever their names are, and those without one too."""
    assert none_of("a", ["", *"bcdefghij", *map(str, range(90))]) == (
        "no group has the shard 'a'; there are: none, without __shard, b, c, d, e, f, g, h, i, j "
        "and 90 more"
    )
    said = none_of("a\n\x1b", ["b\n\x07" * 1000] * 11)
    assert len(said) <= LONGEST
    assert said.isprintable()


def test_a_file_that_cannot_be_written_is_told(kept: Kept) -> None:
    """A folder in its place, say."""
    kept.file().mkdir()
    keeper = kept.keeper()
    assert str(kept.file()) in keeper.update()
    assert keeper.state.errors == {"write": 1}


# --- killed at any moment -------------------------------------------------------------------------

WRITING = """
import itertools, sys
from wrapper.model.fetched_file import FileKind
from wrapper.targets.target_file import FeedFile

file = FeedFile(sys.argv[1], FileKind.RULES, 1 << 30)
contents = [open(path, "rb").read() for path in sys.argv[2:]]
print("begins", flush=True)
for content in itertools.cycle(contents):
    file.keep_last_good(0o644)
    file.write_if_changed(content, 0o644)
    file.mark_loaded()
"""
KILLS = 12


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    """Never a part of one, nor none; and what is kept beside it is whole as well."""
    path, contents = tmp_path / "rules/r.yml", (promgen.rules("a") * 2000, promgen.rules("b"))
    path.parent.mkdir()
    sources = [tmp_path / str(number) for number in range(2)]
    for source, content in zip(sources, contents, strict=True):
        source.write_bytes(content)
    path.write_bytes(contents[1])
    for _ in range(KILLS):
        argv = [sys.executable, "-c", WRITING, str(path), *map(str, sources)]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent.parent
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"begins\n"
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(random.uniform(0.0, 0.05))
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in contents
        for file in unsettled_in(path.parent):
            file.restore()
        assert path.read_bytes() in contents
