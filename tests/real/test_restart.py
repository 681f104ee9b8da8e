"""After a restart with an invalid input, Prometheus runs with the last loaded configuration."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from tests.real.conftest import Start
from tests.real.fleet import lines_of, promotions
from tests.real.parts import WriteLog
from tests.real.replica import Replica
from tests.real.test_refusals import edit, is_valid
from tests.support import wait_until
from wrapper.startup.launch import LAST_IN_FORCE

UNKNOWN_SECTION = ("  scrape_configs:", "  bogus_section: {}\n  scrape_configs:")  # by Prometheus
REPEATED_KEY = ("  scrape_configs:", "  global: {}\n  scrape_configs:")  # by us


def kept(replica: Replica, role: str) -> Path:
    """Return the file that keeps a role's last loaded configuration."""
    return replica.output.parent / f".{replica.output.name}.good-{role}"


def await_kept(replica: Replica, *words: str) -> None:
    """Wait until the file that keeps the leader's configuration has these words."""

    def is_there() -> bool:
        text = kept(replica, "leader").read_text()
        return all(word in text for word in words)

    wait_until(is_there, 15, "what is in force is kept")


def restart(replica: Replica) -> None:
    """Stop it with SIGTERM, and start it again, like a container."""
    replica.term()
    replica.await_end(30)
    replica.start()


def stopped_in_order(start: Start) -> Replica:
    """Return a replica that has exited in order, and has kept its loaded configuration."""
    replica = start("a")
    replica.await_ready()
    wait_until(lambda: kept(replica, "follower").exists(), 15, "what is in force is kept")
    replica.term()
    replica.await_end(30)
    return replica


def status(replica: Replica) -> dict[str, object]:
    """Return its configuration's status by its API."""
    answer = requests.get(f"{replica.api}/_elector/config", timeout=5)
    return dict(answer.json())


@pytest.mark.parametrize("bad", [UNKNOWN_SECTION, REPEATED_KEY], ids=["by Prometheus", "by us"])
def test_a_restart_with_a_bad_input_leads_with_the_last_good_one(
    start: Start, write_log: WriteLog, bad: tuple[str, str]
) -> None:
    """After a restart with an invalid input, a replica leads with the last valid one.

    The input is reported as invalid, and a corrected one is loaded.
    """
    replica = start("a", write_url=write_log.url("a"))
    replica.await_leader()
    await_kept(replica, "remote_write")
    edit(replica, *bad)
    wait_until(lambda: not is_valid(replica), 15, "the edit is refused")
    tried = promotions(replica)
    restart(replica)
    replica.await_leader()
    wait_until(lambda: not is_valid(replica), 15, "its metrics say that the input is bad")
    assert lines_of(replica, LAST_IN_FORCE)
    assert promotions(replica) == tried + 1, "no promotion was the first to try it"
    edit(
        replica, bad[1], bad[0].replace("  scrape_configs:", "  rule_files: []\n  scrape_configs:")
    )
    wait_until(lambda: is_valid(replica), 15, "mended, it is good")
    wait_until(lambda: "rule_files" in replica.output.read_text(), 15, "and in its file")
    await_kept(replica, "rule_files", "remote_write")
    assert replica.has_remote_write


def test_a_restart_with_a_bad_leaders_part_leads_with_the_last(
    start: Start, write_log: WriteLog
) -> None:
    """After restarts with an invalid leader's part, a replica leads with the last valid one.

    The follower's part is valid, so the newest input counts as valid for that role.
    """
    replica = start("a", "--cool-down=1s", write_url=write_log.url("a"))
    replica.await_leader()
    await_kept(replica, "remote_write")
    edit(replica, "leader:\n", "leader:\n  bogus_section: {}\n")
    wait_until(lambda: not is_valid(replica), 15, "the edit is refused")
    restart(replica)
    replica.await_leader(30)
    assert "bogus_section" not in replica.output.read_text()
    wait_until(lambda: not is_valid(replica), 15, "its metrics say that the input is bad")
    restart(replica)
    replica.await_leader(30)


def test_the_kept_configurations_are_protected(start: Start, write_log: WriteLog) -> None:
    """The kept configurations have mode 0600: they contain the same passwords as the output."""
    replica = start("a", write_url=write_log.url("a"))
    replica.await_leader()
    await_kept(replica, "remote_write")
    wait_until(kept(replica, "follower").exists, 15, "it is written after the leader's")
    for role in ("follower", "leader"):
        assert kept(replica, role).stat().st_mode & 0o777 == 0o600
    assert kept(replica, "follower").read_text().count("remote_write") == 0


def test_a_first_start_with_a_bad_input_fails(start: Start) -> None:
    """If nothing is kept, a start with an invalid input fails, so that its author sees it."""
    replica = start("a")
    replica.await_ready()
    replica.term()
    replica.await_end(30)
    for role in ("follower", "leader"):
        kept(replica, role).unlink(missing_ok=True)
    edit(replica, *UNKNOWN_SECTION)
    replica.start()
    assert replica.await_end(30) != 0
    assert not lines_of(replica, LAST_IN_FORCE)


def test_an_unknown_flag_causes_one_attempt_with_the_kept_one(start: Start) -> None:
    """If Prometheus exits for an unknown flag, the kept configuration is tried only once."""
    replica = stopped_in_order(start)
    edit(replica, "job_name: self", "job_name: other")
    replica.argv.append("--no-such-flag")
    replica.start()
    assert replica.await_end(30) != 0
    assert len(lines_of(replica, LAST_IN_FORCE)) == 1


def test_a_valid_input_is_loaded_after_an_unrelated_failure(start: Start, tmp_path: Path) -> None:
    """If Prometheus' first start fails for another reason, the newest input is loaded soon."""
    replica = stopped_in_order(start)
    edit(replica, "job_name: self", "job_name: other")
    once = tmp_path / "once"
    once.write_text(
        f'#!/bin/sh\n[ -e {once}.done ] || {{ touch {once}.done; exit 1; }}\nexec "$@"\n'
    )
    once.chmod(0o755)
    replica.argv.insert(replica.argv.index("--") + 1, str(once))
    replica.start()
    replica.await_ready()
    wait_until(lambda: "job_name: other" in replica.output.read_text(), 15, "it is tried")
    wait_until(lambda: is_valid(replica), 15, "and good")
    assert lines_of(replica, LAST_IN_FORCE)


def test_a_refused_edit_is_tried_once_after_a_restart(start: Start) -> None:
    """After a restart, an edit that Prometheus refused is tried by a reload, and then replaced."""
    replica = start("a")
    replica.await_ready()
    wait_until(lambda: kept(replica, "follower").exists(), 15, "what is in force is kept")
    edit(replica, *UNKNOWN_SECTION)
    wait_until(lambda: not is_valid(replica), 15, "the edit is refused")
    os.kill(replica.pid, signal.SIGKILL)
    replica.await_end(30)
    replica.start()
    replica.await_ready()
    wait_until(
        lambda: "bogus_section" not in replica.output.read_text() and status(replica)["problems"],
        15,
        "it was tried, and put back",
    )
    assert "bogus_section" not in kept(replica, "follower").read_text()


@pytest.mark.parametrize("is_kept", [True, False])
def test_init_writes_and_names_the_kept_configuration(start: Start, is_kept: bool) -> None:
    """With an invalid input, --init writes and names the kept configuration, or else fails."""
    replica = stopped_in_order(start)
    good = replica.output.read_text()
    replica.output.write_text("")
    if not is_kept:
        kept(replica, "follower").unlink()
    edit(replica, *REPEATED_KEY)
    command = replica.argv[: replica.argv.index("--")]
    command += ["--init", f"--output={replica.output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode == 0) is is_kept
    assert (replica.output.read_text() == good) is is_kept
    assert ("good-follower" in done.stderr) is is_kept
