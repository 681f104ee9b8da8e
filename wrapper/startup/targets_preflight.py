"""Checks the flags --targets-… before the start.

Guarantee: this module sends no request and writes no file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wrapper.access.prometheus_access import PrometheusAccess, opened
from wrapper.base import files
from wrapper.model.fetched_file import Feed
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import Settings
from wrapper.targets.rule_check import RuleCheck

HTTP_CONFIG = "--targets-http-config"


def look_at_targets(
    settings: Settings, is_used: Callable[[Path], bool]
) -> tuple[PrometheusAccess, list[str]]:
    """Return the credentials for the feeds, and the problems of the flags.

    ``is_used`` returns whether a file is an input or the output.
    """
    access, problems = opened(HTTP_CONFIG, settings.targets.http_config, is_proxied=True)
    problems += _problems_of_places(settings.targets.feeds)
    for feed in settings.targets.feeds:
        problems += _problems_of_file(f"--targets-url={feed}", feed, is_used)
    if settings.targets.broker:
        problems += _problems_of_broker(settings)
    return access, problems


def rule_check_of(settings: Settings) -> RuleCheck | None:
    """Return the promtool for rules, None without one.

    The promtool of --config-check decides whether rules are valid. Without that flag, a promtool in
    the PATH only explains why Prometheus has refused rules.
    """
    promtool = settings.files.promtool
    if not shutil.which(promtool or "promtool"):
        return None
    features = ChildArguments.parse(settings.child).features
    return RuleCheck(promtool or "promtool", is_judge=bool(promtool), features=features)


def _problems_of_file(named: str, feed: Feed, is_used: Callable[[Path], bool]) -> Iterator[str]:
    path = Path(feed.path)
    if is_used(path):
        yield f"{named}: this file is the configuration itself, or a part of it; name another file"
    yield from problems_of_folder(named, path.parent)


def _problems_of_places(feeds: Sequence[Feed]) -> Iterator[str]:
    """Yield a problem for each pair of paths that lead to the same file, by links."""
    paths = sorted({feed.path for feed in feeds})
    for at, path in enumerate(paths):
        for other in paths[:at]:
            if files.resolve_folder(Path(path)) == files.resolve_folder(Path(other)):
                yield f"--targets-url: {other} and {path} are one file; give each URL its own"


def problems_of_folder(named: str, folder: Path) -> Iterator[str]:
    """Yield a problem if no file can be created in a folder."""
    if problem := files.folder_problem(folder):
        yield f"{named}: {problem}"


def _problems_of_broker(settings: Settings) -> Iterator[str]:
    from wrapper.targets.broker import missing_for  # noqa: PLC0415 - rarely needed

    if missing := missing_for(settings.targets.broker):
        yield f"--targets-broker: {missing}"
