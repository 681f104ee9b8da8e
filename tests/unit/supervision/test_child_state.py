"""Health changes after consecutive probes; the pauses between starts double up to a limit."""

from __future__ import annotations

import pytest

from wrapper.base.backoff import backoff_s
from wrapper.supervision.child_state import Health, probed


@pytest.mark.parametrize(
    ("probes", "is_healthy"),
    [
        pytest.param("", True, id="healthy before the first probe"),
        pytest.param("--", True, id="two failures are not enough"),
        pytest.param("---", False, id="three failures are enough"),
        pytest.param("--+--", True, id="a success restarts the count of failures"),
        pytest.param("---+", False, id="one success is not enough"),
        pytest.param("---++", True, id="two successes are enough"),
        pytest.param("---+-+", False, id="a failure restarts the count of successes"),
        pytest.param("---++--", True, id="once healthy, three failures are needed again"),
    ],
)
def test_health_changes_at_its_threshold(probes: str, *, is_healthy: bool) -> None:
    """Three consecutive failures make it unhealthy, two consecutive successes make it healthy."""
    health = Health()
    for probe in probes:
        health = probed(health, probe == "+", "why", failures=3, successes=2)
    assert health.is_healthy is is_healthy


def test_detail_is_that_of_the_last_probe() -> None:
    """The health keeps the reason of the last failed probe, for the API."""
    health = probed(Health(), False, "HTTP 500", failures=1, successes=1)  # noqa: FBT003
    assert health == Health(is_healthy=False, detail="HTTP 500")


def test_detail_is_the_newest_if_the_verdict_stays() -> None:
    """If a probe does not change the verdict, its detail still replaces the earlier one."""
    unhealthy = Health(is_healthy=False, detail="HTTP 500")
    again = probed(unhealthy, False, "no answer", failures=3, successes=3)  # noqa: FBT003
    assert again == Health(is_healthy=False, detail="no answer")
    healing = probed(unhealthy, True, "", failures=3, successes=3)  # noqa: FBT003
    assert (healing.is_healthy, healing.detail) == (False, "")


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(0, 0.2), (1, 0.2), (2, 0.4), (3, 0.8), (9, 30.0), (9999, 30.0)]
)
def test_pause_doubles_up_to_a_limit(failures: int, pause_s: float) -> None:
    """The pause doubles with each failure, from the first pause up to the longest one."""
    assert backoff_s(failures, 0.2, 30.0) == pytest.approx(pause_s)
