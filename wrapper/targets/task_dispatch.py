"""What Promgen's tasks are done with: which feeds a task is about, and who does other deeds.

A task that names a path gets that file, if a feed keeps it; a new one beside those files becomes a
feed too, until the next start. No task makes any other file: nothing that exists and is no feed's
is replaced, and nothing is written outside of their folders, wherever links lead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wrapper.base import files
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.targets.background_task import BackgroundTask
from wrapper.targets.fetch_loop import FeedKeeper
from wrapper.targets.fetch_requests import Done
from wrapper.targets.promgen_task import BadTask, Deed, Task

MOST_FEEDS = 32
_ENDINGS = {FileKind.RULES: (".yml", ".yaml")}
_TARGETS_ENDINGS = (".json",)


class TaskDispatch:
    """The feeds by their files; ``start`` starts one more."""

    def __init__(
        self,
        feeds: Iterable[Feed],
        start: Callable[[Feed], FeedKeeper],
        errands: Mapping[Deed, BackgroundTask],
        is_taken: Callable[[Path], bool],
    ) -> None:
        """Start all feeds; ``is_taken`` tells of a file that no task may make."""
        self._is_taken = is_taken
        self._start = start
        self._errands = errands
        self._keepers = {files.place(Path(feed.path)): start(feed) for feed in feeds}
        self._folders = {path.parent for path in self._keepers}

    def begin(self, task: Task, done: Done) -> int:
        """Begin what a task asks for; return how many times ``done`` will be called.

        Raises BadTask where nothing will ever come of it.
        """
        if task.about is Deed.NOTHING:
            done("")
            return 1
        if isinstance(task.about, Deed):
            self._errands[task.about].ask(done)
            return 1
        keepers = self._keepers_for(task, task.about)
        for keeper in keepers:
            keeper.ask(task.mode, done)
        return len(keepers)

    def unasked_changes(self) -> Mapping[str, int]:
        """Return by file how many changes were found that no task had told of."""
        return {str(path): keeper.unasked_changes for path, keeper in self._keepers.items()}

    def _keepers_for(self, task: Task, kind: FileKind) -> list[FeedKeeper]:
        alike = [each for each in self._keepers.values() if each.feed.kind is kind]
        if not alike:
            raise BadTask(f"no --targets-url brings {kind}")
        if not task.path:
            return alike
        path = files.place(Path(task.path))
        if path not in self._keepers:
            self._check_new(path, kind)
            self._keepers[path] = self._start(Feed(alike[0].feed.url, str(path)))
        keeper = self._keepers[path]
        if keeper.feed.kind is not kind:
            raise BadTask(f"{path} is kept as {keeper.feed.kind}, not as {kind}")
        return [keeper]

    def _check_new(self, path: Path, kind: FileKind) -> None:
        """Raise BadTask unless a task may make this file."""
        if path.parent not in self._folders:
            raise BadTask(f"{path} lies outside of the folders that --targets-url names")
        endings = _ENDINGS.get(kind, _TARGETS_ENDINGS)
        if path.name.startswith(".") or not path.name.endswith(endings):
            raise BadTask(f"{path}: a file of {kind} is named *{endings[0]}")
        if self._is_taken(path):
            raise BadTask(f"{path} is the configuration itself, or would be a part of it")
        if path.exists() or path.is_symlink():
            raise BadTask(f"{path} is there and is no feed's; name it with --targets-url")
        if len(self._keepers) >= MOST_FEEDS:
            raise BadTask(f"more than {MOST_FEEDS} files")
