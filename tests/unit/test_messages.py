"""What all messages have in common, whatever they are about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parent.parent.parent / "wrapper").rglob("*.py"))
NAME = re.compile(r"(.?.?)\btype\(\w+\)\.__name__")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_reason_is_a_bare_class_name(source: Path) -> None:
    """The name of an exception's class stands in parentheses, behind words of ours."""
    assert [found for found in NAME.findall(source.read_text()) if found != "({"] == []


def test_class_names_are_found() -> None:
    """The pattern above finds what it looks for, behind words and without."""
    assert NAME.findall('f"it failed ({type(error).__name__})"') == ["({"]
    assert NAME.findall("text or type(error).__name__") == ["r "]
    assert any(NAME.search(source.read_text()) for source in SOURCES)
