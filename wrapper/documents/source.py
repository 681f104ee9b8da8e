"""An input: its name, bytes and folder, and the line where a second document begins; pure."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from itertools import pairwise

_MARK = re.compile(rb"\n---(?=\s|\Z)")
# Finds the first character after white space, comments, directives and document ends.
_SUBSTANCE = re.compile(rb"(?:\s++|[#%][^\n]*+|\.\.\.(?=\s|\Z))*+[^\s#%]")


@dataclass(frozen=True, slots=True)
class Source:
    """An input: its name for messages, its bytes, and the folder that its paths are relative to.

    If ``folder`` is "", paths are not rewritten, since the output is in the same folder.
    """

    name: str
    content: bytes = field(repr=False)
    folder: str = ""


def further_document(content: bytes) -> int:
    """Return the line (from 1) of a second document that is not empty; 0 if there is none.

    Three dashes at the start of a line always begin a document (YAML 1.2, 9.1.2).
    """
    content = content.removeprefix(BOM_UTF8)
    marks = [found.start() + 1 for found in _MARK.finditer(content)]
    if marks and not _SUBSTANCE.match(content[: marks[0]]):
        del marks[0]  # it begins the first document
    pairs = pairwise([*marks, len(content)])
    second = (at for at, end in pairs if _SUBSTANCE.match(content[at + len(b"---") : end]))
    return next((content.count(b"\n", 0, at) + 1 for at in second), 0)
