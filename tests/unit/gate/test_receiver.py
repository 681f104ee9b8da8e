"""Which header fields of a request are passed on to the receiver."""

from __future__ import annotations

from wrapper.gate.receiver import end_to_end_fields


def test_hop_by_hop_fields_are_left_out() -> None:
    """Framing, host and fields named by Connection are left out; order and repetitions stay."""
    fields = (
        ("host", "gate"),
        ("Content-Length", "3"),
        ("Connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Expect", "100-continue"),
        ("X-Twice", "1"),
        ("content-type", "a"),
        ("X-Twice", "2"),
    )
    assert end_to_end_fields(fields) == (("X-Twice", "1"), ("content-type", "a"), ("X-Twice", "2"))
