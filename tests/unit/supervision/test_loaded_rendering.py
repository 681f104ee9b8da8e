"""Which configuration Prometheus has in force: each way of proof, and what proves nothing.

A story is a row of short words, told in order on a clock that goes on by one second a word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from wrapper.model.configuration import Evidence, Rendering
from wrapper.model.events import ReloadAnswered
from wrapper.model.roles import Role
from wrapper.supervision import loaded_rendering
from wrapper.supervision.loaded_rendering import LoadState, Outcome

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
EDITED = Rendering(Role.FOLLOWER, b"g", "g", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
OTHER_LEADER = Rendering(Role.LEADER, b"m", "m", writes_remotely=True)
TWIN = Rendering(Role.LEADER, b"t", "t", writes_remotely=True)  # of LEADER, but for a secret
QUIET_LEADER = Rendering(Role.LEADER, b"q", "q", writes_remotely=False)
RENDERINGS = {
    r.fingerprint: r for r in (FOLLOWER, EDITED, LEADER, OTHER_LEADER, TWIN, QUIET_LEADER)
}


@dataclass
class Story:
    """A loading, and the Prometheus whose success time its evidence carries."""

    loading: LoadState
    now: float = 100.0
    success_time: float = 1.0

    def tell(self, words: str) -> Story:
        """Do what each word says; its first letters choose, what follows ``:`` is its object."""
        for word in words.split():
            verb, _, what = word.partition(":")
            self.now += 1
            self.loading = _VERBS[verb](self, what)
        return self

    def see(self, what: str, *, asked_at: float | None = None) -> LoadState:
        """Show a rendering's content; ``~`` behind it: looking otherwise.

        ``!`` behind it: the last reload has failed.
        """
        name = what.rstrip("!~")
        shown_hash = f"hash of {'l' if name == TWIN.fingerprint else name}"
        return loaded_rendering.observed(
            self.loading,
            Evidence(
                shown_hash=shown_hash + what.removeprefix(name).rstrip("!"),
                writes_remotely=RENDERINGS[name].writes_remotely,
                is_successful=not what.endswith("!"),
                success_time=self.success_time,
                asked_at=self.now if asked_at is None else asked_at,
            ),
        )

    def succeed_and_see(self, what: str) -> LoadState:
        """Have one more reload succeed, then show."""
        self.success_time += 1
        return self.see(what)

    def write(self, what: str) -> LoadState:
        """Put a rendering into the file and have it reloaded."""
        started = loaded_rendering.write_started(self.loading, RENDERINGS[what])
        written = loaded_rendering.written(started, RENDERINGS[what], self.now)
        return loaded_rendering.reload_sent(written, self.now)

    def answer(self, status: str) -> LoadState:
        """Answer the request that was sent with the last reload."""
        sent_at = self.loading.reload_sent_at or 0.0
        return self._answer(status, sent_at)

    def answer_late(self, status: str) -> LoadState:
        """Answer a request that was sent before the rename."""
        return self._answer(status, self.loading.written_at - 0.5)

    def _answer(self, status: str, sent_at: float) -> LoadState:
        written = self.loading.written
        fingerprint = written.fingerprint if written else ""
        answer = ReloadAnswered(fingerprint, sent_at, int(status), "why")
        return loaded_rendering.answered(self.loading, answer, self.now)


_VERBS: dict[str, Callable[[Story, str], LoadState]] = {
    "start": lambda s, what: loaded_rendering.write_started(s.loading, RENDERINGS[what]),
    "fail": lambda s, _: loaded_rendering.write_failed(s.loading),
    "write": Story.write,
    "sees": Story.see,
    "succeeds": Story.succeed_and_see,
    "stale": lambda s, what: s.see(what, asked_at=s.loading.written_at - 0.5),
    "200": lambda s, _: s.answer("200"),
    "500": lambda s, _: s.answer("500"),
    "403": lambda s, _: s.answer("403"),
    "none": lambda s, _: s.answer("0"),
    "late200": lambda s, _: s.answer_late("200"),
}


def told(words: str) -> LoadState:
    """Return how it stands at the end of a story that begins with a running follower."""
    return Story(loaded_rendering.started_with(FOLLOWER, 100.0)).tell(words).loading


LED = "sees:f write:l succeeds:l "
HASTY = "sees:f write:l write:f "


@pytest.mark.parametrize(
    ("words", "in_force", "outcome"),
    [
        pytest.param("", "f", "pending", id="started with a file, it has no other"),
        pytest.param("sees:f", "f", "loaded", id="seen to run, it has loaded it"),
        pytest.param("sees:f write:l", "fl", "pending", id="a rename opens two possibilities"),
        pytest.param("sees:f write:l sees:f", "fl", "pending", id="the old content proves nothing"),
        pytest.param(
            "sees:f write:l stale:l", "fl", "pending", id="nor does what was asked before"
        ),
        pytest.param("sees:f write:l succeeds:f", "fl", "pending", id="nor a success time alone"),
        pytest.param(
            "sees:f write:l succeeds:f succeeds:f",
            "fl",
            "pending",
            id="nor two of which the first was counted from before the rename",
        ),
        pytest.param(LED, "l", "loaded", id="the leader's content proves a promotion"),
        pytest.param("sees:f write:l sees:l", "fl", "pending", id="but not without its success"),
        pytest.param("sees:f write:l 200", "l", "loaded", id="our own request's 200 proves it"),
        pytest.param(
            "sees:f write:l late200", "fl", "pending", id="not one sent before the rename"
        ),
        pytest.param("sees:f write:l 500", "fl", "refused", id="a 500 refuses it"),
        pytest.param("sees:f write:l 403", "fl", "failed", id="a 403 is none, nor a refusal"),
        pytest.param("sees:f write:l none", "fl", "pending", id="no answer says nothing"),
        pytest.param("sees:f write:l sees:f!", "fl", "refused", id="a failed reload refuses it"),
        pytest.param("sees:f write:l sees:l!", "fl", "refused", id="a broken rule file does too"),
        pytest.param(
            "sees:f write:l sees:l! succeeds:l", "l", "loaded", id="until the rule file is mended"
        ),
        pytest.param(LED + "write:f", "lf", "pending", id="a demotion is open until proven"),
        pytest.param(LED + "write:f sees:l", "lf", "pending", id="the leader's content is not it"),
        pytest.param(LED + "write:f succeeds:f", "f", "loaded", id="the follower's content is"),
        pytest.param(
            LED + "write:f sees:f!", "f", "refused", id="a broken rule file does not hide it"
        ),
        pytest.param(
            LED + "write:f succeeds:l sees:l", "lf", "pending", id="someone else's success is not"
        ),
        pytest.param(LED + "write:f 500 sees:l!", "lf", "refused", id="a refused demotion is open"),
        pytest.param(LED + "write:f 200", "f", "loaded", id="a 200 proves a demotion"),
        pytest.param(HASTY, "lf", "pending", id="a promotion taken back at once is open"),
        pytest.param(
            HASTY + "sees:f", "lf", "pending", id="what was shown before it proves no demotion"
        ),
        pytest.param(
            HASTY + "sees:f succeeds:f", "lf", "pending", id="one success may be the promotion's"
        ),
        pytest.param(
            HASTY + "sees:f succeeds:f succeeds:f", "f", "loaded", id="two in a row are proof"
        ),
        pytest.param(
            HASTY + "sees:f succeeds:l succeeds:f", "f", "loaded", id="so is its coming and going"
        ),
        pytest.param(
            LED + "write:f write:l sees:l write:f sees:f",
            "lf",
            "pending",
            id="a demotion taken back and repeated may show what the first one read",
        ),
        pytest.param(HASTY + "200", "f", "loaded", id="and a 200 to our own request"),
        pytest.param(
            "sees:f write:l sees:l! write:f sees:f!",
            "f",
            "pending",
            id="a promotion with a broken rule file was seen in force, so its end can be seen",
        ),
        pytest.param(
            "sees:f write:l sees:f start:f stale:f", "fl", "pending", id="nothing while one writes"
        ),
        pytest.param(
            "write:q succeeds:q", "fq", "pending", id="two without remote_write look alike"
        ),
        pytest.param("write:q succeeds:q succeeds:q", "fq", "pending", id="one success is too few"),
        pytest.param(
            "write:q sees:f succeeds:q succeeds:q", "q", "loaded", id="two successes tell"
        ),
        pytest.param(
            "sees:f write:q succeeds:q",
            "q",
            "loaded",
            id="once one was seen, it is known by its looks",
        ),
        pytest.param(LED + "write:m succeeds:m", "m", "loaded", id="as a leader's edit is"),
        pytest.param(
            LED + "write:t succeeds:t", "lt", "pending", id="but one of a secret looks as before"
        ),
        pytest.param(
            LED + "write:t sees:t succeeds:t succeeds:t", "t", "loaded", id="two successes tell it"
        ),
        pytest.param(
            LED + "write:f succeeds:f~", "f", "loaded", id="it may look otherwise than before"
        ),
        pytest.param(
            "sees:f write:q succeeds:q write:f sees:q succeeds:q",
            "qf",
            "pending",
            id="also like what was in force before, which proves nothing",
        ),
        pytest.param(
            "sees:f write:q succeeds:q write:f sees:q succeeds:q succeeds:q",
            "f",
            "loaded",
            id="until two successes tell",
        ),
    ],
)
def test_what_may_be_in_force(words: str, in_force: str, outcome: str) -> None:
    """After each story it is known what may be in force, and how the last reload came out."""
    loading = told(words)
    assert ("".join(c.fingerprint for c in loading.possibly_in_force), loading.outcome.value) == (
        in_force,
        outcome,
    )


def test_an_answer_from_before_the_proof_does_not_teach_what_a_rendering_looks_like() -> None:
    """What was asked before our request's 200 may still show the old content."""
    story = Story(loaded_rendering.started_with(FOLLOWER, 100.0)).tell("sees:f write:l")
    asked_at = story.now + 0.5
    story.tell("200")
    story.loading = story.see("f", asked_at=asked_at)
    assert story.loading.wants_evidence
    story.tell("sees:l")
    assert story.loading.shown_hashes == {"f": "hash of f", "l": "hash of l"}
    assert not story.loading.wants_evidence


@pytest.mark.parametrize(
    ("words", "may_be_leader", "is_settled"),
    [
        pytest.param("", False, True, id="a follower that runs"),
        pytest.param("start:l", True, False, id="one whose leader rendering is on its way"),
        pytest.param("start:l fail", False, True, id="one that could not be written"),
        pytest.param("start:l stale:f sees:f", True, False, id="shown a follower meanwhile"),
        pytest.param("start:l 200", True, False, id="told that its follower is loaded meanwhile"),
        pytest.param("write:l", True, False, id="a leader rendering in place"),
        pytest.param(LED, True, True, id="a leader that runs"),
        pytest.param(LED + "start:f", True, False, id="its demotion on its way"),
        pytest.param(LED + "start:f fail", True, True, id="its demotion not written"),
        pytest.param(LED + "write:f succeeds:f", False, True, id="its demotion proven"),
        pytest.param("write:g", False, False, id="a follower's edit"),
    ],
)
def test_who_may_write(words: str, *, may_be_leader: bool, is_settled: bool) -> None:
    """A leader rendering counts from before its rename until another is proven."""
    loading = told(words)
    assert (loading.may_be_leader, loading.is_settled) == (may_be_leader, is_settled)


@pytest.mark.parametrize(
    ("words", "wants"),
    [
        pytest.param("sees:f write:l", False, id="nothing was shown since the rename"),
        pytest.param("sees:f write:l sees:f", False, id="what is shown cannot be it yet"),
        pytest.param("sees:f write:l sees:l", False, id="it is it, and waits for its success"),
        pytest.param(HASTY + "sees:f", True, id="it may be it, from before or from now"),
        pytest.param(HASTY + "sees:f succeeds:f succeeds:f", False, id="it is proven"),
        pytest.param(LED + "write:t sees:t", True, id="it looks like the one before"),
        pytest.param(
            "sees:f write:q succeeds:q write:f sees:q",
            True,
            id="so may one that was known otherwise",
        ),
    ],
)
def test_when_another_reload_would_tell(words: str, *, wants: bool) -> None:
    """Another reload is needed where the content is right and may be an old sight."""
    assert told(words).needs_another_reload is wants


def test_few_hashes_are_kept() -> None:
    """A replica whose configuration changes every minute does not grow."""
    story = Story(loaded_rendering.started_with(FOLLOWER, 100.0))
    for number in range(40):
        edited = replace(FOLLOWER, fingerprint=f"{number}")
        RENDERINGS[edited.fingerprint] = edited
        story.tell(f"write:{number} 200 sees:{number}")
        del RENDERINGS[edited.fingerprint]
    assert len(story.loading.shown_hashes) == 16
    assert "39" in story.loading.shown_hashes


def test_nothing_written_is_nothing_to_prove() -> None:
    """A sidecar that has not written yet wants no evidence and takes none."""
    story = Story(LoadState())
    assert not story.loading.wants_evidence
    assert story.see("f") == LoadState()
    assert story.answer("200") == LoadState()
    assert story.loading.outcome is Outcome.PENDING
