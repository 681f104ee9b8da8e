"""New rules of several files: one reload for those that change together, and whose fault it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import promgen
from tests.memory import Traced, collector_off
from tests.real.parts import program
from tests.support import wait_until
from wrapper.model.fetched_file import FileKind
from wrapper.model.roles import Verdict
from wrapper.supervision.reload_requests import ReloadAnswer
from wrapper.targets import rule_loader
from wrapper.targets.rule_check import RuleCheck
from wrapper.targets.rule_loader import RuleLoader, RulesRefused
from wrapper.targets.target_file import NO_RULES, Failed, FeedFile

LIMIT_S = 20.0
MODE = 0o644
GOOD, BETTER, BAD = b"groups: [] # good\n", b"groups: [] # better\n", b"groups: [] # bad\n"
NAMES = ("a.yml", "b.yml", "c.yml")


@dataclass
class Judge:
    """In Prometheus' place: reads the files, refuses where one is bad; ``act`` answers instead.

    ``hidden`` counts refusals that follow another: by signal, Prometheus' metric does not turn.
    """

    folder: Path
    hidden: int = 0
    is_refusing: bool = False
    asked: list[bool] = field(default_factory=list)
    loaded: dict[str, bytes] = field(default_factory=dict)
    act: Callable[[], ReloadAnswer] | None = None

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Answer."""
        self.asked.append(has_changed_files)
        if self.act is not None:
            return self.act()
        found, was_refusing = self.files, self.is_refusing
        self.is_refusing = BAD in found.values()
        if self.is_refusing:
            self.hidden += was_refusing
            return ReloadAnswer(Verdict.REFUSED, "one is bad")
        self.loaded = found
        return ReloadAnswer(Verdict.LOADED)

    @property
    def files(self) -> dict[str, bytes]:
        """What lies there for Prometheus."""
        return {path.name: path.read_bytes() for path in self.folder.glob("[!.]*.yml")}


@dataclass
class Loads:
    """Files that are loaded together; ``results`` has what became of each."""

    judge: Judge
    loads: RuleLoader
    results: dict[str, bool | Exception] = field(default_factory=dict)

    def begin(self, **contents: bytes) -> list[threading.Thread]:
        """Have each file changed by a thread of its own."""
        threads = [
            threading.Thread(target=self._load, args=(f"{name}.yml", data), daemon=True)
            for name, data in contents.items()
        ]
        for thread in threads:
            thread.start()
        return threads

    def together(self, **contents: bytes) -> None:
        """Have all files changed while the turn is another's, and wait for what becomes of it."""
        self.results.clear()
        with self.loads._load_lock:
            threads = self.begin(**contents)
            gathering = self.loads._gathering
            wait_until(lambda: len(gathering) == len(contents), LIMIT_S, "all have come")
        for thread in threads:
            thread.join(LIMIT_S)

    def _load(self, name: str, data: bytes) -> None:
        file = FeedFile(str(self.judge.folder / name), FileKind.RULES, 1 << 20)
        try:
            self.results[name] = self.loads.load(file, data, MODE)
        except Exception as error:  # noqa: BLE001 - it is looked at
            self.results[name] = error

    def reason(self, name: str) -> str:
        """Return why a file's rules are not in force."""
        error = self.results[name]
        assert isinstance(error, Failed)
        return error.reason

    @property
    def beside(self) -> list[Path]:
        """The last good ones, which lie there until new ones are in force."""
        return sorted(self.judge.folder.glob(".*"))


@pytest.fixture
def all_good(tmp_path: Path) -> Loads:
    """Give three files that are in force."""
    judge = Judge(tmp_path)
    given = Loads(judge, RuleLoader(judge, quiet_s=0.0))
    given.together(a=GOOD, b=GOOD, c=GOOD)
    assert given.results == dict.fromkeys(NAMES, True)
    assert judge.loaded == dict.fromkeys(NAMES, GOOD)
    judge.asked.clear()
    return given


def test_files_that_change_together_are_one_reload(all_good: Loads) -> None:
    """And what has not changed takes none."""
    all_good.together(a=BETTER, b=BETTER, c=BETTER)
    assert all_good.judge.asked == [True]
    assert all_good.judge.loaded == dict.fromkeys(NAMES, BETTER)
    assert all_good.beside == []
    for thread in all_good.begin(a=BETTER):
        thread.join(LIMIT_S)
    assert all_good.results["a.yml"] is False
    assert all_good.judge.asked == [True]


def test_whoever_asks_for_a_reload_meanwhile_is_told_whose_a_refusal_is(all_good: Loads) -> None:
    """While new rules are not known to be loaded, it says nothing about the configuration."""
    judge, found = all_good.judge, []

    def refuse_once() -> ReloadAnswer:
        judge.act = None
        found.append(all_good.loads.reload())
        return ReloadAnswer(Verdict.REFUSED, "one is bad")

    judge.act = refuse_once
    all_good.together(a=BAD)
    assert all_good.reason("a.yml") == "refused"
    assert found == [ReloadAnswer(Verdict.REFUSED, "one is bad")]
    all_good.loads.reload()
    assert judge.asked == [True, True, False, False]


@pytest.mark.parametrize("verdict", [Verdict.LOADED, Verdict.UNCONFIRMED])
def test_what_is_not_refused_is_held_against_nobody(all_good: Loads, verdict: Verdict) -> None:
    """Loaded, or never heard of: the next refusal is about something else."""
    all_good.judge.act = lambda: ReloadAnswer(verdict)
    all_good.together(a=BETTER)
    all_good.loads.reload()
    assert all_good.judge.asked == [True, False]


def test_the_first_waits_for_others(tmp_path: Path) -> None:
    """With nobody's turn before, those that come within the quiet time are one reload."""
    judge = Judge(tmp_path)
    given = Loads(judge, RuleLoader(judge, quiet_s=1.0))
    for thread in given.begin(a=GOOD, b=GOOD):
        thread.join(LIMIT_S)
    assert judge.asked == [True]
    assert judge.loaded == {"a.yml": GOOD, "b.yml": GOOD}


def test_nobody_waits_for_others_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst that does not end is loaded all the same."""
    monkeypatch.setattr(rule_loader, "BURST_S", 0.5)
    judge = Judge(tmp_path)
    given = Loads(judge, RuleLoader(judge, quiet_s=0.2))
    number = 0
    while not given.results and number < LIMIT_S / 0.05:
        given.begin(**{f"file-{number}": GOOD})
        number += 1
        time.sleep(0.05)
    assert judge.asked[:1] == [True]
    assert given.results
    wait_until(lambda: len(given.results) == number, LIMIT_S, "the others follow")


@pytest.mark.parametrize("bad", NAMES)
def test_one_that_is_refused_keeps_no_other_out(all_good: Loads, bad: str) -> None:
    """It alone is blamed and put back; the others are in force."""
    changes = {name.partition(".")[0]: BAD if name == bad else BETTER for name in NAMES}
    all_good.together(**changes)
    assert isinstance(all_good.results.pop(bad), RulesRefused)
    assert set(all_good.results.values()) == {True}
    expected = {name: GOOD if name == bad else BETTER for name in NAMES}
    assert all_good.judge.loaded == all_good.judge.files == expected
    assert all_good.beside == []
    assert all_good.judge.hidden == 0


NONSENSE = promgen.rules("up ==== (")


@pytest.mark.parametrize("is_judge", [True, False], ids=["as a judge", "to explain"])
def test_promtool_names_the_rule(tmp_path: Path, is_judge: bool) -> None:
    """Before Prometheus is given it, or of what that has refused: both times it is blamed."""
    judge = Judge(tmp_path)
    judge.act = lambda: ReloadAnswer(
        [Verdict.REFUSED, Verdict.LOADED][len(judge.asked) - 1], "said no"
    )
    check = RuleCheck(program("promtool"), is_judge=is_judge)
    given = Loads(judge, RuleLoader(judge, check, quiet_s=0.0))
    given.together(a=NONSENSE)
    error = given.results["a.yml"]
    assert isinstance(error, RulesRefused)
    assert 'group "promgen", rule 1, "Down": could not parse expression' in str(error)
    assert judge.asked == ([] if is_judge else [True, False])


def test_without_an_explanation_prometheus_own_words_are_told(tmp_path: Path) -> None:
    """A promtool that is not there, or has nothing against the rules."""
    for number, name in enumerate((str(tmp_path / "none"), program("promtool"))):
        judge = Judge(tmp_path)
        given = Loads(judge, RuleLoader(judge, RuleCheck(name, is_judge=False), quiet_s=0.0))
        judge.is_refusing = False
        given.together(**{f"f{number}": BAD})
        error = given.results[f"f{number}.yml"]
        assert isinstance(error, RulesRefused)
        assert f"Prometheus refused {tmp_path}/f{number}.yml" in str(error)
        assert str(error).endswith("one is bad")


def test_all_may_be_refused(all_good: Loads) -> None:
    """Each is blamed, and what was there is in force."""
    all_good.together(a=BAD, b=BAD, c=BAD)
    assert [type(each) for each in all_good.results.values()] == [RulesRefused] * 3
    assert all_good.judge.loaded == all_good.judge.files == dict.fromkeys(NAMES, GOOD)
    assert all_good.beside == []
    assert all_good.judge.hidden == 0


def test_none_is_blamed_for_what_lies_beside_them(all_good: Loads) -> None:
    """Another file that somebody spoiled: all are put back, and may be tried again."""
    (all_good.judge.folder / "other.yml").write_bytes(BAD)
    all_good.together(a=BETTER, b=BETTER)
    assert {type(each) for each in all_good.results.values()} == {Failed}
    assert all_good.reason("a.yml") == "refused"
    assert all_good.judge.asked == [True, False]
    (all_good.judge.folder / "other.yml").write_bytes(GOOD)
    all_good.together(a=BETTER, b=BETTER)
    assert set(all_good.results.values()) == {True}


def test_one_that_cannot_be_written_keeps_no_other_out(all_good: Loads) -> None:
    """It says so; the rest is one reload."""
    (all_good.judge.folder / ".b.yml.good").mkdir()
    (all_good.judge.folder / "b.yml").unlink()
    (all_good.judge.folder / "b.yml").mkdir()
    all_good.judge.act = lambda: ReloadAnswer(Verdict.LOADED)
    all_good.together(a=BETTER, b=BETTER, c=BETTER)
    assert all_good.reason("b.yml") == "write"
    assert all_good.results["a.yml"] is all_good.results["c.yml"] is True
    assert all_good.judge.asked == [True]


def test_what_is_not_confirmed_is_loaded_at_the_next_round(all_good: Loads) -> None:
    """The last good ones stay beside all of them meanwhile, for a start in between."""
    all_good.judge.act = lambda: ReloadAnswer(Verdict.UNCONFIRMED)
    all_good.together(a=BETTER, b=BETTER)
    assert all_good.reason("a.yml") == all_good.reason("b.yml") == "unconfirmed"
    assert [path.name for path in all_good.beside] == [".a.yml.good", ".b.yml.good"]
    all_good.judge.act = None
    all_good.together(a=BETTER, b=BETTER)
    assert set(all_good.results.values()) == {True}, "what came is in force only now"
    assert all_good.judge.asked == [True, True]
    assert all_good.beside == []


def test_while_prometheus_starts_no_new_rules_come(all_good: Loads) -> None:
    """With bad ones it would not; neither before it is ready, nor once it is not any more."""
    obstacles = ["", "", *["503"] * 4]
    all_good.loads._obstacle = lambda: obstacles.pop(0)
    all_good.judge.act = lambda: ReloadAnswer(Verdict.UNCONFIRMED)
    for _ in range(2):
        all_good.together(a=BAD, b=BAD)
        assert all_good.reason("a.yml") == all_good.reason("b.yml") == "not_ready"
        assert all_good.judge.files == dict.fromkeys(NAMES, GOOD)
    assert all_good.judge.asked == [True]


def test_rules_that_were_not_confirmed_make_way_for_a_start(all_good: Loads) -> None:
    """Prometheus hung, and is started again by others before the next round."""
    all_good.judge.act = lambda: ReloadAnswer(Verdict.UNCONFIRMED)
    all_good.together(a=BAD)
    assert all_good.judge.files["a.yml"] == BAD
    all_good.loads._obstacle = lambda: "503"
    all_good.together(a=BAD)
    assert all_good.reason("a.yml") == "not_ready"
    assert all_good.judge.files["a.yml"] == GOOD
    all_good.loads._obstacle = lambda: ""
    all_good.judge.act, all_good.judge.loaded = None, {"a.yml": BETTER}
    all_good.together(a=GOOD)
    assert all_good.judge.loaded["a.yml"] == GOOD, "it may have loaded the others after all"
    assert all_good.beside == []


def test_what_comes_during_a_reload_has_the_next(tmp_path: Path) -> None:
    """It is not even written before: a refusal could not be told apart."""
    gate, judge = threading.Event(), Judge(tmp_path)
    given = Loads(judge, RuleLoader(judge, quiet_s=0.0))

    def late() -> ReloadAnswer:
        gate.wait(LIMIT_S)
        judge.act = None
        return ReloadAnswer(Verdict.LOADED)

    judge.act = late
    given.begin(a=GOOD)
    wait_until(lambda: judge.asked, LIMIT_S, "the first reload is under way")
    given.begin(b=GOOD, c=GOOD)
    wait_until(lambda: len(given.loads._gathering) == 2, LIMIT_S, "others have come")
    assert set(judge.files) == {"a.yml"}
    gate.set()
    wait_until(lambda: len(given.results) == 3, LIMIT_S, "all are done")
    assert judge.asked == [True, True]
    assert judge.loaded == dict.fromkeys(NAMES, GOOD)


def test_what_nobody_foresaw_is_told_to_all(all_good: Loads) -> None:
    """Nobody waits for ever for the one who does their work."""

    def fail() -> ReloadAnswer:
        raise ZeroDivisionError

    all_good.judge.act = fail
    all_good.together(a=BETTER, b=BETTER)
    assert {type(each) for each in all_good.results.values()} == {ZeroDivisionError}


def test_new_files_that_are_refused_leave_none(tmp_path: Path) -> None:
    """A file without groups takes their place, which every Prometheus loads."""
    judge = Judge(tmp_path)
    given = Loads(judge, RuleLoader(judge, quiet_s=0.0))
    given.together(a=BAD, b=GOOD)
    assert judge.loaded == judge.files == {"a.yml": NO_RULES, "b.yml": GOOD}


def fail_unexpectedly() -> ReloadAnswer:
    """Raise what nobody foresaw."""
    raise ZeroDivisionError


@pytest.mark.parametrize("act", [None, fail_unexpectedly], ids=["refused", "unexpected"])
@pytest.mark.parametrize("others", [{}, {"b": BETTER, "c": BAD}], ids=["alone", "with others"])
def test_failed_rules_do_not_stay_in_memory(
    all_good: Loads, act: Callable[[], ReloadAnswer] | None, others: dict[str, bytes]
) -> None:
    """MiBs would stay until the garbage collector runs."""
    all_good.judge.act = act
    rules = Traced(BAD)
    are_gone = rules.trace()
    with collector_off():
        all_good.together(a=rules, **others)
        assert isinstance(all_good.results["a.yml"], Exception)
        all_good.results.clear()
        del rules
        wait_until(are_gone, LIMIT_S, "the rules are freed")
