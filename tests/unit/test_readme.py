"""The README's tables against the code: nothing missing, nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wrapper.options.flags import FLAGS
from wrapper.web.families import METRICS

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def table(heading: str) -> dict[str, str]:
    """Return the first two columns of the table under a heading, without back-ticks."""
    part = README.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = (line.split("|")[1:3] for line in part.splitlines() if line.startswith("| `"))
    return {name.strip().strip("`"): second.strip() for name, second in rows}


def test_all_flags_stand_in_the_readme_with_their_defaults() -> None:
    """Each flag has a row with its default, and there is no other row."""
    assert table("## Flags") == {f"--{flag.name}": flag.shown_default or "" for flag in FLAGS}


def test_all_metrics_stand_in_the_readme() -> None:
    """Each metric has a row, and there is no other row."""
    assert {name.partition("{")[0] for name in table("## Metrics")} == set(METRICS)


@pytest.mark.parametrize(
    "path",
    [
        "leader",
        "is-leader",
        "config",
        "status",
        "fleet",
        "step-down",
        "",
        "healthz",
        "readyz",
        "metrics",
    ],
)
def test_all_endpoints_stand_in_the_readme(path: str) -> None:
    """Each endpoint has a row."""
    assert f"/_elector/{path}" in table("## Endpoints")


def test_the_commands_of_the_readme_exist() -> None:
    """What the README says to run is there."""
    scripts = Path(__file__).parent.parent.parent / "scripts"
    for name in set(re.findall(r"scripts/([a-z0-9-]+)", README)):
        assert (scripts / name).exists(), name
