"""Differences between releases of Prometheus, tested with the Prometheus of the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.real.conftest import Start
from tests.real.fleet import Fleet, leader_by, lines_of, rejections
from tests.real.gap import NEW_PROTOCOL as PROTOCOL_2
from tests.real.outages import step_down
from tests.real.parts import Prometheus, WriteLog, applied_config, program, started
from tests.real.receivers import metric
from tests.real.replica import Replica
from tests.real.test_refusals import edit
from tests.real.versions import auto_reload, has_flag, takes
from tests.support import now, wait_until

EARLY_S = 0.1  # for which SIGHUPs are sent, some before Prometheus handles it

# --- agent mode -----------------------------------------------------------------------------------


def test_the_old_agent_feature_starts_no_server(start: Start) -> None:
    """If Prometheus ignores --enable-feature=agent (since 3.0), the start is refused.

    Older releases start an agent. With the flag --agent too, it is an agent in any case.
    """
    if not has_flag("agent"):
        replica = start("a", child_flags=("--enable-feature=agent",), storage="agent")
        replica.await_ready()
        assert _is_agent(replica)
        return
    refused = start("a", child_flags=("--enable-feature=x,agent",))
    assert refused.await_end() == 2
    [line] = lines_of(refused, "--enable-feature=agent")
    assert "would start as a server; write --agent instead" in line
    assert not (refused.config.parent / "data").exists()
    both = start("b", child_flags=("--agent", "--enable-feature=agent"), storage="agent")
    both.await_ready()
    assert _is_agent(both)


def test_an_ignored_agent_feature_of_a_script_is_reported(start: Start, tmp_path: Path) -> None:
    """When a script adds the ignored feature, it is reported once Prometheus runs."""
    script = wrapping(tmp_path, "--enable-feature=agent")
    replica = start("a", prometheus=script)
    if has_flag("agent"):
        line = "Prometheus ignores --enable-feature=agent"
        wait_until(lambda: lines_of(replica, line), 20, "it is told")
    else:  # and refuses the flag of a server's storage
        assert replica.await_end() == 3


def wrapping(folder: Path, *flags: str) -> str:
    """Return a script that starts Prometheus with additional flags."""
    script = folder / "start-prometheus"
    script.write_text(f'#!/bin/sh\nexec {program("prometheus")} "$@" {" ".join(flags)}\n')
    script.chmod(0o755)
    return str(script)


def _is_agent(replica: Replica) -> bool:
    """Tell by its API, which has no queries in agent mode."""
    return requests.get(f"{replica.url}/api/v1/query?query=1", timeout=2).status_code == 422


def test_check_start_reports_the_ignored_agent_feature(tmp_path: Path) -> None:
    """`check --start` reports the ignored feature; `check`, which starts nothing, does not."""
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs: []")
    command = [program("prometheus"), f"--config.file={config}", "--enable-feature=agent"]
    words = [sys.executable, "-m", "wrapper", "check"]
    done = [
        subprocess.run(
            [
                *words,
                *flags,
                "--lease-lock=none",
                f"--output={tmp_path / 'out.yml'}",
                "--",
                *command,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for flags in (["--start"], [])
    ]
    is_ignored = has_flag("agent")
    assert ("write --agent instead" in done[0].stderr) == is_ignored
    assert done[0].returncode == (2 if is_ignored else 0), done[0]
    assert done[1].returncode == 0


# --- reloads by Prometheus itself -----------------------------------------------------------------


def test_a_prometheus_that_reloads_itself_is_fenced(fleet: Fleet, tmp_path: Path) -> None:
    """If a script adds flags for automatic reloads, fencing and refusals of edits still work.

    The start refuses these flags. With them, either Prometheus or this program reloads a file
    first.
    """
    flags = auto_reload()
    leader, other = fleet.pair(prometheus=wrapping(tmp_path, *flags))
    for replica in (leader, other):
        if flags:
            words = "Prometheus reloads its files itself too"
            wait_until(lambda: lines_of(replica, words), 15, "it is told of")  # noqa: B023
            assert len(lines_of(replica, words)) == 1
    for turn in range(3):
        edit(leader, "job_name: self", f"bogus: 1\n    job_name: self{turn}")
        wait_until(lambda: rejections(leader), 15, "the edit is refused")  # noqa: B023
        wait_until(lambda: "bogus" not in leader.output.read_text(), 15, "and put back")  # noqa: B023
        assert leader.says_it_leads
        edit(leader, f"bogus: 1\n    job_name: self{turn}", "job_name: self")
        step_down(leader)
        wait_until(lambda: leader_by(leader) == other.name, 20, "the other one leads")  # noqa: B023
        os.kill(leader.child.pid, signal.SIGHUP)  # and one more, that nobody ordered
        leader, other = other, leader
        leader.await_leader()
        other.await_follower()
    fleet.stop()


# --- the level of its log -------------------------------------------------------------------------


def test_the_leaders_log_level_is_the_leaders_alone(
    start: Start, write_log: WriteLog, tmp_path: Path
) -> None:
    """`runtime.log_level` (since 3.15) of the leader's part is in force only while it leads.

    A Prometheus without this field refuses the edit, and the leader goes on as before.
    """
    level = "runtime: {log_level: debug}\n"
    leader = start("a", write_url=write_log.url("a"))
    leader.await_leader()
    wait_until(lambda: write_log.writes("a"), 20, "it writes: its promotion is long over")
    edit(leader, "leader:\n", f"leader:\n  {level}")
    if not takes(level, tmp_path):
        wait_until(lambda: rejections(leader), 15, "it is refused")
        wait_until(lambda: "log_level" not in leader.output.read_text(), 15, "it is put back")
        assert leader.has_remote_write
        return
    wait_until(lambda: "log_level: debug" in applied_config(leader.url), 15, "it is in force")
    wait_until(lambda: lines_of(leader, "level=DEBUG"), 15, "Prometheus logs by it")
    assert not rejections(leader)
    os.kill(leader.pid, signal.SIGUSR1)  # step down
    leader.await_follower()
    assert "log_level: debug" not in applied_config(leader.url)


# --- the first moment -----------------------------------------------------------------------------


def test_signals_and_an_edit_at_the_start_do_no_harm(start: Start, write_log: WriteLog) -> None:
    """SIGHUPs and an edit right after the start do not end Prometheus, and the edit is loaded.

    A Prometheus 3.16 that is started by other means exits on a SIGHUP in its first 30 ms.
    """
    replica = start("a", write_url=write_log.url("a"))
    child = wait_until(lambda: _prometheus_of(replica), 10, "Prometheus is started", poll_s=0.001)
    began = now()
    while now() < began + EARLY_S:
        os.kill(child.pid, signal.SIGHUP)
    edit(replica, "job_name: self", "job_name: edited")
    os.kill(replica.pid, signal.SIGHUP)
    replica.await_leader()
    wait_until(lambda: "job_name: edited" in applied_config(replica.url), 15, "the edit is loaded")
    assert replica.child == child
    assert not rejections(replica)


def _prometheus_of(replica: Replica) -> Any:
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(replica.pid).children():
            # Another process runs only with --version.
            if child.name() == "prometheus" and "--version" not in child.cmdline():
                return child
    return None


# --- receivers ------------------------------------------------------------------------------------


def test_a_path_of_otlp_takes_no_remote_write(tmp_path: Path) -> None:
    """The OTLP path of a Prometheus refuses remote_write in both protocols and stores nothing.

    `check` warns of such paths.
    """
    flag = "--web.enable-otlp-receiver"
    if not has_flag(flag[2:]):
        flag = "--enable-feature=otlp-write-receiver"  # before 3.0; unknown before 2.47
    config = "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: self, static_configs: "
    config += "[{targets: ['{address}']}]}]\nremote_write:\n"
    entry = "- {name: %s, url: '%s/api/v1/otlp/v1/metrics?%s', queue_config: {batch_send_deadline: "
    with started(Prometheus(tmp_path / "receiver", "{}", flag)) as receiver:
        config += entry % ("one", receiver.url, 1) + "100ms}}\n"
        second = entry % ("two", receiver.url, 2) + f"100ms}}, protobuf_message: {PROTOCOL_2}}}\n"
        names = ["one"]
        if takes(f"remote_write: [{{url: 'http://x', protobuf_message: {PROTOCOL_2}}}]", tmp_path):
            config, names = config + second, ["one", "two"]
        with started(Prometheus(tmp_path / "sender", config)) as sender:
            for name in names:
                label = f'remote_name="{name}"'
                failed = "prometheus_remote_storage_samples_failed_total"
                url = f"{sender.url}/metrics"
                wait_until(lambda: metric(url, failed, label), 30, "it is refused")  # noqa: B023
            assert not receiver.query('{job="self"}')


def test_check_start_reports_an_unknown_protocol(tmp_path: Path) -> None:
    """`check --start` reports protobuf_message as unknown if Prometheus is older than 2.54."""
    entry = f"remote_write: [{{url: 'http://127.0.0.1:1/', protobuf_message: {PROTOCOL_2}}}]\n"
    config = tmp_path / "prometheus.yml"
    config.write_text(entry)
    words = [sys.executable, "-m", "wrapper", "check", "--start", "--lease-lock=none"]
    words += [f"--output={tmp_path / 'out.yml'}", "--", program("prometheus")]
    done = subprocess.run(
        [*words, f"--config.file={config}"], capture_output=True, text=True, check=False, timeout=60
    )
    is_known = takes(entry, tmp_path)
    assert done.returncode == (0 if is_known else 1), done.stdout
    assert ("field protobuf_message not found" in done.stdout) == (not is_known)
