"""Flags of a running Prometheus that contradict what this program expects are logged."""

from __future__ import annotations

import pytest

from wrapper.supervision.unexpected_flags import unexpected_flags

NEW = {"agent": "false", "config.auto-reload-interval": "30s", "enable-feature": ""}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param({}, [], id="no answer"),
        pytest.param(NEW, [], id="none"),
        pytest.param(NEW | {"config.auto-reload": "false"}, [], id="off"),
        pytest.param(NEW | {"config.auto-reload": "true"}, ["reloads"], id="on, since 3.12"),
        pytest.param(
            NEW | {"enable-feature": "x,auto-reload-config"}, ["reloads"], id="on, from 3.0"
        ),
        pytest.param({"enable-feature": "auto-reload-config"}, [], id="unknown before 3.0"),
        pytest.param(NEW | {"enable-feature": "agent,x"}, ["ignores"], id="the removed feature"),
        pytest.param(NEW | {"enable-feature": "agent", "agent": "true"}, [], id="the flag too"),
        pytest.param({"enable-feature": "agent"}, [], id="the feature before 3.0"),
    ],
)
def test_flag_that_contradicts_an_expectation_is_logged(
    flags: dict[str, str], told: list[str]
) -> None:
    """Each flag that contradicts an expectation leads to one line."""
    lines = list(unexpected_flags(flags, may_reload=False))
    assert [line.split()[1] for line in lines] == told


def test_own_reloads_of_a_plain_prometheus_are_expected() -> None:
    """If Prometheus reads its own file and no rules are fetched, its own reloads are expected."""
    assert not list(unexpected_flags(NEW | {"config.auto-reload": "true"}, may_reload=True))
