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
        (
            "lease",
            "from wrapper.supervision import plan",
            "lease (pure) may not import plan (pure)",
        ),
        (
            "model",
            "from wrapper.election.lease import x",
            "model (values) may not import lease (pure)",
        ),
        (
            "files",
            "from wrapper.election import elector",
            "files (adapters) may not import elector (actors)",
        ),
        (
            "files",
            "from wrapper.supervision.supervisor import x",
            "may not import supervisor (actors)",
        ),
        ("cluster", "import wrapper.election.file_lease", "may not import file_lease (adapters)"),
        (
            "web",
            "from wrapper.supervision.supervisor import x",
            "web (edge) may not import supervisor",
        ),
        (
            "elector",
            "def f():\n    import wrapper.web.web",
            "elector.py:2: elector (actors) may not",
        ),
        ("elector", "import kubernetes.client", "only credentials may import kubernetes"),
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
        ("plan", "from wrapper import model\nfrom wrapper.supervision import confirm, health"),
        ("supervisor", "import os, threading\nfrom wrapper.supervision import plan, sensors"),
        ("web", "from wrapper import __version__\nfrom wrapper.proxy import proxy"),
        ("credentials", "import kubernetes.client"),
    ],
)
def test_an_allowed_import_passes(module: str, text: str) -> None:
    """What the table allows gives no complaint."""
    assert list(layers.violations({module: text})) == []
