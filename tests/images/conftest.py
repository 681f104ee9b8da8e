"""Fixtures for the image, which `scripts/test-images` builds; without it no test is collected."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.images.podman import IMAGE, Container, podman
from tests.real.conftest import (  # noqa: F401 - fixtures, found by name
    api_server,
    common_api_server,
    make_namespace,
    namespace,
    own_api_server,
    worker,
    write_log,
)

collect_ignore_glob = [] if IMAGE else ["test_*.py"]
Run = Callable[..., Container]
_running: list[Container] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the containers to the report of a failed test."""
    report = yield
    if report.failed:
        report.sections.extend((f"log of {each.name}", each.logs()) for each in _running)
    return report


@pytest.fixture
def run() -> Iterator[Run]:
    """Give a function that starts a container, with the arguments of `Container`."""

    def start(*arguments: Any, **keywords: Any) -> Container:
        container = Container(*arguments, **keywords)
        _running.append(container)
        container.start()
        return container

    yield start
    while _running:
        _running.pop().remove()


@pytest.fixture
def volume(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the name of a new volume, which the first container that mounts it creates."""
    name = f"prometheus-elector-test-{id(request)}"
    yield name
    podman("volume", "rm", "--force", name)
