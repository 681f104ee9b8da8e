"""Files kept as a Promgen-like server says: what changes them, what does not, what is told."""

from __future__ import annotations

import errno
import logging
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import promgen
from tests.promgen import RULES, TARGETS, URLS, Promgen, group
from tests.support import wait_until
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base import clock
from wrapper.base.shown_text import LONGEST
from wrapper.model.events import Event, FeedReported
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.model.roles import Verdict
from wrapper.options.settings import FeedTerms
from wrapper.supervision.reload_requests import ReloadAnswer
from wrapper.targets import fetch_loop, fetch_pacing
from wrapper.targets.answer_check import EMPTY_SHARE, read_answer
from wrapper.targets.broker import missing_for
from wrapper.targets.fetch import Fetcher
from wrapper.targets.fetch_loop import JITTER, FeedKeeper, FetchParts
from wrapper.targets.fetch_requests import FetchRequest
from wrapper.targets.promgen_task import BadTask, Task
from wrapper.targets.rule_loads import RuleLoads
from wrapper.targets.shard_names import ShardCheck, none_of
from wrapper.targets.target_file import NO_RULES, unsettled_in
from wrapper.targets.task_dispatch import TaskDispatch

LIMIT_S = 20.0
ONE, TWO = promgen.targets(group("a:1")), promgen.targets(group("a:1"), group("b:1", shard="other"))
MOST = 1 << 20
OUTPUT = "--output={}/out.yml"

AMBIGUOUS = ReloadAnswer(Verdict.REFUSED, "so it says", is_ambiguous=True)


@dataclass
class Reloads:
    """In Prometheus' place: what it makes of each reload, in turn; the last one stays."""

    verdicts: list[Verdict | ReloadAnswer] = field(default_factory=lambda: [Verdict.LOADED])
    asked: list[bool] = field(default_factory=list)

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Answer."""
        self.asked.append(has_changed_files)
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, ReloadAnswer):
            return verdict
        return ReloadAnswer(verdict, "" if verdict is Verdict.LOADED else "so it says")


@dataclass
class Kept:
    """A file, its server, and what keeps it."""

    server: Promgen
    folder: Path
    reloads: Reloads = field(default_factory=Reloads)
    events: list[Event] = field(default_factory=list)
    keepers: list[FeedKeeper] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)
    shards: ShardCheck = field(default_factory=ShardCheck)

    def __post_init__(self) -> None:
        self.rules = RuleLoads(self.reloads, quiet_s=0.0)

    def keeper(self, api: str = TARGETS, **terms: Any) -> FeedKeeper:
        """Return what keeps the file of one of Promgen's paths."""
        return self.keeper_of(Feed(f"{self.server.url}{api}", str(self.file(api))), **terms)

    def keeper_of(self, feed: Feed, **terms: Any) -> FeedKeeper:
        """Return what keeps this feed."""
        values: dict[str, Any] = {
            "interval_s": 3600.0,
            "shard": "",
            "allows_empty": False,
            "largest": MOST,
        }
        fetcher = Fetcher(PrometheusAccess(is_proxied=True), LIMIT_S, MOST)
        parts = FetchParts(fetcher, self.rules, self.events.append, self.ready, self.shards)
        keeper = FeedKeeper(feed, FeedTerms(**values | terms), parts)
        keeper._look_at_file()
        self.keepers.append(keeper)
        return keeper

    def file(self, api: str = TARGETS) -> Path:
        """Return the file of one of Promgen's paths."""
        return self.folder / f"{api.rpartition('/')[2]}.{'yml' if api == RULES else 'json'}"

    @property
    def names(self) -> list[str]:
        """The files in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Give a folder and a server with good answers."""
    server = Promgen()
    server.bodies = {TARGETS: ONE, URLS: ONE, RULES: promgen.rules()}
    given = Kept(server, tmp_path)
    given.ready.set()
    yield given
    for keeper in given.keepers:
        keeper.end()
    server.close()


# --- targets --------------------------------------------------------------------------------------


def test_the_file_is_what_came(kept: Kept) -> None:
    """Byte for byte, readable by all, and nothing else lies beside it."""
    keeper = kept.keeper()
    assert keeper.bring() == ""
    assert kept.file().read_bytes() == ONE
    assert kept.file().stat().st_mode & 0o777 == 0o644
    assert (keeper.state.groups, keeper.state.targets) == (1, 1)
    assert keeper.state.last_success_time == keeper.state.last_change_time > 0
    assert kept.names == ["targets.json"]
    assert kept.reloads.asked == []


def test_unchanged_bytes_are_not_written(kept: Kept) -> None:
    """Neither where the server says so, nor where it sends them all again."""
    keeper = kept.keeper()
    keeper.bring()
    before = kept.file().stat()
    changed_at = keeper.state.last_change_time
    assert keeper.bring() == ""
    kept.server.act = lambda to: promgen.answer(to, ONE)
    keeper._validators = type(keeper._validators)()
    assert keeper.bring() == ""
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
    keeper.bring()
    spoil(kept.file())
    assert keeper.bring() == ""
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
    keeper.bring()
    kept.server.act = act
    assert keeper.bring() == keeper.bring() == keeper.state.problem
    assert kept.file().read_bytes() == ONE
    assert keeper.state.errors == {reason: 2}
    kept.server.act, kept.server.bodies[TARGETS] = None, TWO
    assert keeper.bring() == keeper.state.problem == ""
    assert kept.file().read_bytes() == TWO
    assert keeper.state.errors == {reason: 2}


def test_what_a_server_says_is_cut_and_made_printable(kept: Kept) -> None:
    """A reason phrase without end, with a terminal's commands and half a character."""
    said = b"HTTP/1.1 500 \x1b[2J\xed\xa0\x80" + b"x" * 5000
    kept.server.act = lambda to: to.wfile.write(said + b"\r\nContent-Length: 0\r\n\r\n")
    keeper = kept.keeper()
    assert keeper.bring() == keeper.state.problem
    assert len(keeper.state.problem) <= 300
    assert keeper.state.problem.isprintable()


@pytest.fixture
def unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have everybody answered at once, where that is not the matter."""
    monkeypatch.setattr(fetch_pacing, "APART_S", 0.0)


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
    keeper.bring()
    for body in (b"[]", ONE, b"[]"):
        later(HALF_S)
        kept.server.bodies[TARGETS] = body
        assert bool(keeper.bring()) is (body == b"[]")
        assert kept.file().read_bytes() == ONE
    later(HALF_S)
    assert keeper.bring() == ""
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
        assert keeper.bring(requests) == ""
        assert keeper.unasked_changes == count
    kept.file().write_bytes(ONE)
    assert keeper.bring() == ""
    assert kept.file().read_bytes() == TWO
    assert keeper.unasked_changes == 2


def test_an_empty_list_counts_twice_in_a_row_only(
    kept: Kept, later: Callable[[float], None]
) -> None:
    """A failure between the two starts anew: a server in trouble says many things."""
    keeper = kept.keeper()
    keeper.bring()
    for body in (b"[]", b"<html>", b"[]"):
        later(HALF_S)
        kept.server.bodies[TARGETS] = body
        assert keeper.bring()
        assert kept.file().read_bytes() == ONE
    later(HALF_S)
    assert keeper.bring() == ""


def test_empty_answers_of_one_burst_count_once(kept: Kept, later: Callable[[float], None]) -> None:
    """Any number of tasks, nearly half an interval long; they do not put off the end either."""
    keeper = kept.keeper()
    keeper.bring()
    kept.server.bodies[TARGETS] = b"[]"
    first_at = clock.now()
    for _ in range(9):
        assert "suddenly empty" in keeper.bring()
        assert 0 <= keeper._next_at() - first_at - HALF_S <= 3600.0 * JITTER + LIMIT_S
        later(HALF_S / 10)
    assert kept.file().read_bytes() == ONE
    later(HALF_S / 10)
    assert keeper.bring() == ""


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
    keeper.bring()
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
    assert keeper.bring()
    assert kept.file().read_bytes() == ONE


def test_an_empty_list_is_believed_where_that_is_allowed(kept: Kept) -> None:
    """--targets-allow-empty."""
    keeper = kept.keeper(allows_empty=True)
    keeper.bring()
    kept.server.bodies[TARGETS] = b"[]"
    assert keeper.bring() == ""
    assert kept.file().read_bytes() == b"[]"


def test_only_a_shards_groups_are_written(kept: Kept, later: Callable[[float], None]) -> None:
    """A shard that has lost its last target is a list that is suddenly empty."""
    kept.server.bodies[TARGETS] = TWO
    keeper = kept.keeper(shard="other")
    assert keeper.bring() == ""
    assert read_answer(FileKind.TARGETS, kept.file().read_bytes()).targets == 1
    kept.server.bodies[TARGETS] = ONE
    assert "empty" in keeper.bring()
    later(HALF_S)
    assert keeper.bring() == ""
    assert read_answer(FileKind.TARGETS, kept.file().read_bytes()).is_empty


def test_a_shard_that_never_had_a_target_counts_as_mistyped(kept: Kept) -> None:
    """However often it comes, and whether or not there is a file: that stays as it is."""
    kept.server.bodies[TARGETS] = TWO
    keeper = kept.keeper(shard="promshrad")
    for _ in range(3):
        problem = keeper.bring()
        assert "--targets-shard" in problem
        assert "no group has the shard 'promshrad'; there are: other, promshard" in problem
        assert kept.names == []
    assert keeper.state.problem == problem
    assert keeper.state.errors == {"shard": 3}
    kept.file().write_bytes(ONE)
    keeper = kept.keeper(shard="promshrad")
    assert [keeper.bring(), keeper.bring()] == [problem, problem]
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
        assert [keeper.bring(), keeper.bring()] == ["", ""]
    assert (keeper.state.problem, keeper.state.errors) == ("", {})
    assert keeper.state.last_success_time > keeper.state.last_change_time == 0
    assert kept.file().read_bytes() == b"[]\n"
    (record,) = caplog.records
    assert vars(record)["reason"] == "no group has the shard 'gone'; there are: other, promshard"
    kept.server.bodies[TARGETS] = promgen.targets(group("a:1", shard="gone"))
    assert keeper.bring() == ""
    assert keeper.state.targets == 1


def test_a_file_without_targets_of_a_shard_does_not_speak_for_another(kept: Kept) -> None:
    """The one that has targets stays: for it the shard may still be mistyped."""
    kept.file(URLS).write_bytes(b"[]\n")
    kept.file().write_bytes(ONE)
    assert kept.keeper(URLS, shard="promshrad").bring() == ""
    assert "--targets-shard" in kept.keeper(shard="promshrad").bring()
    assert kept.file().read_bytes() == ONE


def test_a_shard_may_have_no_targets_of_one_kind(kept: Kept) -> None:
    """What any feed has seen of it since the start counts for all; the log says so once."""
    kept.server.bodies |= {TARGETS: TWO, URLS: ONE}
    urls = kept.keeper(URLS, shard="other")
    assert "--targets-shard" in urls.bring()
    assert kept.keeper(shard="other").bring() == ""
    assert [urls.bring(), urls.bring()] == ["", ""]
    assert read_answer(FileKind.URLS, kept.file(URLS).read_bytes()).is_empty


def test_a_shard_without_targets_is_believed_where_that_is_allowed(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """--targets-allow-empty; a warning names the shards that there are, once."""
    keeper = kept.keeper(shard="new", allows_empty=True)
    with caplog.at_level(logging.WARNING):
        assert [keeper.bring(), keeper.bring()] == ["", ""]
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
    assert str(kept.file()) in keeper.bring()
    assert keeper.state.errors == {"write": 1}


# --- rules ----------------------------------------------------------------------------------------


def test_changed_rules_are_loaded_and_unchanged_are_not(kept: Kept) -> None:
    """One reload for a change, and nothing is left beside the file."""
    keeper = kept.keeper(RULES)
    for _ in range(3):
        assert keeper.bring() == ""
    assert kept.reloads.asked == [True]
    assert kept.names == ["rules.yml"]


def test_refused_rules_make_room_for_the_last_good_ones(kept: Kept) -> None:
    """They are put back and loaded, and the refused ones are not tried again; newer ones are."""
    keeper = kept.keeper(RULES)
    keeper.bring()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("nonsense (")
    for _ in range(3):
        assert "so it says" in keeper.bring()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert kept.reloads.asked == [True, True, False]
    assert kept.names == ["rules.yml"]
    assert keeper.state.errors == {"refused": 3}
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.bring() == ""
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
    monkeypatch.setattr(fetch_loop, "BLAME_S", 0.0)
    keeper = kept.keeper(RULES)
    keeper.bring()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert "so it says" in keeper.bring()
    assert keeper.bring() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


def test_refused_rules_without_any_before_leave_none(kept: Kept) -> None:
    """A file without groups takes their place, which every Prometheus loads."""
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.LOADED]
    assert kept.keeper(RULES).bring()
    assert kept.file(RULES).read_bytes() == NO_RULES


def test_rules_are_not_blamed_where_the_old_are_refused_as_well(kept: Kept) -> None:
    """The reason lies elsewhere, so that they are tried again."""
    keeper = kept.keeper(RULES)
    keeper.bring()
    kept.reloads.verdicts = [Verdict.REFUSED, Verdict.REFUSED, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.bring()
    assert keeper.state.errors == {"refused": 1}
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert keeper.bring() == ""
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
    keeper.bring()
    kept.reloads.verdicts = [*verdicts, Verdict.LOADED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.bring()
    assert kept.file(RULES).read_bytes() == promgen.rules()
    assert keeper.bring() == ""
    assert kept.file(RULES).read_bytes() == promgen.rules("up")


def test_rules_that_are_not_confirmed_are_loaded_at_the_next_round(kept: Kept) -> None:
    """The last good ones are kept meanwhile, for a start in between."""
    kept.file(RULES).write_bytes(NO_RULES)
    kept.reloads.verdicts = [Verdict.UNCONFIRMED, Verdict.LOADED]
    keeper = kept.keeper(RULES)
    assert keeper.bring()
    assert keeper.state.errors == {"unconfirmed": 1}
    assert kept.names == [".rules.yml.good", "rules.yml"]
    assert keeper.state.last_change_time == 0
    assert keeper.bring() == ""
    assert keeper.state.last_change_time > 0
    assert kept.reloads.asked == [True, True]
    assert kept.names == ["rules.yml"]


def test_a_start_puts_unconfirmed_rules_aside(kept: Kept) -> None:
    """Prometheus starts with the last good ones: it would not start with broken ones."""
    kept.file(RULES).write_bytes(promgen.rules())
    kept.reloads.verdicts = [Verdict.UNCONFIRMED]
    kept.server.bodies[RULES] = promgen.rules("nonsense (")
    keeper = kept.keeper(RULES)
    keeper.bring()
    assert list(unsettled_in(kept.folder)) == [], "somebody is about it"
    keeper._file._let_go()  # as its end does
    for file in unsettled_in(kept.folder):
        file.put_back()
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
    assert keeper.bring() == ""
    kept.reloads.verdicts = [Verdict.UNCONFIRMED]
    kept.server.bodies[RULES] = promgen.rules("up")
    assert keeper.bring()
    for file in unsettled_in(kept.folder):
        file.put_back()
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


# --- when it is asked to --------------------------------------------------------------------------


def running(keeper: FeedKeeper) -> FeedKeeper:
    """Start its thread."""
    threading.Thread(target=keeper.run, daemon=True).start()
    return keeper


def done_by(keeper: FeedKeeper) -> str:
    """Have it fetched; return what is told."""
    told = list[str]()
    keeper.ask(None, told.append)
    wait_until(lambda: told, LIMIT_S, "it is told")
    return told[0]


@pytest.mark.usefixtures("unpaced")
def test_rules_wait_until_prometheus_has_been_ready(kept: Kept) -> None:
    """Targets do not; who asks for rules is told afterwards."""
    kept.ready.clear()
    told = list[str]()
    running(kept.keeper(RULES)).ask(None, told.append)
    assert done_by(running(kept.keeper())) == ""
    assert kept.names == ["targets.json"]
    assert not told
    kept.ready.set()
    wait_until(lambda: told == [""], LIMIT_S, "they are fetched")
    assert kept.file(RULES).exists()


def test_many_who_ask_at_once_are_one_fetch(kept: Kept) -> None:
    """All get the answer of a fetch that began after they asked."""
    keeper, gate, told = kept.keeper(), threading.Event(), list[str]()

    def answer_late(to: Any) -> None:
        gate.wait(LIMIT_S)
        promgen.answer(to, ONE)

    kept.server.act = answer_late
    running(keeper)
    wait_until(lambda: kept.server.requests, LIMIT_S, "the first fetch is under way")
    for _ in range(50):
        keeper.ask(0o600, told.append)
    gate.set()
    wait_until(lambda: len(told) == 50, LIMIT_S, "all are told")
    assert told == [""] * 50
    assert len(kept.server.requests) == 2
    assert kept.file().stat().st_mode & 0o777 == 0o600
    assert [type(event) for event in kept.events] == [FeedReported] * 2


def test_who_asks_is_told_what_went_wrong(kept: Kept) -> None:
    """And it is tried again soon, long before the interval has passed."""
    keeper, told = kept.keeper(interval_s=0.05), list[str]()
    kept.server.act = promgen.with_status(500)
    keeper.ask(None, told.append)
    running(keeper)
    wait_until(lambda: told, LIMIT_S, "it is told")
    assert "HTTP 500" in told[0]
    kept.server.act = None
    wait_until(kept.file().exists, LIMIT_S, "it is tried again")


def test_those_who_ask_again_and_again_are_paced(kept: Kept) -> None:
    """Each answer makes somebody ask, as a Promgen does that saves many objects; none is lost."""
    keeper, told = running(kept.keeper()), list[str]()
    wait_until(lambda: kept.events, LIMIT_S, "the first fetch is over")
    ends = clock.now() + 4 * fetch_pacing.APART_S

    def answer(to: Any) -> None:
        promgen.answer(to, ONE if clock.now() < ends else TWO)
        if clock.now() < ends:
            keeper.ask(None, told.append)

    kept.server.act = answer
    keeper.ask(None, told.append)
    wait_until(lambda: clock.now() >= ends, LIMIT_S, "the burst ends")
    keeper.ask(None, told.append)
    wait_until(
        lambda: kept.file().read_bytes() == TWO, fetch_pacing.APART_S + 1.0, "the end is there"
    )
    assert len(kept.server.requests) <= 1 + 5
    wait_until(lambda: len(told) == len(kept.server.requests), LIMIT_S, "all are told")


def desk(kept: Kept, *feeds: Feed) -> TaskDispatch:
    """Return a desk for the usual three, or these."""
    usual = [Feed(f"{kept.server.url}{api}", str(kept.file(api))) for api in (TARGETS, URLS, RULES)]
    return TaskDispatch(
        feeds or usual,
        lambda feed: running(kept.keeper_of(feed)),
        {},
        lambda path: path.name == "taken.yml",
    )


def done_with(at: TaskDispatch, task: Task) -> list[str]:
    """Have a task done; return what was told of its parts."""
    told = list[str]()
    parts = at.begin(task, told.append)
    wait_until(lambda: len(told) == parts, LIMIT_S, "the task is done")
    return told


@pytest.mark.parametrize(
    ("kind", "api"), [(FileKind.TARGETS, TARGETS), (FileKind.URLS, URLS), (FileKind.RULES, RULES)]
)
@pytest.mark.usefixtures("unpaced")
def test_a_task_is_about_the_files_of_its_kind(kept: Kept, kind: FileKind, api: str) -> None:
    """Its own file is fetched, once more than at the start; the others are not."""
    at = desk(kept)
    wait_until(lambda: len(kept.names) >= 3, LIMIT_S, "all three are there")
    assert done_with(at, Task(kind)) == [""]
    wait_until(lambda: len(kept.server.requests) == 4, LIMIT_S, "one more fetch")
    assert kept.server.requests[-1][0] == api


@pytest.mark.usefixtures("unpaced")
def test_a_task_may_make_a_new_file_beside_the_others(kept: Kept) -> None:
    """It is fetched from where that kind is, and kept from then on."""
    at, path = desk(kept), kept.folder / "new.json"
    for _ in range(2):
        assert done_with(at, Task(FileKind.URLS, str(path))) == [""]
    assert path.read_bytes() == ONE


def test_a_task_makes_no_other_file(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Outside of the folders, through links, in the place of what is no feed's: nothing."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (kept.folder / "link").symlink_to(elsewhere)
    (kept.folder / "dangling.json").symlink_to(elsewhere / "x.json")
    (kept.folder / "prometheus.yml").write_text("mine")
    at = desk(kept)
    for kind, path, said in (
        (FileKind.TARGETS, elsewhere / "x.json", "not in a folder"),
        (FileKind.TARGETS, kept.folder / ".." / elsewhere.name / "x.json", "not in a folder"),
        (FileKind.TARGETS, kept.folder / "link/x.json", "not in a folder"),
        (FileKind.TARGETS, kept.folder / "sub/x.json", "not in a folder"),
        (FileKind.TARGETS, kept.folder / "dangling.json", "not a feed's"),
        (FileKind.RULES, kept.folder / "prometheus.yml", "not a feed's"),
        (FileKind.RULES, kept.folder / ".rules.yml.good", r"named \*.yml"),
        (FileKind.RULES, kept.folder / "x.json", r"named \*.yml"),
        (FileKind.TARGETS, kept.folder / "x.yml", r"named \*.json"),
        (FileKind.RULES, kept.folder / "taken.yml", "is the configuration"),
        (FileKind.TARGETS, kept.file(URLS), "holds urls, not targets"),
    ):
        with pytest.raises(BadTask, match=said):
            at.begin(Task(kind, str(path)), lambda _problem: None)
    assert (kept.folder / "prometheus.yml").read_text() == "mine"
    assert list(elsewhere.iterdir()) == []


def test_a_task_for_what_no_feed_brings_is_none(kept: Kept) -> None:
    """Only targets are kept: rules have nowhere to come from."""
    at = desk(kept, Feed(f"{kept.server.url}{TARGETS}", str(kept.file())))
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
            "none.yml: No such file",
        ),
        (
            ("--targets-url=http://p/={}/t.json", "--targets-http-config={}/prometheus.yml"),
            "prometheus.yml:1:1",
        ),
    ],
)
def test_what_would_keep_files_from_being_fetched_is_told_at_the_start(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Exit status 2, with the cure, before Prometheus is started."""
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
    """What is not installed is told at the start, with the cure; nothing is imported for it."""
    assert missing_for(url) == ""
    monkeypatch.setitem(sys.modules, package, None)
    assert missing_for(url) == (
        f"{package} is not installed; install prometheus-elector with it: "
        "pip install 'prometheus-elector[promgen]'"
    )


# --- killed at any moment -------------------------------------------------------------------------

WRITING = """
import itertools, sys
from wrapper.model.fetched_file import FileKind
from wrapper.targets.target_file import FeedFile

file = FeedFile(sys.argv[1], FileKind.RULES, 1 << 30)
contents = [open(path, "rb").read() for path in sys.argv[2:]]
print("begins", flush=True)
for content in itertools.cycle(contents):
    file.keep(0o644)
    file.bring(content, 0o644)
    file.settle()
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
            file.put_back()
        assert path.read_bytes() in contents
