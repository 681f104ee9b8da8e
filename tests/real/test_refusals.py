"""An edit that only Prometheus refuses is replaced in the output by the last valid rendering."""

from __future__ import annotations

import os
import signal

import pytest
import requests

from tests.real.conftest import Start
from tests.real.fleet import bare_messages, demotions, rejections
from tests.real.parts import WriteLog
from tests.real.promtool import promtool
from tests.real.replica import Replica
from tests.support import wait_until


def edit(replica: Replica, before: str, after: str) -> None:
    """Replace a text in its configuration, by a rename, as editors do."""
    text = replica.config.read_text()
    assert before in text
    new = replica.config.with_name("new.yml")
    new.write_text(text.replace(before, after))
    new.rename(replica.config)


def is_valid(replica: Replica) -> bool:
    """Tell whether its metrics report a valid configuration."""
    text = requests.get(f"{replica.api}/_elector/metrics", timeout=2).text
    return "prometheus_elector_config_valid 1.0" in text


def await_refusal(replica: Replica) -> None:
    """Wait until the refusal is reported, and the last valid rendering is in the file."""
    wait_until(lambda: rejections(replica), 15, "it is logged")
    wait_until(lambda: not is_valid(replica), 15, "it is in the metrics")
    wait_until(lambda: "bogus" not in replica.output.read_text(), 15, "it is out of the file")
    replica.await_ready()
    promtool("check", "config", replica.output).check_returncode()


@pytest.mark.parametrize("by_http", [False, True], ids=["by a signal", "by HTTP"])
def test_a_leader_keeps_writing_when_its_edit_is_refused(
    start: Start, write_log: WriteLog, by_http: bool
) -> None:
    """When Prometheus refuses an edit, the leader goes on with its previous configuration.

    The output has that configuration too, for a restart.
    """
    leader = start("a", write_url=write_log.url("a"), reloads_by_http=by_http)
    leader.await_leader()
    wait_until(lambda: write_log.writes("a"), 20, "it writes: its promotion is long over")
    edit(leader, "job_name: self", "bogus: 1\n    job_name: self")
    await_refusal(leader)
    assert leader.has_remote_write
    assert "remote_write:" in leader.output.read_text()
    assert leader.says_it_leads
    assert demotions(leader) == 0
    edit(leader, "bogus: 1\n    ", "")
    wait_until(lambda: is_valid(leader), 15, "mended, it is good again")
    assert leader.has_remote_write


@pytest.mark.parametrize("by_http", [False, True], ids=["by a signal", "by HTTP"])
def test_a_follower_that_refused_an_edit_can_still_lead(
    start: Start, write_log: WriteLog, by_http: bool
) -> None:
    """When a follower's Prometheus has refused an edit, it can lead with the last valid input."""
    leader = start("a", write_url=write_log.url("a"), reloads_by_http=by_http)
    leader.await_leader()
    follower = start("b", write_url=write_log.url("b"), reloads_by_http=by_http)
    follower.await_follower()
    wait_until(lambda: is_valid(follower), 15, "its API answers")
    edit(follower, "job_name: self", "bogus: 1\n    job_name: self")
    await_refusal(follower)
    os.kill(leader.pid, signal.SIGUSR1)
    follower.await_leader()
    assert not is_valid(follower), "the newest input is still not in force"


def test_a_refusal_over_http_is_logged_with_its_error(start: Start) -> None:
    """With reloads over HTTP, the log has Prometheus' error, with the name of the field."""
    replica = start("a", reloads_by_http=True)
    replica.await_ready()
    edit(replica, "job_name: self", "bogus: 1\n    job_name: self")
    await_refusal(replica)
    line = rejections(replica)[-1]
    assert "field bogus not found" in line


def test_sighup_retries_a_refused_edit(start: Start) -> None:
    """After a broken rule file has been corrected, SIGHUP loads the refused edit."""
    replica = start("a")
    replica.await_ready()
    rules = replica.config.with_name("rules.yml")
    rules.write_text("groups: [{name: x, rules: [{record: a, expr: '('}]}]\n")
    edit(replica, "  scrape_configs:", f"  rule_files: [{rules}]\n  scrape_configs:")
    wait_until(lambda: rejections(replica), 15, "it is refused")
    wait_until(lambda: "rules.yml" not in replica.output.read_text(), 15, "it is out again")
    rules.write_text("groups: [{name: x, rules: [{record: a, expr: '1'}]}]\n")
    os.kill(replica.pid, signal.SIGHUP)
    url = f"{replica.url}/api/v1/rules"
    wait_until(lambda: "rules.yml" in requests.get(url, timeout=5).text, 15, "it is loaded")
    wait_until(lambda: is_valid(replica), 15, "and good")


def test_a_leader_that_loses_its_overrides_logs_a_warning(
    start: Start, write_log: WriteLog
) -> None:
    """If an edit removes the leader's part, or moves it to all, a warning is logged."""
    leader = start("a", write_url=write_log.url("a"))
    leader.await_leader()
    leader.write_config(None)
    wait_until(lambda: not leader.has_remote_write, 15, "it is loaded")
    assert len(bare_messages(leader, "warn")) == 1, "that nobody writes is said"
    leader.write_config(write_log.url("a"))
    leader.await_leader()
    url = f"follower:\n  remote_write: [{{url: {write_log.url('a')}/all}}]"
    edit(leader, "follower:", url)
    wait_until(lambda: len(bare_messages(leader, "warn")) == 2, 15, "that all write is said too")
