"""Shared parts of the feed tests: a server, its files, and the objects that fetch them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import promgen
from tests.promgen import RULES, TARGETS, Promgen, group
from tests.support import wait_until
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.model.events import Event
from wrapper.model.fetched_file import Feed
from wrapper.model.roles import Verdict
from wrapper.options.settings import FeedOptions
from wrapper.supervision.reload_requests import ReloadAnswer
from wrapper.targets.fetch import Fetcher
from wrapper.targets.fetch_loop import FeedKeeper, FetchParts
from wrapper.targets.rule_loader import RuleLoader
from wrapper.targets.shard_check import ShardCheck

LIMIT_S = 20.0
ONE, TWO = promgen.targets(group("a:1")), promgen.targets(group("a:1"), group("b:1", shard="other"))
MOST = 1 << 20


@dataclass
class Reloads:
    """A replacement for Prometheus: the results of its reloads in turn; the last one repeats."""

    verdicts: list[Verdict | ReloadAnswer] = field(default_factory=lambda: [Verdict.LOADED])
    asked: list[bool] = field(default_factory=list)

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Return the next result."""
        self.asked.append(has_changed_files)
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, ReloadAnswer):
            return verdict
        return ReloadAnswer(verdict, "" if verdict is Verdict.LOADED else "so it says")


@dataclass
class FeedSetup:
    """A folder with files of feeds, their server, and the keepers that fetch them."""

    server: Promgen
    folder: Path
    reloads: Reloads = field(default_factory=Reloads)
    events: list[Event] = field(default_factory=list)
    keepers: list[FeedKeeper] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)
    shards: ShardCheck = field(default_factory=ShardCheck)

    def __post_init__(self) -> None:
        self.rules = RuleLoader(self.reloads, quiet_s=0.0)

    def keeper(self, api: str = TARGETS, **options: Any) -> FeedKeeper:
        """Return the keeper of the file for one of Promgen's paths."""
        return self.keeper_of(Feed(f"{self.server.url}{api}", str(self.file(api))), **options)

    def keeper_of(self, feed: Feed, **options: Any) -> FeedKeeper:
        """Return the keeper of this feed."""
        values: dict[str, Any] = {
            "interval_s": 3600.0,
            "shard": "",
            "allows_empty": False,
            "largest": MOST,
        }
        fetcher = Fetcher(PrometheusAccess(is_proxied=True), LIMIT_S, MOST)
        parts = FetchParts(fetcher, self.rules, self.events.append, self.ready, self.shards)
        keeper = FeedKeeper(feed, FeedOptions(**values | options), parts)
        keeper._look_at_file()
        self.keepers.append(keeper)
        return keeper

    def file(self, api: str = TARGETS) -> Path:
        """Return the file for one of Promgen's paths."""
        return self.folder / f"{api.rpartition('/')[2]}.{'yml' if api == RULES else 'json'}"

    @property
    def names(self) -> list[str]:
        """The names of the files in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


def running(keeper: FeedKeeper) -> FeedKeeper:
    """Start the thread of a keeper, and return the keeper."""
    threading.Thread(target=keeper.run, daemon=True).start()
    return keeper


def fetch_now(keeper: FeedKeeper) -> str:
    """Request a fetch, and return the problem that is reported for it."""
    told = list[str]()
    keeper.ask(None, told.append)
    wait_until(lambda: told, LIMIT_S, "it is told")
    return told[0]
