"""The lines of ``status`` about a configuration with problems."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.commands.configuration_lines import configuration_lines


@pytest.mark.parametrize(
    ("configuration", "lines"),
    [
        ({"problems": ["c.yml:3:1: a"]}, ["configuration of a: c.yml:3:1: a"]),
        (
            {"problems": ["c.yml:3:1: a", "b", "c"]},
            [
                (
                    "configuration of a: c.yml:3:1: a"
                    " (2 more in configuration.problems of /_elector/status)"
                )
            ],
        ),
        ({"problems": []}, []),
        ({"problems": "text"}, []),
        ([1], []),
        (None, []),
    ],
)
def test_first_problem_is_shown(configuration: Any, lines: list[str]) -> None:
    """The first problem is shown with the number of others; a valid configuration has no line."""
    replica = {"url": "", "status": {"identity": "a", "configuration": configuration}}
    assert list(configuration_lines([replica, {}, {"status": [1]}])) == lines
