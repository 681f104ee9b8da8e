"""Problems of an input: each on one line, and a limited number of them."""

from __future__ import annotations

import pytest

from wrapper.documents.problems import MOST_KEPT, Problems, quoted


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("é😀", '"é😀"'),
        ('"\\', '"\\"\\\\"'),
        ("a\nb", '"a\\nb"'),
        ("a\x85b\u2028", '"a\\u0085b\\u2028"'),
        ("\u202eb\ufeff", '"\\u202eb\\ufeff"'),
        ("x" * 70, f'"{"x" * 60}…"'),
    ],
)
def test_key_is_quoted_on_one_line(key: str, shown: str) -> None:
    """A key is quoted on one line; line breaks and characters that reverse text are escaped."""
    assert quoted(key) == shown


def test_number_of_problems_is_bounded() -> None:
    """Problems beyond the limit are counted, also those of another collection, each only once."""
    problems, others = Problems(), Problems()
    for line in range(MOST_KEPT + 2):
        problems.add("x", line, 1, "bad")
        others.add("y", line, 1, "bad")
    problems.add("x", 1, 1, "bad")
    problems.take(others)
    assert len(problems.lines) == MOST_KEPT + 1
    more = "1004 more problems are not shown; correct these first"
    assert problems.lines[-1] == more
