"""The gate at a start: the election, the warnings, and the files of the gate."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.certificates import Authority
from wrapper.configuration.inputs import BadInputs
from wrapper.model.configuration import SavedRenderings
from wrapper.options.loading import load
from wrapper.startup.prepare import prepare
from wrapper.startup.startup_state import StartupState
from wrapper.startup.startup_warnings import say_start
from wrapper.supervision.snapshot_builder import Constants

ENTRY = "remote_write: [{url: 'https://r/w', name: main}]"
WITH_CA = "remote_write: [{url: 'https://r/w', tls_config: {ca_file: ca.pem}}]"
OWN = "remote_write: [{url: 'https://own/w'}]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a program in place of Prometheus."""
    monkeypatch.chdir(tmp_path)
    Path("prometheus").write_text("#!/bin/sh\n")
    Path("prometheus").chmod(0o755)
    return tmp_path


def started(follower: str, leader: str, *words: str) -> StartupState:
    """Return the startup state with these two parts of the configuration."""
    Path("c.yml").write_text(f"follower:\n  {follower}\nleader:\n  {leader}\n")
    child = ("--", "./prometheus", "--config.file=p.yml")
    words = ("--config=c.yml", "--remote-write-gate", *words, *child)
    start = prepare(load(words, {}, hostname="h", incarnation="i"))
    assert start.problems == ()
    return start


def warnings(start: StartupState, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of a start, with their reasons."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        say_start(start, Constants("h", "none", "", None))
    return [
        " ".join(filter(None, (record.getMessage(), getattr(record, "reason", ""))))
        for record in caplog.records
    ]


def test_a_leader_is_elected_though_renderings_are_equal(folder: Path) -> None:
    """With the gate, a leader is elected though both roles have the same rendering."""
    assert folder.is_dir()
    start = started("{}", ENTRY)
    assert not start.good.has_overrides
    assert start.lock.kind == "file"
    assert started("{}", "{}").lock.kind == "none"


def test_a_usual_start_has_no_warnings(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A start whose entries all go through the gate has no warnings."""
    assert folder.is_dir()
    assert warnings(started("{}", ENTRY), caplog) == []


def test_entries_outside_the_gate_are_warned_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A start warns of the follower's own remote_write, and of entries with signed requests."""
    assert folder.is_dir()
    [line] = warnings(started(OWN, ENTRY), caplog)
    assert "the follower's part has a remote_write: every replica writes" in line
    signed = "remote_write: [{url: 'https://r/w', sigv4: {region: a}}]"
    [line] = warnings(started("{}", signed), caplog)
    assert line.startswith(
        "a failover may lose samples despite the gate c.yml:4:18: this entry does not go "
        "through the gate, because sigv4"
    )
    [line] = warnings(started("{}", "{}"), caplog)
    assert "the leader has no overrides" in line


def test_gate_flags_affect_rendering_and_warnings(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Listen address, memory and lease duration appear in the rendering or in warnings."""
    start = started(
        "global: {external_labels: {replica: h}}",
        "remote_write: [{url: 'https://r/w', queue_config: {sample_age_limit: 20s}}]",
        "--remote-write-gate-listen-address=[::1]:9",
        "--gate-memory=1MiB",
        "--lease-duration=30s",
    )
    assert b"url: 'http://[::1]:9/gate/" in start.good.follower.content
    lines = warnings(start, caplog)
    assert len(lines) == 3
    assert "c.yml:2:39: this label differs between replicas" in lines[0]
    assert "sample_age_limit is shorter than --lease-duration (30s)" in lines[1]
    assert "--gate-memory is 1,048,576 bytes" in lines[2]


def test_a_missing_file_of_the_gate_is_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At a start, a missing CA file is a warning; a changed configuration waits for the file."""
    start = started("{}", WITH_CA)
    [line] = warnings(start, caplog)
    assert (
        f"c.yml:4:61: remote_write[0].tls_config.ca_file: {folder}/ca.pem: No such file or "
        "directory; the gate cannot send to this receiver without it" in line
    )
    Path("c.yml").write_text(f"follower: {{}}\nleader:\n  {WITH_CA} # changed\n")
    with pytest.raises(BadInputs, match="the gate cannot send to this receiver without it"):
        start.inputs.read()
    assert start.inputs.is_refused
    Authority(folder)
    assert start.inputs.read().leader.endpoints[0].client == {
        "tls_config": {"ca_file": f"{folder}/ca.pem"}
    }


def test_a_saved_rendering_needs_its_gate(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a saved rendering, a start knows the receivers and elects.

    It warns if the gate of the rendering does not run.
    """
    start = started("{}", ENTRY)
    start.saved.save(SavedRenderings(start.good))
    for words, is_warned in (
        (("--remote-write-gate",), False),
        (("--remote-write-gate", "--remote-write-gate-listen-address=127.0.0.1:9"), True),
        ((), True),
    ):
        Path("c.yml").write_text("follower: [}")
        child = ("--", "./prometheus", "--config.file=p.yml")
        again = prepare(load(("--config=c.yml", *words, *child), {}, hostname="h", incarnation="i"))
        assert again.last_good == start.good
        assert again.good.leader.endpoints == start.good.leader.endpoints
        assert again.lock.kind == "file"
        told = any(
            "sends to a gate that is not running" in each for each in warnings(again, caplog)
        )
        assert told is is_warned


def test_init_renders_the_url_of_the_gate(folder: Path) -> None:
    """With --init, the rendering already sends to the gate."""
    assert folder.is_dir()
    Path("c.yml").write_text(f"follower: {{}}\nleader:\n  {ENTRY}\n")
    words = ("--init", "--config=c.yml", "--output=p.yml", "--remote-write-gate")
    start = prepare(load(words, {}, hostname="h", incarnation="i"))
    assert start.problems == ()
    assert b"http://127.0.0.1:9096/gate/main" in start.first.content


@pytest.mark.parametrize(
    ("words", "is_warned"),
    [((), True), (("--remote-write-gate",), False), (("--lease-lock=none",), False)],
)
def test_a_sidecar_without_a_gate_is_warned_of(
    folder: Path, caplog: pytest.LogCaptureFixture, words: tuple[str, ...], is_warned: bool
) -> None:
    """A sidecar without a gate is warned of, if another replica may lead: two may write."""
    (folder / "c.yml").write_text(f"follower: {{}}\nleader:\n  {ENTRY}\n")
    url = "--notify-http-url=http://127.0.0.1:9090/-/reload"
    given = ("--config=c.yml", "--output=p.yml", url, *words)
    start = prepare(load(given, {}, hostname="h", incarnation="i"))
    assert start.problems == ()
    found = [line.startswith("sidecar: ") for line in warnings(start, caplog)]
    assert any(found) is is_warned
