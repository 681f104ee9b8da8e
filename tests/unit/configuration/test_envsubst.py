"""``$(NAME)`` in an input is replaced as by the Prometheus Operator's config-reloader."""

from __future__ import annotations

import pytest

from wrapper.configuration.envsubst import note_unset, substitute
from wrapper.documents.problems import Problems

ENVIRON = {b"A": b"1", b"POD_NAME": b"prom-0", b"EMPTY": b"", b"0": b"zero", b"BACK": rb"\1$(A)"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: $(POD_NAME)", "a: prom-0"),
        ("$(A)$(A)-$(0)", "11-zero"),
        ("a: '$(EMPTY)'", "a: ''"),
        ("# $(A)", "# 1"),
        ("$(BACK)", r"\1$(A)"),
        ("$$(A) $$$(A)", "$$(A) $$$(A)"),
        ("$A ${A} $1 $(A-B) $( A ) $() (A) $((A))", "$A ${A} $1 $(A-B) $( A ) $() (A) $((A))"),
        ("$(é)", "$(é)"),
        ("$(UNSET)", "$(UNSET)"),
    ],
)
def test_only_references_in_parentheses_are_replaced(text: str, expected: str) -> None:
    """Only ``$(NAME)`` is replaced, and once; ``$$(NAME)`` and unset names are unchanged."""
    assert substitute(text.encode(), ENVIRON) == expected.encode()


def test_unset_names_are_reported_with_their_place() -> None:
    """Each unset name is reported once, with its first place; escaped names are not."""
    problems = Problems()
    text = "a: $(A)\nb: é $(NONE) $(NONE)\n  c: $$(X) $(OTHER)\n$(NONE)\n"
    note_unset(text.encode(), "x.yml", ENVIRON, problems)
    cure = "set it, or give --config-envsubst-allow-unset"
    assert problems.lines == (
        f"x.yml:2:6: the variable NONE is not set; {cure}",
        f"x.yml:3:12: the variable OTHER is not set; {cure}",
    )
