"""Files of targets from a server like Promgen: changes, refused answers, and reports."""

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
from tests.process.feeding import LIMIT_S, ONE, TWO, FeedSetup, fetch_now, running
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


def test_the_file_is_the_answer(feed_setup: FeedSetup) -> None:
    """The file holds exactly the answer's bytes, is readable by all, and no other file remains."""
    keeper = feed_setup.keeper()
    assert keeper.update() == ""
    assert feed_setup.file().read_bytes() == ONE
    assert feed_setup.file().stat().st_mode & 0o777 == 0o644
    assert (keeper.state.groups, keeper.state.targets) == (1, 1)
    assert keeper.state.last_success_time == keeper.state.last_change_time > 0
    assert feed_setup.names == ["targets.json"]
    assert feed_setup.reloads.asked == []


def test_temporary_files_of_killed_processes_are_removed(feed_setup: FeedSetup) -> None:
    """Temporary files of the feed and of its last good copy are removed, and no others."""
    left = (".rules.yml.tmp-1", "..rules.yml.good.tmp-22")
    for name in (*left, ".other.yml.tmp-1"):
        (feed_setup.folder / name).touch()
    feed_setup.keeper(promgen.RULES)
    assert feed_setup.names == [".other.yml.tmp-1"]


def test_unchanged_bytes_are_not_written(feed_setup: FeedSetup) -> None:
    """The file is not written if the server answers 304, or sends the same bytes again."""
    keeper = feed_setup.keeper()
    keeper.update()
    before = feed_setup.file().stat()
    changed_at = keeper.state.last_change_time
    assert keeper.update() == ""
    feed_setup.server.act = lambda to: promgen.answer(to, ONE)
    keeper._validators = type(keeper._validators)()
    assert keeper.update() == ""
    assert feed_setup.server.statuses == [200, 304, 200]
    assert (feed_setup.file().stat().st_ino, feed_setup.file().stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    assert keeper.state.last_change_time == changed_at


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("[]")])
def test_a_removed_or_changed_file_is_written_again(
    feed_setup: FeedSetup, spoil: Callable[[Path], None]
) -> None:
    """A removed or changed file is written again, though the server's answer is unchanged."""
    keeper = feed_setup.keeper()
    keeper.update()
    spoil(feed_setup.file())
    assert keeper.update() == ""
    assert feed_setup.file().read_bytes() == ONE


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
def test_an_invalid_answer_does_not_change_the_file(
    feed_setup: FeedSetup, act: Callable[[Any], None], reason: str
) -> None:
    """After an invalid answer the file stays, and the reason is reported and counted.

    The next valid answer ends the problem.
    """
    keeper = feed_setup.keeper()
    keeper.update()
    feed_setup.server.act = act
    assert keeper.update() == keeper.update() == keeper.state.problem
    assert feed_setup.file().read_bytes() == ONE
    assert keeper.state.errors == {reason: 2}
    feed_setup.server.act, feed_setup.server.bodies[TARGETS] = None, TWO
    assert keeper.update() == keeper.state.problem == ""
    assert feed_setup.file().read_bytes() == TWO
    assert keeper.state.errors == {reason: 2}


def test_a_failed_fetch_logs_whether_a_file_exists(
    feed_setup: FeedSetup, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failed fetch, the log states whether the file keeps its content or is missing."""
    feed_setup.server.act = promgen.with_status(500)
    for has_file in (False, True):
        if has_file:
            feed_setup.file().write_bytes(ONE)
        caplog.clear()
        assert feed_setup.keeper().update()
        stays = "file not updated, it keeps its last good content"
        missing = "file not written, there is none yet"
        assert caplog.messages == [stays if has_file else missing]


def test_text_of_the_server_is_short_and_printable(feed_setup: FeedSetup) -> None:
    """A long reason phrase with control characters becomes a short, printable problem."""
    said = b"HTTP/1.1 500 \x1b[2J\xed\xa0\x80" + b"x" * 5000
    feed_setup.server.act = lambda to: to.wfile.write(said + b"\r\nContent-Length: 0\r\n\r\n")
    keeper = feed_setup.keeper()
    assert keeper.update() == keeper.state.problem
    assert len(keeper.state.problem) <= 300
    assert keeper.state.problem.isprintable()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves the clock forward."""
    real, shift = clock.now, [0.0]
    monkeypatch.setattr(clock, "now", lambda: real() + shift[0])

    def move(seconds: float) -> None:
        shift[0] += seconds

    return move


HALF_S = 3600.0 * EMPTY_SHARE  # of the interval


def test_a_suddenly_empty_list_must_be_confirmed(
    feed_setup: FeedSetup, later: Callable[[float], None]
) -> None:
    """An empty list is used only if it is confirmed half an interval later.

    Another answer in between starts the wait again.
    """
    keeper = feed_setup.keeper()
    keeper.update()
    for body in (b"[]", ONE, b"[]"):
        later(HALF_S)
        feed_setup.server.bodies[TARGETS] = body
        assert bool(keeper.update()) is (body == b"[]")
        assert feed_setup.file().read_bytes() == ONE
    later(HALF_S)
    assert keeper.update() == ""
    assert feed_setup.file().read_bytes() == b"[]"
    assert keeper.state.errors == {"empty": 2}


def test_unannounced_changes_are_counted(feed_setup: FeedSetup) -> None:
    """Changes without a request are counted, except the first answer and edits of the file."""
    keeper = feed_setup.keeper()
    told = FetchRequest(None, lambda _problem: None, clock.now())
    for body, requests, count in (
        (ONE, (), 0),
        (ONE, (), 0),
        (TWO, (), 1),
        (ONE, (told,), 1),
        (ONE, (), 1),
        (TWO, (), 2),
    ):
        feed_setup.server.bodies[TARGETS] = body
        assert keeper.update(requests) == ""
        assert keeper.unannounced_changes == count
    feed_setup.file().write_bytes(ONE)
    assert keeper.update() == ""
    assert feed_setup.file().read_bytes() == TWO
    assert keeper.unannounced_changes == 2


def test_a_failure_between_two_empty_lists_starts_again(
    feed_setup: FeedSetup, later: Callable[[float], None]
) -> None:
    """A failed fetch between two empty lists starts the wait again."""
    keeper = feed_setup.keeper()
    keeper.update()
    for body in (b"[]", b"<html>", b"[]"):
        later(HALF_S)
        feed_setup.server.bodies[TARGETS] = body
        assert keeper.update()
        assert feed_setup.file().read_bytes() == ONE
    later(HALF_S)
    assert keeper.update() == ""


def test_empty_answers_of_one_burst_count_once(
    feed_setup: FeedSetup, later: Callable[[float], None]
) -> None:
    """Many empty answers within half an interval do not confirm each other.

    They do not delay the confirmation either.
    """
    keeper = feed_setup.keeper()
    keeper.update()
    feed_setup.server.bodies[TARGETS] = b"[]"
    first_at = clock.now()
    for _ in range(9):
        assert "suddenly empty" in keeper.update()
        assert 0 <= keeper._next_at() - first_at - HALF_S <= 3600.0 * JITTER + LIMIT_S
        later(HALF_S / 10)
    assert feed_setup.file().read_bytes() == ONE
    later(HALF_S / 10)
    assert keeper.update() == ""


def test_a_suddenly_empty_list_is_fetched_again_soon(feed_setup: FeedSetup) -> None:
    """After an empty list, the next fetch is half an interval later, without a request."""
    keeper = feed_setup.keeper(interval_s=2.0)
    running(keeper)
    wait_until(feed_setup.file().exists, LIMIT_S, "it is fetched")
    feed_setup.server.bodies[TARGETS] = b"[]"
    wait_until(lambda: keeper.state.problem, LIMIT_S, "it is suddenly empty")
    before, since = len(feed_setup.server.requests), clock.now()
    wait_until(lambda: feed_setup.file().read_bytes() == b"[]", LIMIT_S, "it is believed")
    assert clock.now() - since >= 2.0 * EMPTY_SHARE - 0.2
    assert len(feed_setup.server.requests) == before + 1


def test_a_suddenly_empty_list_is_no_failure_of_the_request(feed_setup: FeedSetup) -> None:
    """A request that gets an empty list counts as done; the file stays, with a problem."""
    keeper = feed_setup.keeper()
    keeper.update()
    feed_setup.server.bodies[TARGETS] = b"[]"
    assert fetch_now(running(keeper)) == ""
    assert "suddenly empty" in keeper.state.problem
    assert feed_setup.file().read_bytes() == ONE


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
def test_a_refused_answer_is_no_failure_of_the_request(
    feed_setup: FeedSetup, act: Callable[[Any], None] | None, shard: str, said: str
) -> None:
    """A request whose answer cannot be used counts as done.

    Another fetch at once would bring the same answer.
    """
    keeper = feed_setup.keeper(shard=shard)
    feed_setup.server.act = act
    assert fetch_now(running(keeper)) == ""
    assert said in keeper.state.problem
    assert not feed_setup.file().exists()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (promgen.with_status(502), "HTTP 502"),
        (promgen.half_of(TWO), "missing"),
        (promgen.to_login, "redirect"),
    ],
)
@pytest.mark.usefixtures("unpaced")
def test_a_request_fails_if_a_retry_may_help(
    feed_setup: FeedSetup, act: Callable[[Any], None], said: str
) -> None:
    """A request reports a server error, an incomplete answer, and a file that is not writable."""
    feed_setup.server.act = act
    assert said in fetch_now(running(feed_setup.keeper()))
    feed_setup.server.act = None
    feed_setup.file(URLS).mkdir()
    assert str(feed_setup.file(URLS)) in fetch_now(running(feed_setup.keeper(URLS)))


def test_an_empty_list_does_not_empty_an_old_file(feed_setup: FeedSetup) -> None:
    """An empty list at the start does not empty the file of the previous run."""
    feed_setup.file().write_bytes(ONE)
    feed_setup.server.bodies[TARGETS] = b"[]"
    keeper = feed_setup.keeper()
    assert keeper.state.targets == 1
    assert keeper.update()
    assert feed_setup.file().read_bytes() == ONE


def test_targets_allow_empty_uses_an_empty_list_at_once(feed_setup: FeedSetup) -> None:
    """With --targets-allow-empty, an empty list is used at once."""
    keeper = feed_setup.keeper(allows_empty=True)
    keeper.update()
    feed_setup.server.bodies[TARGETS] = b"[]"
    assert keeper.update() == ""
    assert feed_setup.file().read_bytes() == b"[]"


def test_only_groups_of_the_shard_are_written(
    feed_setup: FeedSetup, later: Callable[[float], None]
) -> None:
    """Only the shard's groups are written; a shard without groups counts as an empty list."""
    feed_setup.server.bodies[TARGETS] = TWO
    keeper = feed_setup.keeper(shard="other")
    assert keeper.update() == ""
    assert read_answer(FileKind.TARGETS, feed_setup.file().read_bytes()).targets == 1
    feed_setup.server.bodies[TARGETS] = ONE
    assert "empty" in keeper.update()
    later(HALF_S)
    assert keeper.update() == ""
    assert read_answer(FileKind.TARGETS, feed_setup.file().read_bytes()).is_empty


def test_an_unknown_shard_is_a_problem(feed_setup: FeedSetup) -> None:
    """A shard that never had a target is a problem at every fetch, and the file stays."""
    feed_setup.server.bodies[TARGETS] = TWO
    keeper = feed_setup.keeper(shard="promshrad")
    for _ in range(3):
        problem = keeper.update()
        assert "--targets-shard" in problem
        assert "no group has the shard 'promshrad'; there are: other, promshard" in problem
        assert feed_setup.names == []
    assert keeper.state.problem == problem
    assert keeper.state.errors == {"shard": 3}
    feed_setup.file().write_bytes(ONE)
    keeper = feed_setup.keeper(shard="promshrad")
    assert [keeper.update(), keeper.update()] == [problem, problem]
    assert feed_setup.file().read_bytes() == ONE


def test_a_shard_without_targets_is_valid_after_a_restart(
    feed_setup: FeedSetup, caplog: pytest.LogCaptureFixture
) -> None:
    """If the old file has no groups, a shard without targets is logged once, and no problem."""
    feed_setup.file().write_bytes(b"[]\n")
    feed_setup.file().chmod(fetch_loop.MODE)
    feed_setup.server.bodies[TARGETS] = TWO
    keeper = feed_setup.keeper(shard="gone")
    with caplog.at_level(logging.WARNING):
        assert [keeper.update(), keeper.update()] == ["", ""]
    assert (keeper.state.problem, keeper.state.errors) == ("", {})
    assert keeper.state.last_success_time > keeper.state.last_change_time == 0
    assert feed_setup.file().read_bytes() == b"[]\n"
    (record,) = caplog.records
    assert vars(record)["reason"] == "no group has the shard 'gone'; there are: other, promshard"
    feed_setup.server.bodies[TARGETS] = promgen.targets(group("a:1", shard="gone"))
    assert keeper.update() == ""
    assert keeper.state.targets == 1


def test_an_empty_file_does_not_confirm_a_shard_elsewhere(feed_setup: FeedSetup) -> None:
    """An empty file of one feed does not confirm the shard for a feed that has targets."""
    feed_setup.file(URLS).write_bytes(b"[]\n")
    feed_setup.file().write_bytes(ONE)
    assert feed_setup.keeper(URLS, shard="promshrad").update() == ""
    assert "--targets-shard" in feed_setup.keeper(shard="promshrad").update()
    assert feed_setup.file().read_bytes() == ONE


def test_a_shard_may_have_no_targets_of_one_kind(feed_setup: FeedSetup) -> None:
    """A shard that any feed has seen since the start is known to all feeds."""
    feed_setup.server.bodies |= {TARGETS: TWO, URLS: ONE}
    urls = feed_setup.keeper(URLS, shard="other")
    assert "--targets-shard" in urls.update()
    assert feed_setup.keeper(shard="other").update() == ""
    assert [urls.update(), urls.update()] == ["", ""]
    assert read_answer(FileKind.URLS, feed_setup.file(URLS).read_bytes()).is_empty


def test_targets_allow_empty_accepts_an_unknown_shard(
    feed_setup: FeedSetup, caplog: pytest.LogCaptureFixture
) -> None:
    """With --targets-allow-empty, an unknown shard gives an empty file, and one warning."""
    keeper = feed_setup.keeper(shard="new", allows_empty=True)
    with caplog.at_level(logging.WARNING):
        assert [keeper.update(), keeper.update()] == ["", ""]
    assert read_answer(FileKind.TARGETS, feed_setup.file().read_bytes()).is_empty
    (record,) = caplog.records
    assert vars(record)["reason"] == "no group has the shard 'new'; there are: promshard"


def test_a_long_list_of_shards_is_shortened() -> None:
    """The message lists the first shards and the number of others, on one printable line."""
    assert none_of("a", ["", *"bcdefghij", *map(str, range(90))]) == (
        "no group has the shard 'a'; there are: none, without __shard, b, c, d, e, f, g, h, i, j "
        "and 90 more"
    )
    said = none_of("a\n\x1b", ["b\n\x07" * 1000] * 11)
    assert len(said) <= LONGEST
    assert said.isprintable()


def test_an_unwritable_file_is_reported(feed_setup: FeedSetup) -> None:
    """If a folder is in the place of the file, the problem names the path."""
    feed_setup.file().mkdir()
    keeper = feed_setup.keeper()
    assert str(feed_setup.file()) in keeper.update()
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


def test_a_kill_while_writing_leaves_a_complete_file(tmp_path: Path) -> None:
    """After a SIGKILL at any moment, the file and its last good copy are complete."""
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
