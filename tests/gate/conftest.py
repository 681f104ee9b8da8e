"""Fixtures of the gate's long tests: those of tests/real."""

from tests.real.conftest import (  # noqa: F401 - fixtures and a hook, found by name
    api_server,
    common_api_server,
    make_namespace,
    namespace,
    own_api_server,
    pytest_runtest_makereport,
    worker,
    writers,
)
