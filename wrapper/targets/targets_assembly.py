"""Building what fetches targets and rules: after Prometheus has been started, and beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.options.settings import Settings
from wrapper.start import Start
from wrapper.supervision.events import Events
from wrapper.supervision.reload_desk import ReloadDesk
from wrapper.supervision.sensors import start_thread
from wrapper.targets.broker import Broker
from wrapper.targets.feed import Feed
from wrapper.targets.feed_desk import FeedDesk
from wrapper.targets.feed_fetch import Fetcher
from wrapper.targets.feeds import FeedKeeper, Parts, Terms
from wrapper.targets.rule_check import RuleCheck
from wrapper.targets.rule_loads import RuleLoads
from wrapper.targets.target_queue import TargetQueue
from wrapper.targets.targets_start import program_of_rule_check


def start_targets(
    start: Start,
    reloads: ReloadDesk,
    events: Events,
    ready: threading.Event,
    obstacle: Callable[[], str],
) -> None:
    """Start a thread for each feed, and one for the broker's queue.

    ``ready`` is set when Prometheus has been ready for the first time; ``obstacle`` tells why it
    is not now, "" when it is.
    """
    settings = start.settings
    program = program_of_rule_check(settings)
    access = start.targets_access or PrometheusAccess(is_proxied=True)
    parts = Parts(
        fetcher=Fetcher(access, settings.targets_timeout_s, settings.targets_max_size),
        rules=RuleLoads(reloads, RuleCheck(program) if program else None, obstacle=obstacle),
        report=events.put,
        ready=ready,
    )

    def start_keeper(feed: Feed) -> FeedKeeper:
        keeper = FeedKeeper(feed, terms_of(settings), parts)
        start_thread(keeper.run, "feed")
        return keeper

    desk = FeedDesk(settings.targets_url, start_keeper, reloads, start.takes)
    if settings.targets_broker:
        name = settings.targets_queue or settings.identity
        broker = Broker(settings.targets_broker, name)
        start_thread(desk.reload_for_ever, "reload-desk")
        queue = TargetQueue(broker, name, desk, events.put, desk.unasked_changes)
        start_thread(queue.run, "target-queue")


def terms_of(settings: Settings) -> Terms:
    """Return what holds for all feeds."""
    return Terms(
        interval_s=settings.targets_interval_s,
        shard=settings.targets_shard,
        allows_empty=settings.targets_allow_empty,
        largest=settings.targets_max_size,
    )
