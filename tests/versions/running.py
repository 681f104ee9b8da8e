"""Runs one row: gets its parts, makes its virtual environment, runs pytest, counts the results."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from tests.versions.table import CHECKOUT, KINDS, UNKNOWN, Row, Step

VERSION = re.compile(r"(?<![\w.])v?(\d+\.\d+(?:\.\d+)?)\b")  # not go1.26.8, the compiler
ENDED = (0, 1)  # of pytest: all passed; some failed
# The commands that print versions, in the order of the table.
ASKED = {
    "PROMETHEUS": ("prometheus", ("--version",)),
    "KUBE_APISERVER": ("kube-apiserver", ("--version",)),
    "ETCD": ("etcd", ("--version",)),
    "PYTHON": ("python", ("--version",)),
    "RABBITMQ": ("rabbitmq", ("sh", "-c", 'basename "$RABBITMQ_HOME"')),
    "REDIS_SERVER": ("redis-server", ("--version",)),
    "VALKEY_SERVER": ("valkey-server", ("--version",)),
    "VICTORIA_METRICS": ("victoria-metrics", ("--version",)),
    "PROMETHEUS_OPERATOR": ("prometheus-operator", ("--version",)),
    "PROMGEN": ("promgen", ("pip", "show", "promgen")),
}
MORE = dict.fromkeys(("everything", "most"), ("victoria-metrics", "prometheus-operator", "promgen"))


class CannotRunError(Exception):
    """A part or the environment cannot be made; the text gives the reason."""


def run(row: Row, folder: Path) -> dict[str, Any]:
    """Run a row and return its record; `folder` takes the reports of pytest."""
    began = time.monotonic()
    record: dict[str, Any] = {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "kind": row.kind,
        "requirements": row.requirements,
    }
    try:
        parts = bring(row)
        record["versions"] = reported(parts)
        record |= count(row, environment(row, parts), folder)
    except CannotRunError as error:
        record["error"] = str(error).strip()[-400:]
    return record | {"seconds": round(time.monotonic() - began)}


def commit() -> str:
    """Return the checkout's commit, marked if files differ from it."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(
        words, cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.strip()


def bring(row: Row) -> dict[str, str]:
    """Return the paths of the parts by the names of their variables."""
    words = [str(CHECKOUT / "scripts/real-parts"), *row.parts, *MORE.get(row.kind, ())]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CannotRunError("scripts/real-parts could not bring a part: see above")
    return dict(line.split("=", 1) for line in shlex.split(done.stdout))


def reported(parts: dict[str, str]) -> dict[str, str]:
    """Return the versions as the programs themselves report them."""
    found = {}
    for variable, (name, words) in ASKED.items():
        if variable in parts:
            try:
                argv = [parts[variable], *words]
                done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
            except subprocess.TimeoutExpired as error:
                raise CannotRunError(f"{name} {' '.join(words)} does not end") from error
            version = VERSION.search(done.stdout + done.stderr)
            found[name] = version[1] if version else UNKNOWN
    return found


def environment(row: Row, parts: dict[str, str]) -> dict[str, str]:
    """Make the virtual environment of the row's Python, and return the variables of its tests."""
    kept = {k: v for k, v in os.environ.items() if k != "KUBEBUILDER_ASSETS"}
    which = Path(row.requirements).stem.removeprefix("requirements")
    venv = {"VENV": f".venv-{row.python}{which}", "REQUIREMENTS": row.requirements}
    made = kept | parts | venv
    if "VALKEY_SERVER" in parts:
        made["REDIS_SERVER"] = parts["VALKEY_SERVER"]
    if subprocess.run([CHECKOUT / "scripts/setup"], env=made, check=False).returncode:
        raise CannotRunError(f"scripts/setup could not make {made['VENV']}: see above")
    return made


def count(row: Row, variables: dict[str, str], folder: Path) -> dict[str, int]:
    """Run the tests of a row and return how many passed, failed and were skipped."""
    found: Counter[str] = Counter(passed=0, failed=0, skipped=0)
    for number, step in enumerate(KINDS[row.kind]):
        report = report_of(row, number, folder)
        report.unlink(missing_ok=True)
        _pytest(row, variables, (*words(step), f"--junitxml={report}"))
        found += counts(report.read_text(encoding="utf-8"))
    return {outcome: found[outcome] for outcome in ("passed", "failed", "skipped")}


def run_failed(row: Row, record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the failed tests of the row's last run again, one at a time; return the new record.

    Its ``again`` is the number of tests that passed then, and ``again_commit`` the commit; they
    count as passed. Raises CannotRunError.
    """
    reports = [report_of(row, number, folder) for number in range(len(KINDS[row.kind]))]
    texts = [each.read_text(encoding="utf-8") for each in reports if each.exists()]
    named = [name for text in texts for name in failed(text)]
    variables = environment(row, bring(row))
    report = folder / "again.xml"
    _pytest(row, variables, (*named, "-q", f"--junitxml={report}"))
    found = counts(report.read_text(encoding="utf-8"))
    return record | {
        "passed": record["passed"] + found["passed"],
        "failed": record["failed"] - found["passed"],
        "again": record.get("again", 0) + found["passed"],
        "again_commit": commit(),
    }


def report_of(row: Row, number: int, folder: Path) -> Path:
    """Return the file of pytest's report of a step, in JUnit's format."""
    return folder / f"{row.name.replace('/', '-')}-{number}.xml"


def _pytest(row: Row, variables: dict[str, str], arguments: tuple[str, ...]) -> None:
    """Run pytest in the environment of the row; raise CannotRunError if it ends by an error."""
    python = CHECKOUT / variables["VENV"] / "bin/python"
    argv = [str(python), "-m", "pytest", *arguments]
    done = subprocess.run(argv, cwd=CHECKOUT, env=variables, check=False)
    if done.returncode not in ENDED:
        raise CannotRunError(f"{row.name}: pytest ended with {done.returncode}: see above")


def failed(report: str) -> list[str]:
    """Return the tests that failed, as pytest's arguments."""
    return [
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        for case, outcome in outcomes(report)
        if outcome == "failed"
    ]


def words(step: Step) -> tuple[str, ...]:
    """Return the arguments for pytest."""
    at_a_time = ("--numprocesses", str(step.at_a_time), "--dist=worksteal")
    return ("-q", *step.paths, *(at_a_time if step.at_a_time else ()))


def counts(report: str) -> Counter[str]:
    """Count the tests of a report in JUnit's format; a test with several failures counts once."""
    return Counter(outcome for _case, outcome in outcomes(report))


def outcomes(report: str) -> Iterator[tuple[ET.Element, str]]:
    """Yield each test of a report, and whether it passed, failed or was skipped."""
    for case in ET.fromstring(report).iter("testcase"):
        kinds = {each.tag for each in case}
        is_failed = bool(kinds & {"failure", "error"})
        yield case, "failed" if is_failed else "skipped" if "skipped" in kinds else "passed"
