"""Text from outside takes one line, moves no cursor, and is not long."""

from __future__ import annotations

from wrapper.base.shown_text import LONGEST, in_short, printable


def test_what_cannot_be_printed_is_replaced() -> None:
    """Control characters, line ends, lone surrogates; spaces and letters stay."""
    assert printable("a\0b\n\x1b[31m é\ud800") == "a\ufffdb\ufffd\ufffd[31m é\ufffd"


def test_in_short() -> None:
    """White space of any kind is one space; only the beginning of a long text is shown."""
    assert in_short(" a\n\t b\x1b ") == "a b\ufffd"
    assert in_short("x" * (LONGEST + 1)) == "x" * LONGEST
