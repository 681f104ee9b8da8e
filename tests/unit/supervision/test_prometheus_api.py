"""What is said of an answer, which may be that of another program at Prometheus' address."""

from __future__ import annotations

import pytest

from wrapper.supervision.prometheus_api import PrometheusAnswer

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
def test_an_answer_is_summarized(status: int, detail: str, said: str) -> None:
    """The address, the status, and at most a short line of the text; never a web page."""
    assert PrometheusAnswer(status, detail, URL).summary == said
