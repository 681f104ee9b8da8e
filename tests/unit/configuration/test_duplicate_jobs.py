"""Jobs of the leader that have the name of another job."""

from __future__ import annotations

import pytest

from wrapper.configuration.render import WholeFile
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

BASE = "scrape_configs:\n- job_name: a\n- job_name: b\n  scheme: https\n- job_name: 'c'\n"


def problems(*overrides: str, base: str = BASE) -> list[str]:
    """Return the places of the problems of a Prometheus file with these overrides."""
    sources = [Source(f"{at}.yml", text.encode()) for at, text in enumerate(overrides)]
    try:
        WholeFile().render(Source("p.yml", base.encode()), sources)
    except ConfigurationError as error:
        return [
            problem.partition(": another job has this job_name")[0] for problem in error.problems
        ]
    return []


@pytest.mark.parametrize("name", ["a", '"a"', "b", "c"])
def test_duplicate_of_a_follower_job_is_refused(name: str) -> None:
    """A job with a follower's name is refused without ``$patch``.

    It would exist twice, and no replica could lead.
    """
    assert problems(f"scrape_configs:\n- job_name: {name}\n") == ["0.yml:2:3"]
    assert problems(f"scrape_configs:\n- job_name: {name}\n  $patch: replace\n") == []


def test_duplicate_jobs_of_the_leader_are_refused() -> None:
    """Two jobs of one name in the leader's part are refused, in one file or in two."""
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
def test_other_jobs_are_accepted(override: str) -> None:
    """Jobs with different names are accepted, also if Prometheus refuses them for other reasons."""
    assert problems(override) == []


def test_duplicate_jobs_of_the_follower_are_left_to_prometheus() -> None:
    """Two jobs of one name in the follower's part are left to Prometheus.

    It refuses them in each replica, at the start and after an edit.
    """
    assert problems("scrape_configs:\n- job_name: b\n", base=f"{BASE}- job_name: a\n") == [
        "0.yml:2:3"
    ]
    assert problems("scrape_configs:\n- job_name: d\n", base=f"{BASE}- job_name: a\n") == []
