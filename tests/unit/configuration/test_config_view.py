"""The configuration on the status page: the newest inputs, without secrets, bounded in size."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.memory import Traced
from tests.support import wait_until
from wrapper.configuration import config_view_updater
from wrapper.configuration.config_view import (
    LARGEST_INPUT,
    LARGEST_TEXT,
    ConfigView,
    ConfigViewReader,
    ConfigViewWriter,
)
from wrapper.configuration.config_view_updater import ConfigViewUpdater, Read, config_view_of
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.inputs import Inputs, Sources
from wrapper.documents.source import Source

SECRET = "hunter2-marker"
TEXT = f"""\
follower:
  scrape_configs:
  - job_name: a
    basic_auth: {{username: u, password: {SECRET}}}
leader:
  remote_write:
  - url: http://u:{SECRET}@mimir/push
    headers: {{X-Token: $(TOKEN)}}
"""


@pytest.fixture
def fd() -> Iterator[int]:
    """Give a memfd."""
    made = os.memfd_create("test")
    yield made
    os.close(made)


def read(text: str, **variables: str) -> Read:
    """Return one input with both sections."""
    return Read([Source("elector.yml", text.encode(), "")], variables, has_sections=True)


def test_view_has_no_secret() -> None:
    """Passwords, credentials in URLs and the values of secret variables are not shown."""
    shown = config_view_of(
        read(TEXT.replace("$(TOKEN)", "from-env-marker"), TOKEN="from-env-marker")
    )
    whole = repr(shown)
    assert SECRET not in whole
    assert "from-env-marker" not in whole
    assert "password: <secret 1>" in shown.follower
    assert "remote_write:" in shown.leader
    assert "remote_write:" not in shown.follower
    assert "+remote_write:" in shown.difference


def test_gate_is_shown_as_prometheus_reads_it() -> None:
    """With the gate, both renderings show its URL, but neither the receiver nor its secrets."""
    text = (
        "follower: {}\nleader:\n  rule_files: [a]\n  remote_write:\n"
        "  - {url: 'http://u:SECRET@r/', name: main, tls_config: {key: SECRET, cert: c}}"
    )
    gate = GateSettings("http://127.0.0.1:9096", "/out")
    shown = config_view_of(replace(read(text), gate=gate))
    assert "- url: http://127.0.0.1:9096/gate/main" in shown.follower
    assert "remote_write" not in "".join(
        line for line in shown.difference if line.startswith(("+", "-"))
    )
    assert "+rule_files:" in shown.difference
    assert "SECRET" not in shown.follower + shown.leader


def test_view_shows_the_rendering_with_the_gate(fd: int, tmp_path: Path) -> None:
    """The view is made from what the program renders: with the gate if it is used."""
    config = tmp_path / "elector.yml"
    config.write_text("follower: {}\nleader: {remote_write: [{url: 'http://r', name: main}]}\n")
    gate = GateSettings("http://127.0.0.1:9096", "/out")
    inputs = Inputs(Sources(config, output_folder=tmp_path, gate=gate))
    inputs.read()
    updater = ConfigViewUpdater(ConfigViewWriter(fd), settle_s=0.0)
    updater.show(inputs)
    thread = threading.Thread(target=updater.run, daemon=True)
    thread.start()
    reader = ConfigViewReader(fd)
    wait_until(reader.read, 20, "it is shown")
    updater.end()
    thread.join(20)
    shown = reader.read()
    assert shown is not None
    assert "url: http://127.0.0.1:9096/gate/main" in shown.follower
    assert shown.difference == ()


def test_inputs_that_are_too_large_are_not_shown() -> None:
    """Of inputs that are too large, only the command that shows them is named."""
    shown = config_view_of(read("follower: {}\n#" + "x" * LARGEST_INPUT))
    assert "too many to show here: see prometheus-elector check" in shown.omitted
    assert not shown.follower


def test_aliases_that_expand_to_too_much_stay_aliases() -> None:
    """A few lines whose aliases stand for millions of values are shown as written."""
    lines = ["follower:", "  scrape_configs: []", "  x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"  x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert len(config_view_of(read("\n".join(lines))).follower) < LARGEST_TEXT


@pytest.mark.parametrize("alias", ["*t", "*t : 1", "{*t : 1}"])
def test_long_text_with_many_aliases_stays_short(alias: str) -> None:
    """Many aliases of a long text are shown as aliases: they could be gigabytes of text."""
    long, aliases = "x" * (LARGEST_TEXT // 100), ", ".join([alias] * 2000)
    text = f"follower:\n  a: &t {long}\n  b: [{aliases}]\n"
    assert len(config_view_of(read(text)).follower) < LARGEST_TEXT


def test_failure_to_compare_shows_only_its_type() -> None:
    """If the comparison fails, only the error's type is shown: its message may quote a secret."""
    shown = config_view_of(Read([], {}, has_sections=True))
    assert shown == ConfigView(
        omitted="it cannot be shown (IndexError): see prometheus-elector check"
    )


def test_view_is_transferred_and_bounded(fd: int) -> None:
    """The reader gets the newest view; one that is too large is replaced by a remark."""
    writer, reader = ConfigViewWriter(fd), ConfigViewReader(fd)
    assert reader.read() is None
    shown = ConfigView("a", "b", ("-a", "+b"))
    writer.publish(shown)
    assert reader.read() == shown
    writer.publish(ConfigView("x" * (LARGEST_TEXT + 1)))
    told = reader.read()
    assert told is not None
    assert "too many" in told.omitted


def test_only_the_newest_inputs_are_shown(fd: int, tmp_path: Path) -> None:
    """A burst of changes is shown once, by a thread for which nothing waits."""
    config = tmp_path / "elector.yml"
    inputs = Inputs(Sources(config, output_folder=tmp_path))
    exhibitor = ConfigViewUpdater(ConfigViewWriter(fd), settle_s=0.2)
    for number in range(3):
        config.write_text(f"follower: {{global: {{scrape_interval: {number + 1}s}}}}\n")
        inputs.read()
        exhibitor.show(inputs)
    threading.Thread(target=exhibitor.run, daemon=True).start()
    reader = ConfigViewReader(fd)
    wait_until(reader.read, 20, "it is shown")
    shown = reader.read()
    assert shown is not None
    assert "scrape_interval: 3s" in shown.follower


def test_inputs_are_released_after_they_are_shown(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the view is shown, the inputs and the memory it took are released.

    Large inputs would otherwise keep tens of MiB.
    """
    returned = threading.Event()
    monkeypatch.setattr(config_view_updater, "return_free_memory", returned.set)
    content = Traced(b"follower: {}\n")
    is_gone = content.trace()
    updater = ConfigViewUpdater(ConfigViewWriter(fd), settle_s=0)
    updater._inbox.put(Read((Source("elector.yml", content),), {}, has_sections=True))
    del content
    thread = threading.Thread(target=updater.run, daemon=True)
    thread.start()
    assert returned.wait(20)
    wait_until(is_gone, 20, "they are gone")
    updater.end()
    thread.join(20)
