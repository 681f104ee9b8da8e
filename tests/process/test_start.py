"""Problems that prevent a start: they are found before any process is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from wrapper.__main__ import main
from wrapper.options.loading import load
from wrapper.startup.prepare import prepare
from wrapper.startup.startup_warnings import say_start
from wrapper.supervision.snapshot_builder import Constants

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a configuration and scripts."""
    monkeypatch.chdir(tmp_path)
    Path("config.yml").write_text("follower: {}\n")
    for name in ("prometheus", "start.sh"):
        Path(name).write_text("#!/bin/sh\n")
        Path(name).chmod(0o755)
    return tmp_path


def problems(output: str, *child: str) -> tuple[str, ...]:
    """Return the problems of this output and this command."""
    words = ["--config=config.yml", f"--output={output}", "--lease-lock=none", "--", *child]
    return prepare(load(words, {}, hostname="h", incarnation="i")).problems


@pytest.mark.parametrize(
    ("output", "child"),
    [
        ("a.yml", ("./prometheus", "--config.file=b.yml")),
        ("a.yml", ("./prometheus", "--config.file", "b.yml")),
        ("a.yml", ("./start.sh", "--config.file=b.yml")),
    ],
)
def test_prometheus_may_not_read_another_file(
    folder: Path, output: str, child: tuple[str, ...]
) -> None:
    """If Prometheus' --config.file is not the output, that is a problem.

    It would read a file that is not rendered, and could not be fenced.
    """
    (problem,) = problems(output, *child)
    assert problem.startswith(f"--output={output}: Prometheus reads --config.file=")
    assert f"write --config.file={output} after --" in problem


@pytest.mark.parametrize(
    ("output", "child"),
    [
        ("a.yml", ("./prometheus", "--config.file=a.yml")),
        ("a.yml", ("./prometheus", "--config.file=./a.yml")),
        ("link.yml", ("./prometheus", "--config.file=a.yml")),
        ("a.yml", ("./prometheus",)),
        ("a.yml", ("./start.sh",)),
    ],
)
def test_the_same_file_may_be_named_in_other_ways(
    folder: Path, output: str, child: tuple[str, ...]
) -> None:
    """--config.file may name the output by another path or a link, or may be missing."""
    (folder / "link.yml").symlink_to("a.yml")
    assert problems(output, *child) == ()


AUTO_RELOAD = ("--config.auto-reload", "--enable-feature=auto-reload-config")


@pytest.mark.parametrize("flag", AUTO_RELOAD)
@pytest.mark.parametrize(
    ("words", "is_refused"),
    [
        (("--config=config.yml",), True),
        (("--leader-config=config.yml",), True),
        (("--targets-url=http://127.0.0.1:1/={}/rules.yml",), True),
        (("--targets-url=http://127.0.0.1:1/={}/targets.json",), False),
        ((), False),
    ],
)
def test_automatic_reloads_of_prometheus_are_refused(
    folder: Path, flag: str, words: tuple[str, ...], *, is_refused: bool
) -> None:
    """Prometheus' automatic reloads are refused if its file is rendered, or rules are fetched.

    The verdict on rules is that of their reload.
    """
    words = tuple(word.format(folder) for word in words)
    command = (*words, "--lease-lock=auto", "--", "./prometheus", flag)
    Path("prometheus.yml").write_text("{}\n")
    Path("config.yml").write_text("follower: {}\n" if "--config=config.yml" in words else "{}\n")
    found = prepare(load(command, {}, hostname="h", incarnation="i")).problems
    assert any("only this program may reload Prometheus" in line for line in found) == is_refused
    assert bool(found) == is_refused


@pytest.mark.parametrize(
    ("program", "is_binary", "help_text", "is_refused"),
    [
        ("prometheus", True, "  --[no-]agent  Run in agent mode", True),
        ("prometheus", True, "  --agent  Run in agent mode", True),
        ("prometheus", True, "  --storage.agent.path=data-agent/", False),
        ("prometheus", False, "  --[no-]agent  Run in agent mode", False),
        ("start.sh", True, "  --[no-]agent  Run in agent mode", False),
    ],
)
def test_agent_feature_is_refused_by_new_versions(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    help_text: str,
    *,
    is_binary: bool,
    is_refused: bool,
) -> None:
    """--enable-feature=agent is refused if Prometheus' help has --agent.

    A script is not run for its help, as it might start Prometheus.
    """
    Path(program).write_text(f"#!/bin/sh\ntouch asked\necho '{help_text}'\n")
    Path(program).chmod(0o755)
    if is_binary:  # the script counts as a binary
        monkeypatch.setattr("wrapper.startup.prometheus_version._ELF", b"#!/b")
    child = (f"./{program}", "--config.file=a.yml", "--enable-feature=agent")
    found = problems("a.yml", *child)
    assert [line.partition(":")[0] for line in found] == ["--enable-feature=agent"] * is_refused
    assert Path("asked").exists() == (program == "prometheus" and is_binary)
    assert problems("a.yml", *child, "--agent") == ()


RENDERED = "data/prometheus-elector/prometheus.yml"


@pytest.mark.parametrize(
    ("words", "place", "cure"),
    [
        (
            ["--config=prometheus.yml", "--output=prometheus.yml"],
            "--output=prometheus.yml: ",
            "--output",
        ),
        (["--config=prometheus.yml"], "--output (not given; ", "leave --config out"),
        ([f"--leader-config={RENDERED}"], "--output (not given; ", "with --output"),
    ],
    ids=["named", "Prometheus' own", "in its storage"],
)
def test_an_output_that_is_an_input_is_refused(
    folder: Path, words: list[str], place: str, cure: str
) -> None:
    """If the output is also an input, the problem names the flag that was given, and a fix."""
    has_both_parts = words[0].startswith("--config=")
    Path("prometheus.yml").write_text("follower: {}\n" if has_both_parts else "{}\n")
    Path(RENDERED).parent.mkdir(parents=True)
    Path(RENDERED).write_text("global: {}\n")
    words = [*words, "--lease-lock=none", "--", "./prometheus"]
    [problem] = prepare(load(words, {}, hostname="h", incarnation="i")).problems
    assert problem.startswith(place)
    assert "is also an input" in problem
    assert cure in problem


@pytest.mark.parametrize(
    "leader",
    [
        "[a]",
        "{remote_writes: []}",
        "{scrape_configs: [{$patch: delete, job_name: b}]}",
        "{global: {a: 1, a: 2}}",
        "*a",
    ],
)
def test_init_refuses_a_bad_leader_part(
    folder: Path, capsys: pytest.CaptureFixture[str], leader: str
) -> None:
    """--init refuses an invalid leader part, though it writes only the follower's.

    The pod would start, and fail when it becomes leader.
    """
    Path("config.yml").write_text(
        f"follower:\n  scrape_configs:\n  - job_name: a\nleader: {leader}\n"
    )
    assert main(["--config=config.yml", "--output=out.yml", "--init"]) == 2
    assert capsys.readouterr().err.startswith("prometheus-elector: config.yml:4:")
    assert not Path("out.yml").exists()


@pytest.mark.parametrize("kind", ["a folder", "a device"])
def test_an_output_that_is_not_a_file_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """An output that is a folder or a device is refused and not replaced.

    /dev/stdout would become a file for all programs.
    """
    Path("config.yml").write_text("follower: {}\n")
    output = folder / "out"
    if kind == "a folder":
        output.mkdir()
    else:
        output.symlink_to("/dev/null")
    before = output.lstat()
    assert main(["--config=config.yml", "--output=out", "--init"]) == 2
    said = "--output=out: it is a folder or a device, not a regular file; name one"
    assert said in capsys.readouterr().err
    assert output.lstat() == before


IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAME": "p-0"}
OVERRIDES = "follower: {}\nleader: {remote_write: [{url: 'http://storage/'}]}\n"


def lock_problems(environ: dict[str, str], *flags: str, config: str = OVERRIDES) -> list[str]:
    """Return the problems of the lock for a start with these variables and flags."""
    Path("config.yml").write_text(config)
    words = ["--config=config.yml", *flags, "--", "./prometheus", "--config.file=a.yml"]
    found = prepare(load(words, environ, hostname="h", incarnation="i")).problems
    return [each for each in found if each.startswith("--lease-name")]


@pytest.mark.parametrize("lock", ["auto", "auto:/data/lock"])
def test_in_a_pod_a_lock_file_must_be_named(folder: Path, lock: str) -> None:
    """In a pod, a lock file is refused by default, because each replica would lead."""
    [problem] = lock_problems(IN_POD, f"--lease-lock={lock}")
    assert "--lease-lock=file:PATH" in problem


@pytest.mark.parametrize(
    ("environ", "flags", "config"),
    [
        ({}, (), OVERRIDES),
        (IN_POD, ("--lease-lock=file:/data/lock",), OVERRIDES),
        (IN_POD, ("--lease-lock=none",), OVERRIDES),
        (IN_POD, ("--init",), OVERRIDES),
        (IN_POD, (), "follower: {}\n"),
    ],
    ids=["no pod", "a file that was named", "no election", "only rendered", "no overrides"],
)
def test_a_lock_file_is_accepted_elsewhere(
    folder: Path, environ: dict[str, str], flags: tuple[str, ...], config: str
) -> None:
    """A lock file is accepted outside a pod, if it is named, or if nothing is elected."""
    assert lock_problems(environ, *flags, config=config) == []


MISSING = "--{}: missing"
SIDECAR = [MISSING.format("config"), MISSING.format("notify-http-url")]


@pytest.mark.parametrize("has_file", [False, True])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ["nothing says what to run"]),
        (["--lease-retry-period=1s"], ["nothing says what to run"]),
        (["--notify-http-url=http://127.0.0.1:1/-/reload"], ["nothing says what to run"]),
        (["--"], ["--: no command follows it"]),
        (["--output=prometheus.yml"], SIDECAR),
        (["--output=there.yml"], SIDECAR),
        (["--init"], [MISSING.format("config"), MISSING.format("output")]),
        (["check"], [MISSING.format("config")]),
        (
            ["--config=there.yml"],
            [MISSING.format("output"), MISSING.format("notify-http-url")],
        ),
        (
            ["--config=there.yml", "--output=there.yml", "--notify-http-url=http://127.0.0.1:1/"],
            ["--output=there.yml: it is also an input"],
        ),
    ],
)
def test_an_incomplete_command_line_is_refused(
    tmp_path: Path, words: list[str], told: list[str], *, has_file: bool
) -> None:
    """An incomplete command line gives exactly its missing parts, with examples.

    A prometheus.yml that happens to be there makes no difference.
    """
    (tmp_path / "there.yml").write_text("follower: {}\n")
    if has_file:
        (tmp_path / "prometheus.yml").write_text("global: {}\n")
    before = sorted(tmp_path.iterdir())
    program = Path(sys.executable).with_name("prometheus-elector")
    done = subprocess.run(
        [program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == len(told), done.stderr
    for line, begin in zip(lines, told, strict=True):
        assert line.startswith(f"prometheus-elector: {begin}")
        assert "for example" in line or "name another file" in line
    assert words or "--help" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "stream", "status"),
    [
        (("--help",), "stdout", 0),
        (("--version",), "stdout", 0),
        (("--no-such-flag",), "stderr", 2),
        (("check", "--no-such-flag"), "stderr", 2),
        (("status", "http://127.0.0.1:1"), "stderr", 2),
    ],
)
def test_a_closed_output_is_no_error(words: list[str], stream: str, status: int) -> None:
    """If the reader of the output has closed it, the exit status stays, and nothing is printed."""
    reader, writer = os.pipe()
    os.close(reader)
    program = Path(sys.executable).with_name("prometheus-elector")
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    done = subprocess.run([program, *words], **streams, check=False)
    os.close(writer)
    assert done.returncode == status
    assert not done.stdout
    assert not done.stderr


IGNORING_CHILDREN = """\
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
AS_PID_1 = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child=KILL")


@pytest.mark.parametrize("around", [(), AS_PID_1], ids=["beside others", "as PID 1"])
def test_an_ignored_sigchld_does_not_change_the_status(
    folder: Path, around: tuple[str, ...]
) -> None:
    """If the parent ignores SIGCHLD, the exit status is still Prometheus' one.

    The kernel passes this setting on, and then keeps no exit status of children.
    """
    (folder / "config.yml").write_text("follower: {}\nleader: {}\n")
    program = Path(sys.executable).with_name("prometheus-elector")
    flags = ["--config=config.yml", "--output=a.yml", "--lease-lock=none"]
    child = ["--", "sh", "-c", "exit 3", "--config.file=a.yml"]
    start = [*around, sys.executable, "-c", IGNORING_CHILDREN, str(program), *flags]
    with subprocess.Popen(
        [*start, "--api-listen-address=127.0.0.1:0", *child], cwd=folder, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.wait(20.0) == 3
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "output", "arguments"),
    [
        ("prometheus", [], "--config.file=prometheus.yml"),
        ("prometheus", ["--output=out.yml"], "--config.file=out.yml"),
        ("start.sh", [], ""),
    ],
)
def test_prometheus_gets_the_output_as_a_flag(
    folder: Path, name: str, output: list[str], arguments: str
) -> None:
    """Prometheus is started with --config.file, for any default; a script is not.

    Debian's default is /etc/prometheus/prometheus.yml.
    """
    (folder / "config.yml").write_text("follower: {}\nleader: {}\n")
    (folder / name).write_text('#!/bin/sh\n[ "$1" = --version ] || echo "$@" >arguments\n')
    program = Path(sys.executable).with_name("prometheus-elector")
    flags = ["--config=config.yml", "--lease-lock=none", "--api-listen-address=127.0.0.1:0"]
    words = [str(program), *flags, *output, "--", f"./{name}"]
    done = subprocess.run(words, capture_output=True, check=False, cwd=folder, timeout=60)
    assert done.returncode == 0
    assert (folder / "arguments").read_text() == f"{arguments}\n"


@pytest.mark.parametrize("content", ["no program", "#!/no/such/shell\n"])
def test_a_command_that_cannot_be_executed_is_reported(folder: Path, content: str) -> None:
    """A command that cannot be executed exits with status 2 and one line.

    An image for another architecture has such a file.
    """
    (folder / "prometheus").write_text(content)
    program = Path(sys.executable).with_name("prometheus-elector")
    flags = ["--config=config.yml", "--output=a.yml", "--lease-lock=none"]
    words = [str(program), *flags, "--", "./prometheus", "--config.file=a.yml"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert 'msg="cannot start Prometheus"' in line
    assert "./prometheus" in line


KILLED_IN_A_WRITE = """
import os, signal, sys
from pathlib import Path
from wrapper.base import files
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path(sys.argv[1]), b"password: hunter2", 0o600)
"""


KILLED_IN_A_CHECK = """
import os, signal, sys
from pathlib import Path
from wrapper.configuration.scratch_rendering import TemporaryRendering
with TemporaryRendering(Path(sys.argv[1])).written(b"password: hunter2"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("killed", "file"),
    [
        (KILLED_IN_A_WRITE, "a.yml"),
        (KILLED_IN_A_WRITE, ".a.yml.good-leader"),
        (KILLED_IN_A_CHECK, "a.yml"),
    ],
)
def test_a_start_removes_files_of_a_killed_process(folder: Path, killed: str, file: str) -> None:
    """A start removes the files of a process that was killed in a write or a check.

    They may contain secrets.
    """
    subprocess.run([sys.executable, "-c", killed, file], cwd=folder, check=False)
    (left,) = folder.glob(f".{file}.*-*")
    assert left.read_bytes() in {b"", b"password: hunter2"}
    (folder / f".{file}.tmp-mine").touch()
    program = Path(sys.executable).with_name("prometheus-elector")
    flags = ["--config=config.yml", "--output=a.yml", "--lease-lock=none"]
    words = [str(program), *flags, "--", "./absent", "--config.file=a.yml"]
    (folder / "absent").write_text("no program")
    (folder / "absent").chmod(0o755)
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    assert "cannot start Prometheus" in done.stderr
    assert not left.exists()
    assert (folder / f".{file}.tmp-mine").exists()


@pytest.mark.parametrize("part", ["follower", "leader", "plain"])
def test_a_pattern_that_matches_copies_is_warned_of(
    folder: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A pattern in rule_files that matches copies of the rules is a warning.

    Prometheus would evaluate old rules beside new ones.
    """
    Path("rules").mkdir()
    Path("link").symlink_to("rules")
    found = [f"{folder}/rules/*", "rules/*.yml", "link/*", "*", r"a\0b/*"]
    lines = "".join(f'- "{each}"\n' for each in found)
    parts = {
        "follower": " {}\n",
        "leader": " {}\n",
        part: f"\n  rule_files:\n{indent(lines, '  ')}",
    }
    Path("prometheus.yml").write_text(f"rule_files:\n{lines}")
    Path("config.yml").write_text(f"follower:{parts['follower']}leader:{parts['leader']}")
    words = [] if part == "plain" else ["--config=config.yml", "--lease-lock=none"]
    feed = f"--targets-url=http://p/r={folder}/rules/r.yml"
    child = ["--", "./prometheus", f"--config.file={'out' if words else 'prometheus'}.yml"]
    start = prepare(load([feed, *words, *child], {}, hostname="h", incarnation="i"))
    assert start.problems == ()
    say_start(start, Constants("h", "none", "", None))
    warned = [each for each in caplog.records if "a pattern of rule_files" in each.message]
    assert [vars(each)["pattern"] for each in warned] == [f"{folder}/rules/*", "link/*"]
    assert {str(vars(each)["copy"]) for each in warned} == {f"{folder}/rules/.r.yml.good"}


WITHOUT_RIGHTS = """\
import os, sys
from pathlib import Path
from wrapper.configuration.promtool import Promtool
from wrapper.options.loading import load
from wrapper.startup import launch, prepare, targets_preflight
from wrapper.targets import target_file

os.setuid(65534)  # who may not enter the folder
settings = load(sys.argv[1:], {}, hostname="h", incarnation="i")
launch.recover_rules(settings)
print(*prepare.prepare(settings).problems, sep=chr(10))
"""
REFUSED = "user 65534 cannot enter the folders above {}/in; name another folder"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config=/dev/null", "--output={}/in/p.yml"), REFUSED),
        (("--config=/none", "--output={}/in/p.yml", "--init"), REFUSED),
        (("--config=/dev/null", "--config-check=true", "--output={}/in/p.yml"), REFUSED),
        (("--targets-url=http://p/={}/in/r.yml", "--output=/dev/shm/p.yml"), REFUSED),
        (
            ("--leader-config=/none", "--lease-lock=none", "--storage.tsdb.path={}/in/data"),
            "65534 cannot write in ",
        ),
    ],
)
def test_an_inaccessible_folder_is_reported(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """A folder that the user cannot enter is reported as such, not as missing."""
    (tmp_path / "in").mkdir()
    tmp_path.chmod(0o700)
    given = [each.format(tmp_path) for each in words]
    child = [each for each in given if each.startswith("--storage")]
    ours = [each for each in given if not each.startswith("--storage")]
    command = [] if "--init" in ours else ["--", "true", "--config.file=/dev/shm/p.yml", *child]
    argv = [sys.executable, "-c", WITHOUT_RIGHTS, *ours, *command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert said.format(tmp_path) in done.stdout


def test_a_link_loop_in_a_path_is_reported(folder: Path) -> None:
    """A path through a link loop is reported as a missing folder."""
    Path("circle").symlink_to("circle")
    feeds = [f"--targets-url=http://p/={folder}/circle/{name}" for name in ("a.yml", "b.yml")]
    words = [*feeds, "--", "./prometheus"]
    found = prepare(load(words, {}, hostname="h", incarnation="i")).problems
    assert [line.endswith("circle does not exist; create it") for line in found] == [True, True]
