"""What the output file contains after Prometheus has refused an input, and when it is retried.

A scenario is a row of short words, executed in order; the clock advances by one second per word.
After each word, the wanted rendering is written to the file, as the supervisor does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from wrapper.model.configuration import Evidence, Rendering, Renderings
from wrapper.model.events import ReloadAnswered
from wrapper.model.roles import Role
from wrapper.supervision import config_rollback, loaded_rendering
from wrapper.supervision.loaded_rendering import LoadState

LIMIT_S = 50.0
NAMES = "abcd"
INPUTS = {
    name: Renderings(
        Rendering(Role.FOLLOWER, b"", f"{name}f", writes_remotely=False),
        Rendering(Role.LEADER, b"", f"{name}l", writes_remotely=True),
    )
    for name in NAMES
}
INPUTS["p"] = Renderings(INPUTS["a"].follower, INPUTS["a"].follower)
INPUTS["q"] = Renderings(INPUTS["a"].follower, replace(INPUTS["a"].leader, fingerprint="ql"))


@dataclass
class Scenario:
    """The state of a replica's rollback and loading; ``words`` change it."""

    newest: Renderings
    role: Role
    rollback: config_rollback.RollbackState
    loading: LoadState
    now: float = 100.0

    def apply(self, words: str) -> Scenario:
        """Execute each word.

        ``ok`` and ``no`` are Prometheus' answers to a reload request; ``bad`` is a failed reload in
        its metrics; ``leads`` and ``follows`` change the role; ``hup`` is a SIGHUP; ``long`` lets
        the time limit of the reload pass; the other words are new inputs.
        """
        for word in words.split():
            self.now += LIMIT_S if word == "long" else 1.0
            self._do(word)
            self._follow()
            self._write()
        return self

    def _do(self, word: str) -> None:
        if word in INPUTS:
            self.newest = INPUTS[word]
        if word in INPUTS or word == "hup":
            self.rollback = config_rollback.tried_again(self.rollback)
        if word in {"leads", "follows"}:
            self.role = Role.LEADER if word == "leads" else Role.FOLLOWER
        if word in {"ok", "no"}:
            self._answer(200 if word == "ok" else 500)
        if word in {"bad", "long"}:
            self._see(is_successful=False)

    def _answer(self, status: int) -> None:
        answer = ReloadAnswered(self.in_file, self.now, status, "why")
        self.loading = loaded_rendering.answered(self.loading, answer, self.now)

    def _see(self, *, is_successful: bool) -> None:
        written = self.loading.written
        writes_remotely = written is not None and written.writes_remotely
        evidence = Evidence("", not writes_remotely, is_successful, 1.0, self.now)
        self.loading = loaded_rendering.observed(self.loading, evidence)

    def _follow(self) -> None:
        self.rollback = config_rollback.after_reload(
            self.rollback, self.newest, self.role, self.loading, self.now, LIMIT_S
        )

    def _write(self) -> None:
        wanted = config_rollback.target(self.rollback, self.newest, self.role)
        if self.loading.written != wanted:
            started = loaded_rendering.write_started(self.loading, wanted)
            written = loaded_rendering.written(started, wanted, self.now)
            self.loading = loaded_rendering.reload_sent(written, self.now)

    @property
    def in_file(self) -> str:
        """The fingerprint of the rendering in the output file."""
        return self.loading.written.fingerprint if self.loading.written else ""


def after_words(words: str) -> Scenario:
    """Return the state at the end of a scenario that begins with a follower of input ``a``."""
    renderings = INPUTS["a"]
    loading = loaded_rendering.started_with(renderings.follower, 100.0)
    seen = Evidence("", writes_remotely=False, is_successful=True, success_time=1.0, asked_at=100.5)
    story = Scenario(
        renderings,
        Role.FOLLOWER,
        config_rollback.started_with(renderings),
        loaded_rendering.observed(loading, seen),
    )
    return story.apply(words)


@pytest.mark.parametrize(
    ("words", "in_file"),
    [
        pytest.param("", "af", id="the file starts with the first input"),
        pytest.param("b", "bf", id="an edit is written"),
        pytest.param("b no", "af", id="an edit that is refused is replaced by the previous input"),
        pytest.param("b bad", "af", id="also if only the metrics show the refusal"),
        pytest.param("b no ok", "af", id="the refused edit is not written again"),
        pytest.param("b no ok hup", "bf", id="SIGHUP writes the refused edit again"),
        pytest.param("b no ok c", "cf", id="a new input is written after a refusal"),
        pytest.param("b no ok a", "af", id="an edit that restores the old input is written"),
        pytest.param("b ok c no", "bf", id="the last good input is the last one that was loaded"),
        pytest.param("b no leads", "al", id="the leader rendering of a refused input is not tried"),
        pytest.param(
            "leads ok b no", "al", id="a refused edit of a leader is replaced by its last rendering"
        ),
        pytest.param(
            "leads ok b no ok follows",
            "af",
            id="after a refused edit, a demotion uses the old input",
        ),
        pytest.param("leads ok b ok follows", "bf", id="a demotion uses the newest input"),
        pytest.param(
            "leads ok b ok follows no",
            "af",
            id="a refused demotion uses the input that was loaded before",
        ),
        pytest.param(
            "leads ok b ok follows no ok leads",
            "bl",
            id="the leader rendering stays good after a refused demotion",
        ),
        pytest.param(
            "leads no", "al", id="a refused promotion without an earlier input keeps the file"
        ),
        pytest.param(
            "b ok leads no",
            "al",
            id="a refused promotion uses the leader rendering of the old input",
        ),
        pytest.param(
            "b ok leads no follows",
            "bf",
            id="the follower rendering of a refused promotion stays good",
        ),
        pytest.param(
            "leads ok follows ok b ok leads no follows ok leads",
            "al",
            id="the rendering that led before is used again after a refusal",
        ),
        pytest.param(
            "leads q no follows ok leads", "al", id="an unchanged part does not make an edit good"
        ),
        pytest.param(
            "b ok leads no follows ok leads",
            "al",
            id="without an earlier leader rendering, the previous input is used",
        ),
        pytest.param(
            "b ok c ok leads no follows ok leads",
            "bl",
            id="the previous input is used, not an older one",
        ),
        pytest.param(
            "leads ok p no", "al", id="a leader without overrides keeps its last rendering"
        ),
        pytest.param("b no no", "bf", id="if both inputs are refused, the edit is written again"),
        pytest.param("b no no no", "bf", id="both refused: the edit is not replaced at once again"),
        pytest.param("b no no long", "af", id="both refused: the two inputs alternate"),
        pytest.param("b no no ok", "bf", id="both refused: alternating ends when one is loaded"),
        pytest.param(
            "b ok leads ok c no no follows",
            "cf",
            id="both refused: a demotion tries the newest input first",
        ),
        pytest.param(
            "b ok leads ok c no no follows no",
            "bf",
            id="both refused: a refused demotion uses the proven input at once",
        ),
        pytest.param("b long", "af", id="a reload that fails for long counts as a refusal"),
        pytest.param("bad b bad", "bf", id="after a failed reload, another is not yet a refusal"),
        pytest.param(
            "bad b bad long", "af", id="after a failed reload, one that fails for long is a refusal"
        ),
        pytest.param("b no no c no", "af", id="both refused: a refused new edit is replaced"),
        pytest.param(
            "leads ok b no no no",
            "bl",
            id="both refused: a leader's edit is not replaced at once again",
        ),
        pytest.param(
            "b ok c no ok leads no",
            "al",
            id="an input that is loaded again after a refusal is not the previous one",
        ),
        pytest.param(
            "b ok ok leads no", "al", id="an input that is loaded twice is not the previous one"
        ),
    ],
)
def test_file_contains_the_newest_input_that_is_not_refused(words: str, in_file: str) -> None:
    """The output file contains the newest input that Prometheus accepts, in the desired role."""
    assert after_words(words).in_file == in_file


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("b ok", ""),
        ("b no", "Prometheus refused the follower rendering: why"),
        ("b no ok", "Prometheus refused the follower rendering: why"),
        ("b no ok hup ok", ""),
        ("b no ok c ok", ""),
        ("b ok leads no", "Prometheus refused the leader rendering: why"),
        ("b ok leads no follows ok", "Prometheus refused the leader rendering: why"),
        pytest.param(
            "b no no",
            "Prometheus refused the follower rendering: why; Prometheus also refuses the"
            " previous configuration: why",
        ),
        ("b no no ok", ""),
    ],
)
def test_problem_is_shown_until_the_refused_rendering_is_loaded(words: str, problem: str) -> None:
    """The problem names the refused rendering and Prometheus' error until an input is loaded."""
    assert after_words(words).rollback.problem == problem


def test_problem_of_an_older_input_is_shown_until_the_newest_loads() -> None:
    """After a start with an older input, the problem is shown until the newest one is loaded."""
    story = after_words("")
    story.rollback = config_rollback.started_with(INPUTS["a"], problem="refused at the start")
    assert story.rollback.problem == "refused at the start"
    story.newest = INPUTS["b"]
    story._follow()
    assert story.rollback.awaits_first_load
    story._write()
    story.apply("ok")
    assert (story.in_file, story.rollback.awaits_first_load) == ("bf", False)
    assert not story.rollback.problem


def test_no_refusal_is_recorded_while_a_write_is_in_progress() -> None:
    """While a rendering is being written, a refusal of the old rendering is ignored."""
    story = after_words("b")
    story.loading = replace(story.loading, outcome=loaded_rendering.Outcome.REFUSED)
    story.loading = loaded_rendering.write_started(story.loading, INPUTS["c"].follower)
    story._follow()
    assert not story.rollback.refused
