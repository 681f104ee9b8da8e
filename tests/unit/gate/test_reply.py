"""What a receiver's answer means, and what Prometheus gets of it."""

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
def test_reads_retry_after(text: str, seconds: float) -> None:
    """It is a number of seconds, or a date; anything else says nothing."""
    assert answer_of(Reply(503, (("Retry-After", text),)), NOW).retry_after_s == seconds


def test_says_why_a_receiver_did_not_take_it() -> None:
    """The status and the first line, without what a terminal would obey."""
    answer = answer_of(Reply(400, (), b"out of \x1b[31morder\nmore"), NOW)
    assert (answer.problem, answer.outcome) == (
        "HTTP 400: out of \ufffd[31morder",
        Outcome.REJECTED,
    )
    assert answer_of(Reply(500, (), b"a" * 1000), NOW).problem == f"HTTP 500: {'a' * 200}"
    assert answer_of(Reply(429), NOW).problem == "HTTP 429"
    assert answer_of(Reply(204, (), b"fine"), NOW).problem == ""


def test_reads_what_was_written() -> None:
    """What is not said was not written, unless nothing is said at all."""
    assert written(Reply(204, WRITTEN)) == Counts(samples=5, histograms=2)
    assert written(Reply(204)) is None
    odd = (("X-Prometheus-Remote-Write-Samples-Written", "five"),)
    assert written(Reply(204, odd)) == Counts()
    huge = (("X-Prometheus-Remote-Write-Samples-Written", "9" * 5000),)
    assert written(Reply(204, huge)) == Counts()


@pytest.mark.parametrize("text", ["9" * 5000, "Fri, 15 Jan 2038 08:00:30 GMT"])
def test_has_prometheus_wait_an_hour_at_most(text: str) -> None:
    """Prometheus waits however long it is told to, and its queue with it."""
    back = for_prometheus(Reply(503, (("Retry-After", text),)), None, NOW)
    assert back.field("retry-after") == "3600"


def test_adds_what_is_held_of_the_same_batch() -> None:
    """Prometheus sent one batch, and compares the counts with all of it."""
    back = for_prometheus(Reply(204, (*WRITTEN, ("Retry-After", "1"))), Counts(10, 1, 4), NOW)
    assert back.fields == (
        ("Retry-After", "1"),
        ("X-Prometheus-Remote-Write-Samples-Written", "15"),
        ("X-Prometheus-Remote-Write-Histograms-Written", "3"),
        ("X-Prometheus-Remote-Write-Exemplars-Written", "4"),
    )


def test_invents_no_counts() -> None:
    """A receiver that does not count is one that Prometheus has to notice."""
    assert for_prometheus(Reply(204), Counts(10), NOW) == Reply(204)


def test_answers_for_the_receiver() -> None:
    """204, with counts only for protocol 2."""
    assert accepted(None) == Reply(204)
    assert accepted(Counts(1, 2, 3)).field("x-prometheus-remote-write-exemplars-written") == "3"


def test_says_what_is_wrong() -> None:
    """An error is JSON with its reason; unavailable asks to be tried again."""
    assert error(404, "no ü").body == '{"status": "error", "error": "no ü"}'.encode()
    assert unavailable("full", 2).field("retry-after") == "2"
