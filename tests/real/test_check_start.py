"""`check --start` finds errors that only Prometheus finds, and sends nothing meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from tests.real.parts import Prometheus, WriteLog, program, started
from tests.support import wait_until
from wrapper.configuration.rendering_for_check import rendering_for_check
from wrapper.startup.trial_start import unused_address

CA = "remote_write: [{url: 'https://r/w', tls_config: {ca_file: ca.pem}}]"
RULES = "rule_files: [rules.yml]"
BROKEN_RULES = "groups: [{name: g, rules: [{record: a, expr: '('}]}]\n"


def check(
    folder: Path, follower: str, leader: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """Check a configuration of these two parts; with --start, by starting Prometheus."""
    (folder / "c.yml").write_text(f"follower:\n  {follower}\nleader:\n  {leader}\n")
    command = [sys.executable, "-m", "wrapper", "check", f"--config={folder}/c.yml", *words]
    if "--start" in words:
        command += ["--", program("prometheus"), f"--config.file={folder}/p.yml"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def left(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_configuration_that_prometheus_starts_with_is_valid(tmp_path: Path) -> None:
    """A configuration with which Prometheus starts is accepted, and no file remains."""
    (tmp_path / "rules.yml").write_text("groups: []\n")
    done = check(tmp_path, RULES, "remote_write: [{url: 'http://r/w'}]", "--start")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", started for a moment\n  follower  accepted\n  leader    accepted\n" in done.stdout
    assert left(tmp_path) == ["c.yml", "rules.yml"]


SENDER = """\
global: {{evaluation_interval: 100ms, scrape_interval: 100ms}}
rule_files: [rules.yml]
scrape_configs: [{{job_name: self, static_configs: [{{targets: ['{{address}}']}}]}}]
alerting:
  alertmanagers:
  - static_configs: [{{targets: ['{host}']}}]
    relabel_configs: [{{action: keep, source_labels: [__address__], regex: .+}}]
  - static_configs: [{{targets: ['{host}']}}]
    path_prefix: /other
remote_write:
- url: http://{host}/a/write
  queue_config: &quick {{batch_send_deadline: 100ms}}
- url: http://{host}/b/write
  proxy_url: http://{host}/p
  queue_config: *quick
"""
RULE = "groups: [{name: g, interval: 100ms, rules: [{alert: A, expr: vector(1)}]}]\n"


def iterations(prometheus: Prometheus) -> float:
    """Return how many times it has evaluated its rules."""
    text = requests.get(f"{prometheus.url}/metrics", timeout=5).text
    found = re.search(r"^prometheus_rule_group_iterations_total\S* (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("is_harmless", [True, False])
def test_a_prometheus_started_for_a_check_sends_nothing(
    tmp_path: Path, write_log: WriteLog, is_harmless: bool
) -> None:
    """Prometheus, started for a check, sends no sample and no alert; the original sends both."""
    host = write_log.url("").removeprefix("http://").partition("/")[0]
    (tmp_path / "rules.yml").write_text(RULE)
    config = SENDER.format(host=host)
    with unused_address() as nowhere:
        if is_harmless:
            config = rendering_for_check(config.encode(), nowhere).decode()
        with started(Prometheus(tmp_path, config, "--rules.alert.resend-delay=1s")) as prometheus:
            url = f"{prometheus.url}/api/v1/alertmanagers"

            def found() -> int:
                return sum(map(len, requests.get(url, timeout=5).json()["data"].values()))

            wait_until(lambda: found() == 2, 30, "Alertmanagers were looked for")
            since = iterations(prometheus)
            wait_until(lambda: iterations(prometheus) > since + 30, 30, "alerts fired meanwhile")
            if is_harmless:
                assert write_log.writers() == set()
            else:
                everybody = {"a", "", "api", "other"}
                wait_until(lambda: everybody - write_log.writers() == set(), 30, "all is sent")


@pytest.mark.parametrize(
    ("leader", "words"),
    [
        ("bogus: 1", "field bogus not found"),
        ("scrape_configs: [{job_name: a, scrape_interval: 1x}]", "1x"),
        (
            "remote_write:\n  - {url: 'http://r/w'}\n  - {url: 'http://r/w', remote_timeout: 30s}",
            "duplicate remote write configs",
        ),
    ],
    ids=["an unknown section", "a wrong value", "entries that mean the same"],
)
def test_a_refused_configuration_is_reported_with_its_error(
    tmp_path: Path, leader: str, words: str
) -> None:
    """If Prometheus refuses the leader's rendering, its error is printed for that role."""
    done = check(tmp_path, "{}", leader, "--start")
    assert done.returncode == 1
    assert "  follower  accepted\n" in done.stdout
    assert "  leader    refused: " in done.stdout
    assert words in done.stdout


def test_line_numbers_are_those_of_the_rendering(tmp_path: Path) -> None:
    """Line numbers in errors are those of the rendering, although another text was started."""
    leader = "remote_write:\n  - {url: 'http://r/w', # a comment\n     name: a}\n  bogus: 1"
    done = check(tmp_path, "{}", leader, "--start")
    printed = check(tmp_path, "{}", leader, "--print=leader").stdout.splitlines()
    assert f"line {printed.index('bogus: 1') + 1}: field bogus" in done.stdout


def test_rules_and_certificates_are_checked(tmp_path: Path) -> None:
    """Broken rules and certificates are refused; promtool does not check them like Prometheus."""
    (tmp_path / "rules.yml").write_text(BROKEN_RULES)
    done = check(tmp_path, RULES, "{}", "--start")
    assert done.returncode == 1
    assert "could not parse expression" in done.stdout
    (tmp_path / "rules.yml").write_text("groups: []\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    done = check(tmp_path, RULES, CA, "--start")
    assert done.returncode == 1
    assert "  leader    refused: " in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_remains_of_an_interrupted_check(tmp_path: Path, number: int) -> None:
    """When a check gets a signal to stop, neither Prometheus nor the rendering remains.

    The rendering contains passwords.
    """
    (tmp_path / "c.yml").write_text("follower: {}\n")
    slow = tmp_path / "prometheus"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "wrapper", "check", f"--config={tmp_path}/c.yml", "--start"]
    with subprocess.Popen(
        [*command, "--", slow, f"--config.file={tmp_path}/p.yml"],
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as running:
        pid = int(wait_until((tmp_path / "pid").read_text, 30, "it is started"))
        running.send_signal(number)
        assert running.wait(30) == 128 + number
    wait_until(lambda: not psutil.pid_exists(pid), 15, "it has ended")
    assert left(tmp_path) == ["c.yml", "pid", "prometheus", "tmp"]
    assert left(temporary) == []


def test_check_start_runs_no_script(tmp_path: Path) -> None:
    """A script is not run, because it could start a Prometheus that writes beside the leader."""
    (tmp_path / "c.yml").write_text("follower: {}\n")
    script = tmp_path / "start.sh"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    script.chmod(0o755)
    command = [sys.executable, "-m", "wrapper", "check", f"--config={tmp_path}/c.yml", "--start"]
    done = subprocess.run(
        [*command, "--", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "a script may start Prometheus with its own configuration" in done.stderr
    assert left(tmp_path) == ["c.yml", "start.sh"]


def test_without_a_prometheus_nothing_is_checked(tmp_path: Path) -> None:
    """Without Prometheus, the exit status is 2, and the error says what to write."""
    (tmp_path / "c.yml").write_text("follower: {}\n")
    done = subprocess.run(
        [sys.executable, "-m", "wrapper", "check", f"--config={tmp_path}/c.yml", "--start"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "--start: prometheus: no such command" in done.stderr
    assert "-- /bin/prometheus" in done.stderr


def test_a_program_that_is_not_prometheus_gives_no_verdict(tmp_path: Path) -> None:
    """If the program exits before it is ready, the exit status is 2, and no verdict is given."""
    (tmp_path / "c.yml").write_text("follower: {}\n")
    command = [sys.executable, "-m", "wrapper", "check", f"--config={tmp_path}/c.yml", "--start"]
    done = subprocess.run(
        [*command, "--", "/bin/true", "--config.file=p.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "no answer: /bin/true ended before it was ready" in done.stdout


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("tls_config: {ca_file: gone.pem}", 1),
        ("tls_config: {cert_file: gone.pem, key_file: gone.key}", 1),
        ("basic_auth: {username: a, password_file: gone}", 0),
        ("authorization: {credentials_file: gone}", 0),
    ],
)
def test_missing_files_are_reported(tmp_path: Path, place: str, status: int) -> None:
    """Missing files are reported, and refused if Prometheus cannot start without them.

    With --syntax-only they are not checked: they may exist only where Prometheus runs.
    """
    leader = f"remote_write: [{{url: 'https://r/w', {place}}}]"
    done = check(tmp_path, "{}", leader)
    assert done.returncode == status, done.stdout
    assert f"{tmp_path}/gone" in done.stdout
    assert "remote_write[0]." in done.stdout
    assert check(tmp_path, "{}", leader, "--start").returncode == status
    alone = check(tmp_path, "{}", leader, "--syntax-only")
    assert (alone.returncode, "gone" in alone.stdout.partition("Difference")[0]) == (0, False)
