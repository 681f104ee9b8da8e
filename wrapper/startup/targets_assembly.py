"""Starts the threads that fetch targets and rules, once Prometheus has been started."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base.thread_group import ThreadGroup
from wrapper.model.fetched_file import Feed
from wrapper.model.roles import Verdict
from wrapper.options.settings import Settings
from wrapper.startup.startup_state import StartupState
from wrapper.startup.targets_preflight import rule_check_of
from wrapper.supervision.event_queue import Events
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.supervision.reload_requests import ReloadRequests
from wrapper.supervision.sensors import PrometheusWatch
from wrapper.targets.background_task import BackgroundTask
from wrapper.targets.broker import Broker
from wrapper.targets.fetch import Fetcher
from wrapper.targets.fetch_loop import FeedKeeper, FetchParts
from wrapper.targets.promgen_task import TaskKind
from wrapper.targets.rule_loader import RuleLoader
from wrapper.targets.target_queue import TargetQueue
from wrapper.targets.task_dispatch import TaskDispatch
from wrapper.targets.tombstones import Tombstones


def start_targets(
    start: StartupState,
    reloads: ReloadRequests,
    events: Events,
    watch: PrometheusWatch,
    threads: ThreadGroup,
) -> None:
    """Start a thread for each feed; with --targets-broker, also those for the broker's queue.

    ``watch.ready`` is set once Prometheus is ready for the first time.
    """
    settings, api = start.settings, watch.api
    access = start.targets_access or PrometheusAccess(is_proxied=True)
    rules = RuleLoader(reloads, rule_check_of(settings), obstacle=_obstacle(settings, api))
    parts = FetchParts(
        fetcher=Fetcher(access, settings.targets.timeout_s, settings.targets.feed_options.largest),
        rules=rules,
        report=events.put,
        ready=watch.ready,
    )

    def start_keeper(feed: Feed) -> FeedKeeper:
        keeper = FeedKeeper(feed, settings.targets.feed_options, parts)
        threads.start("feed", keeper.run, keeper.end)
        return keeper

    tasks = {
        TaskKind.RELOAD: BackgroundTask(partial(_reload, rules)),
        TaskKind.CLEAN_TOMBSTONES: BackgroundTask(Tombstones(api).clean),
    }
    dispatch = TaskDispatch(settings.targets.feeds, start_keeper, tasks, start.uses_file)
    if settings.targets.broker:
        name = settings.targets.queue or settings.replica.identity
        broker = Broker(settings.targets.broker, name)
        for kind, task in tasks.items():
            threads.start(kind.value.replace(" ", "-"), task.run, task.end)
        queue = TargetQueue(broker, name, dispatch, events.put, dispatch.unannounced_changes)
        threads.start("target-queue", queue.run, queue.end)


def _obstacle(settings: Settings, api: PrometheusApi) -> Callable[[], str]:
    """Return a function that returns why a sidecar's Prometheus is not ready, "" if it is."""
    url = ""
    if not settings.mode.owns_child:
        url = settings.health_checks.readiness_url or (
            api.url("/-/ready") if api.knows_status else ""
        )

    def obstacle() -> str:
        if not url:
            return ""
        answer = api.probe(url, settings.health_checks.readiness_timeout_s)
        return f"Prometheus is not ready: {answer.summary}" if answer.is_not_ready else ""

    return obstacle


def _reload(rules: RuleLoader) -> str:
    """Request a reload of Prometheus; return why it failed, "" if it succeeded."""
    answer = rules.reload()
    is_loaded = answer.verdict is Verdict.LOADED
    return "" if is_loaded else f"reload {answer.verdict}: {answer.problem}"
