"""Audit the packages that are installed for the Python that runs this; see scripts/audit.

    audit.py LOCK-FILE… NAME…     what else may be installed, without being locked, is NAME

The advisories are those that the package index has for each version (from the Python Packaging
Advisory Database and GitHub's). Not every index has them for each version: then those of the newest
version are taken if that is installed, and otherwise nothing is known, which is told. So does an
index that cannot be reached. The status is 1 if something is wrong, else 2 if something is unknown.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import requests
from pip._internal.models.index import PyPI

TIMEOUT_S = 20


@dataclass(slots=True)
class Findings:
    """What was found: sentences."""

    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status."""
        return 1 if self.wrong else 2 if self.unknown else 0


def main(words: list[str]) -> int:
    """Audit, print what was found, and return the exit status."""
    files = [word for word in words if word.endswith(".txt")]
    locked = dict(
        pair for file in files for pair in locked_in(Path(file).read_text("utf-8")).items()
    )
    installed = sorted(distributions(), key=lambda each: canonical(each.name))
    found = Findings()
    checked = 0
    with requests.Session() as session:
        for each in installed:
            if canonical(each.name) not in words and each.version != locked.get(
                canonical(each.name)
            ):
                found.wrong.append(f"{each.name} {each.version} is not locked: run scripts/setup")
            checked += check_files(each, found)
            check_advisories(session, each, found)
    print(f"{len(installed)} packages, {checked} files as they were published")  # noqa: T201
    for title, lines in (("wrong", found.wrong), ("not known", found.unknown)):
        print(f"{title}: {len(lines)}", *lines, sep="\n    ")  # noqa: T201
    return found.status


def canonical(name: str) -> str:
    """Return a package's name as the lock files have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_in(text: str) -> dict[str, str]:
    """Return the versions of a lock file by the packages' names."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", text, re.MULTILINE))


def check_files(package: Distribution, found: Findings) -> int:
    """Compare the files with the hashes that the package has of them; return how many."""
    checked = 0
    for file in package.files or ():
        path = Path(str(file.locate()))
        if file.hash is None or file.parts[0] == "..":  # bytecode, and commands that pip made
            continue
        checked += 1
        content = path.read_bytes() if path.is_file() else b""
        digest = hashlib.new(file.hash.mode, content).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            found.wrong.append(f"{path} is not as {package.name} published it: make .venv again")
    return checked


def check_advisories(session: requests.Session, package: Distribution, found: Findings) -> None:
    """Ask the index for what is known of this version."""
    name, version = canonical(package.name), package.version
    try:
        known = asked(session, f"{name}/{version}") or asked(session, name)
    except (requests.RequestException, ValueError) as error:
        found.unknown.append(
            f"{name} {version}: the index does not answer ({type(error).__name__})"
        )
        return
    if not known:
        if name != "prometheus-elector":
            found.unknown.append(f"{name} {version}: the index does not have this package")
    elif known["info"]["version"] != version:
        newest = known["info"]["version"]
        found.unknown.append(f"{name} {version}: the index tells of the newest alone, {newest}")
    else:
        for each in known["vulnerabilities"]:
            if not each.get("withdrawn"):
                found.wrong.append(told(name, version, each))


def asked(session: requests.Session, path: str) -> dict[str, Any]:
    """Return what the index has, {} if nothing; raise RequestException, ValueError."""
    answer = session.get(f"{PyPI.pypi_url}/{path}/json", timeout=TIMEOUT_S)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return {}
    answer.raise_for_status()
    known = json.loads(answer.content)
    if not (isinstance(known, dict) and {"info", "vulnerabilities"} <= known.keys()):
        raise ValueError("no answer of a package index")
    return known


def told(name: str, version: str, advisory: dict[str, Any]) -> str:
    """Return the sentence for an advisory."""
    names = ", ".join([advisory["id"], *advisory.get("aliases", [])])
    cure = " or ".join(advisory.get("fixed_in", [])) or "no version yet"
    return f"{name} {version}: {names}; fixed in {cure}: run scripts/lock --upgrade"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
