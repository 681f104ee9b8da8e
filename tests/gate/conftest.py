"""Fixtures of the gate's long tests: those of tests/real."""

from tests.real.conftest import (  # noqa: F401 - fixtures and a hook, found by name
    api_server,
    common_api_server,
    make_namespace,
    namespace,
    pytest_runtest_makereport,
    shared_api_server,
    worker,
    writers,
)
