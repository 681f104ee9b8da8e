"""The header of a receiver's answer to the gate."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from wrapper.gate.reply import LONGEST_PAUSE_S, WRITTEN, Reply, answer_of, for_prometheus

DIGITS = st.builds(str.__mul__, st.text("0123456789", min_size=1, max_size=9), st.integers(1, 999))
DATES = st.text("MonTueNov 0123456789:,-+GMTZ", max_size=40)
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
NOW = 1_800_000_000.0
VALUES = st.one_of(DIGITS, DATES, LATIN)


@fuzzed(
    500,
    status=st.integers(100, 999),
    retry_after=VALUES,
    written=st.lists(st.tuples(st.sampled_from(sorted(WRITTEN.values())), VALUES), max_size=3),
    body=st.binary(max_size=50),
)
def test_any_header_gives_bounded_numbers(
    status: int, retry_after: str, written: list[tuple[str, str]], body: bytes
) -> None:
    """Any header gives a pause within limits, also in the answer for Prometheus."""
    reply = Reply(status, (("Retry-After", retry_after), *written), body)
    answer = answer_of(reply, NOW)
    assert 0 <= answer.retry_after_s <= LONGEST_PAUSE_S
    back = for_prometheus(reply, answer.written, NOW)
    assert answer_of(back, NOW).retry_after_s == answer.retry_after_s
