"""Dispatches Promgen's tasks to the feeds whose files they are about, or to background tasks.

A task that names the file of a feed causes a fetch of that feed. A task that names a new file in
the folder of a feed's file starts a feed for it, which exists until the next start.

Guarantee: tasks create no other file. A file that exists and is not a feed's is not replaced.
Nothing is written outside those folders, wherever symbolic links lead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wrapper.base import files
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.targets.background_task import BackgroundTask
from wrapper.targets.fetch_loop import FeedKeeper
from wrapper.targets.fetch_requests import Done
from wrapper.targets.promgen_task import BadTask, Task, TaskKind

MOST_FEEDS = 32
_ENDINGS = {FileKind.RULES: (".yml", ".yaml")}
_TARGETS_ENDINGS = (".json",)


class TaskDispatch:
    """The feeds by their files, and the background tasks."""

    def __init__(
        self,
        feeds: Iterable[Feed],
        start: Callable[[Feed], FeedKeeper],
        background_tasks: Mapping[TaskKind, BackgroundTask],
        is_taken: Callable[[Path], bool],
    ) -> None:
        """Start all feeds by ``start``, which also starts a feed that a task adds.

        ``is_taken`` returns whether a task must not create a file.
        """
        self._is_taken = is_taken
        self._start = start
        self._background_tasks = background_tasks
        self._keepers = {files.resolve_folder(Path(feed.path)): start(feed) for feed in feeds}
        self._folders = {path.parent for path in self._keepers}

    def begin(self, task: Task, done: Done) -> int:
        """Begin a task; return how many times ``done`` will be called.

        Raises BadTask if the task can never be done.
        """
        if task.about is TaskKind.NOTHING:
            done("")
            return 1
        if isinstance(task.about, TaskKind):
            self._background_tasks[task.about].ask(done)
            return 1
        keepers = self._keepers_for(task, task.about)
        for keeper in keepers:
            keeper.ask(task.mode, done)
        return len(keepers)

    def unannounced_changes(self) -> Mapping[str, int]:
        """Return by file of Promgen's how many changes scheduled fetches have found."""
        return {
            str(path): keeper.unannounced_changes
            for path, keeper in self._keepers.items()
            if keeper.feed.is_of_promgen
        }

    def _keepers_for(self, task: Task, kind: FileKind) -> list[FeedKeeper]:
        alike = [each for each in self._keepers.values() if each.feed.kind is kind]
        if not alike:
            raise BadTask(f"no --targets-url fetches {kind}")
        if not task.path:
            return alike
        path = files.resolve_folder(Path(task.path))
        if path not in self._keepers:
            self._check_new(path, kind)
            self._keepers[path] = self._start(Feed(alike[0].feed.url, str(path)))
        keeper = self._keepers[path]
        if keeper.feed.kind is not kind:
            raise BadTask(f"{path} holds {keeper.feed.kind}, not {kind}")
        return [keeper]

    def _check_new(self, path: Path, kind: FileKind) -> None:
        """Raise BadTask unless a task may create this file."""
        if path.parent not in self._folders:
            raise BadTask(f"{path} is not in a folder that --targets-url names")
        endings = _ENDINGS.get(kind, _TARGETS_ENDINGS)
        if path.name.startswith(".") or not path.name.endswith(endings):
            raise BadTask(
                f"{path}: a file of {kind} must be named *{endings[0]} and not start with a dot"
            )
        if self._is_taken(path):
            raise BadTask(f"{path} is or would be part of Prometheus' configuration")
        if os.path.lexists(path):
            raise BadTask(f"{path} exists and is not a feed's file; name it with --targets-url")
        if len(self._keepers) >= MOST_FEEDS:
            raise BadTask(
                f"{path}: the limit of {MOST_FEEDS} files is reached; name it with --targets-url"
            )
