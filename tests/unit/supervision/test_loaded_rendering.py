"""Which configuration Prometheus has in force: what proves it, and what does not.

A scenario is a row of short words, executed in order; the clock advances by one second per word.
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
TWIN = Rendering(Role.LEADER, b"t", "t", writes_remotely=True)  # LEADER, but for a secret
QUIET_LEADER = Rendering(Role.LEADER, b"q", "q", writes_remotely=False)
RENDERINGS = {
    r.fingerprint: r for r in (FOLLOWER, EDITED, LEADER, OTHER_LEADER, TWIN, QUIET_LEADER)
}


@dataclass
class Scenario:
    """A loading, and the success time of Prometheus' last reload."""

    loading: LoadState
    now: float = 100.0
    success_time: float = 1.0

    def apply(self, words: str) -> Scenario:
        """Execute each word: its part before ``:`` is the verb, its part behind it the object."""
        for word in words.split():
            verb, _, what = word.partition(":")
            self.now += 1
            self.loading = _VERBS[verb](self, what)
        return self

    def see(self, what: str, *, asked_at: float | None = None) -> LoadState:
        """Show a rendering's content; with ``~`` behind it, content that looks different.

        With ``!`` behind it, the last reload has failed.
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
        """Increase the success time of the last reload, then show the content."""
        self.success_time += 1
        return self.see(what)

    def write(self, what: str) -> LoadState:
        """Write a rendering to the file, and send a reload request."""
        started = loaded_rendering.write_started(self.loading, RENDERINGS[what])
        written = loaded_rendering.written(started, RENDERINGS[what], self.now)
        return loaded_rendering.reload_sent(written, self.now)

    def answer(self, status: str) -> LoadState:
        """Answer the request that was sent for the last reload."""
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


_VERBS: dict[str, Callable[[Scenario, str], LoadState]] = {
    "start": lambda s, what: loaded_rendering.write_started(s.loading, RENDERINGS[what]),
    "fail": lambda s, _: loaded_rendering.write_failed(s.loading),
    "write": Scenario.write,
    "sees": Scenario.see,
    "succeeds": Scenario.succeed_and_see,
    "stale": lambda s, what: s.see(what, asked_at=s.loading.written_at - 0.5),
    "200": lambda s, _: s.answer("200"),
    "500": lambda s, _: s.answer("500"),
    "403": lambda s, _: s.answer("403"),
    "none": lambda s, _: s.answer("0"),
    "late200": lambda s, _: s.answer_late("200"),
}


def after_words(words: str) -> LoadState:
    """Return the state at the end of a scenario that begins with a running follower."""
    return Scenario(loaded_rendering.started_with(FOLLOWER, 100.0)).apply(words).loading


LED = "sees:f write:l succeeds:l "
HASTY = "sees:f write:l write:f "


@pytest.mark.parametrize(
    ("words", "in_force", "outcome"),
    [
        pytest.param("", "f", "pending", id="the rendering of the start is the only possible one"),
        pytest.param(
            "sees:f", "f", "loaded", id="the rendering of the start is loaded once it is shown"
        ),
        pytest.param(
            "sees:f write:l", "fl", "pending", id="after a rename, two renderings are possible"
        ),
        pytest.param("sees:f write:l sees:f", "fl", "pending", id="the old content proves nothing"),
        pytest.param(
            "sees:f write:l stale:l",
            "fl",
            "pending",
            id="content requested before the rename proves nothing",
        ),
        pytest.param(
            "sees:f write:l succeeds:f",
            "fl",
            "pending",
            id="a new success time alone proves nothing",
        ),
        pytest.param(
            "sees:f write:l succeeds:f succeeds:f",
            "fl",
            "pending",
            id="two successes prove nothing if the first preceded the rename",
        ),
        pytest.param(LED, "l", "loaded", id="the leader's content and a success prove a promotion"),
        pytest.param(
            "sees:f write:l sees:l",
            "fl",
            "pending",
            id="the leader's content without a success proves nothing",
        ),
        pytest.param(
            "sees:f write:l 200",
            "l",
            "loaded",
            id="status 200 to our own request proves a promotion",
        ),
        pytest.param(
            "sees:f write:l late200",
            "fl",
            "pending",
            id="status 200 to a request before the rename proves nothing",
        ),
        pytest.param("sees:f write:l 500", "fl", "refused", id="status 500 is a refusal"),
        pytest.param(
            "sees:f write:l 403", "fl", "failed", id="status 403 is a failure, but not a refusal"
        ),
        pytest.param("sees:f write:l none", "fl", "pending", id="no answer proves nothing"),
        pytest.param("sees:f write:l sees:f!", "fl", "refused", id="a failed reload is a refusal"),
        pytest.param(
            "sees:f write:l sees:l!", "fl", "refused", id="an invalid rule file is a refusal"
        ),
        pytest.param(
            "sees:f write:l sees:l! succeeds:l",
            "l",
            "loaded",
            id="a promotion is proven once the rule file is corrected",
        ),
        pytest.param(LED + "write:f", "lf", "pending", id="a demotion is unconfirmed until proven"),
        pytest.param(
            LED + "write:f sees:l",
            "lf",
            "pending",
            id="the leader's content does not prove a demotion",
        ),
        pytest.param(
            LED + "write:f succeeds:f", "f", "loaded", id="the follower's content proves a demotion"
        ),
        pytest.param(
            LED + "write:f sees:f!",
            "f",
            "refused",
            id="the follower's content proves a demotion despite an invalid rule file",
        ),
        pytest.param(
            LED + "write:f succeeds:l sees:l",
            "lf",
            "pending",
            id="another program's success does not prove a demotion",
        ),
        pytest.param(
            LED + "write:f 500 sees:l!", "lf", "refused", id="a refused demotion is unconfirmed"
        ),
        pytest.param(LED + "write:f 200", "f", "loaded", id="status 200 proves a demotion"),
        pytest.param(
            HASTY, "lf", "pending", id="a demotion right after a promotion is unconfirmed"
        ),
        pytest.param(
            HASTY + "sees:f",
            "lf",
            "pending",
            id="content from before the promotion does not prove a demotion",
        ),
        pytest.param(
            HASTY + "sees:f succeeds:f",
            "lf",
            "pending",
            id="one success may be that of the promotion",
        ),
        pytest.param(
            HASTY + "sees:f succeeds:f succeeds:f",
            "f",
            "loaded",
            id="two successes prove a demotion",
        ),
        pytest.param(
            HASTY + "sees:f succeeds:l succeeds:f",
            "f",
            "loaded",
            id="leader's and then follower's content prove a demotion",
        ),
        pytest.param(
            LED + "write:f write:l sees:l write:f sees:f",
            "lf",
            "pending",
            id="a repeated demotion may show what the first one read",
        ),
        pytest.param(
            HASTY + "200", "f", "loaded", id="status 200 to our own request proves a demotion"
        ),
        pytest.param(
            "sees:f write:l sees:l! write:f sees:f!",
            "f",
            "pending",
            id="a promotion seen in force despite an invalid rule file can be seen to end",
        ),
        pytest.param(
            "sees:f write:l sees:f start:f stale:f",
            "fl",
            "pending",
            id="evidence during a write is ignored",
        ),
        pytest.param(
            "write:q succeeds:q",
            "fq",
            "pending",
            id="two renderings without remote_write look alike",
        ),
        pytest.param(
            "write:q succeeds:q succeeds:q",
            "fq",
            "pending",
            id="renderings that look alike: one success is too few",
        ),
        pytest.param(
            "write:q sees:f succeeds:q succeeds:q",
            "q",
            "loaded",
            id="renderings that look alike: two successes are proof",
        ),
        pytest.param(
            "sees:f write:q succeeds:q",
            "q",
            "loaded",
            id="content that was seen before is recognised",
        ),
        pytest.param(
            LED + "write:m succeeds:m", "m", "loaded", id="a leader's edit is proven by its content"
        ),
        pytest.param(
            LED + "write:t succeeds:t",
            "lt",
            "pending",
            id="an edit of a secret looks like the old content",
        ),
        pytest.param(
            LED + "write:t sees:t succeeds:t succeeds:t",
            "t",
            "loaded",
            id="an edit of a secret is proven by two successes",
        ),
        pytest.param(
            LED + "write:f succeeds:f~",
            "f",
            "loaded",
            id="a demotion is proven although the content looks different",
        ),
        pytest.param(
            "sees:f write:q succeeds:q write:f sees:q succeeds:q",
            "qf",
            "pending",
            id="content like that of the rendering before proves nothing",
        ),
        pytest.param(
            "sees:f write:q succeeds:q write:f sees:q succeeds:q succeeds:q",
            "f",
            "loaded",
            id="content like that of the rendering before needs two successes",
        ),
    ],
)
def test_possible_renderings_and_outcome_of_the_last_reload(
    words: str, in_force: str, outcome: str
) -> None:
    """After each scenario, the state has the possible renderings and the last reload's outcome."""
    loading = after_words(words)
    assert ("".join(c.fingerprint for c in loading.possibly_in_force), loading.outcome.value) == (
        in_force,
        outcome,
    )


def test_old_evidence_does_not_define_what_a_rendering_looks_like() -> None:
    """Content requested before our request's 200 is ignored: it may still be the old one."""
    story = Scenario(loaded_rendering.started_with(FOLLOWER, 100.0)).apply("sees:f write:l")
    asked_at = story.now + 0.5
    story.apply("200")
    story.loading = story.see("f", asked_at=asked_at)
    assert story.loading.wants_evidence
    story.apply("sees:l")
    assert story.loading.shown_hashes == {"f": "hash of f", "l": "hash of l"}
    assert not story.loading.wants_evidence


@pytest.mark.parametrize(
    ("words", "may_be_leader", "is_settled"),
    [
        pytest.param("", False, True, id="a running follower"),
        pytest.param("start:l", True, False, id="a leader rendering that is being written"),
        pytest.param(
            "start:l fail", False, True, id="a leader rendering that could not be written"
        ),
        pytest.param(
            "start:l stale:f sees:f", True, False, id="a follower's content shown during the write"
        ),
        pytest.param("start:l 200", True, False, id="status 200 for the follower during the write"),
        pytest.param("write:l", True, False, id="a leader rendering in the file"),
        pytest.param(LED, True, True, id="a running leader"),
        pytest.param(LED + "start:f", True, False, id="a demotion that is being written"),
        pytest.param(LED + "start:f fail", True, True, id="a demotion that could not be written"),
        pytest.param(LED + "write:f succeeds:f", False, True, id="a proven demotion"),
        pytest.param("write:g", False, False, id="an edit of a follower"),
    ],
)
def test_leader_rendering_counts_until_another_is_proven(
    words: str, *, may_be_leader: bool, is_settled: bool
) -> None:
    """A leader rendering may be loaded from before its rename until another one is proven."""
    loading = after_words(words)
    assert (loading.may_be_leader, loading.is_settled) == (may_be_leader, is_settled)


@pytest.mark.parametrize(
    ("words", "wants"),
    [
        pytest.param("sees:f write:l", False, id="nothing was shown since the rename"),
        pytest.param("sees:f write:l sees:f", False, id="the content shown is the old one"),
        pytest.param(
            "sees:f write:l sees:l",
            False,
            id="the content is the new one and waits for its success",
        ),
        pytest.param(
            HASTY + "sees:f", True, id="the content may be from before or after the reload"
        ),
        pytest.param(HASTY + "sees:f succeeds:f succeeds:f", False, id="the demotion is proven"),
        pytest.param(
            LED + "write:t sees:t", True, id="the content looks like that of the rendering before"
        ),
        pytest.param(
            "sees:f write:q succeeds:q write:f sees:q",
            True,
            id="the rendering is known to look different",
        ),
    ],
)
def test_another_reload_is_needed_if_the_content_is_ambiguous(words: str, *, wants: bool) -> None:
    """Another reload is needed if the right content is shown, but may be from before the rename."""
    assert after_words(words).needs_another_reload is wants


def test_number_of_known_hashes_is_bounded() -> None:
    """If the configuration changes often, only the newest 16 hashes are kept."""
    story = Scenario(loaded_rendering.started_with(FOLLOWER, 100.0))
    for number in range(40):
        edited = replace(FOLLOWER, fingerprint=f"{number}")
        RENDERINGS[edited.fingerprint] = edited
        story.apply(f"write:{number} 200 sees:{number}")
        del RENDERINGS[edited.fingerprint]
    assert len(story.loading.shown_hashes) == 16
    assert "39" in story.loading.shown_hashes


def test_unwritten_file_needs_no_evidence() -> None:
    """A sidecar that has not written a file yet wants no evidence and ignores it."""
    story = Scenario(LoadState())
    assert not story.loading.wants_evidence
    assert story.see("f") == LoadState()
    assert story.answer("200") == LoadState()
    assert story.loading.outcome is Outcome.PENDING
