"""Watches files by inotify, also if they are renamed, replaced by symbolic links or missing.

The file itself is watched, and each component of its path in the component's folder, also behind
symbolic links. So these changes are detected: a write in place, a rename, the swap of a ConfigMap's
``..data``, and a folder that is removed and created again.

Limitation: changes by other machines (NFS) and new mounts are not detected. So the caller has to
read the files periodically too.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from inotify_simple import Event, INotify, flags

from wrapper.base.files import InputError, is_fragment, listed
from wrapper.configuration.debounce import Change

_NAMES = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ONLYDIR
_CONTENT = flags.MODIFY | flags.CLOSE_WRITE
_MOST_LINKS = 40  # as in the kernel
_CANNOT_BE_REACHED = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EACCES,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}


@dataclass(slots=True)
class _Watch:
    """A watch of one folder or file."""

    path: Path
    mask: int
    has_fragments: bool = False
    names: set[str] = field(default_factory=set)

    def concerns(self, name: str) -> bool:
        """Return whether a name in the folder is watched; "" is the folder or file itself."""
        return not name or name in self.names or (self.has_fragments and is_fragment(name))


class FileEvents:
    """The kernel's events of some files. Raises OSError if the kernel provides no inotify."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._wanted: dict[Path, _Watch] = {}
        self._watches: dict[int, list[_Watch]] = {}  # several if a folder has several paths

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with an event."""
        return int(self._inotify.fileno())

    def close(self) -> None:
        """End all watches."""
        self._inotify.close()

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch these files and folders of files, and only these, as their paths resolve now."""
        watches: dict[int, list[_Watch]] = {}
        self._wanted = _wanted(paths)
        for watch in self._wanted.values():
            try:
                descriptor = self._inotify.add_watch(watch.path, watch.mask | flags.MASK_ADD)
            except OSError as error:
                if error.errno not in _CANNOT_BE_REACHED:
                    raise
                continue  # the watch of a folder above reports its creation
            watches.setdefault(descriptor, []).append(watch)
        for descriptor in self._watches.keys() - watches.keys():
            with suppress(OSError):  # its folder may have been deleted
                self._inotify.rm_watch(descriptor)
        self._watches = watches

    def follows(self, path: str) -> bool:
        """Return whether a path is that of a watched file, or leads to one; for "", True."""
        watch = self._wanted.get(Path(path).parent)
        return not path or (watch is not None and watch.concerns(Path(path).name))

    def read(self) -> list[tuple[Change, str]]:
        """Return the changes since the last call and their files, without waiting.

        The file is "" if the kernel's queue has overflowed.
        """
        return [
            change for event in self._inotify.read(timeout=0) for change in self._changes(event)
        ]

    def _changes(self, event: Event) -> Iterator[tuple[Change, str]]:
        if event.mask & flags.Q_OVERFLOW:
            yield Change.INCOMPLETE, ""
        elif event.mask & flags.IGNORED:  # deleted: the watch of the folder above reports that
            self._watches.pop(event.wd, None)
        for watch in self._watches.get(event.wd, ()):
            if watch.concerns(event.name):
                path = watch.path / event.name if event.name else watch.path
                yield _kind(event.mask, path), str(path)


def _kind(mask: int, path: Path) -> Change:
    """Return what an event means; a symbolic link is complete when it is created."""
    if mask & (flags.CLOSE_WRITE | flags.MOVED_TO):
        return Change.FINISHED
    if mask & flags.CREATE and os.path.islink(path):  # noqa: PTH114 - raises no error
        return Change.FINISHED
    return Change.WRITING if mask & flags.MODIFY else Change.INCOMPLETE


def _wanted(paths: Iterable[Path]) -> dict[Path, _Watch]:
    """Return the watches for these files and folders of files."""
    wanted: dict[Path, _Watch] = {}
    for path in paths:
        fragments = _fragments(path)
        _want(path, wanted, has_fragments=fragments is not None)
        for fragment in fragments or ():
            _want(fragment, wanted, has_fragments=False)
    return wanted


def _want(path: Path, wanted: dict[Path, _Watch], *, has_fragments: bool) -> None:
    """Add the watches for one file, or for one folder of files."""
    for folder, name in _way(path):
        watch = wanted.setdefault(folder, _Watch(folder, _NAMES))
        watch.names.add(name)
    end = folder / name
    if has_fragments:
        watch = wanted.setdefault(end, _Watch(end, _NAMES))
        watch.has_fragments = True
    else:
        wanted.setdefault(end, _Watch(end, _CONTENT))  # it may be written by another path
    watch.mask |= _CONTENT | flags.ATTRIB


def _fragments(path: Path) -> tuple[Path, ...] | None:
    """Return the files that are in a folder now; None if there is no folder."""
    try:
        return listed(path) if path.is_dir() else None
    except (OSError, InputError):
        return None


def _way(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each step in the lookup of a path: the real folder, and the name in it."""
    at, names, links = Path("/"), deque(path.absolute().parts[1:]), 0
    while names:
        name = names.popleft()
        if name == "..":
            at = at.parent
            continue
        yield at, name
        target = _link(at / name) if links < _MOST_LINKS else None
        if target is None:
            at /= name
            continue
        links += 1
        names.extendleft(reversed([part for part in target.parts if part != "/"]))
        at = Path("/") if target.is_absolute() else at


def _link(path: Path) -> Path | None:
    """Return the target of a symbolic link; None if it is not a link."""
    try:
        return path.readlink()
    except OSError:
        return None
