"""Core files: the processes of this program write none, since they would contain passwords."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "hunter2"
DIES = """
import os, signal, sys
from wrapper.base import core_files, process
{first}
secret = sys.argv[1] * 1000
os.kill(os.getpid(), signal.SIGABRT)
"""
LIMITS = "import resource, sys; sys.stdout.write(repr(resource.getrlimit(resource.RLIMIT_CORE)[0]))"
STARTS = f"""
import os, sys
from wrapper.base import core_files, process
core_files.forbid()
for more in ({{}}, {{"dumps_core": True}}):
    process.start_child([sys.executable, "-c", {LIMITS!r}], **more).wait()
    sys.stdout.write(" ")
    sys.stdout.flush()
core_files.restore_limit()
os.execv(sys.executable, [sys.executable, "-c", {LIMITS!r}])
"""
_LARGE = 1 << 30


def run(
    code: str, folder: Path, soft: int = _LARGE, hard: int = resource.RLIM_INFINITY
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a folder with these limits for core files."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] not in (hard, resource.RLIM_INFINITY):
        pytest.skip("this user may not have core files")
    return subprocess.run(
        ["prlimit", f"--core={soft}:{hard}", "--", sys.executable, "-u", "-c", code, SECRET],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        capture_output=True,
        text=True,
    )


def cores(folder: Path) -> list[Path]:
    """Return the files in the folder, where the kernel writes core files by default."""
    return list(folder.iterdir())


@pytest.mark.skipif(
    Path("/proc/sys/kernel/core_pattern").read_text()[:1] in "|/@\n",
    reason="cores do not go to the folder of the process here",
)
@pytest.mark.parametrize("is_forbidden", [True, False], ids=["forbidden", "not forbidden"])
def test_forbid_prevents_core_files(tmp_path: Path, is_forbidden: bool) -> None:
    """After `forbid`, a crash writes no core file; without it, the core contains the password."""
    first = "core_files.forbid()" if is_forbidden else ""
    assert run(DIES.format(first=first), tmp_path).returncode == -signal.SIGABRT
    found = cores(tmp_path)
    assert any(SECRET.encode() in each.read_bytes() for each in found) is not is_forbidden
    assert bool(found) is not is_forbidden


@pytest.mark.parametrize("soft", [0, 1, _LARGE])
def test_prometheus_gets_the_original_core_limit(tmp_path: Path, soft: int) -> None:
    """With `dumps_core`, a child gets the original limit; other children get the low limit.

    `restore_limit` restores the original limit before the program executes itself again.
    """
    assert run(STARTS, tmp_path, soft).stdout == f"1 {soft} {soft}"


def test_a_hard_core_limit_of_zero_is_no_error(tmp_path: Path) -> None:
    """If the hard limit is 0, it stays 0 for all processes, without an error."""
    assert run(STARTS, tmp_path, 0, 0).stdout == "0 0 0"
