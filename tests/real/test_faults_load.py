"""Under load, of the wrapper or of Prometheus, renewals continue and nothing is killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
from contextlib import ExitStack
from datetime import datetime, timedelta

from tests.real.faults import Proxy
from tests.real.fleet import LEASE_S, Fleet, await_turns, demotions, promotions
from tests.support import let_pass, now, wait_until

RENEW_DEADLINE = timedelta(seconds=2)  # of QUICK
JOB = """\
  - job_name: job-{n:05}
    metrics_path: /metrics/of/a/rather/long/path/as/they/are/in/real/configurations/{n:05}
    params: {{module: [http_2xx], target: ["https://service-{n:05}.example.com:8443/health"]}}
    scrape_interval: 1h
    static_configs:
    - targets: []
      labels: {{team: team-{n:05}, environment: production, region: ap-northeast-1}}
"""


def renew_times(way: Proxy) -> list[datetime]:
    """Return the renewTime of each renewal that passed the proxy."""
    bodies = [json.loads(each.body) for each in tuple(way.asked) if each.verb == "update"]
    return [datetime.fromisoformat(each["spec"]["renewTime"]) for each in bodies]


def test_a_lease_is_not_lost_while_a_large_configuration_is_read(fleet: Fleet) -> None:
    """While a leader loads 10,000 jobs, it renews its lease within the renew deadline."""
    leader = fleet.start("a", "--rehash-period=1h", through=(way := fleet.proxy()))
    leader.await_leader()
    text = leader.config.read_text()
    jobs = "".join(JOB.format(n=n) for n in range(10_000))
    large = text.replace("  scrape_configs:\n", "  scrape_configs:\n" + jobs)
    assert len(large) > 3_300_000
    leader.config.write_text(large)
    os.kill(leader.pid, signal.SIGHUP)

    wait_until(lambda: leader.output.stat().st_size > 3_000_000, 30, "it has been rendered")
    let_pass(LEASE_S)  # Prometheus is busy loading it
    worked_until = now()
    wait_until(lambda: way.count("update", since=worked_until), LEASE_S, "it goes on renewing")
    times = renew_times(way)
    longest = max(later - earlier for earlier, later in itertools.pairwise(times))
    assert longest < RENEW_DEADLINE, f"{len(times)} renewals"
    lease = fleet.namespace.lease()
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0
    assert (promotions(leader), demotions(leader)) == (1, 0)


def test_a_hand_over_works_when_clients_use_all_connections(fleet: Fleet) -> None:
    """When clients use all of Prometheus' connections, an ordered hand-over still works.

    The wrapper has kept a connection of its own, by which the demotion is confirmed.
    """
    room = 8
    leader, other = fleet.pair(child_flags=(f"--web.max-connections={room}",))
    host, port = leader.address.split(":")
    with ExitStack() as clients:
        for _ in range(2 * room):  # connections beyond the limit wait in the backlog
            clients.enter_context(socket.create_connection((host, int(port))))
        let_pass(1.5 * LEASE_S)
        assert fleet.log.turns() == [leader.name], "it is healthy and goes on writing"
        os.kill(leader.pid, signal.SIGUSR1)
        other.await_leader()
        assert leader.is_running, "and not killed with its Prometheus"
    await_turns(fleet, leader.name, other.name)
