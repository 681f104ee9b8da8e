"""The import layers are kept, and their check can fail."""

from __future__ import annotations

import pytest

from tests import layers


def test_package_keeps_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    """No module of the package imports from a later folder."""
    assert layers.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("wrapper.election.lease_rules", "from wrapper.supervision import plan", "comes later"),
        ("wrapper.model.lease", "from wrapper.election.lease_rules import x", "comes later"),
        ("wrapper.base.files", "from wrapper import init", "comes later"),
        ("wrapper.base.files", "from wrapper.commands.check import x", "comes later"),
        ("wrapper.web.app", "import wrapper.supervision.plan", "comes later"),
        (
            "wrapper.election.elector",
            "def f():\n    import wrapper.web.app",
            "wrapper.election.elector:2: imports wrapper.web.app",
        ),
        ("wrapper.election.elector", "import kombu.transport", "targets.broker alone may"),
        ("wrapper.supervision.plan", '"""The decision; pure."""\nimport time', "is pure"),
        ("wrapper.options.usage", '"""Help; pure."""\nfrom os import environ', "is pure"),
    ],
)
def test_forbidden_import_is_named(module: str, text: str, complaint: str) -> None:
    """Each kind of forbidden import leads to one sentence with its place and both modules."""
    (found,) = layers.violations({module: text})
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("wrapper.supervision.plan", "from wrapper.model import roles\nimport time"),
        ("wrapper.supervision.plan", "from wrapper.supervision import loaded_rendering, fence"),
        ("wrapper.web.app", "from wrapper import __version__\nfrom wrapper.proxy import proxy"),
        ("wrapper.targets.broker", "import kombu.transport"),
        ("wrapper.__main__", "from wrapper.commands import check"),
    ],
)
def test_allowed_import_is_accepted(module: str, text: str) -> None:
    """Imports in the order of the folders are accepted."""
    assert list(layers.violations({module: text})) == []


def test_folder_without_a_place_is_refused() -> None:
    """A folder that ORDER does not name fails the check, whatever it imports."""
    with pytest.raises(ValueError, match="not in tuple"):
        list(layers.violations({"wrapper.helpers.x": "import wrapper.base.files"}))


def test_pure_module_imports_only_pure_ones() -> None:
    """A pure module cannot reach a clock through another module."""
    plan = '"""The decision; pure."""\nfrom wrapper.base import backoff, clock'
    sources = {
        "wrapper.supervision.plan": plan,
        "wrapper.base.backoff": '"""Pauses; pure."""',
        "wrapper.base.clock": '"""The clocks."""',
    }
    (found,) = layers.violations(sources)
    assert (
        found == "wrapper.supervision.plan:2: is pure, and imports wrapper.base.clock, which is not"
    )


def test_unit_tests_have_the_folders_and_names_of_modules() -> None:
    """Each file of unit tests has the folder and the name of its module."""
    folders = (layers.ROOT / "tests/unit").glob("*/test_*.py")
    named = {(path.parent.name, path.stem.removeprefix("test_")) for path in folders}
    modules = {(path.parent.name, path.stem) for path in (layers.ROOT / "wrapper").glob("*/*.py")}
    # The checks of the soak have tests too, and so has the module that they and other tests use.
    checks = {
        path.stem.removeprefix("check_") for path in (layers.ROOT / "tests/soak").glob("*.py")
    }
    modules |= {("soak", name) for name in (*checks, "remote_write")}
    assert named - modules == set()
