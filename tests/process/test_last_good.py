"""The files in which the configuration in force is saved, and what a start makes of them."""

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
    """Give the working folder, with a program in it that may be called Prometheus."""
    monkeypatch.chdir(tmp_path)
    Path("prometheus").write_text("#!/bin/sh\n")
    Path("prometheus").chmod(0o755)
    return tmp_path


def prepared(text: str, *flags: str, refused: RefusedInput | None = None) -> StartupState:
    """Return the start that an input makes."""
    Path("config.yml").write_text(text)
    words = ["--config=config.yml", *flags, "--", "./prometheus", "--config.file=out.yml"]
    return prepare(load(words, {}, hostname="h", incarnation="i"), refused)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Both roles, byte for byte, with the output's permissions."""
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
    """A leader's from before must not come back."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    files.save(SavedRenderings(rendered()))
    files.save(SavedRenderings(rendered(b"follower: {global: {scrape_interval: 2s}}\n")))
    loaded = files.load()
    assert loaded is not None
    assert not loaded.has_overrides
    assert not files.leader.exists()


@pytest.mark.parametrize("content", [b"a: [", b"- a\n", b"a: 1\na: 2\n"])
def test_what_is_no_configuration_is_not_used(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has changed the file: said, and as if there were none."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    files.follower.write_bytes(content)
    assert files.load() is None
    (record,) = caplog.records
    assert str(files.follower) in vars(record)["reason"]


def test_a_leader_file_that_cannot_be_used_makes_no_leader_without_it(tmp_path: Path) -> None:
    """It would hold the lease and write nothing."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    files.save(SavedRenderings(rendered()))
    files.leader.write_bytes(b"a: [")
    assert files.load() is None
    assert not files.can_replace(rendered(b"follower: {}\n").follower)


def test_what_a_leader_ran_with_is_kept_apart(tmp_path: Path) -> None:
    """Until a newer one has been in force while leading."""
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


def test_it_replaces_only_what_differs(tmp_path: Path) -> None:
    """A Prometheus that ended with what is saved would end with it again."""
    files = LastGood(tmp_path / "out.yml", 0o600)
    assert not files.can_replace(rendered().follower)
    files.save(SavedRenderings(rendered()))
    assert not files.can_replace(rendered().follower)
    assert files.can_replace(rendered(b"follower: {}\n").follower)


def test_a_refused_input_makes_way_for_what_was_kept(folder: Path) -> None:
    """And says why; a start without it has problems."""
    assert prepared(BAD).problems
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    start = prepared(BAD)
    assert start.problems == ()
    assert start.good == rendered()
    assert start.first.content == rendered().follower.content
    assert start.refusal
    assert "leder" in start.refusal[0]


def test_other_problems_end_the_start_all_the_same(folder: Path) -> None:
    """Only the input can be replaced; what is wrong with it is said too."""
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    start = prepared(BAD, "--config-check=no-such-promtool")
    assert any("no-such-promtool" in each for each in start.problems)
    assert any("leder" in each for each in start.problems)


def test_what_prometheus_refused_is_still_the_newest(folder: Path) -> None:
    """It is started with what was saved; the input is tried afterwards."""
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


def test_prometheus_is_never_started_twice_with_what_it_ended_with(folder: Path) -> None:
    """Where nothing that is saved can be used, the end is the end: no loop inside of one run."""
    LastGood(Path("out.yml"), 0o600).save(SavedRenderings(rendered()))
    newest = "follower: {global: {scrape_interval: 2s}}\n"
    assert prepared(newest).can_re_execute
    fingerprint = prepared(newest).good.follower.fingerprint
    Path(".out.yml.good-follower").write_text("a: [")
    assert not prepared(newest).can_re_execute
    assert not prepared(newest, refused=RefusedInput(fingerprint, 1)).can_re_execute
