"""Reads Promgen's tasks, as Celery sends them: what to fetch, or what else to do; pure.

In Celery's protocol 2, a header has the task's name, and the body is ``[args, kwargs, embed]``. The
names and keywords are those of Promgen's ``promgen.tasks``. The argument ``reload`` is ignored: a
change of rules is always followed by a reload, and targets need none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from wrapper.model.fetched_file import FileKind


class TaskKind(StrEnum):
    """The kinds of tasks that are no fetch."""

    RELOAD = "reload"
    CLEAN_TOMBSTONES = "clean tombstones"
    NOTHING = "nothing"  # a worker of Promgen greets its own queue


_WRITES = {
    "promgen.tasks.write_config": FileKind.TARGETS,
    "promgen.tasks.write_urls": FileKind.URLS,
    "promgen.tasks.write_rules": FileKind.RULES,
}
_OTHER_TASKS = {
    "promgen.tasks.reload_prometheus": TaskKind.RELOAD,
    "promgen.tasks.clear_tombstones": TaskKind.CLEAN_TOMBSTONES,
    "promgen.celery.debug_task": TaskKind.NOTHING,
}
_PARAMETERS = ("path", "reload", "chmod")
_LONGEST_NAME = 100
_LONGEST_FILE_NAME = 255  # bytes; the limit of Linux' file systems
_PERMISSIONS = 0o777
_OWNER_READS = 0o400
_OTHERS_WRITE = 0o022  # never set: any user could change what is scraped


class ForeignMessage(Exception):
    """A message is not one of Promgen's tasks for this server. The text names it."""


class BadTask(Exception):
    """A task of Promgen can never be done. The text has the reason."""


@dataclass(frozen=True, slots=True)
class Task:
    """The content of a message: fetch files of this kind, or do a ``TaskKind``.

    - ``path``: the file to fetch; "" for all files of the kind;
    - ``mode``: the file's new permission bits; None to keep them.
    """

    about: FileKind | TaskKind
    path: str = ""
    mode: int | None = None


def read_task(headers: Mapping[str, Any], body: Any) -> Task:
    """Return the task in a message; raise ForeignMessage, BadTask."""
    name = headers.get("task")
    if not isinstance(name, str) or not name:
        raise ForeignMessage("a message without a task name")
    if name in _OTHER_TASKS:
        return Task(_OTHER_TASKS[name])
    if name not in _WRITES:
        raise ForeignMessage(name[:_LONGEST_NAME])
    given = _arguments(body)
    path, mode = given.get("path"), given.get("chmod")
    if path is not None and not (isinstance(path, str) and path.startswith("/")):
        raise BadTask(f"{name}: path is not an absolute path")
    if path and not _is_plain(path):
        raise BadTask(f"{name}: path has unprintable characters, or a name that is too long")
    if mode is not None and not _is_mode(mode):
        raise BadTask(f"{name}: chmod is not a mode, or does not let the owner read the file")
    mode = None if mode is None else mode & ~_OTHERS_WRITE
    return Task(_WRITES[name], path or "", mode)


def _arguments(body: Any) -> dict[str, Any]:
    """Return all arguments by name, also positional ones."""
    if not (isinstance(body, list | tuple) and len(body) >= 2):  # noqa: PLR2004 - args and kwargs
        raise BadTask("a body that is not Celery's protocol 2")
    args, kwargs = body[0], body[1]
    if not (isinstance(args, list | tuple) and isinstance(kwargs, dict)):
        raise BadTask("a body that is not Celery's protocol 2")
    given = dict(zip(_PARAMETERS, args, strict=False)) | kwargs
    if len(args) > len(_PARAMETERS) or given.keys() - set(_PARAMETERS):
        raise BadTask("arguments that Promgen's tasks do not have")
    return given


def _is_plain(path: str) -> bool:
    """Return whether a path is printable (no lone surrogates) and its names are short enough."""
    return path.isprintable() and all(
        len(name.encode()) <= _LONGEST_FILE_NAME for name in PurePath(path).parts
    )


def _is_mode(mode: Any) -> bool:
    is_number = isinstance(mode, int) and not isinstance(mode, bool)
    return is_number and 0 <= mode <= _PERMISSIONS and bool(mode & _OWNER_READS)
