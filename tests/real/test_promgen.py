"""The real Promgen: its data reaches a real Prometheus, by the interval and by its tasks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.promgen import RULES, TARGETS, URLS
from tests.real.brokers import Redis
from tests.real.fleet import own_lines
from tests.real.parts import started
from tests.real.real_promgen import PORT, RealPromgen
from tests.real.test_plain import Plain
from tests.real.test_target_queue import messages
from tests.real.test_targets import CONFIG, LIMIT_S, rules, targets
from tests.support import now, wait_until

SERVER = "prometheus001"
HOSTS, BURST_S = 100, 4.0
MOST_FETCHES, LATE_S = 5, 3.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Run the broker."""
    with started(Redis(tmp_path_factory.mktemp("redis"))) as part:
        yield part


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> Iterator[RealPromgen]:
    """Run Promgen."""
    with started(RealPromgen(tmp_path_factory.mktemp("promgen"), redis.url, SERVER)) as part:
        yield part


class Listening(Plain):
    """A plain Prometheus with files of all kinds from Promgen; it listens to Promgen's tasks."""

    def __init__(self, folder: Path, site_url: str, broker_url: str, *more: str) -> None:
        super().__init__(folder)
        self.files = folder / "files"
        self.files.mkdir()
        self.config.write_text(CONFIG.format(folder=self.files))
        at = self.argv.index("--")
        self.argv[at:at] = [
            f"--targets-url={site_url}{TARGETS}={self.files}/t.json",
            f"--targets-url={site_url}{URLS}={self.files}/u.json",
            f"--targets-url={site_url}{RULES}={self.files}/r.yml",
            f"--targets-queue={SERVER}",
            *more,
        ]
        self.argv.insert(1, f"ELECTOR_TARGETS_BROKER={broker_url}")

    def start(self) -> None:
        """Start it; wait until all files are fetched and the queue is connected."""
        super().start()
        for line in ("t.json groups=", "u.json groups=", "r.yml groups=", " queue="):
            wait_until(lambda line=line: line in self.log.read_text(), LIMIT_S, line)  # type: ignore[misc]

    @property
    def messages(self) -> dict[str, float]:
        """The numbers of messages, by their result."""
        return messages(self)

    def addresses(self, name: str = "t.json") -> set[str]:
        """Return the addresses of the targets in a file."""
        groups = json.loads((self.files / name).read_bytes())
        return {address for group in groups for address in group["targets"]}


@pytest.fixture
def listening(tmp_path: Path, site: RealPromgen, redis: Redis) -> Iterator[Listening]:
    """Run one that fetches once an hour, or by a task."""
    part = Listening(tmp_path, site.url, redis.url, "--targets-interval=1h")
    with started(part):
        yield part


def test_changes_in_promgen_arrive_by_its_tasks(site: RealPromgen, listening: Listening) -> None:
    """Hosts, URLs and rules saved in Promgen arrive at once, although the interval is an hour."""
    site.save_hosts(["by-task.example.com"])
    site.save_url("http://by-task.example.com/")
    site.save_rule("ByTask", "up == 17")
    added = f"by-task.example.com:{PORT}"
    wait_until(lambda: added in targets(listening.url), LIMIT_S, "the host is scraped")
    wait_until(lambda: "up == 17" in rules(listening.url), LIMIT_S, "the rule is in force")
    wait_until(
        lambda: "http://by-task.example.com/" in listening.addresses("u.json"), LIMIT_S, "the URL"
    )


def test_changes_in_promgen_arrive_at_the_interval(
    site: RealPromgen, redis: Redis, tmp_path: Path
) -> None:
    """Hosts saved in Promgen arrive at the interval, although its tasks go to another queue."""
    part = Listening(
        tmp_path, site.url, redis.url, "--targets-interval=1s", "--targets-queue=elsewhere"
    )
    with started(part):
        site.save_hosts(["by-interval.example.com"])
        added = f"by-interval.example.com:{PORT}"
        wait_until(lambda: added in targets(part.url), LIMIT_S, "the host is scraped")


def test_many_saved_hosts_cause_few_fetches(site: RealPromgen, listening: Listening) -> None:
    """While many hosts are saved, few fetches are made; the last state arrives within 3 s.

    Each fetch makes Promgen send its pending tasks.
    """
    saved, before = list[str](), site.fetches(TARGETS)
    saving = threading.Thread(target=_save_for, args=(site, BURST_S, saved), daemon=True)
    saving.start()
    wait_until(lambda: _has_target(site, "many"), LIMIT_S, "some are saved")
    saving.join()
    ended_at = now()
    wanted = {f"{name}:{PORT}" for name in saved}
    wait_until(lambda: wanted <= listening.addresses(), LATE_S, "all are in the file")
    assert now() - ended_at <= LATE_S
    assert 2 <= site.fetches(TARGETS) - before <= MOST_FETCHES


def _save_for(site: RealPromgen, seconds: float, saved: list[str]) -> None:
    """Save hosts, 100 at a time, for so many seconds; add their names to `saved`."""
    ends_at = now() + seconds
    while now() < ends_at:
        names = [f"many{number}.example.com" for number in range(len(saved), len(saved) + HOSTS)]
        site.save_hosts(names)
        saved += names


def _has_target(site: RealPromgen, name: str) -> bool:
    """Tell whether Promgen's targets have this name; the request makes it send its tasks."""
    return name in requests.get(f"{site.url}{TARGETS}", timeout=60).text


def cleanings(part: Plain) -> list[str]:
    """Return the status of each kind of answer to a request to clean tombstones."""
    text = requests.get(f"{part.url}/metrics", timeout=5).text
    pattern = (
        r'prometheus_http_requests_total\{code="(\d+)",handler="[^"]*/clean_tombstones"\} [1-9]'
    )
    return re.findall(pattern, text)


def all_acknowledged(part: Listening, count: int) -> bool:
    """Tell whether at least `count` messages came and all are acknowledged.

    One may be a task of an earlier test.
    """
    return part.messages.keys() == {"acknowledged"} and part.messages["acknowledged"] >= count


def test_tombstones_are_cleared_and_a_greeting_is_answered(
    site: RealPromgen, redis: Redis, tmp_path: Path
) -> None:
    """The task to clear tombstones is done, and the greeting of Promgen's worker acknowledged."""
    part = Listening(tmp_path, site.url, redis.url, "--targets-interval=1h")
    part.argv.append("--web.enable-admin-api")
    with started(part):
        site.act("prometheus_tombstones")
        site.greet()
        wait_until(lambda: all_acknowledged(part, 2), LIMIT_S, "both are acknowledged")
        assert cleanings(part) == ["204"]


def test_if_tombstones_cannot_be_cleared_the_flag_is_named(
    site: RealPromgen, listening: Listening
) -> None:
    """Without --web.enable-admin-api, one warning names it, and each task is acknowledged."""
    for _ in range(2):
        site.act("prometheus_tombstones")
    wait_until(lambda: all_acknowledged(listening, 2), LIMIT_S, "both are acknowledged")
    [warning] = own_lines(listening, "warn")
    assert warning.has("--web.enable-admin-api")


def test_a_host_that_promgen_refuses_is_reported(site: RealPromgen, tmp_path: Path) -> None:
    """When Promgen answers 400 for an unknown host, the error names ALLOWED_HOSTS."""
    argv = [sys.executable, "-m", "wrapper", "targets", str(tmp_path / "t.json")]
    done = subprocess.run(
        [*argv, f"--from={site.other_url}{TARGETS}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "HTTP 400 Bad Request" in done.stderr
    assert "add 127.0.0.2 to its ALLOWED_HOSTS" in done.stderr
