"""A program in place of promtool: its arguments, its results, and its failures."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support import wait_until
from wrapper.base import files
from wrapper.configuration.promtool import Promtool, distinct
from wrapper.configuration.render import fingerprint
from wrapper.configuration.scratch_rendering import NoVerdict
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role

SECRET = "hunter2-marker"
CONTENT = f"scrape_configs: [{{basic_auth: {{password: {SECRET}}}}}]\n".encode()


def rendering(role: Role = Role.LEADER, content: bytes = CONTENT) -> Rendering:
    """Return a rendering."""
    return Rendering(role, content, fingerprint(content), writes_remotely=False)


Make = Callable[..., Promtool]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes a promtool of a shell script; the output is in ``out``."""
    (tmp_path / "out").mkdir()

    def made(
        script: str,
        *,
        is_agent: bool = False,
        features: tuple[str, ...] = (),
        has_files: bool = True,
        limit_s: float = 30.0,
    ) -> Promtool:
        program = tmp_path / "promtool"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        output = tmp_path / "out" / "prometheus.yml"
        return Promtool(
            str(program),
            output,
            is_agent=is_agent,
            features=features,
            has_files=has_files,
            limit_s=limit_s,
        )

    return made


def left(tmp_path: Path) -> list[str]:
    """Return the names of the files in the output's folder."""
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def unanswered(promtool: Promtool) -> str:
    """Return the reason why there is no verdict."""
    with pytest.raises(NoVerdict) as raised:
        promtool.refusal(rendering())
    return str(raised.value)


def test_promtool_gets_a_private_file_beside_the_output(make: Make, tmp_path: Path) -> None:
    """Promtool gets the rendering in a file beside the output, with mode 600.

    The file is then removed.
    """
    seen = tmp_path / "seen"
    promtool = make(f'echo "$@" > {seen}; stat -c %a "$3" >> {seen}; cat "$3" >> {seen}')
    assert promtool.refusal(rendering()) == ""
    words, mode, text = seen.read_text().splitlines()
    path = tmp_path / "out" / f".prometheus.yml.check-{os.getpid()}"
    assert (words, mode, text.encode() + b"\n") == (f"check config {path}", "600", CONTENT)
    assert left(tmp_path) == []


@pytest.mark.parametrize("size", [50, 100_000])
def test_a_file_that_cannot_be_written_gives_no_verdict(
    make: Make, tmp_path: Path, size: int
) -> None:
    """If the file cannot be written, as on a full disk, there is no verdict and no file."""
    promtool = make("exit 0")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(NoVerdict, match="cannot be written: File too large"):
            promtool.refusal(rendering(content=b"#" * size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(tmp_path) == []


def test_a_start_meanwhile_does_not_remove_the_file(make: Make, tmp_path: Path) -> None:
    """A start during a check does not remove the file of the check, which is locked."""
    begun, may_end = tmp_path / "begun", tmp_path / "may-end"
    promtool = make(
        f'touch {begun}; until [ -e {may_end} ]; do sleep 0.05; done; exec test -e "$3"'
    )
    verdicts = list[str]()
    checking = threading.Thread(target=lambda: verdicts.append(promtool.refusal(rendering())))
    checking.start()
    wait_until(begun.exists, 20, "it checks")
    files.remove_leftovers(tmp_path / "out" / "prometheus.yml")
    may_end.touch()
    checking.join(20)
    assert verdicts == [""]


def test_agent_mode_is_passed(make: Make, tmp_path: Path) -> None:
    """For an agent, promtool gets --agent."""
    seen = tmp_path / "seen"
    make(f'echo "$3" > {seen}', is_agent=True).refusal(rendering())
    assert seen.read_text() == "--agent\n"


def test_features_are_passed(make: Make, tmp_path: Path) -> None:
    """Promtool gets Prometheus' --enable-feature.

    Otherwise it would refuse rules that need a feature.
    """
    seen = tmp_path / "seen"
    make(f'echo "$4" > {seen}', features=("a", "promql-b")).refusal(rendering())
    assert seen.read_text() == "--enable-feature=a,promql-b\n"


def test_missing_files_of_clients_are_not_checked(make: Make, tmp_path: Path) -> None:
    """With ``has_files`` false, paths such as token files are replaced by /dev/null.

    promtool would refuse files that exist only where Prometheus runs.
    """
    seen = tmp_path / "seen"
    content = b"scrape_configs: [{job_name: a, bearer_token_file: /t}]\n"
    for has_files, given in ((True, content), (False, content.replace(b"/t", b"/dev/null"))):
        make(f'cat "$3" > {seen}', has_files=has_files).refusal(rendering(content=content))
        assert seen.read_bytes() == given


def test_a_refusal_of_a_rule_file_begins_with_its_reason(make: Make) -> None:
    """The message for a refused rule file has no lines about valid files or unknown features."""
    promtool = make(
        'echo "  WARNING: Unknown option for --enable-feature: a"\n'
        'echo "Checking $3"\n'
        'echo "  SUCCESS: 1 rule files found"\n'
        'echo "Checking r.yml"\n'
        'echo "  FAILED:" >&2\n'
        'echo "r.yml: 5:11: group g, rule 1: no such function" >&2\n'
        "exit 1"
    )
    assert promtool.refusal(rendering()) == (
        f"the leader's rendering: {promtool.program} check config: r.yml: 5:11: group g, rule 1: "
        "no such function; line numbers refer to check --print=leader"
    )


def test_a_refusal_has_no_path_and_no_secrets(make: Make, tmp_path: Path) -> None:
    """A refusal is one line with promtool's text, without the path and without secrets."""
    promtool = make(
        'echo "Checking $3"\n'
        'echo "  FAILED: parsing YAML file $3: yaml: unmarshal errors:" >&2\n'
        f'echo "  line 3: field {SECRET} not found" >&2\n'
        "echo '  line 4: cannot unmarshal !!str `hunter2...` into x' >&2\n"
        "exit 1"
    )
    assert promtool.refusal(rendering()) == (
        f"the leader's rendering: {promtool.program} check config: yaml: unmarshal errors: "
        "line 3: field <secret 1> not found; line 4: cannot unmarshal !!str into x; "
        "line numbers refer to check --print=leader"
    )
    assert left(tmp_path) == []


def test_a_refusal_without_output_has_the_status(make: Make) -> None:
    """If promtool prints nothing, the refusal gives its exit status."""
    assert "exit status 3" in make("exit 3").refusal(rendering())


def test_a_long_refusal_is_cut(make: Make) -> None:
    """A long refusal is cut for the log line."""
    said = make("echo FAILED: $(seq 10000); exit 1").refusal(rendering())
    assert 500 < len(said) < 900
    assert "…; line numbers refer to" in said


@pytest.mark.parametrize(
    ("script", "said"),
    [("kill -9 $$", "status -9"), ("exit 126", "status 126"), ("exit 137", "status 137")],
)
def test_a_killed_promtool_gives_no_verdict(
    make: Make, tmp_path: Path, script: str, said: str
) -> None:
    """If promtool is killed, for example by the OOM killer, there is no verdict."""
    assert said in unanswered(make(script))
    assert left(tmp_path) == []


def test_a_hanging_promtool_is_killed(make: Make, tmp_path: Path) -> None:
    """If promtool hangs, it is killed with its children, and there is no verdict."""
    seen = tmp_path / "seen"
    promtool = make(f"sleep 1000 & echo $! > {seen}; wait", limit_s=5.0)
    assert "not answered within 5 s" in unanswered(promtool)
    sleeper = int(seen.read_text())
    wait_until(lambda: not _runs(sleeper), 15, "what it started has ended")
    assert left(tmp_path) == []


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_removed_promtool_gives_no_verdict(make: Make) -> None:
    """If promtool was removed after the start, there is no verdict."""
    promtool = make("exit 0")
    Path(promtool.program).unlink()
    assert "cannot be started: No such file" in unanswered(promtool)


def test_an_output_folder_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    """If the output's folder is not writable, there is no verdict, and the error names --output."""
    promtool = make("exit 0")
    (tmp_path / "out").rmdir()
    (tmp_path / "out").symlink_to("/proc")
    said = unanswered(promtool)
    assert "cannot be written" in said
    assert said.endswith("name a file in a folder where it can be with --output")


def test_an_output_folder_that_is_not_there_yet(make: Make, tmp_path: Path) -> None:
    """If the output's folder does not exist, another folder is used.

    No path can be relative to it.
    """
    seen = tmp_path / "seen"
    promtool = make(f'echo "$3" > {seen}')
    (tmp_path / "out").rmdir()
    assert promtool.refusal(rendering()) == ""
    path = Path(seen.read_text().strip())
    assert path.parent.is_dir()
    assert not path.exists()
    assert not (tmp_path / "out").exists()


def test_both_renderings_are_checked(make: Make, tmp_path: Path) -> None:
    """Both renderings are checked, and equal ones only once."""
    promtool = make('grep -q bad "$3" && exit 1; exit 0')
    good = rendering(Role.FOLLOWER, b"a: good\n")
    bad = rendering(Role.LEADER, b"a: bad\n")
    (said,) = promtool.problems(Renderings(good, bad))
    assert said.startswith("the leader's rendering: ")
    assert distinct(Renderings(good, bad)) == (good, bad)
    assert distinct(Renderings(good, rendering(Role.LEADER, b"a: good\n"))) == (good,)


def test_a_missing_verdict_is_a_warning(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A missing verdict is a warning with role and reason, and no problem."""
    good = rendering(Role.FOLLOWER, b"a: good\n")
    with caplog.at_level(logging.WARNING):
        assert make("exit 127").problems(Renderings(good, good)) == ()
    (record,) = caplog.records
    assert vars(record)["role"] is Role.FOLLOWER
    assert "status 127" in str(vars(record)["reason"])


def test_the_end_of_the_program_ends_a_check(make: Make, tmp_path: Path) -> None:
    """If the program ends during a check, promtool is killed and its file removed."""
    seen = tmp_path / "seen"
    promtool = make(f"echo $$ > {seen}; exec sleep 1000")
    program = f"""
import sys, threading, time
from pathlib import Path
from wrapper.model.configuration import Rendering
from wrapper.model.roles import Role
from wrapper.configuration.promtool import Promtool
promtool = Promtool({promtool.program!r}, Path({str(tmp_path / "out" / "p.yml")!r}), is_agent=False)
rendering = Rendering(Role.LEADER, b"a: 1", "", False)
threading.Thread(target=promtool.refusal, args=(rendering,), daemon=True).start()
sys.stdin.read()
"""
    asking = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    wait_until(lambda: seen.exists() and seen.read_text().strip(), 30, "it is asked")
    assert left(tmp_path) != []
    asking.communicate(timeout=30)
    wait_until(lambda: not _runs(int(seen.read_text())), 15, "promtool has ended")
    assert left(tmp_path) == []
    assert asking.returncode == 0
