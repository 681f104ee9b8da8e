"""What setup.cfg says of libraries is what the lock files hold for the tests."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent


def needed() -> dict[str, str]:
    """Return the lower bound of each library that runs with the program, by its name."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    lines = [setup["options"]["install_requires"], setup["options.extras_require"]["promgen"]]
    bounds = {}
    for line in "\n".join(lines).split():
        name, _, bound = line.partition(">=")
        bounds[name.partition("[")[0].lower()] = bound
    return bounds


def locked(path: str) -> dict[str, str]:
    """Return the versions of a lock file by the packages' names."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (CHECKOUT / path).read_text(), re.MULTILINE))


def test_the_oldest_that_is_allowed_is_the_oldest_that_is_tested() -> None:
    """No lower bound is a guess."""
    oldest = locked("tests/requirements-oldest.txt")
    assert len(needed()) > 10
    assert {name: oldest[name] for name in needed()} == needed()


@pytest.mark.parametrize("path", ["tests/requirements.txt", "images/requirements.txt"])
def test_the_lock_files_keep_the_bounds(path: str) -> None:
    """Tests and image take what setup.cfg allows."""

    def numbers(version: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", version)]

    newest = locked(path)
    older = [name for name, bound in needed().items() if numbers(newest[name]) < numbers(bound)]
    assert older == []
