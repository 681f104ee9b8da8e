"""Loads new rules into Prometheus: files that change together are loaded by one reload.

Until the rules of a file are confirmed as loaded, the last good ones are kept beside it
(``target_file``). If Prometheus refuses several files at once, the last good rules of all are
restored and loaded. Then each file is tried alone, so that good rules are not blamed for bad ones.

Guarantee: rules that Prometheus refuses do not stay in their file. The last good ones are restored.

Limitation: whether rules make sense is not checked.
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

QUIET_S = 0.2  # changed files are loaded after this time without another change
BURST_S = 2.0  # the longest time that a file waits for others
UNCONFIRMED = "unconfirmed"  # reason of a failure: written, but not known to be loaded


class RulesRefused(Failed):
    """Prometheus or promtool has refused these rules, and only the rules can be the cause."""


@dataclass(slots=True)
class NewRules:
    """The new rules of one file. ``outcome`` has whether the file was changed, or the error."""

    file: FeedFile
    data: bytes
    mode: int
    is_new: bool = False
    outcome: Future[bool] = field(default_factory=Future)

    def result(self) -> bool:
        """Wait for the outcome, and return or raise it. It is then forgotten.

        The traceback of an error has frames that refer to this object. If this object also referred
        to the error, the rules, MiBs perhaps, would stay until the garbage collector runs.
        """
        try:
            return self.outcome.result()
        finally:
            self.outcome = Future()
            self.outcome.cancel()  # so that it counts as done

    def give_up(self, error: Exception) -> None:
        """Set this error as the outcome, unless there is one: a thread waits for the outcome."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def attempt(self, step: Callable[[NewRules], None]) -> bool:
        """Take a step, and return whether it succeeded. Its error becomes the outcome."""
        try:
            step(self)
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits for it
            self.give_up(error)
            return False
        return True


class RuleLoader:
    """Loads the rules of all files.

    - ``check``: checks rules with promtool; None for no check;
    - ``quiet_s``: how long a file waits for others to change; 0 if there is only one file;
    - ``obstacle``: returns why Prometheus is not ready, "" if it is ready. A Prometheus that is
      starting would exit if it refused rules.
    """

    def __init__(
        self,
        reloads: Reloads,
        check: RuleCheck | None = None,
        quiet_s: float = QUIET_S,
        obstacle: Callable[[], str] = lambda: "",
    ) -> None:
        """Take the ``reloads`` that reload Prometheus, and the options above."""
        self._reloads = reloads
        self._check = check
        self._quiet_s = quiet_s
        self._obstacle = obstacle
        self._lock = threading.Lock()
        self._gathering: list[NewRules] = []
        self._load_lock = threading.Lock()  # one load at a time: it is clear what was refused
        self._not_loaded: set[Path] = set()  # written, but not confirmed as loaded yet

    def load(self, file: FeedFile, data: bytes, mode: int) -> bool:
        """Write these rules to the file and load them; return whether the file was changed.

        The first caller waits for other callers, and loads their files too. Raises Failed, or
        RulesRefused if only the rules can be the cause. Then the last good rules have been
        restored, unless Prometheus is ready and has not confirmed the reload.
        """
        if file.is_current(data, mode) and not file.is_unsettled:
            return False
        rules = NewRules(file, data, mode)
        with self._lock:
            self._gathering.append(rules)
            is_first = len(self._gathering) == 1
        if is_first:
            with self._load_lock:
                self._load_gathered()
        return rules.result()

    def reload(self) -> ReloadAnswer:
        """Reload Prometheus. While new rules are not loaded yet, they may cause a refusal."""
        return self._reloads.ask(has_changed_files=bool(self._not_loaded))

    def _load_gathered(self) -> None:
        gathered = self._gathered()
        try:
            self._load_all(gathered)
        except Exception as error:  # noqa: BLE001 - raised in each thread that waits for it
            for rules in gathered:
                rules.give_up(error)

    def _gathered(self) -> Sequence[NewRules]:
        """Wait until no more files change, and return the new rules of all."""
        until, known = clock.now() + BURST_S, 0
        while self._quiet_s and known < len(self._gathering) and clock.now() < until:
            known = len(self._gathering)
            time.sleep(self._quiet_s)
        with self._lock:
            gathered, self._gathering = self._gathering, []
        return gathered

    def _load_all(self, gathered: Sequence[NewRules]) -> None:
        """Load all files by one reload. If Prometheus refuses it, load each by its own reload."""
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
        """Restore and load the last good rules of all files, then try each file alone.

        Without that load, a second refusal after SIGHUP would look the same as the first.
        """
        back = [rules for rules in refused if rules.attempt(self._restore)]
        verdict = self.reload().verdict
        for rules in back:
            if verdict is Verdict.LOADED:
                self._load_all([rules])
            else:
                rules.give_up(Failed("refused", _refusal_text(refusal.problem, verdict)))

    def _write(self, rules: NewRules) -> None:
        self._check_ready(rules)
        if rules.file.is_current(rules.data, rules.mode):
            rules.is_new = rules.file.is_unsettled
            self._not_loaded.add(rules.file.path)
            return
        if self._check is not None:
            refusal = self._check.refusal(rules.file.path, rules.data)
            if refusal:
                raise RulesRefused("refused", refusal)
        rules.file.keep_last_good(rules.mode)
        rules.file.replace(rules.data, rules.mode)
        self._not_loaded.add(rules.file.path)
        rules.is_new = True

    def _take(self, answer: ReloadAnswer, rules: NewRules) -> None:
        """Mark the file as loaded if it was, else raise Failed; restore it if it was refused."""
        if answer.verdict is Verdict.REFUSED:
            self._take_back(answer, rules)
        self._not_loaded.discard(rules.file.path)
        if answer.verdict is Verdict.LOADED:
            rules.file.mark_loaded()
        else:
            self._check_ready(rules)
            text = f"written, but Prometheus has not confirmed the load: {answer.problem}"
            raise Failed(UNCONFIRMED, text)

    def _check_ready(self, rules: NewRules) -> None:
        """Restore the last good rules and raise Failed if Prometheus is not ready."""
        obstacle = self._obstacle()
        if not obstacle:
            return
        with _restoring():
            rules.file.restore_keeping_copy(rules.mode)
        raise Failed("not_ready", f"new rules wait until Prometheus is ready: {obstacle}")

    def _take_back(self, refusal: ReloadAnswer, rules: NewRules) -> NoReturn:
        """Restore the last good rules, load them, and raise Failed.

        Only the new rules can be the cause if the last good ones load, and if the configuration did
        not change at the same time.
        """
        self._restore(rules)
        verdict = self.reload().verdict
        is_theirs = not refusal.is_ambiguous and verdict is Verdict.LOADED
        text = _refusal_text(self._explained(refusal, rules), verdict, str(rules.file.path))
        raise (RulesRefused if is_theirs else Failed)("refused", text)

    def _restore(self, rules: NewRules) -> None:
        """Restore the last good rules of a file; raise Failed."""
        with _restoring():
            rules.file.restore()
        self._not_loaded.discard(rules.file.path)

    def _explained(self, refusal: ReloadAnswer, rules: NewRules) -> str:
        """Return why rules were refused: promtool's reason, which names the rule, if it has one."""
        said = "" if self._check is None else self._check.explanation(rules.file.path, rules.data)
        return said or refusal.problem


def _refusal_text(problem: str, verdict: Verdict, which: str = "these rules") -> str:
    """Return the text about refused rules, and about the last good ones that were restored."""
    text = f"Prometheus refused {which}; the last good rules are restored: {problem}"
    also = "; Prometheus refuses those too, so something else is wrong as well"
    return text + also if verdict is Verdict.REFUSED else text


@contextmanager
def _restoring() -> Iterator[None]:
    """Raise an OSError as Failed."""
    try:
        yield
    except OSError as error:
        text = f"the last good rules cannot be restored: {error.strerror or error}"
        raise Failed("write", text) from error
