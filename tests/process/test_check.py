"""The `check` command: its output, the stream that it prints to, and its exit status."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
SECRET = "hunter2-marker"
BASE = f"""\
global: {{scrape_interval: 15s}}
scrape_configs:
- job_name: node # {SECRET} in a comment
  basic_auth: {{username: a, password: {SECRET}}}
rule_files: [rules/*.yml]
"""
LEADER = f"""\
global:
  scrape_interval: 5s
scrape_configs:
- job_name: x
remote_write:
- url: http://a:{SECRET}@mimir/push
"""
REPORT = """\
Inputs
  {folder}/p.yml  the follower's, whole, 174 bytes
  {folder}/l.yml  overrides of the leader, 116 bytes

Renderings
  follower  valid YAML, 174 bytes, no remote_write, SHA-256 @
  leader    valid YAML, 243 bytes, writes remotely, SHA-256 @

Effect of the leader's overrides
  {folder}/l.yml:2  global.scrape_interval  set to 5s, was 15s
  {folder}/l.yml:4  scrape_configs[1]       appended as item 2 (job_name: x)
  {folder}/l.yml:6  remote_write[0]         added as item 1 (url: http://<secret 2>@mimir/push)

Difference between follower and leader, secrets hidden
  --- follower
  +++ leader
  @@ -1,9 +1,12 @@
   global:
  -  scrape_interval: 15s
  +  scrape_interval: 5s
   scrape_configs:
   - job_name: node
     basic_auth:
       username: a
       password: <secret 1>
  +- job_name: x
   rule_files:
   - rules/*.yml
  +remote_write:
  +- url: http://<secret 2>@mimir/push

Result: this configuration can be used, unless Prometheus refuses it (--start asks it)
"""


@dataclass(frozen=True)
class Ended:
    """The result of a run."""

    status: int
    out: bytes
    complaints: str

    @property
    def report(self) -> str:
        """The standard output, as text."""
        return self.out.decode()


def check(*words: str, cwd: Path | None = None, environ: dict[str, str] | None = None) -> Ended:
    """Run `check` with these arguments."""
    done = subprocess.run(
        [sys.executable, "-m", "wrapper", "check", *words],
        capture_output=True,
        check=False,
        timeout=60,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environ or {})},
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a complete configuration and an overrides file."""
    (tmp_path / "p.yml").write_text(BASE)
    (tmp_path / "l.yml").write_text(LEADER)
    return tmp_path


def whole(folder: Path) -> tuple[str, ...]:
    """Return the flags that name these two files."""
    return f"--config={folder}/p.yml", f"--leader-config={folder}/l.yml"


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# --- the report -----------------------------------------------------------------------------------


def test_report_is_complete_and_has_no_secrets(folder: Path) -> None:
    """The report is complete, contains no secrets, and `check` writes no file."""
    before = contents(folder)
    ended = check(*whole(folder))
    fingerprints = re.findall("SHA-256 ([0-9a-f]{12}…)", ended.report)
    report = re.sub("SHA-256 .*", "SHA-256 @", ended.report)
    assert report == REPORT.format(folder=folder)
    assert len(set(fingerprints)) == 2
    assert (ended.status, ended.complaints) == (0, "")
    assert contents(folder) == before


def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    """If the reader closes the pipe, as in `check … | head -1`, there is no error message."""
    (folder / "l.yml").write_text("".join(f"a{number}: {number}\n" for number in range(20000)))
    with subprocess.Popen(
        [sys.executable, "-m", "wrapper", "check", *whole(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"Inputs\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_unencodable_characters_are_escaped(folder: Path) -> None:
    """Characters that the output's encoding does not have are escaped."""
    (folder / "l.yml").write_text("a: é\n")
    ended = check(*whole(folder), environ={"PYTHONIOENCODING": "ascii"})
    assert b"\\xe9" in ended.out
    assert (ended.status, ended.complaints) == (0, "")


def test_one_file_with_both_sections(folder: Path) -> None:
    """If one file has both parts, the report gives the line numbers in that file."""
    (folder / "both.yml").write_text("follower:\n  global: {a: 1}\nleader:\n  global: {a: 2}\n")
    ended = check(f"--config={folder}/both.yml")
    assert f"{folder}/both.yml  follower and leader, 52 bytes" in ended.report
    assert f"{folder}/both.yml:4  global.a  set to 2, was 1" in ended.report
    assert ended.status == 0


def test_a_command_line_of_prometheus_names_its_file(folder: Path) -> None:
    """The child's --config.file is checked; the child and its folders may be missing."""
    child = ("--", "/no/prometheus", f"--config.file={folder}/p.yml", "--storage.tsdb.path=/no/x")
    ended = check(f"--leader-config={folder}/l.yml", *child)
    assert f"{folder}/p.yml  the follower's, whole" in ended.report
    assert f"- {folder}/rules/*.yml" in ended.report, "resolved, as the output lies elsewhere"
    assert (ended.status, ended.complaints) == (0, "")


def test_without_overrides(folder: Path) -> None:
    """Without overrides, the report names the missing file, and both renderings are the same."""
    ended = check(f"--config={folder}/p.yml", f"--leader-config={folder}/none.yml")
    assert f"{folder}/none.yml  missing or empty: no overrides" in ended.report
    assert "leader    the same as the follower's" in ended.report
    assert "none: both are the same" in ended.report
    assert ended.status == 0


def test_compressed_input_with_secret_variables(folder: Path) -> None:
    """In gzip input, the value of a variable with a secret's name is hidden in the report."""
    (folder / "l.yml").write_bytes(gzip.compress(b"global: {a: $(MY_TOKEN), b: $(POD)}\n"))
    environ = {"MY_TOKEN": SECRET, "POD": "pod-0"}
    ended = check(*whole(folder), "--config-envsubst", environ=environ)
    assert "global.a  added: <secret 1>" in ended.report
    assert "global.b  added: pod-0" in ended.report
    assert SECRET not in ended.report


def test_a_second_yaml_document_is_reported(folder: Path) -> None:
    """A second YAML document is reported, since it is not read and may hold the leader's part."""
    (folder / "both.yml").write_text("follower: {}\n---\nleader: {}\n")
    ended = check(f"--config={folder}/both.yml")
    assert f"\nNot used\n  {folder}/both.yml:2: a second YAML document" in ended.report
    assert ended.status == 0


# --- problems ------------------------------------------------------------------------------------


def test_all_problems_are_reported_with_their_places(folder: Path) -> None:
    """`check` reports all problems of bad input with their places, and exits with status 1."""
    (folder / "l.yml").write_text(f"a: 1\na: {SECRET}\nrule_files: [{{$patch: delete}}]\n")
    ended = check(*whole(folder))
    assert f'  {folder}/l.yml:2:1: the key "a" is already on line 1' in ended.report
    assert f"  {folder}/l.yml:3:15: $patch: delete does not say which item" in ended.report
    assert ended.report.endswith("\nResult: this configuration cannot be used: 2 problems\n")
    assert "Renderings" not in ended.report
    assert SECRET not in ended.report
    assert (ended.status, ended.complaints) == (1, "")


def test_a_missing_input_is_a_problem(folder: Path) -> None:
    """A missing input file is reported as a problem, with exit status 1."""
    (folder / "p.yml").unlink()
    ended = check(*whole(folder))
    assert f"  --config: {folder}/p.yml: No such file or directory" in ended.report
    of_child = check(f"--leader-config={folder}/l.yml", "--", "x", f"--config.file={folder}/p.yml")
    assert f"  --config.file: {folder}/p.yml: No such file or directory" in of_child.report
    assert ended.report.endswith("cannot be used: 1 problem\n")
    assert ended.status == 1


def test_unsupported_protocol_of_a_receiver_is_reported(folder: Path) -> None:
    """The report warns of receivers whose path suggests that they refuse the protocol."""
    entry = "- {{url: 'http://{}', protobuf_message: io.prometheus.write.v2.Request}}\n"
    urls = (f"a:{SECRET}@vm/insert/0/prometheus/api/v1/write", f"vm/api/v1/write?x={SECRET}")
    (folder / "l.yml").write_text("remote_write:\n" + "".join(map(entry.format, urls)))
    ended = check(*whole(folder))
    part = ended.report.partition("Receivers that may refuse the samples\n")[2].splitlines()
    assert part[0].startswith(f"  {folder}/l.yml:2:3: by its path the receiver is VictoriaMetrics")
    assert part[1].startswith(f"  {folder}/l.yml:3:3: a receiver with this path stores protocol 2")
    assert SECRET not in "".join(part[:2])
    assert ended.status == 0


def test_relabeling_with_side_effects_is_reported(folder: Path) -> None:
    """The report warns of a relabeling rule that changes other rules; Prometheus does not."""
    rules = "[{regex: 'null', action: drop}]"
    (folder / "p.yml").write_text(f"scrape_configs: [{{job_name: a, relabel_configs: {rules}}}]\n")
    ended = check(*whole(folder))
    part = ended.report.partition("\nRelabeling rules that change other rules\n")[2]
    assert part.startswith(f"  {folder}/p.yml:1:58: Prometheus takes a quoted null for no value")
    assert ended.status == 0


def test_a_misspelled_key_is_a_problem(folder: Path) -> None:
    """A misspelled key is a problem, as at a start."""
    (folder / "l.yml").write_text("remote_writes: []\n")
    ended = check(*whole(folder))
    assert 'did you mean "remote_write"' in ended.report
    assert ended.status == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--confg=x",), "--confg: unknown flag"),
        ((), "--config: missing"),
        (("--config=x", "--print=both"), "--print='both': unknown"),
        (("--config=x", "--config-check=/no/promtool"), "--config-check=/no/promtool: no such"),
        (
            ("--config=x", "--", "p", "--config.auto-reload"),
            "--config.auto-reload: only this program",
        ),
    ],
)
def test_wrong_flags_exit_with_status_2(words: tuple[str, ...], said: str) -> None:
    """Wrong flags are reported on standard error, with the same exit status as at a start."""
    ended = check(*words)
    assert said in ended.complaints
    assert (ended.status, ended.out) == (2, b"")


def test_print_and_check_are_refused_elsewhere(folder: Path) -> None:
    """Without `check`, --print is an error; `check` must be the first argument."""
    for words, said in (
        (("--print=leader", *whole(folder)), "only check prints"),
        ((*whole(folder), "check"), "check: not the first word"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "wrapper", *words], capture_output=True, check=False, timeout=60
        )
        assert said in done.stderr.decode()
        assert (done.returncode, done.stdout) == (2, b"")


# --- the gate -------------------------------------------------------------------------------------

GATED = f"""\
remote_write:
- url: https://a:{SECRET}@mimir/push?token={SECRET}
  name: main
  tls_config: {{ca_file: none.pem, cert: {SECRET}, key: {SECRET}}}
  headers: {{X-A: {SECRET}}}
- url: http://aws/push
  sigv4: {{region: eu, secret_key: {SECRET}}}
"""
GATE_REPORT = """\
Renderings
  follower  valid YAML, @, writes remotely through the gate, SHA-256 @
  leader    valid YAML, @, writes remotely through the gate, and beside it, SHA-256 @

Through the gate
  main  https://mimir/push, at most 30s, with tls_config

Samples that may be lost despite the gate
  {folder}/l.yml:6:3: this entry does not go through the gate, because sigv4 signs the host and \
path of its requests: it is in the leader's configuration alone, and a failover loses samples of it

Effect of the leader's overrides
  {folder}/l.yml:2  remote_write[0]  added as item 1 (name: main)
  {folder}/l.yml:6  remote_write[1]  appended as item 2 (url: http://aws/push)

Difference between follower and leader, secrets hidden
  --- follower
  +++ leader
  @@ -13,3 +13,7 @@
     headers:
       X-A: <secret 1>
     remote_timeout: 35s
  +- url: http://aws/push
  +  sigv4:
  +    region: eu
  +    secret_key: <secret 1>

Files that cannot be read here
  {folder}/none.pem: No such file or directory  tls_config.ca_file of main of the leader's: \
the gate cannot send to this receiver

Result: this configuration cannot be used: 1 problem
"""


def test_the_report_with_the_gate(folder: Path) -> None:
    """With the gate, the report lists the entries inside and outside the gate, without secrets."""
    (folder / "l.yml").write_text(GATED)
    ended = check(*whole(folder), "--remote-write-gate")
    report = re.sub("SHA-256 .*", "SHA-256 @", ended.report)
    report = re.sub(r"YAML, [0-9,]+ bytes", "YAML, @", report)
    assert (
        report.partition("Renderings\n")[2] == GATE_REPORT.format(folder=folder).partition("\n")[2]
    )
    assert SECRET not in report
    assert (ended.status, ended.complaints) == (1, "")


def test_roles_have_the_same_rendering_with_the_gate(folder: Path) -> None:
    """If the leader only adds remote_write, both roles have the same rendering with the gate.

    --print includes the secrets; the last line holds the receivers.
    """
    (folder / "l.yml").write_text(f"remote_write: [{{url: 'http://a:{SECRET}@mimir/'}}]\n")
    follower, leader = (
        check(*whole(folder), "--remote-write-gate", f"--print={role}")
        for role in ("follower", "leader")
    )
    assert follower == leader
    assert (leader.status, leader.complaints) == (0, "")
    assert leader.out.startswith(BASE.encode() + b"remote_write:")
    last = leader.out.splitlines()[-1]
    assert last.startswith(b"# prometheus-elector gate: [")
    assert f"http://a:{SECRET}@mimir/".encode() in last
    report = check(*whole(folder), "--remote-write-gate").report
    assert "  leader    the same as the follower's\n" in report
    assert "none: both are the same" in report
    assert SECRET not in report


def test_a_gate_without_entries(folder: Path) -> None:
    """The report states that the gate has no entries if the leader adds no remote_write."""
    (folder / "l.yml").write_text("global: {scrape_interval: 1s}\n")
    ended = check(*whole(folder), "--remote-write-gate")
    assert "Through the gate\n  nothing: the leader adds no remote_write" in ended.report
    assert ended.status == 0


# --- one rendering --------------------------------------------------------------------------------


def test_print_outputs_exactly_the_rendering(folder: Path) -> None:
    """--print writes only the rendering, with its secrets and comments."""
    follower = check(*whole(folder), "--print=follower")
    assert (follower.out, follower.status, follower.complaints) == (BASE.encode(), 0, "")
    leader = check(*whole(folder), "--print=leader")
    assert leader.out.endswith(f"remote_write:\n- url: http://a:{SECRET}@mimir/push\n".encode())
    assert b"scrape_interval: 5s" in leader.out


def test_print_of_a_leader_without_overrides(folder: Path) -> None:
    """Without overrides, --print=leader writes the follower's rendering."""
    ended = check(f"--config={folder}/p.yml", "--leader-config=none", "--print=leader")
    assert (ended.out, ended.status) == (BASE.encode(), 0)


def test_print_of_bad_input_has_no_output(folder: Path) -> None:
    """For bad input, --print writes nothing to standard output, only to standard error."""
    (folder / "l.yml").write_text("a: [}\n")
    ended = check(*whole(folder), "--print=leader")
    assert ended.complaints.startswith(f"prometheus-elector: {folder}/l.yml:1:5: not YAML")
    assert (ended.status, ended.out) == (1, b"")


def test_relative_paths_are_resolved(folder: Path) -> None:
    """Input paths are relative to the working folder.

    Paths in the rendering become absolute only if the output is in another folder.
    """
    words = ("--config=p.yml", "--leader-config=l.yml", "--print=follower")
    assert check(*words, cwd=folder).out == BASE.encode()
    elsewhere = check(*words, "--output=/no/where/x.yml", cwd=folder)
    assert f"{folder}/rules/*.yml".encode() in elsewhere.out


# --- promtool -------------------------------------------------------------------------------------


def promtool(folder: Path, script: str) -> str:
    """Write a script in place of promtool, and return the flag that names it."""
    program = folder / "promtool"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"--config-check={program}"


@pytest.mark.parametrize(
    ("script", "follower", "leader", "status"),
    [
        ("exit 0", "accepted", "accepted", 0),
        ('grep -q mimir "$3" && echo "FAILED: no" && exit 1; exit 0', "accepted", "refused: ", 1),
        ("exit 1", "refused: ", "refused: ", 1),
        ("exit 127", "no answer: ", "no answer: ", 2),
        ('grep -q mimir "$3" && exit 1; exit 127', "no answer: ", "refused: ", 1),
    ],
)
def test_result_of_promtool_decides(
    folder: Path, script: str, follower: str, leader: str, status: int
) -> None:
    """The report shows promtool's result for each rendering.

    Without a result, the configuration counts as neither valid nor invalid.
    """
    before = contents(folder)
    flag = promtool(folder, script)
    ended = check(*whole(folder), flag)
    assert f"\n  follower  {follower}" in ended.report
    assert f"\n  leader    {leader}" in ended.report
    result = {0: "can be used", 1: "cannot be used", 2: "could not be checked"}[status]
    assert f"this configuration {result}" in ended.report.splitlines()[-1]
    assert ended.status == status
    assert contents(folder).keys() - {"promtool"} == before.keys()
    printed = check(*whole(folder), flag, "--print=follower")
    assert (printed.out, printed.status) == (BASE.encode(), status)
    assert bool(printed.complaints) == bool(status)


def test_help_describes_check() -> None:
    """`check --help` describes the usage, the flag --print, and the exit statuses."""
    text = check("--help").report
    assert text.startswith("Usage: prometheus-elector check [flags]")
    assert "--print=report|follower|leader" in text
    assert re.search(r"Exit status:\n  0  .*\n  1  .*\n  2  ", text)
    assert check("--config=c.yml", "-h").report == text
