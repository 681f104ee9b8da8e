"""New rules come into force: files that change together are loaded by one reload.

What Prometheus refuses is taken out of its file again. A refusal of several files is held against
none of them: the last good ones are put back in all and loaded, and each is tried by itself. What
stands in a file and is not known to be in force has the last good ones beside it (``feed_file``).
Where it ends: rules that Prometheus loads and that mean nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

from wrapper.base import clock
from wrapper.model.roles import Verdict
from wrapper.supervision.reload_requests import ReloadAnswer, Reloads
from wrapper.targets.rule_check import RuleCheck
from wrapper.targets.target_file import Failed, FeedFile

QUIET_S = 0.2  # files that change so closely after each other are loaded together
BURST_S = 2.0  # no file waits longer for others
UNCONFIRMED = "unconfirmed"  # why it failed: written, and may be in force or not


class Blamed(Failed):
    """Prometheus, or promtool, refuses these rules, and nothing else can be the reason."""


@dataclass(slots=True)
class NewRules:
    """What one file is to hold; ``outcome``: whether that took writing, or why it failed."""

    file: FeedFile
    data: bytes
    mode: int
    is_new: bool = False
    outcome: Future[bool] = field(default_factory=Future)

    def give_up(self, error: Exception) -> None:
        """Take this for the outcome where there is none: nobody shall wait for ever."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def attempt(self, step: Callable[[NewRules], None]) -> bool:
        """Tell whether this step was done; what it raises is the outcome otherwise."""
        try:
            step(self)
        except Exception as error:  # noqa: BLE001 - it is raised where the rules come from
            self.give_up(error)
            return False
        return True


class RuleLoads:
    """Loads the rules of all files; ``check`` None: no promtool looks at them.

    ``quiet_s`` is how long one waits for others, 0 where there is one file only. ``obstacle`` tells
    why Prometheus is not ready now, "" when it is: one that starts would not with bad rules.
    """

    def __init__(
        self,
        reloads: Reloads,
        check: RuleCheck | None = None,
        quiet_s: float = QUIET_S,
        obstacle: Callable[[], str] = lambda: "",
    ) -> None:
        """Take what reloads Prometheus."""
        self._reloads = reloads
        self._check = check
        self._quiet_s = quiet_s
        self._obstacle = obstacle
        self._lock = threading.Lock()
        self._gathering: list[NewRules] = []
        self._turn = threading.Lock()  # held while rules are loaded, so that a refusal is theirs
        self._not_loaded: set[Path] = set()  # written, and Prometheus is asked to load it

    def load(self, file: FeedFile, data: bytes, mode: int) -> bool:
        """Have a file hold these rules, in force; tell whether that took writing.

        The first that comes waits for others, and does their work too. Raises Failed; Blamed where
        the rules alone can be the reason. What was there before is back then, unless nothing was
        heard of the reload of a Prometheus that is ready.
        """
        if file.is_current(data, mode) and not file.is_unsettled:
            return False
        rules = NewRules(file, data, mode)
        with self._lock:
            self._gathering.append(rules)
            is_first = len(self._gathering) == 1
        if is_first:
            with self._turn:
                self._load_gathered()
        return rules.outcome.result()

    def reload(self) -> ReloadAnswer:
        """Have Prometheus reload; a refusal is about new rules while there are any in a file."""
        return self._reloads.ask(has_changed_files=bool(self._not_loaded))

    def _load_gathered(self) -> None:
        gathered = self._gathered()
        try:
            self._load_all(gathered)
        except Exception as error:  # noqa: BLE001 - it is raised where each comes from
            for rules in gathered:
                rules.give_up(error)

    def _gathered(self) -> Sequence[NewRules]:
        """Return all that have come, once no more do."""
        until, known = clock.now() + BURST_S, 0
        while self._quiet_s and known < len(self._gathering) and clock.now() < until:
            known = len(self._gathering)
            time.sleep(self._quiet_s)
        with self._lock:
            gathered, self._gathering = self._gathering, []
        return gathered

    def _load_all(self, gathered: Sequence[NewRules]) -> None:
        """Load all by one reload; where that is refused, each by one of its own."""
        written = [rules for rules in gathered if rules.attempt(self._write)]
        if not written:
            return
        answer = self.reload()
        if answer.verdict is Verdict.REFUSED and len(written) > 1:
            self._load_each(written, answer)
            return
        for rules in written:
            if rules.attempt(partial(self._take, answer)):
                rules.outcome.set_result(rules.is_new)

    def _load_each(self, refused: Sequence[NewRules], refusal: ReloadAnswer) -> None:
        """Put all back, so that none is blamed for another, and then try each by itself.

        The last good ones are loaded in between: by signal alone, a refusal that follows another
        shows only once a reload has succeeded.
        """
        back = [rules for rules in refused if rules.attempt(self._put_back)]
        verdict = self.reload().verdict
        for rules in back:
            if verdict is Verdict.LOADED:
                self._load_all([rules])
            else:
                rules.give_up(Failed("refused", _told(refusal.problem, verdict)))

    def _write(self, rules: NewRules) -> None:
        self._check_ready(rules)
        if rules.file.is_current(rules.data, rules.mode):
            rules.is_new = rules.file.is_unsettled
            self._not_loaded.add(rules.file.path)
            return
        if self._check is not None:
            refusal = self._check.refusal(rules.file.path, rules.data)
            if refusal:
                raise Blamed("refused", refusal)
        rules.file.keep(rules.mode)
        rules.file.replace(rules.data, rules.mode)
        self._not_loaded.add(rules.file.path)
        rules.is_new = True

    def _take(self, answer: ReloadAnswer, rules: NewRules) -> None:
        """Do with the file what follows from the answer; raise Failed unless it is in force."""
        if answer.verdict is Verdict.REFUSED:
            self._take_back(answer, rules)
        self._not_loaded.discard(rules.file.path)
        if answer.verdict is Verdict.LOADED:
            rules.file.settle()
        else:
            self._check_ready(rules)
            text = f"written, and Prometheus is not known to have loaded it: {answer.problem}"
            raise Failed(UNCONFIRMED, text)

    def _check_ready(self, rules: NewRules) -> None:
        """Have the file hold the last good rules while Prometheus starts; raise Failed then."""
        obstacle = self._obstacle()
        if not obstacle:
            return
        with _putting_back():
            rules.file.make_way(rules.mode)
        raise Failed("not_ready", f"new rules wait until Prometheus is ready: {obstacle}")

    def _take_back(self, refusal: ReloadAnswer, rules: NewRules) -> NoReturn:
        """Put the last good rules back, have them loaded, and raise Failed.

        The new ones alone can be the reason where it loads with the last good ones, and no
        configuration was under way.
        """
        self._put_back(rules)
        verdict = self.reload().verdict
        is_theirs = not refusal.is_ambiguous and verdict is Verdict.LOADED
        text = _told(self._explained(refusal, rules), verdict, str(rules.file.path))
        raise (Blamed if is_theirs else Failed)("refused", text)

    def _put_back(self, rules: NewRules) -> None:
        """Put the last good rules back in their file; raise Failed."""
        with _putting_back():
            rules.file.put_back()
        self._not_loaded.discard(rules.file.path)

    def _explained(self, refusal: ReloadAnswer, rules: NewRules) -> str:
        """Return why rules were refused; Prometheus itself does not say which."""
        said = "" if self._check is None else self._check.explanation(rules.file.path, rules.data)
        return said or refusal.problem


def _told(problem: str, verdict: Verdict, which: str = "these rules") -> str:
    """Return what became of new rules, and of the last good ones that were put back."""
    text = f"Prometheus refused {which}, and the last good ones are back: {problem}"
    is_refused = verdict is Verdict.REFUSED
    also = "; it refuses these too, for another reason" if is_refused else ""
    return text + also


@contextmanager
def _putting_back() -> Iterator[None]:
    """Say that the last good rules cannot be put back."""
    try:
        yield
    except OSError as error:
        text = f"refused, and the last good rules cannot be put back: {error.strerror or error}"
        raise Failed("write", text) from error
