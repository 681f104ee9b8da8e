"""The files of the last good configuration, and how a start uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapper.configuration.last_good import LastGood
from wrapper.configuration.render import render
from wrapper.documents.source import Source
from wrapper.model.configuration import Renderings, SavedRenderings
from wrapper.options.loading import load
from wrapper.startup.prepare import prepare
from wrapper.startup.startup_state import RefusedInput, StartupState

GOOD = b"follower: {global: {scrape_interval: 1s}}\nleader: {remote_write: [{url: 'http://x/'}]}\n"
BAD = "follower: {}\nleder: {}\n"


def rendered(text: bytes = GOOD) -> Renderings:
    """Return the renderings of an input."""
    return render(Source("config.yml", text)).renderings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a program in place of Prometheus."""
    monkeypatch.chdir(tmp_path)
    Path("prometheus").write_text("#!/bin/sh\n")
    Path("prometheus").chmod(0o755)
    return tmp_path


def prepared(text: str, *flags: str, refused: RefusedInput | None = None) -> StartupState:
    """Return the startup state for an input."""
    Path("config.yml").write_text(text)
    words = ["--config=config.yml", *flags, "--", "./prometheus", "--config.file=out.yml"]
    return prepare(load(words, {}, hostname="h", incarnation="i"), refused)


def test_saved_renderings_are_loaded_unchanged(tmp_path: Path) -> None:
    """Both renderings are loaded as they were saved; the files have the output's permissions."""
    files = LastGood(tmp_path / "out.yml", 0o640)
    assert files.load() is None
    files.save(SavedRenderings(rendered()))
    loaded = files.load()
    assert loaded is not None
    assert loaded == rendered()
    assert loaded.leader.content == rendered().leader.content
    assert loaded.leader.writes_remotely
    assert not loaded.follower.writes_remotely
    assert {each.stat().st_mode & 0o777 for each in (files.follower, files.leader)} == {0o640}


def test_without_overrides_there_is_one_file(tmp_path: Path) -> None:
    """If the new input has no overrides, the saved rendering of the leader is removed."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    files.save(SavedRenderings(rendered()))
    files.save(SavedRenderings(rendered(b"follower: {global: {scrape_interval: 2s}}\n")))
    loaded = files.load()
    assert loaded is not None
    assert not loaded.has_overrides
    assert not files.leader.exists()


@pytest.mark.parametrize("content", [b"a: [", b"- a\n", b"a: 1\na: 2\n"])
def test_an_invalid_saved_file_is_ignored(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A saved file that is no configuration is ignored, and logged."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    files.follower.write_bytes(content)
    assert files.load() is None
    (record,) = caplog.records
    assert str(files.follower) in vars(record)["reason"]


def test_an_invalid_leader_file_invalidates_both(tmp_path: Path) -> None:
    """If the leader's saved file is invalid, the follower's is not used either.

    Such a leader would hold the lease and write nothing.
    """
    files = LastGood(tmp_path / "out.yml", 0o600)
    files.save(SavedRenderings(rendered()))
    files.leader.write_bytes(b"a: [")
    assert files.load() is None
    assert not files.can_replace(rendered(b"follower: {}\n").follower)


def test_the_proven_leader_rendering_is_kept(tmp_path: Path) -> None:
    """The rendering with which a leader has run is kept until a newer one has been used."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    old, new = rendered(), rendered(GOOD.replace(b"//x/", b"//y/"))
    assert files.proven_leader(new.leader) is None
    files.save(SavedRenderings(old))
    assert files.proven_leader(new.leader) == old.leader
    files.save(SavedRenderings(new, old.leader))
    assert files.proven_leader(new.leader) == old.leader
    files.save(SavedRenderings(new))
    assert files.proven_leader(new.leader) is new.leader
    assert not files.proven.exists()


def test_a_saved_rendering_replaces_only_a_different_one(tmp_path: Path) -> None:
    """A saved rendering replaces only a different one.

    A Prometheus that exited with it would exit again.
    """
    files = LastGood(tmp_path / "out.yml", 0o600)
    assert not files.can_replace(rendered().follower)
    files.save(SavedRenderings(rendered()))
    assert not files.can_replace(rendered().follower)
    assert files.can_replace(rendered(b"follower: {}\n").follower)


def test_a_refused_input_is_replaced_by_the_saved_one(folder: Path) -> None:
    """If the input is refused, a start uses the saved renderings, and gives the reason."""
    assert prepared(BAD).problems
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    start = prepared(BAD)
    assert start.problems == ()
    assert start.good == rendered()
    assert start.first.content == rendered().follower.content
    assert start.refusal
    assert "leder" in start.refusal[0]


def test_other_problems_still_end_the_start(folder: Path) -> None:
    """A problem other than the input ends the start, and the input's problem is reported too."""
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    start = prepared(BAD, "--config-check=no-such-promtool")
    assert any("no-such-promtool" in each for each in start.problems)
    assert any("leder" in each for each in start.problems)


def test_an_input_that_prometheus_refused_is_tried_later(folder: Path) -> None:
    """If Prometheus refused the input, it starts with the saved one; the input is tried later."""
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    newest = "follower: {global: {scrape_interval: 2s}}\n"
    fingerprint = prepared(newest).good.follower.fingerprint
    start = prepared(newest, refused=RefusedInput(fingerprint, 2))
    assert start.first == rendered().follower
    assert start.good.follower.fingerprint == fingerprint
    assert "status 2" in start.refusal[0]
    assert not start.can_re_execute
    mended = prepared(newest, refused=RefusedInput("another", 2))
    assert mended.can_re_execute
    assert (mended.last_good, mended.refusal) == (None, ())


def test_a_refused_rendering_is_not_started_again(folder: Path) -> None:
    """Without a usable saved rendering, Prometheus is not started again: no endless loop."""
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    newest = "follower: {global: {scrape_interval: 2s}}\n"
    assert prepared(newest).can_re_execute
    fingerprint = prepared(newest).good.follower.fingerprint
    Path(".out.yml.good-follower").write_text("a: [")
    assert not prepared(newest).can_re_execute
    assert not prepared(newest, refused=RefusedInput(fingerprint, 1)).can_re_execute
