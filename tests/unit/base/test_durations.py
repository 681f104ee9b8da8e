"""Durations are read as by Go, and written so that they can be read back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wrapper.base.durations import (
    go_duration,
    parse_duration,
    parse_prometheus_duration,
    prometheus_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("0s", 0.0),
        ("15s", 15.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("1.s", 1.0),
        (".5s", 0.5),
        ("300us", 0.0003),
        ("300\u00b5s", 0.0003),
        ("300\u03bcs", 0.0003),
        ("7ns", 7e-9),
        ("1s1m", 61.0),
        ("+2s", 2.0),
        ("-2s", -2.0),
        ("2562047h", 9223369200.0),
    ],
)
def test_durations_of_go_are_read(text: str, seconds: float) -> None:
    """Each form of Go's ParseDuration gives its seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("", "for example 15s"),
        ("15", "write 15s for seconds"),
        ("1.5", "write 1.5s for seconds"),
        ("2d", "write 48h"),
        ("1w", "write 168h"),
        ("soon", "for example 15s"),
        ("15 s", "for example 15s"),
        (" 15s", "for example 15s"),
        ("15s\n", "for example 15s"),
        (".s", "for example 15s"),
        ("--2s", "for example 15s"),
        ("1e3s", "for example 15s"),
        ("15S", "for example 15s"),
        ("\u0661s", "for example 15s"),
        ("2562048h", "292 years"),
        ("9" * 20 + "s", "292 years"),
        ("9" * 5000 + "s", "for example 15s"),
        ("9" * 20 + "." + "9" * 400 + "h", "292 years"),
        pytest.param("9" * 5000 + "d", "write numbers with units", id="long"),
    ],
)
def test_other_durations_are_refused_with_a_remedy(text: str, cure: str) -> None:
    """A text that Go does not read is refused, and the message says how to write it."""
    with pytest.raises(ValueError, match=cure):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (90.0, "1m30s"),
        (0.6, "600ms"),
        (1.5, "1s500ms"),
        (3661.0, "1h1m1s"),
        (0.0003, "300us"),
        (-2.0, "-2s"),
        (-1e-9, "0s"),
        (13.95 - 10.0, "3s950ms"),
    ],
)
def test_durations_are_written_without_fractions(seconds: float, text: str) -> None:
    """Each unit has a whole number, as Prometheus requires."""
    assert go_duration(seconds) == text


@given(st.integers(min_value=-(2**50), max_value=2**50))
@example(1)
def test_written_durations_are_read_back(microseconds: int) -> None:
    """A duration of whole microseconds is the same after writing and reading."""
    seconds = microseconds / 10**6
    assert parse_duration(go_duration(seconds)) == seconds


@given(st.floats(min_value=0, max_value=2**32))
def test_duration_for_prometheus_is_rounded_down(seconds: float) -> None:
    """A duration for Prometheus is rounded down to the millisecond, and never zero."""
    written = parse_duration(prometheus_duration(seconds))
    assert 0.001 <= written <= max(seconds + 1e-6, 0.001)
    assert seconds - written < 0.001 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.6, "600ms"), (0.0, "1ms"), (-3.0, "1ms"), (1.0009, "1s"), (0.95, "950ms")],
)
def test_duration_for_prometheus_has_whole_milliseconds(seconds: float, text: str) -> None:
    """Prometheus has no unit smaller than a millisecond."""
    assert prometheus_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("100ms", 0.1),
        ("1s5ms", 1.005),
        ("1d", 86400.0),
        ("1y2w3d4h5m6s7ms", ((365 + 14 + 3) * 24 + 4) * 3600 + 306.007),
    ],
)
def test_durations_of_prometheus_configuration_are_read(text: str, seconds: float) -> None:
    """Prometheus' durations have days and longer units, and no fractions."""
    assert parse_prometheus_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "1.5s", "-1s", "5s1m", "1us", "1 s", "s", "1M"])
def test_durations_that_prometheus_refuses_are_refused(text: str) -> None:
    """The message has the remedy, but not the text."""
    with pytest.raises(ValueError, match="not a duration; write whole numbers with units"):
        parse_prometheus_duration(text)
