"""The number of requests to the API server while nothing happens."""

from __future__ import annotations

from tests.real.fleet import Fleet, leader_by
from tests.support import let_pass, now, wait_until

DEFAULTS = ("--lease-duration=15s", "--lease-renew-deadline=10s", "--lease-retry-period=2s")
VERBS = ("get", "create", "update", "watch")
WINDOW_S = 14.0


def test_six_idle_replicas_send_few_requests(fleet: Fleet) -> None:
    """Six idle replicas send at most 40 requests a minute.

    The leader writes once per retry period; each follower sends at most one request in 14 s.
    """
    ways = {name: fleet.proxy() for name in "abcdef"}
    for name, way in ways.items():
        fleet.start(name, durations=DEFAULTS, through=way)

    [leader] = wait_until(fleet.leaders, 30, "one leads")
    for replica in fleet.replicas:
        wait_until(lambda it=replica: leader_by(it) == leader.name, 30, "all know it")  # type: ignore[misc]
    settled_at = now()
    let_pass(settled_at + 2 - now())
    since = now()
    let_pass(since + WINDOW_S - now())
    counts = {name: way.count(*VERBS, since=since) for name, way in ways.items()}
    writes = counts.pop(leader.name)
    assert WINDOW_S / 2 - 2 <= writes <= WINDOW_S / 2 + 1
    assert max(counts.values()) <= 1, counts
    assert (writes + sum(counts.values())) * 60 / WINDOW_S <= 40
