"""What the README names is there."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_commands_of_the_readme_exist() -> None:
    """What the README says to run is there."""
    scripts = Path(__file__).parent.parent.parent / "scripts"
    for name in set(re.findall(r"scripts/([a-z0-9-]+)", README)):
        assert (scripts / name).exists(), name
