"""Check a request to step down that came over the API, and pass it to the supervisor.

The request is refused unless the API authenticates its clients. The body must be JSON, which a
browser does not send for a form of another site (CSRF).

Limitation: the supervisor only gets a signal. The result is in the status.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrapper.election import step_down_pause
from wrapper.election.step_down_rules import NO_AUTHENTICATION, refusal_reason
from wrapper.proxy.refusals import Refused
from wrapper.web.peers import Peer

_NO_CLIENTS = (
    "this API does not authenticate clients, so anyone could make it step down: configure users or "
    "client certificates in --web-config-file, or run prometheus-elector step-down in the container"
)


def step_down(  # noqa: PLR0913 - all that it takes to judge
    body: object,
    own: Mapping[str, Any],
    peers: list[Peer],
    *,
    knows_clients: bool,
    supervisor_pid: int,
    pause_file: str,
) -> None:
    """Have the supervisor step down; raise Refused if it must not, or cannot."""
    if not knows_clients:
        raise Refused(403, NO_AUTHENTICATION, _NO_CLIENTS)
    seconds, is_forced = _asked(body)
    others = [peer.status for peer in peers if peer.status is not None]
    if wrong := refusal_reason(own, others, is_forced=is_forced, for_s=seconds):
        raise Refused(409, "conflict", wrong)
    try:
        if seconds is not None:
            step_down_pause.write(Path(pause_file), seconds)
        os.kill(supervisor_pid, signal.SIGUSR1)
    except OSError as error:
        text = f"the supervisor cannot be signalled: {error.strerror}"
        raise Refused(500, "internal", text) from error


def _asked(body: object) -> tuple[float | None, bool]:
    """Return the body's ``for_s`` (None if absent) and ``force``; raise Refused."""
    seconds = body.get("for_s") if isinstance(body, dict) else None
    is_forced = body.get("force", False) if isinstance(body, dict) else None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    is_span = seconds is None or (is_number and 0 <= seconds <= step_down_pause.LONGEST_S)
    if not is_span or not isinstance(is_forced, bool):
        longest = f"{step_down_pause.LONGEST_S:g}"
        text = f"send JSON: for_s, a number from 0 to {longest}, and force, a boolean"
        raise Refused(400, "bad_data", text)
    return seconds, is_forced
