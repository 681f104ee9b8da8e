"""What stands in the file after Prometheus has refused an input, and when that is tried again.

A story is a row of short words, told in order on a clock that goes on by one second a word; between
them what should stand in the file is written, as the supervisor does.
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
class Story:
    """A replica's rollback and loading; ``words`` change them."""

    newest: Renderings
    role: Role
    rollback: config_rollback.RollbackState
    loading: LoadState
    now: float = 100.0

    def tell(self, words: str) -> Story:
        """Do what each word says.

        ``ok`` and ``no`` are Prometheus' answers to a reload request, ``bad`` its metrics after a
        reload, ``led`` and ``follows`` a change of role, ``hup`` somebody's wish to try again,
        ``long`` lets the reload's time pass; ``a`` to ``d`` are new inputs.
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
        """The fingerprint of what stands in the file."""
        return self.loading.written.fingerprint if self.loading.written else ""


def told(words: str) -> Story:
    """Return how it stands at the end of a story that begins with a follower of input a."""
    renderings = INPUTS["a"]
    loading = loaded_rendering.started_with(renderings.follower, 100.0)
    seen = Evidence("", writes_remotely=False, is_successful=True, success_time=1.0, asked_at=100.5)
    story = Story(
        renderings,
        Role.FOLLOWER,
        config_rollback.started_with(renderings),
        loaded_rendering.observed(loading, seen),
    )
    return story.tell(words)


@pytest.mark.parametrize(
    ("words", "in_file"),
    [
        pytest.param("", "af", id="it begins with what it started with"),
        pytest.param("b", "bf", id="an edit is written"),
        pytest.param("b no", "af", id="one that is refused is taken out again"),
        pytest.param("b bad", "af", id="also when only the metrics say so"),
        pytest.param("b no ok", "af", id="and stays out"),
        pytest.param("b no ok hup", "bf", id="until somebody asks to try again"),
        pytest.param("b no ok c", "cf", id="or the inputs change"),
        pytest.param("b no ok a", "af", id="or become what they were"),
        pytest.param("b ok c no", "bf", id="the last good one is the last that was loaded"),
        pytest.param("b no leads", "al", id="its leader rendering is not tried either"),
        pytest.param("leads ok b no", "al", id="a leader gets its own back"),
        pytest.param("leads ok b no ok follows", "af", id="and its follower's when demoted"),
        pytest.param("leads ok b ok follows", "bf", id="a demotion goes to the newest"),
        pytest.param("leads ok b ok follows no", "af", id="refused, to what was loaded before"),
        pytest.param("leads ok b ok follows no ok leads", "bl", id="a leader's part is still good"),
        pytest.param("leads no", "al", id="a refused promotion may have nothing to put back"),
        pytest.param("b ok leads no", "al", id="or what was good before"),
        pytest.param("b ok leads no follows", "bf", id="its follower's is still good"),
        pytest.param(
            "leads ok follows ok b ok leads no follows ok leads",
            "al",
            id="what led before leads again rather than nothing",
        ),
        pytest.param(
            "leads q no follows ok leads", "al", id="a part that stays makes no edit good"
        ),
        pytest.param("b ok leads no follows ok leads", "al", id="nothing led yet: the one before"),
        pytest.param("b ok c ok leads no follows ok leads", "bl", id="and no older one"),
        pytest.param("leads ok p no", "al", id="a leader without overrides is a leader still"),
        pytest.param("b no no", "bf", id="when both are refused, the edit is not to blame"),
        pytest.param("b no no no", "bf", id="it is not blamed at once again"),
        pytest.param("b no no long", "af", id="but the two are tried in turn"),
        pytest.param("b no no ok", "bf", id="until one is loaded"),
        pytest.param("b ok leads ok c no no follows", "cf", id="a demotion tries the newest first"),
        pytest.param(
            "b ok leads ok c no no follows no",
            "bf",
            id="and then at once what is proven, whoever is to blame",
        ),
        pytest.param("b long", "af", id="a reload that stays bad for long is a refusal"),
    ],
)
def test_what_stands_in_the_file(words: str, in_file: str) -> None:
    """The newest that Prometheus takes, in the desired role."""
    assert told(words).in_file == in_file


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
def test_the_problem_is_said_as_long_as_it_lasts(words: str, problem: str) -> None:
    """It says which rendering was refused, in Prometheus' words, and ends when it is loaded."""
    assert told(words).rollback.problem == problem


def test_what_is_under_way_is_not_judged() -> None:
    """While a rendering is on its way into the file, what was said of the old one is void."""
    story = told("b")
    story.loading = replace(story.loading, outcome=loaded_rendering.Outcome.REFUSED)
    story.loading = loaded_rendering.write_started(story.loading, INPUTS["c"].follower)
    story._follow()
    assert not story.rollback.refused
