"""The links of a Markdown document: whether each leads to a file, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path


def broken(file: Path) -> list[str]:
    """Return the relative links of a document that lead to no file or heading."""
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", _prose(file))
    return [link for link in links if not _leads_somewhere(file, link)]


def _leads_somewhere(file: Path, link: str) -> bool:
    path, _, section = link.partition("#")
    to = file.parent / path if path else file
    return to.exists() and (not section or section in sections(to))


def sections(file: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", _prose(file), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def _prose(file: Path) -> str:
    """Return a document without its examples, whose comments are no headings."""
    text = file.read_text(encoding="utf-8")
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)
