"""Work for the wrapper, and for Prometheus: renewals go on meanwhile, and nobody is killed."""

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
    """Return when each renewal was made that came by, as the Lease itself says."""
    bodies = [json.loads(each.body) for each in tuple(way.asked) if each.verb == "update"]
    return [datetime.fromisoformat(each["spec"]["renewTime"]) for each in bodies]


def test_a_lease_is_not_lost_while_a_large_configuration_is_read(fleet: Fleet) -> None:
    """10,000 jobs are read, rendered and reloaded by a leader: it renews in time all the while."""
    leader = fleet.start("a", "--rehash-period=1h", through=(way := fleet.proxy()))
    leader.await_leader()
    text = leader.config.read_text()
    jobs = "".join(JOB.format(n=n) for n in range(10_000))
    large = text.replace("  scrape_configs:\n", "  scrape_configs:\n" + jobs)
    assert len(large) > 3_300_000
    leader.config.write_text(large)
    os.kill(leader.pid, signal.SIGHUP)

    wait_until(lambda: leader.output.stat().st_size > 3_000_000, 30, "it has been rendered")
    let_pass(LEASE_S)  # Prometheus is at work on it, and busy
    worked_until = now()
    wait_until(lambda: way.count("update", since=worked_until), LEASE_S, "it goes on renewing")
    times = renew_times(way)
    longest = max(later - earlier for earlier, later in itertools.pairwise(times))
    assert longest < RENEW_DEADLINE, f"{len(times)} renewals"
    lease = fleet.namespace.lease()
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0
    assert (promotions(leader), demotions(leader)) == (1, 0)


def test_clients_that_use_up_all_connections_keep_no_leader_from_handing_over(fleet: Fleet) -> None:
    """Prometheus takes no more; the wrapper has its own already, and hears of the demotion."""
    room = 8
    leader, other = fleet.pair(child_flags=(f"--web.max-connections={room}",))
    host, port = leader.address.split(":")
    with ExitStack() as clients:
        for _ in range(2 * room):  # those that are not taken yet wait for those that are
            clients.enter_context(socket.create_connection((host, int(port))))
        let_pass(1.5 * LEASE_S)
        assert fleet.log.turns() == [leader.name], "it is healthy and goes on writing"
        os.kill(leader.pid, signal.SIGUSR1)
        other.await_leader()
        assert leader.is_running, "and not killed with its Prometheus"
    await_turns(fleet, leader.name, other.name)
