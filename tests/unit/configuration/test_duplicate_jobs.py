"""Jobs of the leader with the name of another one."""

from __future__ import annotations

import pytest

from wrapper.configuration.render import WholeFile
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

BASE = "scrape_configs:\n- job_name: a\n- job_name: b\n  scheme: https\n- job_name: 'c'\n"


def problems(*overrides: str, base: str = BASE) -> list[str]:
    """Return what is wrong with a Prometheus file and these overrides, places alone."""
    sources = [Source(f"{at}.yml", text.encode()) for at, text in enumerate(overrides)]
    try:
        WholeFile().render(Source("p.yml", base.encode()), sources)
    except ConfigurationError as error:
        return [
            problem.partition(": another job has this job_name")[0] for problem in error.problems
        ]
    return []


@pytest.mark.parametrize("name", ["a", '"a"', "b", "c"])
def test_a_job_of_the_follower_is_not_overridden_by_its_name_alone(name: str) -> None:
    """It would be there twice, and no replica could lead."""
    assert problems(f"scrape_configs:\n- job_name: {name}\n") == ["0.yml:2:3"]
    assert problems(f"scrape_configs:\n- job_name: {name}\n  $patch: replace\n") == []


def test_two_of_the_leader() -> None:
    """In one file, or in two."""
    job = "scrape_configs:\n- job_name: d\n"
    assert problems(f"{job}- job_name: d\n", base="{}") == ["0.yml:3:3"]
    assert problems(job, job) == ["1.yml:2:3"]


@pytest.mark.parametrize(
    "override",
    [
        "scrape_configs:\n- job_name: d\n",
        "scrape_configs:\n- {job_name: a, $patch: delete}\n- job_name: a\n",
        "scrape_configs:\n- $patch: replace\n- job_name: a\n",
        "scrape_configs:\n- scheme: http\n- scheme: http\n- a\n",
        "scrape_configs: a\n",
        "global: {}\n",
    ],
)
def test_others_pass(override: str) -> None:
    """Also those that Prometheus refuses for other reasons."""
    assert problems(override) == []


def test_two_of_the_follower_are_left_to_prometheus() -> None:
    """It refuses them in each replica, at a start and at an edit."""
    assert problems("scrape_configs:\n- job_name: b\n", base=f"{BASE}- job_name: a\n") == [
        "0.yml:2:3"
    ]
    assert problems("scrape_configs:\n- job_name: d\n", base=f"{BASE}- job_name: a\n") == []
