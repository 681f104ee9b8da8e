"""What is known of the web server, and how it changes; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.actions import Action, StopWeb
from wrapper.model.events import Event, WebExited, WebStarted

_PROVEN_S = 30.0  # one that has run for so long is no longer held to the failures before


@dataclass(frozen=True, slots=True)
class WebState:
    """Whether it runs (``pid``), and how often in a row it has ended soon after its start."""

    pid: int | None = None
    failures: int = 0
    started_at: float = 0.0
    exited_at: float | None = None
    stopped_at: float | None = None


def fold(web: WebState, happened: Event | Action, now: float) -> WebState:
    """Return it with one event, or one action that was decided, taken in."""
    match happened:
        case WebStarted(pid):
            return replace(web, pid=pid, started_at=now, exited_at=None)
        case WebExited():
            failures = 1 if now - web.started_at > _PROVEN_S else web.failures + 1
            return replace(web, pid=None, exited_at=now, failures=failures)
        case StopWeb():
            return replace(web, stopped_at=now)
        case _:
            return web
