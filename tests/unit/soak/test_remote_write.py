"""The soak reads from a request what was written to it."""

from __future__ import annotations

from tests.remote_write import body, series_of


def test_series_of_a_request_are_read() -> None:
    """Labels, times and values of all series are read, also negative and large ones."""
    series = [
        ({"__name__": "a", "job": "x"}, [(1_700_000_000_000, 1.5), (1_700_000_000_001, -2.0)]),
        ({"__name__": "b"}, [(0, 0.0)]),
    ]
    assert list(series_of(body(series))) == series
