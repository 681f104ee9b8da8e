"""The matrix of versions has all required pairs, and the README shows the recorded results."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from tests.schema import RENDER, schema
from tests.versions.records import FILE, has_passed, load, matrix, rendered, result
from tests.versions.running import counts, failed
from tests.versions.table import CHECKOUT, KINDS, ROWS, known_versions, pairs

PASSED = {"commit": "abc", "date": "2026-01-02", "passed": 7, "failed": 0, "skipped": 0}
REPORT = """<testsuites><testsuite><testcase name="a"/>
<testcase classname="tests.real.test_x" name="b"><failure/><error/></testcase>
<testcase name="c"><skipped/></testcase></testsuite></testsuites>"""
NEEDS_BOTH = [row for row in ROWS if row.kind != "prometheus"]


def test_each_prometheus_meets_each_python() -> None:
    """Each pair of versions of scripts/versions is in exactly one row."""
    all_of_them = itertools.product(known_versions("prometheus"), known_versions("python"))
    assert pairs(ROWS, "prometheus", "python") == set(all_of_them)
    assert len(ROWS) == len({row.name for row in ROWS}) == 12


@pytest.mark.parametrize("other", ["prometheus", "python"])
def test_each_api_server_meets_each_other_version(other: str) -> None:
    """Each pair is in a row whose tests use the API server."""
    all_of_them = itertools.product(known_versions("kube-apiserver"), known_versions(other))
    assert pairs(NEEDS_BOTH, "kubernetes", other) == set(all_of_them)


def test_oldest_and_newest_row_run_the_most() -> None:
    """The first row has the oldest versions; the last has the newest ones and the long tests."""
    assert [row for row in ROWS if row.kind == "most"] == [ROWS[0]]
    assert [row for row in ROWS if row.kind == "everything"] == [ROWS[-1]]
    for row, end in ((ROWS[0], 0), (ROWS[-1], -1)):
        found = [known_versions(each)[end] for each in ("prometheus", "kube-apiserver", "python")]
        assert row.name == "/".join(found)


def test_each_part_and_each_test_exists() -> None:
    """Each part of a row is in scripts/versions; each path of a selection is in the checkout."""
    for part in {part for row in ROWS for part in row.parts}:
        program, _, version = part.partition("@")
        assert (version or "-") in known_versions(program), part
    for step in itertools.chain.from_iterable(KINDS.values()):
        assert [path for path in step.paths if not (CHECKOUT / path).exists()] == []


def test_schema_has_each_prometheus() -> None:
    """The schema has the configuration fields of each tested version."""
    measured = [".".join(each.split(".")[:2]) for each in schema().versions]
    assert tuple(measured) == known_versions("prometheus"), RENDER


def test_report_is_counted_by_its_tests() -> None:
    """A test with a failure and an error counts as one that failed."""
    assert counts(REPORT) == {"passed": 1, "failed": 1, "skipped": 1}
    assert failed(REPORT) == ["tests/real/test_x.py::b"]


def test_each_result_of_a_row_is_shown() -> None:
    """A row that was not run, could not run, has failed or has passed is shown as such."""
    assert result(None) == "not run"
    assert result({"error": "no Go"}) == "**could not run**"
    assert result(PASSED | {"failed": 2}) == "**2 of 9 failed**"
    assert result(PASSED | {"skipped": 1}) == "7 passed, 1 skipped"
    assert result(PASSED | {"again": 1}) == "7 passed (1 at a second run)"
    shown = matrix({ROWS[3].name: PASSED | {"failed": 2}})
    assert f"Python {ROWS[3].python}: **2 of 9 failed**" in shown
    assert shown.count("not run") == len(ROWS) - 1


def test_only_a_pass_on_the_same_commit_counts() -> None:
    """With another commit, changed files, a failure or an error, the row is run again."""
    assert has_passed(PASSED, "abc")
    assert not has_passed(PASSED, "def")
    assert not has_passed(PASSED | {"commit": "abc-dirty"}, "abc-dirty")
    assert not has_passed(PASSED | {"failed": 1}, "abc")
    assert not has_passed({"commit": "abc", "error": "no Go"}, "abc")
    assert not has_passed(None, "abc")


def test_readme_shows_the_recorded_results() -> None:
    """``scripts/render-tested`` changes nothing, and the README has the table."""
    page = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert rendered(page, load(FILE)) == page, "run scripts/render-tested"
    assert matrix(load(FILE)) in page


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("prometheus@1.0", "no version 1.0 of prometheus: scripts/versions has 2.42"),
        ("nothing", "unknown part nothing: known are chromium"),
        ("sh", "unknown part sh: known are chromium"),  # although the PATH has it
    ],
)
def test_unknown_part_is_refused(part: str, complaint: str) -> None:
    """The script lists the known parts."""
    done = real_parts(part, {})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count(complaint) == 1


def test_variable_sets_a_part(tmp_path: Path) -> None:
    """A variable sets a part by name and version, or by name; promtool is beside its Prometheus."""
    for name in ("prometheus", "promtool"):
        (tmp_path / name).touch(mode=0o755)
    named = str(tmp_path / "prometheus")
    assert real_parts("prometheus", {"PROMETHEUS": named}).stdout == f"PROMETHEUS={named}\n"
    assert real_parts("promtool", {"PROMETHEUS": named}).stdout == f"PROMTOOL={tmp_path}/promtool\n"
    for program in ("prometheus", "etcd"):
        name = program.upper()
        newest = f"{name}_{known_versions(program)[-1].replace('.', '_')}"
        assert real_parts(f"{program}@newest", {newest: named}).stdout == f"{name}={named}\n"
    missing = real_parts("prometheus@3.5", {"PROMETHEUS_3_5": "/none"}).stderr
    assert "PROMETHEUS_3_5 is /none, which does not exist" in missing


def test_newest_version_of_the_cache_is_used(tmp_path: Path) -> None:
    """The cache precedes the PATH and Debian's program; ``list`` shows its content."""
    cache = tmp_path / "prometheus-elector"
    for version in ("2.42", "2.53", "3.5"):
        program = cache / f"prometheus-{version}/usr/bin/prometheus"
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    variables = {"XDG_CACHE_HOME": str(tmp_path)}
    assert real_parts("prometheus", variables).stdout == f"PROMETHEUS={program}\n"
    assert "prometheus-2.53" in real_parts("prometheus@2.53", variables).stdout
    lines = [line.split()[1:3] for line in real_parts("list", variables).stdout.splitlines()]
    assert ["3.5", "yes"] in lines
    assert ["3.16", "yes"] not in lines


def real_parts(part: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Return the result of scripts/real-parts; these calls download nothing."""
    script = CHECKOUT / "scripts/real-parts"
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"} | variables
    return subprocess.run(
        [script, part], env=environment, capture_output=True, text=True, check=False
    )
