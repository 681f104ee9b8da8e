"""The audit reports what is wrong, and what it cannot know."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.test_release import module

ADVISORY = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["9"], "withdrawn": None}
VERSION = distribution("itsdangerous").version


class Index:
    """A package index with these answers, by the end of the path; None is unreachable."""

    def __init__(self, answers: dict[str, Any] | None) -> None:
        self._answers = answers

    def get(self, url: str, **_: object) -> requests.Response:
        """Answer like a session."""
        if self._answers is None:
            raise requests.ConnectionError(url)
        found = self._answers.get(url.partition("/pypi/")[2])
        answer = requests.Response()
        answer.status_code = 404 if found is None else 200
        answer._content = json.dumps(found).encode()
        return answer


def known(version: str, *advisories: dict[str, Any]) -> dict[str, Any]:
    """Return an index's answer for a version."""
    return {"info": {"version": version}, "vulnerabilities": advisories}


@pytest.mark.parametrize(
    ("answers", "wrong", "unknown"),
    [
        ({f"/{VERSION}": known(VERSION)}, "", ""),
        (
            {f"/{VERSION}": known(VERSION, ADVISORY), "": known("9")},
            "PYSEC-1, CVE-1; fixed in 9",
            "",
        ),
        ({"": known(VERSION, ADVISORY | {"fixed_in": []})}, "fixed in no version yet", ""),
        ({"": known(VERSION, ADVISORY | {"withdrawn": "2026"})}, "", ""),
        ({"": known("9", ADVISORY)}, "", "the index tells of the newest alone, 9"),
        ({}, "", "the index does not have this package"),
        (None, "", "the index does not answer (ConnectionError)"),
    ],
)
def test_advisories_of_a_package(answers: dict[str, Any] | None, wrong: str, unknown: str) -> None:
    """Advisories of the installed version count; those of the newest only count for that one."""
    audit = module("scripts/audit.py")
    if answers is not None:
        answers = {f"itsdangerous{end}/json": given for end, given in answers.items()}
    found = audit.Findings()
    audit.check_advisories(Index(answers), distribution("itsdangerous"), found)
    for sentence, sentences in ((wrong, found.wrong), (unknown, found.unknown)):
        assert [sentence in each for each in sentences] == ([True] if sentence else [])
    assert found.status == (1 if wrong else 2 if unknown else 0)


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    """Copy an installed package."""
    whole = distribution("itsdangerous")
    for name in ("itsdangerous", f"itsdangerous-{VERSION}.dist-info"):
        shutil.copytree(str(whole.locate_file(name)), tmp_path / name)
    return PathDistribution(tmp_path / f"itsdangerous-{VERSION}.dist-info")


def test_changed_file_is_found(installed: Distribution) -> None:
    """Changed and missing files are found; bytecode is not published and does not count."""
    audit = module("scripts/audit.py")
    found = audit.Findings()
    assert audit.check_files(installed, found) > 5
    assert found.status == 0
    changed, missing = (
        Path(str(installed.locate_file(f"itsdangerous/{n}.py"))) for n in ("url_safe", "exc")
    )
    changed.write_text(changed.read_text() + "\n")
    missing.unlink()
    audit.check_files(installed, found)
    assert [each.partition(" ")[0] for each in sorted(found.wrong)] == [str(missing), str(changed)]
    assert found.status == 1
