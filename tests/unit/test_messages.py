"""Rules for all messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parent.parent.parent / "wrapper").rglob("*.py"))
NAME = re.compile(r"(.?.?)\btype\(\w+\)\.__name__")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_reason_is_a_bare_class_name(source: Path) -> None:
    """The class name of an exception is in parentheses, after words of our own."""
    assert [found for found in NAME.findall(source.read_text()) if found != "({"] == []


def test_class_names_are_found() -> None:
    """The pattern finds class names with and without words before them."""
    assert NAME.findall('f"it failed ({type(error).__name__})"') == ["({"]
    assert NAME.findall("text or type(error).__name__") == ["r "]
    assert any(NAME.search(source.read_text()) for source in SOURCES)
