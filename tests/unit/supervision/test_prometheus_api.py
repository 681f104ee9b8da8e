"""Answers of Prometheus, or of another program at its address: their summary and evidence."""

from __future__ import annotations

import json

import pytest

from wrapper.supervision.prometheus_api import PrometheusAnswer, read_evidence

URL = "http://127.0.0.1:9090/-/ready"


@pytest.mark.parametrize(
    ("status", "detail", "said"),
    [
        (503, "Service Unavailable", f"{URL} answered 503: Service Unavailable"),
        (404, "404 page not found\nnext line", f"{URL} answered 404: 404 page not found"),
        (404, "<!DOCTYPE html><title>Admin</title>", f"{URL} answered 404 with a web page"),
        (500, "a\x1b[31m \t b" + "c" * 500, f"{URL} answered 500: a\ufffd[31m b" + "c" * 92),
        (401, "", f"{URL} answered 401"),
        (0, "it refuses connections", "it refuses connections"),
    ],
)
def test_answer_is_summarized_in_one_short_line(status: int, detail: str, said: str) -> None:
    """The summary has the URL, the status and at most a short line of text, never a web page."""
    assert PrometheusAnswer(status, detail, URL).summary == said


@pytest.mark.parametrize(
    ("loaded", "is_there"),
    [
        ("remote_write:\n- url: http://r/\n", True),
        ("rule_files:\n- a\nremote_write:\n- url: http://r/\n", True),
        ("rule_files:\n- a\\\nremote_write:\n- url: http://r/\n", True),
        ("rule_files:\n- a\\\\\nremote_write:\n- url: http://r/\n", True),
        ("regex: a\\nremote_write:\nremote_write:\n- url: http://r/\n", True),
        ("global:\n  external_labels:\n    a: |-\n      x\n      remote_write:\n", False),
        ("global:\n  external_labels:\n    a: 'x\\nremote_write:'\n", False),
        ("global:\n  external_labels:\n    a: 'x\\\\nremote_write:'\n", False),
        ('global:\n  external_labels:\n    a: "\\tx\\nremote_write: \\x01"\n', False),
        ('global:\n  external_labels:\n    a: "remote_write:\\x01"\n', False),
        ("  - regex: foo\\nremote_write:.*\n", False),
    ],
)
def test_value_is_not_taken_for_the_key_remote_write(loaded: str, is_there: bool) -> None:
    """Only a key ``remote_write`` counts, in each form in which Prometheus shows strings."""
    shown = json.dumps({"status": "success", "data": {"yaml": loaded}}, separators=(",", ":"))
    assert read_evidence(shown.encode(), b"", 1.0).writes_remotely is is_there
