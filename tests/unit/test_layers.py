"""The import layers hold, and the check that says so can fail."""

from __future__ import annotations

import pytest

from tests import layers


def test_the_package_keeps_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    """No module of the package imports what its layer may not know."""
    assert layers.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("lease", "from wrapper import plan", "lease (pure) may not import plan (pure)"),
        ("model", "from wrapper.lease import x", "model (values) may not import lease (pure)"),
        ("files", "from . import elector", "files (adapters) may not import elector (actors)"),
        ("files", "from .supervisor import x", "may not import supervisor (actors)"),
        ("cluster", "import wrapper.file_lease", "may not import file_lease (adapters)"),
        ("web", "from wrapper.supervisor import x", "web (edge) may not import supervisor"),
        ("elector", "def f():\n    import wrapper.web", "elector.py:2: elector (actors) may not"),
        ("elector", "import kubernetes.client", "only cluster may import kubernetes"),
        ("plan", "import time", "layer of pure, which may not import time"),
        ("settings", "from os import environ", "layer of values, which may not import os"),
        ("helpers", "", "helpers.py is in no layer: add it to ROWS"),
    ],
)
def test_a_forbidden_import_is_named(module: str, text: str, complaint: str) -> None:
    """Each kind of forbidden import gives one sentence with the place and both sides."""
    (found,) = layers.violations({module: text})
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("plan", "from wrapper import confirm, health, lease, model, settings"),
        ("supervisor", "import os, threading\nfrom wrapper import elector, plan, sensors, files"),
        ("web", "from . import __version__, metrics, proxy, snapshot"),
        ("cluster", "import kubernetes.client"),
        ("__init__", "import os"),
    ],
)
def test_an_allowed_import_passes(module: str, text: str) -> None:
    """What the table allows gives no complaint."""
    assert list(layers.violations({module: text})) == []
