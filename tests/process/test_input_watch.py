"""The watch of the inputs, on real files that are changed in all usual ways."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any, ClassVar

import pytest
import yaml

from tests.support import wait_until
from wrapper.configuration import debounce, input_watch
from wrapper.configuration.debounce import QUIET_S, SETTLE_S, Change
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.input_watch import InputWatch
from wrapper.configuration.inputs import Inputs, Sources
from wrapper.model.configuration import Renderings
from wrapper.model.events import ConfigurationRead, ConfigurationRejected, Event
from wrapper.model.roles import Role

SOON_S = 15.0  # for a busy machine; a change that has to settle would take NEVER_S
NEVER_S = 3600.0


class Watched:
    """Watched inputs; it records what the leader's rendering contains, and when."""

    running: ClassVar[list[Watched]] = []

    def __init__(
        self, config: Path, *leader_configs: Path, period_s: float = NEVER_S, judge: Any = None
    ) -> None:
        self.config = config
        inputs = Inputs(Sources(config, leader_configs, config.parent), judge)
        self.reports: list[tuple[float, Any]] = []
        self._values = [self._value(ConfigurationRead(inputs.read()))]
        self.watch = InputWatch(inputs, period_s, self._note)
        self._thread = threading.Thread(target=self.watch.run, daemon=True)
        self._thread.start()
        self.running.append(self)
        wait_until(lambda: self.watch._periodic_read_at > 0, 15, "it has looked once")

    def end(self) -> None:
        """End the thread and its watch."""
        self.watch.end()
        self._thread.join(5)

    def _note(self, event: Event) -> None:
        self.reports.append((time.monotonic(), self._value(event)))

    def _value(self, event: Event) -> Any:
        if isinstance(event, ConfigurationRead):
            return yaml.safe_load(event.renderings.of(Role.LEADER).content)
        return event

    def await_value(self, expected: Any, within_s: float) -> None:
        """Wait until the leader's rendering has this value."""
        wait_until(
            lambda: bool(self.reports) and self.reports[-1][1] == expected,
            within_s,
            f"{expected} is told",
            0.002,
        )

    @property
    def values(self) -> list[Any]:
        """All reported values."""
        return [value for _, value in self.reports]


@pytest.fixture(autouse=True)
def _never_settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the time to settle to an hour, unless the test uses ``settles``.

    So only changes that are reported at once are found.
    """
    if "settles" not in request.fixturenames:
        monkeypatch.setattr(debounce, "SETTLE_S", NEVER_S)
        monkeypatch.setattr(input_watch, "SETTLE_S", NEVER_S)


@pytest.fixture
def settles() -> None:
    """Keep the usual SETTLE_S, for which a possibly incomplete change waits."""


@pytest.fixture(autouse=True)
def _end_all() -> Iterator[None]:
    """End all watches of the test."""
    yield
    while Watched.running:
        Watched.running.pop().end()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration file in its own folder."""
    path = tmp_path / "etc" / "p.yml"
    path.parent.mkdir()
    path.write_text("a: 0\n")
    return path


@pytest.fixture
def watched(config: Path) -> Watched:
    """Watch that file without the periodic re-hash."""
    return Watched(config)


# --- one change, each way -------------------------------------------------------------------------


def edit_in_place(path: Path, text: str) -> None:
    """Write to the file as `>` in a shell does."""
    path.write_text(text)


def edit_without_truncation(path: Path, text: str) -> None:
    """Write over the old content, as some editors do."""
    with path.open("r+") as file:
        file.write(text)
        file.truncate()


def edit_by_rename(path: Path, text: str) -> None:
    """Write a new file beside it and rename that over it, as most programs do."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(text)
    fresh.replace(path)


def edit_as_vim(path: Path, text: str) -> None:
    """Move the old file away, write a new one, remove the old one."""
    backup = path.with_name(path.name + "~")
    path.rename(backup)
    path.write_text(text)
    backup.unlink()


def edit_with_sed(path: Path, text: str) -> None:
    """Change the file with another program."""
    subprocess.run(["sed", "-i", f"s/.*/{text.strip()}/", path], check=True)


def move_here(path: Path, text: str) -> None:
    """Move a file from another folder over it."""
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text(text)
    subprocess.run(["mv", elsewhere, path], check=True)


def copy_here(path: Path, text: str) -> None:
    """Copy a file from another folder over it."""
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text(text)
    shutil.copyfile(elsewhere, path)


def put_a_link(path: Path, text: str) -> None:
    """Replace the file by a symbolic link to an unwatched file, as one change."""
    elsewhere = path.parent.parent / f"elsewhere-{text.rsplit(maxsplit=1)[-1]}"
    elsewhere.write_text(text)
    path.unlink()
    path.symlink_to(elsewhere)


def delete_and_write(path: Path, text: str) -> None:
    """Delete the file and write it again."""
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        edit_in_place,
        edit_without_truncation,
        edit_by_rename,
        edit_as_vim,
        edit_with_sed,
        move_here,
        copy_here,
        put_a_link,
        delete_and_write,
    ],
    ids=lambda change: change.__name__,
)
def test_a_finished_change_is_reported_at_once(watched: Watched, change: Any) -> None:
    """Each kind of change is reported at once, twice in a row, without values in between."""
    for number in (1, 2):
        change(watched.config, f"a: {number}\n")
        watched.await_value({"a": number}, SOON_S)
        time.sleep(2 * QUIET_S)
    assert watched.values == [{"a": 1}, {"a": 2}]


def test_a_change_through_a_hard_link_is_reported_at_once(config: Path, tmp_path: Path) -> None:
    """A change through a hard link in another folder is reported at once.

    It stands for a bind mount of a single file.
    """
    other = tmp_path / "other.yml"
    other.hardlink_to(config)
    watched = Watched(config)
    other.write_text("a: 1\n")
    watched.await_value({"a": 1}, SOON_S)


@pytest.fixture
def mount() -> Iterator[Callable[[Path, Path], None]]:
    """Return a function that bind-mounts a folder or file until the end of the test."""
    with ExitStack() as stack:

        def bind(what: Path, where: Path) -> None:
            subprocess.run(["mount", "--bind", what, where], check=True)
            stack.callback(lambda: subprocess.run(["umount", "--lazy", where], check=True))

        yield bind


def test_changes_in_a_bind_mount_are_reported_at_once(
    config: Path, tmp_path: Path, mount: Callable[[Path, Path], None]
) -> None:
    """Changes in the source of a mounted folder or file are reported at once."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "p.yml").write_text("a: 0\n")
    (outside / "l.yml").write_text("b: 0\n")
    (tmp_path / "l.yml").touch()
    mount(outside, config.parent)
    mount(outside / "l.yml", tmp_path / "l.yml")
    watched = Watched(config, tmp_path / "l.yml")
    edit_by_rename(outside / "p.yml", "a: 1\n")
    watched.await_value({"a": 1, "b": 0}, SOON_S)
    time.sleep(2 * QUIET_S)
    edit_in_place(outside / "l.yml", "b: 1\n")
    watched.await_value({"a": 1, "b": 1}, SOON_S)


def test_one_folder_with_two_mounts_is_watched(
    config: Path, tmp_path: Path, mount: Callable[[Path, Path], None]
) -> None:
    """Inputs in two mounts of one folder are both watched."""
    (tmp_path / "again").mkdir()
    (config.parent / "l.yml").write_text("b: 0\n")
    mount(config.parent, tmp_path / "again")
    watched = Watched(config, tmp_path / "again" / "l.yml")
    edit_by_rename(config, "a: 1\n")
    watched.await_value({"a": 1, "b": 0}, SOON_S)
    time.sleep(2 * QUIET_S)
    edit_by_rename(config.parent / "l.yml", "b: 1\n")
    watched.await_value({"a": 1, "b": 1}, SOON_S)


@pytest.mark.usefixtures("settles")
def test_a_later_mount_is_found_by_the_rehash(
    config: Path, tmp_path: Path, mount: Callable[[Path, Path], None]
) -> None:
    """The periodic re-hash finds a later mount; changes in it are then reported at once.

    The kernel does not report a mount.
    """
    watched = Watched(config, period_s=0.1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "p.yml").write_text("a: 1\n")
    mount(outside, config.parent)
    watched.await_value({"a": 1}, 5)
    time.sleep(2 * QUIET_S)
    edit_by_rename(outside / "p.yml", "a: 2\n")
    watched.await_value({"a": 2}, SOON_S)


# --- unfinished changes ---------------------------------------------------------------------------


def test_incomplete_writes_are_not_reported(watched: Watched) -> None:
    """While a writer has the file open, nothing is reported, however long it takes."""
    with watched.config.open("w") as file:
        for piece in ("a: 1\n", "b: 2\n"):
            time.sleep(SETTLE_S * 1.2)
            file.write(piece)
            file.flush()
        time.sleep(SETTLE_S * 1.2)
        assert watched.values == []
    watched.await_value({"a": 1, "b": 2}, SOON_S)


@pytest.mark.usefixtures("settles")
def test_a_missing_file_is_reported_after_it_settled(watched: Watched) -> None:
    """A removed file is reported after SETTLE_S, since it may be replaced.

    When it is back, it is reported at once.
    """
    start = time.monotonic()
    watched.config.unlink()
    wait_until(lambda: watched.reports, 15, "it is told", 0.002)
    assert watched.reports[0][0] - start >= SETTLE_S
    assert "No such file" in watched.values[0].problem
    time.sleep(2 * QUIET_S)
    watched.config.write_text("a: 1\n")
    watched.await_value({"a": 1}, SOON_S)


def test_a_finished_change_waits_for_an_open_file(config: Path, tmp_path: Path) -> None:
    """While one input is open for writing, the finished change of another input waits."""
    leader = tmp_path / "l.yml"
    leader.write_text("b: 0\n")
    watched = Watched(config, leader)
    with leader.open("w") as file:
        config.write_text("a: 1\n")
        time.sleep(2 * SETTLE_S)
        assert watched.values == []
        file.write("b: 1\n")
    watched.await_value({"a": 1, "b": 1}, SOON_S)


# --- bursts ---------------------------------------------------------------------------------------


def test_a_burst_gives_few_reports(config: Path, tmp_path: Path) -> None:
    """Of a burst, the first change is reported at once, the others together at its end."""
    folder = tmp_path / "l"
    folder.mkdir()
    watched = Watched(config, folder)
    for number in range(20):
        (folder / f"{number:02}.yml").write_text(f"x{number}: 1\n")
        if number == 0:
            watched.await_value({"a": 0, "x0": 1}, SOON_S)
    watched.await_value({"a": 0} | {f"x{number}": 1 for number in range(20)}, SOON_S)
    assert watched.values[0] == {"a": 0, "x0": 1}
    assert len(watched.values) <= 6, "of 20 changes"


def test_unchanged_content_is_not_reported(watched: Watched) -> None:
    """A touch, a rewrite of the same content, and a chmod are not reported."""
    watched.config.touch()
    watched.config.write_text("a: 0\n")
    watched.config.chmod(0o600)
    (watched.config.parent / "other.yml").write_text("a: 1\n")
    time.sleep(SETTLE_S * 2)
    assert watched.values == []


# --- folders and links ----------------------------------------------------------------------------


class ConfigMap:
    """A mounted ConfigMap as the kubelet writes it: files, `..data`, folders named by time."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        self._number = 0
        folder.mkdir()
        self.put(**files)
        for name in files:
            (folder / f"{name}.yml").symlink_to(f"..data/{name}.yml")

    def put(self, **files: str) -> None:
        """Replace the content as AtomicWriter does: one rename, then the old folder is removed."""
        self._number += 1
        fresh = self.folder / f"..2026_{self._number}"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / f"{name}.yml").write_text(text)
        (self.folder / "..data_tmp").symlink_to(fresh.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")
        shutil.rmtree(self.folder / f"..2026_{self._number - 1}", ignore_errors=True)


def test_a_config_map_is_reported_at_once(tmp_path: Path) -> None:
    """An update of a ConfigMap is reported at once and only once, with both of its files."""
    mounted = ConfigMap(tmp_path / "cm", p="a: 0\n", l="b: 0\n")
    watched = Watched(mounted.folder / "p.yml", mounted.folder / "l.yml")
    for number in (1, 2, 3):
        mounted.put(p=f"a: {number}\n", l=f"b: {number}\n")
        watched.await_value({"a": number, "b": number}, SOON_S)
        time.sleep(2 * QUIET_S)
    time.sleep(SETTLE_S * 1.5)
    assert len(watched.values) == 3


def test_a_config_map_as_a_folder_of_leader_configs(config: Path, tmp_path: Path) -> None:
    """In a ConfigMap as --leader-config, changed and new files are reported."""
    mounted = ConfigMap(tmp_path / "cm", l="b: 0\n")
    watched = Watched(config, mounted.folder)
    mounted.put(l="b: 1\n")
    watched.await_value({"a": 0, "b": 1}, SOON_S)
    mounted.put(l="b: 1\n", m="c: 1\n")
    (mounted.folder / "m.yml").symlink_to("..data/m.yml")
    watched.await_value({"a": 0, "b": 1, "c": 1}, SOON_S)


def test_changed_links_in_the_path_are_reported(tmp_path: Path) -> None:
    """If any symbolic link in the path of an input is changed, that is reported."""
    for name, number in (("one", 1), ("two", 2), ("three", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.yml").write_text(f"a: {number}\n")
    (tmp_path / "inner").symlink_to("one")
    (tmp_path / "outer").symlink_to(tmp_path / "inner")
    watched = Watched(tmp_path / "outer" / "p.yml")
    for link, target, number in (("inner", "two", 2), ("outer", "three", 3)):
        fresh = tmp_path / "fresh"
        fresh.symlink_to(target)
        fresh.rename(tmp_path / link)
        watched.await_value({"a": number}, SOON_S)
        time.sleep(2 * QUIET_S)
    (tmp_path / "three" / "p.yml").write_text("a: 4\n")
    watched.await_value({"a": 4}, SOON_S)


@pytest.mark.usefixtures("settles")
def test_a_folder_that_is_deleted_and_made_again(watched: Watched) -> None:
    """If the folder is deleted and created again, its new file and later changes are reported."""
    folder = watched.config.parent
    shutil.rmtree(folder)
    wait_until(lambda: watched.reports, 15, "its absence is told")
    folder.mkdir()
    time.sleep(QUIET_S)
    watched.config.write_text("a: 1\n")
    watched.await_value({"a": 1}, SOON_S)
    time.sleep(2 * QUIET_S)
    watched.config.write_text("a: 2\n")
    watched.await_value({"a": 2}, SOON_S)


@pytest.mark.usefixtures("settles")
def test_a_folder_that_is_replaced_quickly(watched: Watched) -> None:
    """If a folder is deleted and created again quickly, its content is reported once."""
    folder = watched.config.parent
    shutil.rmtree(folder)
    folder.mkdir()
    watched.config.write_text("a: 1\n")
    watched.await_value({"a": 1}, SOON_S)
    assert watched.values == [{"a": 1}]


def test_a_folder_that_is_moved_here(watched: Watched, tmp_path: Path) -> None:
    """If another folder is renamed to the folder's name, its content is reported."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "p.yml").write_text("a: 1\n")
    watched.config.parent.rename(tmp_path / "old")
    (tmp_path / "new").rename(watched.config.parent)
    watched.await_value({"a": 1}, SOON_S)


@pytest.mark.usefixtures("settles")
def test_leader_configs_that_come_later(config: Path, tmp_path: Path) -> None:
    """Missing leader configs, also in missing folders, are reported when created or removed."""
    deep = tmp_path / "x" / "y" / "l.yml"
    watched = Watched(config, tmp_path / "l.yml", deep)
    (tmp_path / "l.yml").write_text("b: 1\n")
    watched.await_value({"a": 0, "b": 1}, SOON_S)
    deep.parent.mkdir(parents=True)
    time.sleep(QUIET_S)
    deep.write_text("c: 1\n")
    watched.await_value({"a": 0, "b": 1, "c": 1}, SOON_S)
    shutil.rmtree(tmp_path / "x")
    watched.await_value({"a": 0, "b": 1}, SOON_S)


# --- without inotify -----------------------------------------------------------------------------


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make inotify fail, as if all its instances were in use."""

    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("wrapper.configuration.input_watch.FileEvents", fail)


@pytest.mark.usefixtures("blind", "settles")
def test_without_inotify_the_rehash_finds_changes(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without inotify, the re-hash finds changes, and one warning is logged."""
    watched = Watched(config, period_s=0.2)
    config.write_text("a: 1\n")
    watched.await_value({"a": 1}, 5)
    (record,) = caplog.records
    assert vars(record)["period_s"] == 0.2


@pytest.mark.usefixtures("blind", "settles")
def test_the_rehash_waits_until_a_file_is_stable(config: Path) -> None:
    """The re-hash reports a change only after two equal readings in a row."""
    watched = Watched(config, period_s=0.05)
    with config.open("w") as file:
        for number in range(10):
            file.write(f"b{number}: 1\n")
            file.flush()
            time.sleep(SETTLE_S / 2)
            assert watched.values == []
    watched.await_value({f"b{number}": 1 for number in range(10)}, 5)
    assert len(watched.values) == 1


def test_a_requested_read_is_done_at_once(config: Path, tmp_path: Path) -> None:
    """A requested read (SIGHUP) is done at once, also in the middle of a change."""
    watched = Watched(config)
    with config.open("w") as file:
        file.write("a: 1\n")
        file.flush()
        time.sleep(SETTLE_S)
        assert watched.values == []
        watched.watch.look()
        watched.await_value({"a": 1}, SOON_S)


# --- a check -------------------------------------------------------------------------------------


def test_a_refusal_is_reported_once_and_retried(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is reported once, and the inputs are checked again until they are accepted.

    The reason may be in another file.
    """
    monkeypatch.setattr("wrapper.configuration.input_watch.REFUSED_PERIOD_S", 0.01)
    asked: list[Renderings] = []
    is_mended = threading.Event()

    def judge(renderings: Renderings) -> tuple[str, ...]:
        asked.append(renderings)
        return () if len(asked) == 1 or is_mended.is_set() else ("no such rule file",)

    watched = Watched(config, period_s=0.05, judge=judge)
    config.write_text("a: 1\n")
    wait_until(lambda: len(asked) >= 5, 15, "it is asked again and again")
    is_mended.set()
    watched.await_value({"a": 1}, 15)
    assert [type(each) for each in watched.values] == [ConfigurationRejected, dict]


def test_a_requested_read_repeats_the_check(config: Path) -> None:
    """A requested read (SIGHUP) checks refused inputs again."""
    is_mended = threading.Event()
    is_mended.set()
    watched = Watched(config, judge=lambda _: () if is_mended.is_set() else ("no",))
    is_mended.clear()
    config.write_text("a: 1\n")
    watched.await_value(ConfigurationRejected("no"), 15)
    is_mended.set()
    watched.watch.look()
    watched.await_value({"a": 1}, 15)


# --- the thread -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("settles")
def test_changes_before_the_thread_starts_are_found(config: Path) -> None:
    """A change between the first read and the start of the watch is found."""
    inputs = Inputs(Sources(config, (), config.parent))
    inputs.read()
    config.write_text("a: 1\n")
    told = threading.Event()
    watch = InputWatch(inputs, NEVER_S, lambda _: told.set())
    threading.Thread(target=watch.run, daemon=True).start()
    assert told.wait(5)


@pytest.mark.parametrize(
    ("entry", "message", "reason"),
    [
        (
            "url: 'http://r', sigv4: {region: a}",
            "a failover may lose samples despite the gate",
            "1:16: this entry does not go",
        ),
        (
            "url: 'http://r/loki/api/v1/push'",
            "a receiver does not accept the samples",
            "1:16: by its path the receiver is Loki",
        ),
        (
            "url: 'http://r', write_relabel_configs: [{regex: 'null'}]",
            "a relabeling rule changes other rules",
            "1:66: Prometheus takes a quoted null",
        ),
    ],
)
def test_a_change_can_cause_warnings(
    config: Path, caplog: pytest.LogCaptureFixture, entry: str, message: str, reason: str
) -> None:
    """An edit that is probably a mistake is logged as a warning."""
    leader = config.parent / "leader.yml"
    gate = GateSettings("http://127.0.0.1:9096", str(config.parent))
    inputs = Inputs(Sources(config, (leader,), config.parent, gate=gate))
    inputs.read()
    watch = InputWatch(inputs, NEVER_S, lambda _: None)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    assert not caplog.records
    leader.write_text(f"remote_write: [{{{entry}}}]\n")
    watch.look()
    wait_until(lambda: caplog.records, 15, "it is told")
    watch.end()
    thread.join(15)
    [record] = caplog.records
    assert record.getMessage() == message
    assert getattr(record, "reason", "").startswith(f"{leader}:{reason}")


def test_the_watch_is_not_inherited(watched: Watched) -> None:
    """Prometheus does not inherit the descriptors of the watch."""
    wait_until(lambda: watched.watch._events, 15, "it watches")
    assert watched.watch._events is not None
    assert not os.get_inheritable(watched.watch._events.fileno())
    assert not os.get_inheritable(watched.watch._asked)


def test_an_unexpected_error_does_not_end_the_watch(config: Path) -> None:
    """An unexpected error is reported as a rejection, and later changes are found."""

    def judge(renderings: Renderings) -> tuple[str, ...]:
        if b"unheard: of" in renderings.follower.content:
            raise RecursionError
        return ()

    watched = Watched(config, judge=judge)
    config.write_text("unheard: of\n")
    wait_until(lambda: watched.reports, 15, "it is reported")
    assert isinstance(watched.reports[-1][1], ConfigurationRejected)
    assert "RecursionError in test_input_watch.py:" in watched.reports[-1][1].problem
    config.write_text("a: 2\n")
    watched.await_value({"a": 2}, 15)


@pytest.mark.usefixtures("settles")
def test_a_removed_working_folder_does_not_end_the_watch(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the working folder is removed, that is a rejection.

    The output has a relative path; the periodic read is the first to fail.
    """
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    inputs = Inputs(Sources(config, (), Path("data")))
    inputs.read()
    reports: list[Event] = []
    watch = InputWatch(inputs, 0.05, reports.append)
    thread = threading.Thread(target=watch.run, daemon=True)
    gone.rmdir()
    thread.start()
    wait_until(lambda: reports, 15, "it is reported")
    assert isinstance(reports[-1], ConfigurationRejected)
    assert "FileNotFoundError in " in reports[-1].problem
    assert thread.is_alive()
    watch.end()
    thread.join(15)


UNREACHABLE = """\
import os, pathlib, sys
from wrapper.configuration.file_events import FileEvents

events = FileEvents()
events.follow([pathlib.Path(sys.argv[1])])
os.setuid(65534)  # a user who may not enter the folder, as after chmod -R 644
print("follows", flush=True)
sys.stdin.readline()
print(*(change.value for change, _ in events.read()))
"""


def test_an_inaccessible_folder_does_not_end_the_watch(
    config: Path,
) -> None:
    """A change in a folder that cannot be entered is reported.

    Whether the new file is a link cannot be determined.
    """
    config.parent.chmod(0o700)
    argv = [sys.executable, "-c", UNREACHABLE, str(config)]
    with subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "follows\n"
        config.unlink()
        config.write_text("a: 1\n")
        said, _ = watching.communicate("\n", timeout=15)
    assert said.split()[-1] == Change.FINISHED.value


def test_a_link_loop_is_a_rejection(
    config: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A leader config that links to itself is a rejection, not a missing file.

    Later changes are found.
    """
    leader = tmp_path / "leader.yml"
    watched = Watched(config, leader)
    leader.symlink_to("leader.yml")
    wait_until(lambda: watched.reports, 15, "it is told")
    assert "leader.yml: Too many levels of symbolic links; correct" in watched.values[-1].problem
    leader.unlink()
    leader.write_text("a: 5\n")
    watched.await_value({"a": 5}, 15)
    assert not caplog.records
