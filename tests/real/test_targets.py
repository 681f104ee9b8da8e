"""Targets and rules are fetched beside a real Prometheus, which scrapes and evaluates them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import promgen
from tests.promgen import RULES, TARGETS, Promgen, group
from tests.real.conftest import Start
from tests.real.parts import Program, Prometheus, WriteLog, program, started
from tests.real.test_plain import Plain
from tests.support import free_port, wait_until

LIMIT_S = 60.0
REFUSAL_LIMIT_S = 25.0  # half of the time limit of a reload without a result
ONE = promgen.targets(group("127.0.0.1:1"))
TWO = promgen.targets(group("127.0.0.1:1"), group("127.0.0.1:2", shard="other"))
NONSENSE = promgen.rules("up ==== (")
CONFIG = """\
scrape_configs:
- job_name: promgen
  file_sd_configs: [{{files: ["{folder}/*.json"]}}]
  relabel_configs:
  - {{source_labels: [__shard], regex: promshard, action: keep}}
rule_files: ["{folder}/*.yml"]
"""


@pytest.fixture
def server() -> Iterator[Promgen]:
    """Run a server with Promgen's API."""
    part = Promgen()
    part.bodies = {TARGETS: ONE, RULES: promgen.rules()}
    yield part
    part.close()


def flags(server: Promgen, folder: Path) -> tuple[str, ...]:
    """Return the flags that fetch targets and rules every 200 ms."""
    folder.mkdir(parents=True, exist_ok=True)
    return (
        f"--targets-url={server.url}{TARGETS}={folder}/t.json",
        f"--targets-url={server.url}{RULES}={folder}/r.yml",
        "--targets-interval=200ms",
    )


@contextmanager
def plain(server: Promgen, folder: Path, *more: str) -> Iterator[Plain]:
    """Run a Prometheus that reads its own file, with targets and rules fetched beside it."""
    part = Plain(folder / "plain")
    files = folder / "files"
    at = part.argv.index("--")
    part.argv[at:at] = [*flags(server, files), *more]
    part.config.write_text(CONFIG.format(folder=files))
    with started(part):
        yield part


def data(url: str, path: str) -> Any:
    """Return the data of an answer of Prometheus' API."""
    return requests.get(f"{url}/api/v1/{path}", timeout=5).json()["data"]


def targets(url: str) -> set[str]:
    """Return the addresses that a Prometheus scrapes."""
    return {
        each["discoveredLabels"]["__address__"] for each in data(url, "targets")["activeTargets"]
    }


def rules(url: str) -> list[str]:
    """Return the expressions of the rules that a Prometheus evaluates."""
    groups = data(url, "rules")["groups"]
    return [rule["query"] for each in groups for rule in each["rules"]]


def await_(what: Callable[[], Any], expected: Any) -> None:
    """Wait until `what` returns the expected value."""
    wait_until(lambda: what() == expected, LIMIT_S, f"{expected!r}")


def failed(api: str, reason: str = "refused") -> set[str]:
    """Return the names of the fetched files that failed for this reason, by the metrics."""
    url = api if "://" in api else f"http://{api}"
    text = requests.get(f"{url}/_elector/metrics", timeout=5).text
    sample = rf'targets_errors_total\{{file="[^"]*/([^"/]+)",reason="{reason}"\}} [1-9]'
    return set(re.findall(sample, text))


def reloads(part: Plain) -> int:
    """Return how many times Prometheus has loaded its configuration."""
    return part.log.read_text().count("Completed loading of configuration file")


def test_prometheus_scrapes_and_evaluates_what_is_fetched(server: Promgen, tmp_path: Path) -> None:
    """Changed targets are used without a reload, and changed rules after one."""
    with plain(server, tmp_path) as part:
        await_(lambda: targets(part.url), {"127.0.0.1:1"})
        await_(lambda: rules(part.url), ["up == 0"])
        wait_until(lambda: part.log.read_text().count("r.yml") >= 1, LIMIT_S, "they are in force")
        before = reloads(part)
        server.bodies[TARGETS] = promgen.targets(group("127.0.0.1:1", "127.0.0.1:3"))
        await_(lambda: targets(part.url), {"127.0.0.1:1", "127.0.0.1:3"})
        assert reloads(part) == before
        server.bodies[RULES] = promgen.rules("up == 1")
        await_(lambda: rules(part.url), ["up == 1"])
        assert part.stop() == 0


def test_a_shard_is_kept_by_relabelling_or_by_the_flag(server: Promgen, tmp_path: Path) -> None:
    """One shard is selected by relabelling, as Promgen documents, or by --targets-shard."""
    server.bodies[TARGETS] = TWO
    with plain(server, tmp_path / "a") as part:
        await_(lambda: targets(part.url), {"127.0.0.1:1"})
        wait_until(lambda: data(part.url, "targets")["droppedTargets"], LIMIT_S, "one is dropped")
    with plain(server, tmp_path / "b", "--targets-shard=promshard") as part:
        await_(lambda: targets(part.url), {"127.0.0.1:1"})
        assert data(part.url, "targets")["droppedTargets"] == []


def test_refused_rules_are_replaced_by_the_last_good_ones(server: Promgen, tmp_path: Path) -> None:
    """When Prometheus refuses fetched rules, the last good ones return to the file.

    Corrected rules are loaded again.
    """
    with plain(server, tmp_path) as part:
        await_(lambda: rules(part.url), ["up == 0"])
        server.bodies[RULES] = NONSENSE
        wait_until(lambda: failed(part.api) == {"r.yml"}, LIMIT_S, "refused")
        assert rules(part.url) == ["up == 0"]
        assert (tmp_path / "files/r.yml").read_bytes() == promgen.rules()
        assert (
            "prometheus_config_last_reload_successful 1"
            in requests.get(f"{part.url}/metrics", timeout=5).text.splitlines()
        )
        server.bodies[RULES] = promgen.rules("up == 1")
        await_(lambda: rules(part.url), ["up == 1"])


@pytest.mark.parametrize("bad", ["", "b", "abd"], ids=["all good", "one bad", "three bad"])
def test_rule_files_fetched_together_cause_one_reload(
    server: Promgen, tmp_path: Path, bad: str
) -> None:
    """Rule files fetched together cause one reload; if some are refused, the others are loaded."""
    path = {name: f"{RULES}/{name}" for name in "abcd"}
    server.bodies |= {at: promgen.rules(f"up == {n}") for n, at in enumerate(path.values(), 1)}
    server.bodies |= {path[name]: NONSENSE for name in bad}
    files = tmp_path / "files"
    more = [f"--targets-url={server.url}{at}={files}/{name}.yml" for name, at in path.items()]
    with plain(server, tmp_path, *more, "--targets-interval=1h") as part:
        good = [f"up == {n}" for n, name in enumerate(path, 1) if name not in bad]
        expected = ["up == 0", *good]
        wait_until(lambda: sorted(rules(part.url)) == expected, REFUSAL_LIMIT_S, f"{expected}")
        refused = {f"{name}.yml" for name in bad}
        wait_until(lambda: failed(part.api) == refused, LIMIT_S, "refused")
        assert sorted(rules(part.url)) == expected
        if not bad:
            assert reloads(part) == 2  # one at the start, and one for five files
        assert part.stop() == 0


def test_promtool_checks_fetched_rules_first(server: Promgen, tmp_path: Path) -> None:
    """With --config-check, rules that promtool refuses are not written to the file."""
    server.bodies[RULES] = NONSENSE
    check = f"--config-check={program('promtool')}"
    config = CONFIG.format(folder=tmp_path / "files")
    with plain(server, tmp_path, check, f"--output={tmp_path / 'out.yml'}") as part:
        wait_until(lambda: failed(part.api) == {"r.yml"}, LIMIT_S, "refused")
        assert not (tmp_path / "files/r.yml").exists()
        assert part.config.read_text() == config
        server.bodies[RULES] = promgen.rules()
        await_(lambda: rules(part.url), ["up == 0"])


@pytest.mark.parametrize("by_http", [False, True], ids=["SIGHUP", "HTTP"])
def test_a_leader_with_refused_rules_stays_leader(
    server: Promgen, tmp_path: Path, start: Start, write_log: WriteLog, by_http: bool
) -> None:
    """When Prometheus refuses fetched rules, the leader goes on and its configuration is valid."""
    folder = tmp_path / "files"
    options = {"write_url": write_log.url("a"), "reloads_by_http": by_http}
    one = start("one", *flags(server, folder), **options)
    config = one.config.read_text()
    one.config.write_text(
        config.replace("follower:\n", f'follower:\n  rule_files: ["{folder}/*.yml"]\n')
    )
    one.await_leader()
    one.await_ready()
    await_(lambda: rules(one.url), ["up == 0"])
    server.bodies[RULES] = NONSENSE
    wait_until(lambda: failed(one.api) == {"r.yml"}, LIMIT_S, "refused")
    assert one.says_it_leads
    assert one.has_remote_write
    assert rules(one.url) == ["up == 0"]
    assert requests.get(f"{one.api}/_elector/config", timeout=5).json()["is_valid"]
    server.bodies[RULES] = promgen.rules("up == 1")
    await_(lambda: rules(one.url), ["up == 1"])
    assert one.says_it_leads


def test_the_next_start_restores_the_last_good_rules(server: Promgen, tmp_path: Path) -> None:
    """After a kill with unconfirmed, invalid rules, the next start restores the last good ones.

    With the invalid rules, Prometheus would not start.
    """
    with plain(server, tmp_path) as part:
        await_(lambda: rules(part.url), ["up == 0"])
        assert part.process is not None
        os.killpg(part.pid, signal.SIGKILL)
        part.process.wait(LIMIT_S)
    files = tmp_path / "files"
    (files / ".r.yml.good").write_bytes((files / "r.yml").read_bytes())
    (files / "r.yml").write_bytes(NONSENSE)
    server.act = promgen.with_status(500)
    again = Plain(tmp_path / "third")
    at = again.argv.index("--")
    again.argv[at:at] = flags(server, files)
    again.config.write_text(CONFIG.format(folder=files))
    with started(again):
        await_(lambda: rules(again.url), ["up == 0"])
        assert (files / "r.yml").read_bytes() == promgen.rules()


def test_rules_are_not_written_before_prometheus_is_ready(server: Promgen, tmp_path: Path) -> None:
    """While Prometheus starts, fetched rules are not written, so invalid ones do not end it."""
    files, go = tmp_path / "files", tmp_path / "go"
    files.mkdir()
    (files / ".r.yml.good").write_bytes(promgen.rules())
    (files / "r.yml").write_bytes(NONSENSE)
    server.bodies[RULES] = NONSENSE
    late = tmp_path / "prometheus"  # like a Prometheus that replays a long log before its rules
    wait = f"until [ -e {go} ]; do sleep 0.05; done"
    late.write_text(f'#!/bin/sh\n{wait}\nexec {program("prometheus")} "$@"\n')
    late.chmod(0o755)
    part = Plain(tmp_path / "plain")
    part.argv[part.argv.index(program("prometheus"))] = str(late)
    at = part.argv.index("--")
    part.argv[at:at] = flags(server, files)
    part.config.write_text(CONFIG.format(folder=files))
    threading.Thread(target=release_prometheus, args=(server, go), daemon=True).start()
    with started(part):
        assert rules(part.url) == ["up == 0"]
        wait_until(lambda: failed(part.api) == {"r.yml"}, LIMIT_S, "refused")
        assert rules(part.url) == ["up == 0"]
        assert part.stop() == 0


def test_promtool_sees_the_last_good_rules_at_a_start(server: Promgen, tmp_path: Path) -> None:
    """At a start, the last good rules are restored before promtool checks the configuration."""
    files = tmp_path / "files"
    files.mkdir()
    (files / ".r.yml.good").write_bytes(promgen.rules())
    (files / "r.yml").write_bytes(NONSENSE)
    with plain(
        server, tmp_path, f"--config-check={program('promtool')}", f"--output={files}/o.cfg"
    ):
        assert (files / "r.yml").read_bytes() == promgen.rules()


def test_a_sidecar_writes_no_rules_while_prometheus_restarts(
    server: Promgen, tmp_path: Path
) -> None:
    """While a sidecar's Prometheus restarts, fetched rules wait until it is ready."""
    folder = tmp_path / "files"
    config = f"rule_files: ['{folder}/*.yml']\n"
    prometheus = Prometheus(tmp_path / "prometheus", config, "--web.enable-lifecycle")
    source = tmp_path / "elector.yml"
    source.write_text(f"follower:\n  {config}leader: {{}}\n")
    argv = [sys.executable, "-m", "wrapper", *flags(server, folder), f"--config={source}"]
    argv += [f"--output={prometheus.config_file}", "--lease-lock=none", "--role=follower"]
    argv += [f"--notify-http-url={prometheus.url}/-/reload"]
    argv += [f"--readiness-http-url={prometheus.url}/-/ready"]
    api = f"127.0.0.1:{free_port()}"
    argv += [f"--api-listen-address={api}"]
    with started(prometheus), started(Program("sidecar", argv, tmp_path)):
        await_(lambda: rules(prometheus.url), ["up == 0"])
        wait_until(lambda: not list(folder.glob(".*.good")), LIMIT_S, "they are in force")
        prometheus.stop()
        server.bodies[RULES] = NONSENSE
        wait_until(lambda: failed(api, "not_ready"), LIMIT_S, "the bad ones wait")
        prometheus.start()
        prometheus.await_answer(f"{prometheus.url}/-/ready")
        wait_until(lambda: failed(api) == {"r.yml"}, LIMIT_S, "refused")
        assert rules(prometheus.url) == ["up == 0"]


def test_a_reload_without_the_lifecycle_flag_names_the_flag(
    server: Promgen, tmp_path: Path
) -> None:
    """When Prometheus refuses reloads over HTTP, both programs name --web.enable-lifecycle.

    Both: the command `targets` for cron, and the running sidecar.
    """
    folder = tmp_path / "files"
    folder.mkdir()
    config = f"rule_files: ['{folder}/*.yml']\n"
    prometheus = Prometheus(tmp_path / "prometheus", config)
    notify = f"--notify-http-url={prometheus.url.replace('//', '//me:hunter2@')}/-/reload"
    once = [sys.executable, "-m", "wrapper", "targets", f"{folder}/once.yml", "--reload", notify]
    source = tmp_path / "elector.yml"
    source.write_text(f"follower:\n  {config}leader: {{}}\n")
    argv = [sys.executable, "-m", "wrapper", f"--config={source}", notify, "--role=leader"]
    argv += [f"--output={prometheus.config_file}", "--lease-lock=none"]
    argv += [f"--readiness-http-url={prometheus.url}/-/ready"]
    argv += [f"--api-listen-address=127.0.0.1:{free_port()}"]
    lacks = "answered 403 (Lifecycle API is not enabled): Prometheus reloads by HTTP only when"
    with started(prometheus), started(Program("sidecar", argv, tmp_path)) as sidecar:
        done = subprocess.run(
            [*once, f"--from={server.url}{RULES}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"{prometheus.url}/-/reload {lacks} it is started" in done.stderr
        assert "--web.enable-lifecycle" in done.stderr
        source.write_text(f"follower:\n  {config}leader: {{global: {{scrape_interval: 7s}}}}\n")
        wait_until(lambda: lacks in sidecar.tail(20_000), LIMIT_S, "the log names the flag")
        assert "hunter2" not in done.stderr + sidecar.tail(20_000)


def release_prometheus(server: Promgen, go: Path) -> None:
    """Let Prometheus start once targets have been fetched four times."""
    wait_until(lambda: len(asked(server, TARGETS)) >= 4, LIMIT_S, "targets are fetched")
    go.touch()


def asked(server: Promgen, api: str) -> list[str]:
    """Return the requests for one path of Promgen."""
    return [path for path, _ in server.requests if path == api]
