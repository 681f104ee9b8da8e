"""Notes about receivers that, by their path, do not accept the protocol that is sent."""

from __future__ import annotations

import pytest

from wrapper.configuration.receiver_notes import ReceiverNote
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.source import Source

SURE = {"VictoriaMetrics, which", "Thanos, which answers 200", "Loki", "OTLP"}
PROTOCOL_2 = "  protobuf_message: io.prometheus.write.v2.Request\n"


def notes(*urls: str, more: str = "") -> tuple[ReceiverNote, ...]:
    """Return the notes on a leader's part that writes to these URLs."""
    entries = "".join(f"- url: {url}\n{more}" for url in urls)
    override = Source("l.yml", f"remote_write:\n{entries}".encode())
    return WholeFile().render(Source("p.yml", b"global: {}\n"), [override]).receiver_notes


@pytest.mark.parametrize(
    ("url", "by_1", "by_2"),
    [
        ("http://vminsert:8480/insert/0/prometheus/api/v1/write", "", "VictoriaMetrics, which"),
        ("http://vminsert:8480/insert/1:2/prometheus/", "", "VictoriaMetrics, which"),
        ("http://a:secret@vm:8428/api/v1/write?x=secret", "", "if it is a Prometheus from 2.54"),
        ("http://host/prefix/api/v1/write/", "", "if it is a Prometheus from 2.54"),
        ("http://mimir/api/v1/push", "", "may refuse protocol 2"),
        ("http://thanos/api/v1/receive", "", "Thanos, which answers 200"),
        ("http://other/api/v1/other", "", ""),
        ("http://loki:3100/loki/api/v1/push", "Loki", "Loki"),
        ("http://p:9090/api/v1/otlp/v1/metrics", "OTLP", "OTLP"),
        ("http://collector:4318/v1/metrics", "OTLP", "OTLP"),
        (
            "http://proxy/prom/v1/metrics",
            "this may be an OTLP receiver",
            "this may be an OTLP receiver",
        ),
        ("http://[broken/api/v1/write", "", ""),
        ("''", "", ""),
    ],
)
def test_receiver_is_recognised_by_its_path(url: str, by_1: str, by_2: str) -> None:
    """A receiver that does not accept the protocol is noted with its place, without its URL."""
    for more, expected in (("", by_1), (PROTOCOL_2, by_2)):
        found = notes("http://fine/push", url, more=more)
        assert len(found) == bool(expected)
        if found:
            assert found[0].line.startswith(f"l.yml:{3 + bool(more)}:3: ")
            assert expected in found[0].line
            assert "secret" not in found[0].line
            assert found[0].is_sure == (expected in SURE)


def test_protocol_1_may_be_named() -> None:
    """``prometheus.WriteRequest`` names protocol 1."""
    more = "  protobuf_message: prometheus.WriteRequest\n"
    assert notes("http://vm:8428/api/v1/write", more=more) == ()


def test_both_sections_count() -> None:
    """Entries of both parts are checked: those of the follower's are sent by every replica."""
    entry = "remote_write: [{url: 'http://x/loki/api/v1/push'}]"
    text = f"follower: {{{entry}}}\nleader: {{{entry.replace('x', 'y')}}}\n"
    found = render(Source("e.yml", text.encode())).receiver_notes
    assert [note.line.partition(": ")[0] for note in found] == ["e.yml:1:27", "e.yml:2:25"]


def test_invalid_entries_have_no_notes() -> None:
    """Invalid entries have no notes: Prometheus refuses them with its own reason."""
    for text in ("remote_write: x", "remote_write: [x]", "remote_write: [{url: [x]}]", "a: b"):
        assert WholeFile().render(Source("p.yml", text.encode())).receiver_notes == ()
