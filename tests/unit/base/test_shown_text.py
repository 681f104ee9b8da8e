"""Text from outside is shown on one line, without control characters, and shortened."""

from __future__ import annotations

from wrapper.base.shown_text import LONGEST, in_short, printable


def test_unprintable_characters_are_replaced() -> None:
    """Control characters, line breaks and lone surrogates are replaced; spaces and letters stay."""
    assert printable("a\0b\n\x1b[31m é\ud800") == "a\ufffdb\ufffd\ufffd[31m é\ufffd"


def test_text_is_shortened() -> None:
    """White space becomes one space, and only the beginning of a long text is shown."""
    assert in_short(" a\n\t b\x1b ") == "a b\ufffd"
    assert in_short("x" * (LONGEST + 1)) == "x" * LONGEST
