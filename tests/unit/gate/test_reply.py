"""What a receiver's answer means, and what Prometheus gets as its answer."""

from __future__ import annotations

import pytest

from wrapper.gate.decisions import Outcome
from wrapper.gate.reply import (
    Reply,
    accepted,
    answer_of,
    error,
    for_prometheus,
    unavailable,
    written,
)
from wrapper.gate.samples import Counts

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
WRITTEN = (
    ("x-prometheus-remote-write-samples-written", "5"),
    ("X-Prometheus-Remote-Write-Histograms-Written", "2"),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17", 17.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("7200", 3600.0),
        ("9" * 5000, 3600.0),
        ("Fri, 15 Jan 2038 08:00:30 GMT", 3600.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_read(text: str, seconds: float) -> None:
    """Retry-After is a number of seconds or a date, up to an hour; other values are ignored."""
    assert answer_of(Reply(503, (("Retry-After", text),)), NOW).retry_after_s == seconds


def test_problem_has_status_and_first_line() -> None:
    """The problem has the status and the printable first line of the answer."""
    answer = answer_of(Reply(400, (), b"out of \x1b[31morder\nmore"), NOW)
    assert (answer.problem, answer.outcome) == (
        "HTTP 400: out of \ufffd[31morder",
        Outcome.REJECTED,
    )
    assert answer_of(Reply(500, (), b"a" * 1000), NOW).problem == f"HTTP 500: {'a' * 200}"
    assert answer_of(Reply(429), NOW).problem == "HTTP 429"
    assert answer_of(Reply(204, (), b"fine"), NOW).problem == ""


def test_written_counts_are_read() -> None:
    """A missing count is 0 if another one is given; without any, the counts are unknown."""
    assert written(Reply(204, WRITTEN)) == Counts(samples=5, histograms=2)
    assert written(Reply(204)) is None
    odd = (("X-Prometheus-Remote-Write-Samples-Written", "five"),)
    assert written(Reply(204, odd)) == Counts()
    huge = (("X-Prometheus-Remote-Write-Samples-Written", "9" * 5000),)
    assert written(Reply(204, huge)) == Counts()


@pytest.mark.parametrize("text", ["9" * 5000, "Fri, 15 Jan 2038 08:00:30 GMT"])
def test_retry_after_for_prometheus_is_an_hour_at_most(text: str) -> None:
    """Prometheus would wait as long as Retry-After requests, and its queue too: at most an hour."""
    back = for_prometheus(Reply(503, (("Retry-After", text),)), None, NOW)
    assert back.field("retry-after") == "3600"


def test_held_part_is_added_to_the_written_counts() -> None:
    """Held samples are added to the counts, because Prometheus compares them with its batch."""
    back = for_prometheus(Reply(204, (*WRITTEN, ("Retry-After", "1"))), Counts(10, 1, 4), NOW)
    assert back.fields == (
        ("Retry-After", "1"),
        ("X-Prometheus-Remote-Write-Samples-Written", "15"),
        ("X-Prometheus-Remote-Write-Histograms-Written", "3"),
        ("X-Prometheus-Remote-Write-Exemplars-Written", "4"),
    )


def test_missing_counts_are_not_invented() -> None:
    """If the receiver sends no counts, Prometheus gets none, so that it notices."""
    assert for_prometheus(Reply(204), Counts(10), NOW) == Reply(204)


def test_accepted_batch_gets_204() -> None:
    """An accepted batch gets status 204, with counts only for protocol 2."""
    assert accepted(None) == Reply(204)
    assert accepted(Counts(1, 2, 3)).field("x-prometheus-remote-write-exemplars-written") == "3"


def test_error_is_json_with_its_reason() -> None:
    """An error is JSON with its reason; an answer "unavailable" has Retry-After."""
    assert error(404, "no ü").body == '{"status": "error", "error": "no ü"}'.encode()
    assert unavailable("full", 2).field("retry-after") == "2"
