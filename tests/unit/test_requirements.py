"""The bounds of libraries in setup.cfg and the lock files agree."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent


def needed() -> dict[str, str]:
    """Return the lower bound of each library that the program needs, by its name."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    lines = [setup["options"]["install_requires"], setup["options.extras_require"]["promgen"]]
    bounds = {}
    for line in "\n".join(lines).split():
        name, _, bound = line.partition(">=")
        bounds[name.partition("[")[0].lower()] = bound
    return bounds


def locked(path: str) -> dict[str, str]:
    """Return the versions of a lock file by the names of the packages."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (CHECKOUT / path).read_text(), re.MULTILINE))


def test_lower_bounds_are_tested() -> None:
    """Each lower bound of setup.cfg is the version of the lock file for the oldest libraries."""
    oldest = locked("tests/requirements-oldest.txt")
    assert len(needed()) > 10
    assert {name: oldest[name] for name in needed()} == needed()


@pytest.mark.parametrize("path", ["tests/requirements.txt", "images/requirements.txt"])
def test_lock_files_keep_the_bounds(path: str) -> None:
    """The lock files for tests and image have versions that setup.cfg allows."""

    def numbers(version: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", version)]

    newest = locked(path)
    older = [name for name, bound in needed().items() if numbers(newest[name]) < numbers(bound)]
    assert older == []


def installations() -> dict[str, str]:
    """Return each command that installs Python packages, by its file and number."""
    found: dict[str, str] = {}
    for path in [
        *CHECKOUT.glob("scripts/*"),
        *CHECKOUT.glob("findings/*.sh"),
        *CHECKOUT.glob("images/Dockerfile"),
    ]:
        if path.is_file() and path.suffix != ".py":
            lines = re.sub(r"\\\n\s*", "", path.read_text()).splitlines()
            commands = [each for each in lines if re.search(r"^[^#]*\bpip\b.* install\b", each)]
            found |= {f"{path.name} {number}": each for number, each in enumerate(commands)}
    return found


def test_every_installation_is_locked() -> None:
    """Each installation is locked by hashes, in the findings by versions.

    The installation of the project itself has no dependencies.
    """
    hashes = r"--require-hashes -r|--no-deps --editable \."
    versions = r'==[0-9]|install --dry-run|--no-deps -r "\$folder'  # the last: a list in the script
    found = installations()
    assert len(found) > 6
    assert [each for each in found.items() if not re.search(f"{hashes}|{versions}", each[1])] == []
