"""New rules of several files: they share a reload, and refused files are identified."""

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
class FakePrometheus:
    """A replacement for Prometheus: it refuses all files if one is bad; ``act`` overrides this.

    ``hidden`` counts refusals after a refusal: after a signal, the metric then does not change.
    """

    folder: Path
    hidden: int = 0
    is_refusing: bool = False
    asked: list[bool] = field(default_factory=list)
    loaded: dict[str, bytes] = field(default_factory=dict)
    act: Callable[[], ReloadAnswer] | None = None

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Return the result of a reload."""
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
        """The contents of the files that Prometheus would read."""
        return {path.name: path.read_bytes() for path in self.folder.glob("[!.]*.yml")}


@dataclass
class RuleFiles:
    """Files that are loaded together; ``results`` has the result for each."""

    prometheus: FakePrometheus
    loads: RuleLoader
    results: dict[str, bool | Exception] = field(default_factory=dict)

    def begin(self, **contents: bytes) -> list[threading.Thread]:
        """Change each file in its own thread."""
        threads = [
            threading.Thread(target=self._load, args=(f"{name}.yml", data), daemon=True)
            for name, data in contents.items()
        ]
        for thread in threads:
            thread.start()
        return threads

    def together(self, **contents: bytes) -> None:
        """Change all files while the loader is busy, and wait for the results."""
        self.results.clear()
        with self.loads._load_lock:
            threads = self.begin(**contents)
            gathering = self.loads._gathering
            wait_until(lambda: len(gathering) == len(contents), LIMIT_S, "all have come")
        for thread in threads:
            thread.join(LIMIT_S)

    def _load(self, name: str, data: bytes) -> None:
        file = FeedFile(str(self.prometheus.folder / name), FileKind.RULES, 1 << 20)
        try:
            self.results[name] = self.loads.load(file, data, MODE)
        except Exception as error:  # noqa: BLE001 - the tests check it
            self.results[name] = error

    def reason(self, name: str) -> str:
        """Return why the rules of a file are not loaded."""
        error = self.results[name]
        assert isinstance(error, Failed)
        return error.reason

    @property
    def beside(self) -> list[Path]:
        """The last good copies, which exist until new rules are loaded."""
        return sorted(self.prometheus.folder.glob(".*"))


@pytest.fixture
def all_good(tmp_path: Path) -> RuleFiles:
    """Return three files whose rules are loaded."""
    prometheus = FakePrometheus(tmp_path)
    given = RuleFiles(prometheus, RuleLoader(prometheus, quiet_s=0.0))
    given.together(a=GOOD, b=GOOD, c=GOOD)
    assert given.results == dict.fromkeys(NAMES, True)
    assert prometheus.loaded == dict.fromkeys(NAMES, GOOD)
    prometheus.asked.clear()
    return given


def test_files_that_change_together_share_a_reload(all_good: RuleFiles) -> None:
    """Files that change together are loaded with one reload; unchanged files cause none."""
    all_good.together(a=BETTER, b=BETTER, c=BETTER)
    assert all_good.prometheus.asked == [True]
    assert all_good.prometheus.loaded == dict.fromkeys(NAMES, BETTER)
    assert all_good.beside == []
    for thread in all_good.begin(a=BETTER):
        thread.join(LIMIT_S)
    assert all_good.results["a.yml"] is False
    assert all_good.prometheus.asked == [True]


def test_a_reload_while_rules_are_unconfirmed_is_marked(all_good: RuleFiles) -> None:
    """A reload while new rules are unconfirmed does not judge the configuration.

    It is requested with ``has_changed_files``.
    """
    prometheus, found = all_good.prometheus, []

    def refuse_once() -> ReloadAnswer:
        prometheus.act = None
        found.append(all_good.loads.reload())
        return ReloadAnswer(Verdict.REFUSED, "one is bad")

    prometheus.act = refuse_once
    all_good.together(a=BAD)
    assert all_good.reason("a.yml") == "refused"
    assert found == [ReloadAnswer(Verdict.REFUSED, "one is bad")]
    all_good.loads.reload()
    assert prometheus.asked == [True, True, False, False]


@pytest.mark.parametrize("verdict", [Verdict.LOADED, Verdict.UNCONFIRMED])
def test_later_refusals_are_not_due_to_accepted_rules(
    all_good: RuleFiles, verdict: Verdict
) -> None:
    """After a reload that was not refused, a later reload is not marked as changed files."""
    all_good.prometheus.act = lambda: ReloadAnswer(verdict)
    all_good.together(a=BETTER)
    all_good.loads.reload()
    assert all_good.prometheus.asked == [True, False]


def test_the_first_change_waits_for_others(tmp_path: Path) -> None:
    """Changes within the quiet time share one reload."""
    prometheus = FakePrometheus(tmp_path)
    given = RuleFiles(prometheus, RuleLoader(prometheus, quiet_s=1.0))
    for thread in given.begin(a=GOOD, b=GOOD):
        thread.join(LIMIT_S)
    assert prometheus.asked == [True]
    assert prometheus.loaded == {"a.yml": GOOD, "b.yml": GOOD}


def test_a_long_burst_of_changes_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of changes without an end is loaded after BURST_S."""
    monkeypatch.setattr(rule_loader, "BURST_S", 0.5)
    prometheus = FakePrometheus(tmp_path)
    given = RuleFiles(prometheus, RuleLoader(prometheus, quiet_s=0.2))
    number = 0
    while not given.results and number < LIMIT_S / 0.05:
        given.begin(**{f"file-{number}": GOOD})
        number += 1
        time.sleep(0.05)
    assert prometheus.asked[:1] == [True]
    assert given.results
    wait_until(lambda: len(given.results) == number, LIMIT_S, "the others follow")


@pytest.mark.parametrize("bad", NAMES)
def test_a_refused_file_does_not_affect_others(all_good: RuleFiles, bad: str) -> None:
    """Only the refused file is restored; the rules of the other files are loaded."""
    changes = {name.partition(".")[0]: BAD if name == bad else BETTER for name in NAMES}
    all_good.together(**changes)
    assert isinstance(all_good.results.pop(bad), RulesRefused)
    assert set(all_good.results.values()) == {True}
    expected = {name: GOOD if name == bad else BETTER for name in NAMES}
    assert all_good.prometheus.loaded == all_good.prometheus.files == expected
    assert all_good.beside == []
    assert all_good.prometheus.hidden == 0


NONSENSE = promgen.rules("up ==== (")


@pytest.mark.parametrize("is_judge", [True, False], ids=["as a judge", "to explain"])
def test_promtool_identifies_the_wrong_rule(tmp_path: Path, is_judge: bool) -> None:
    """Promtool's error names the rule, whether it checks first or explains a refusal."""
    prometheus = FakePrometheus(tmp_path)
    prometheus.act = lambda: ReloadAnswer(
        [Verdict.REFUSED, Verdict.LOADED][len(prometheus.asked) - 1], "said no"
    )
    check = RuleCheck(program("promtool"), is_judge=is_judge)
    given = RuleFiles(prometheus, RuleLoader(prometheus, check, quiet_s=0.0))
    given.together(a=NONSENSE)
    error = given.results["a.yml"]
    assert isinstance(error, RulesRefused)
    assert 'group "promgen", rule 1, "Down": could not parse expression' in str(error)
    assert prometheus.asked == ([] if is_judge else [True, False])


def test_without_promtool_prometheus_error_is_reported(tmp_path: Path) -> None:
    """If promtool is missing or finds no error, Prometheus' own error is reported."""
    for number, name in enumerate((str(tmp_path / "none"), program("promtool"))):
        prometheus = FakePrometheus(tmp_path)
        given = RuleFiles(
            prometheus, RuleLoader(prometheus, RuleCheck(name, is_judge=False), quiet_s=0.0)
        )
        prometheus.is_refusing = False
        given.together(**{f"f{number}": BAD})
        error = given.results[f"f{number}.yml"]
        assert isinstance(error, RulesRefused)
        assert f"Prometheus refused {tmp_path}/f{number}.yml" in str(error)
        assert str(error).endswith("one is bad")


def test_all_files_may_be_refused(all_good: RuleFiles) -> None:
    """If all files are refused, each is restored and loaded again."""
    all_good.together(a=BAD, b=BAD, c=BAD)
    assert [type(each) for each in all_good.results.values()] == [RulesRefused] * 3
    assert all_good.prometheus.loaded == all_good.prometheus.files == dict.fromkeys(NAMES, GOOD)
    assert all_good.beside == []
    assert all_good.prometheus.hidden == 0


def test_an_unrelated_bad_file_is_not_blamed_on_the_rules(all_good: RuleFiles) -> None:
    """If another file is the reason, all new rules are restored, and may be tried again."""
    (all_good.prometheus.folder / "other.yml").write_bytes(BAD)
    all_good.together(a=BETTER, b=BETTER)
    assert {type(each) for each in all_good.results.values()} == {Failed}
    assert all_good.reason("a.yml") == "refused"
    assert all_good.prometheus.asked == [True, False]
    (all_good.prometheus.folder / "other.yml").write_bytes(GOOD)
    all_good.together(a=BETTER, b=BETTER)
    assert set(all_good.results.values()) == {True}


def test_an_unwritable_file_does_not_affect_others(all_good: RuleFiles) -> None:
    """A file that cannot be written fails; the others are loaded with one reload."""
    (all_good.prometheus.folder / ".b.yml.good").mkdir()
    (all_good.prometheus.folder / "b.yml").unlink()
    (all_good.prometheus.folder / "b.yml").mkdir()
    all_good.prometheus.act = lambda: ReloadAnswer(Verdict.LOADED)
    all_good.together(a=BETTER, b=BETTER, c=BETTER)
    assert all_good.reason("b.yml") == "write"
    assert all_good.results["a.yml"] is all_good.results["c.yml"] is True
    assert all_good.prometheus.asked == [True]


def test_unconfirmed_rules_are_loaded_again(all_good: RuleFiles) -> None:
    """Unconfirmed rules are loaded again with the next change.

    Until then the last good copies are kept, for a start in between.
    """
    all_good.prometheus.act = lambda: ReloadAnswer(Verdict.UNCONFIRMED)
    all_good.together(a=BETTER, b=BETTER)
    assert all_good.reason("a.yml") == all_good.reason("b.yml") == "unconfirmed"
    assert [path.name for path in all_good.beside] == [".a.yml.good", ".b.yml.good"]
    all_good.prometheus.act = None
    all_good.together(a=BETTER, b=BETTER)
    assert set(all_good.results.values()) == {True}, "what came is in force only now"
    assert all_good.prometheus.asked == [True, True]
    assert all_good.beside == []


def test_no_rules_change_while_prometheus_is_not_ready(all_good: RuleFiles) -> None:
    """While Prometheus is not ready, files are not changed: it would not start with bad rules."""
    obstacles = ["", "", *["503"] * 4]
    all_good.loads._obstacle = lambda: obstacles.pop(0)
    all_good.prometheus.act = lambda: ReloadAnswer(Verdict.UNCONFIRMED)
    for _ in range(2):
        all_good.together(a=BAD, b=BAD)
        assert all_good.reason("a.yml") == all_good.reason("b.yml") == "not_ready"
        assert all_good.prometheus.files == dict.fromkeys(NAMES, GOOD)
    assert all_good.prometheus.asked == [True]


def test_unconfirmed_rules_are_restored_before_a_restart(all_good: RuleFiles) -> None:
    """If Prometheus hangs and restarts, unconfirmed rules are replaced by the last good ones."""
    all_good.prometheus.act = lambda: ReloadAnswer(Verdict.UNCONFIRMED)
    all_good.together(a=BAD)
    assert all_good.prometheus.files["a.yml"] == BAD
    all_good.loads._obstacle = lambda: "503"
    all_good.together(a=BAD)
    assert all_good.reason("a.yml") == "not_ready"
    assert all_good.prometheus.files["a.yml"] == GOOD
    all_good.loads._obstacle = lambda: ""
    all_good.prometheus.act, all_good.prometheus.loaded = None, {"a.yml": BETTER}
    all_good.together(a=GOOD)
    assert all_good.prometheus.loaded["a.yml"] == GOOD, "it may have loaded the others after all"
    assert all_good.beside == []


def test_changes_during_a_reload_wait_for_the_next(tmp_path: Path) -> None:
    """Changes during a reload are written only after it, and share the next reload.

    Otherwise a refusal could not be attributed.
    """
    gate, prometheus = threading.Event(), FakePrometheus(tmp_path)
    given = RuleFiles(prometheus, RuleLoader(prometheus, quiet_s=0.0))

    def late() -> ReloadAnswer:
        gate.wait(LIMIT_S)
        prometheus.act = None
        return ReloadAnswer(Verdict.LOADED)

    prometheus.act = late
    given.begin(a=GOOD)
    wait_until(lambda: prometheus.asked, LIMIT_S, "the first reload is under way")
    given.begin(b=GOOD, c=GOOD)
    wait_until(lambda: len(given.loads._gathering) == 2, LIMIT_S, "others have come")
    assert set(prometheus.files) == {"a.yml"}
    gate.set()
    wait_until(lambda: len(given.results) == 3, LIMIT_S, "all are done")
    assert prometheus.asked == [True, True]
    assert prometheus.loaded == dict.fromkeys(NAMES, GOOD)


def test_an_unexpected_error_is_reported_for_all_files(all_good: RuleFiles) -> None:
    """An unexpected error is the result for every file, so that no thread waits for ever."""

    def fail() -> ReloadAnswer:
        raise ZeroDivisionError

    all_good.prometheus.act = fail
    all_good.together(a=BETTER, b=BETTER)
    assert {type(each) for each in all_good.results.values()} == {ZeroDivisionError}


def test_a_refused_new_file_is_replaced_by_no_rules(tmp_path: Path) -> None:
    """A refused new file is replaced by a file without groups."""
    prometheus = FakePrometheus(tmp_path)
    given = RuleFiles(prometheus, RuleLoader(prometheus, quiet_s=0.0))
    given.together(a=BAD, b=GOOD)
    assert prometheus.loaded == prometheus.files == {"a.yml": NO_RULES, "b.yml": GOOD}


def fail_unexpectedly() -> ReloadAnswer:
    """Raise an unexpected error."""
    raise ZeroDivisionError


@pytest.mark.parametrize("act", [None, fail_unexpectedly], ids=["refused", "unexpected"])
@pytest.mark.parametrize("others", [{}, {"b": BETTER, "c": BAD}], ids=["alone", "with others"])
def test_failed_rules_do_not_stay_in_memory(
    all_good: RuleFiles, act: Callable[[], ReloadAnswer] | None, others: dict[str, bytes]
) -> None:
    """The content of failed rules is freed without the garbage collector."""
    all_good.prometheus.act = act
    rules = Traced(BAD)
    are_gone = rules.trace()
    with collector_off():
        all_good.together(a=rules, **others)
        assert isinstance(all_good.results["a.yml"], Exception)
        all_good.results.clear()
        del rules
        wait_until(are_gone, LIMIT_S, "the rules are freed")
