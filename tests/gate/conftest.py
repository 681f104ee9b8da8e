"""The fixtures of tests/real for the long tests of the gate."""

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
