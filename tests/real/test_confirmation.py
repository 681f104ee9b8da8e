"""A change of role is confirmed whatever Prometheus shows or hides of a configuration.

If a demotion is not confirmed, Prometheus is killed; so what Prometheus shows must never prevent a
confirmation. Each case needs fields that not every Prometheus has; the schema has them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.real.loadable import version
from tests.real.parts import WriteLog, started
from tests.real.replica import FOLLOWER, Replica
from tests.schema import schema
from tests.support import wait_until

CALM = ("--lease-duration=15s", "--lease-renew-deadline=10s", "--lease-retry-period=1s")
WRITE = "  remote_write:\n  - url: {url}\n    name: w\n"


@dataclass(frozen=True)
class Case:
    """What is added to the follower's part and to the leader's; ``needs`` are fields."""

    leader: str
    follower: str = ""
    needs: tuple[str, ...] = ()


CASES = {
    "what is hidden and what is not": Case(
        "  remote_write:\n  - url: {url}?token=hunter2\n    headers: {{X-Key: hunter2}}\n"
        "    basic_auth: {{username: a, password: hunter2}}\n"
    ),
    "headers of 3.x": Case(
        WRITE + "    http_headers:\n"
        "      X-A: {{values: [hunter2]}}\n      X-B: {{secrets: [hunter2]}}\n",
        needs=("remote_write/[]/http_headers/*/values/[]",),
    ),
    "a secret alone": Case(
        f"{WRITE}    $patch: replace\n    bearer_token: hunter3\n",
        follower=f"{WRITE}    bearer_token: hunter2\n",
    ),
    "a percentage that 2.53 goes on showing": Case(
        WRITE + "  runtime: {{gogc: 40}}\n", needs=("runtime/gogc",)
    ),
    "this percentage alone": Case("  runtime: {{gogc: 40}}\n", needs=("runtime/gogc",)),
    "what the newest has": Case(
        WRITE + "    round_robin_dns: true\n    convert_nhcb_to_classic: true\n"
        "    failed_request_logging: true\n  runtime: {{log_level: warn}}\n"
        "  storage: {{tsdb: {{retention: {{time: 5d}}}}}}\n"
        "  otlp: {{promote_all_resource_attributes: true}}\n",
        needs=("remote_write/[]/convert_nhcb_to_classic", "runtime/log_level"),
    ),
}


class Written(Replica):
    """A replica with the configuration of a case."""

    def __init__(self, *arguments: Any, case: Case, write_url: str) -> None:
        self._case = case
        super().__init__(*arguments, write_url=write_url)

    def write_config(self, write_url: str | None) -> None:
        """Write both parts."""
        text = FOLLOWER.format(address=self.address) + self._case.follower.format(url=write_url)
        self.config.write_text(f"{text}leader:\n{self._case.leader.format(url=write_url)}")

    def has_loaded(self, rendering: str) -> bool:
        """Tell whether its API reports that this rendering is loaded."""
        said = requests.get(f"{self.api}/_elector/config", timeout=5).json()
        return bool(said["is_loaded"]) and said["loaded"] == said["renderings"][rendering]


@pytest.fixture
def begin(tmp_path: Path, write_log: WriteLog) -> Iterator[Callable[[Case], Written]]:
    """Give a function that starts a replica on the test's lock file."""
    with ExitStack() as stack:

        def begin_one(case: Case) -> Written:
            flags = (f"--lease-lock=file:{tmp_path / 'locks/election.lock'}", *CALM)
            replica = Written(tmp_path, "a", *flags, case=case, write_url=write_log.url("a"))
            return stack.enter_context(started(replica))

        yield begin_one


def test_the_newest_prometheus_has_all_that_the_cases_need() -> None:
    """The newest Prometheus has the fields of all cases, so that none is skipped everywhere."""
    needed = {field for case in CASES.values() for field in case.needs}
    assert needed <= schema().of(schema().versions[-1])


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_each_change_of_role_is_confirmed(begin: Callable[[Case], Written], case: Case) -> None:
    """A promotion and a demotion are confirmed, and Prometheus is not killed."""
    if missing := {*case.needs} - schema().of(version()):
        pytest.skip(f"Prometheus {version()} does not have {', '.join(missing)}")
    replica = begin(case)
    wait_until(lambda: replica.has_loaded("leader"), 30, "it leads")
    child = replica.child.pid
    os.kill(replica.pid, signal.SIGUSR1)
    wait_until(lambda: replica.has_loaded("follower"), 30, "its demotion is confirmed")
    assert replica.child.pid == child
