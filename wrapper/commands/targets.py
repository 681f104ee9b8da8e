"""The command ``targets FILE --from URL``: fetches once, as the running program does, for cron.

Exit status: 0 if FILE is up to date and, with --reload, Prometheus has loaded new rules; 1 if the
fetch failed and FILE keeps its content, or if it is not known that Prometheus has loaded new rules;
2 if the flags are invalid.

Limitation: the command does not remember its last run. So it accepts an answer that has become
empty only with --targets-allow-empty.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from wrapper.access.prometheus_access import PrometheusAccess, opened
from wrapper.base.log import say_problems
from wrapper.model.fetched_file import Feed
from wrapper.model.roles import Verdict
from wrapper.options.settings import Settings
from wrapper.startup.prepare import problems_of_promtool
from wrapper.startup.targets_preflight import HTTP_CONFIG, problems_of_folder, rule_check_of
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.supervision.reload_requests import ReloadAnswer
from wrapper.targets.fetch import Fetcher
from wrapper.targets.fetch_loop import FeedKeeper, FetchParts
from wrapper.targets.rule_loader import RuleLoader

DONE, FAILED, BAD_INPUT = 0, 1, 2
RELOAD_URL = "http://127.0.0.1:9090/-/reload"
_VERDICTS = {200: Verdict.LOADED, 500: Verdict.REFUSED}


@dataclass(frozen=True, slots=True)
class HttpReloads:
    """Reloads Prometheus over HTTP; without ``url``, rules count as loaded once written."""

    api: PrometheusApi
    url: str
    limit_s: float

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:  # noqa: ARG002 - nothing else changes
        """Request a reload of Prometheus and return the verdict."""
        if not self.url:
            return ReloadAnswer(Verdict.LOADED)
        answer = self.api.reload("POST", self.url, self.limit_s)
        return ReloadAnswer(_VERDICTS.get(answer.status, Verdict.UNCONFIRMED), answer.detail)


def run(settings: Settings) -> int:
    """Fetch the URL that these settings name, and write its file; return the exit status."""
    path = Path(settings.command.file).absolute()
    access, problems = opened(HTTP_CONFIG, settings.targets.http_config, is_proxied=True)
    own, own_problems = opened("--prometheus-http-config", settings.web.prometheus_http_config)
    problems += [*own_problems, *problems_of_folder(f"targets {path}", path.parent)]
    problems += problems_of_promtool(settings)
    if problems:
        say_problems(problems)
        return BAD_INPUT
    keeper = _keeper(settings, Feed(settings.command.url, str(path)), access, own)
    problem = keeper.once()
    return FAILED if problem else DONE


def _keeper(
    settings: Settings, feed: Feed, access: PrometheusAccess, own: PrometheusAccess
) -> FeedKeeper:
    url = (settings.notifier.url or RELOAD_URL) if settings.command.reload else ""
    parts = FetchParts(
        fetcher=Fetcher(access, settings.targets.timeout_s, settings.targets.feed_options.largest),
        rules=RuleLoader(
            HttpReloads(PrometheusApi(access=own), url, settings.targets.timeout_s),
            rule_check_of(settings),
            quiet_s=0.0,
        ),
        report=lambda _event: None,
        ready=threading.Event(),
    )
    return FeedKeeper(feed, settings.targets.feed_options, parts)
