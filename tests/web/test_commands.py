"""The commands `status` and `step-down` before an API that says what no replica would."""

from __future__ import annotations

import pytest

from tests.web.conftest import Upstream, say
from wrapper.commands.remote import UNASKED, run


@pytest.mark.parametrize("answer", ["{}", '{"replicas": 1}', '{"replicas": [1]}', "[" * 100_000])
def test_an_answer_of_another_form_is_no_answer(
    answer: str, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, as for one that does not come."""
    upstream.answer = say(answer.encode())
    assert run(["status", upstream.url], {}) == UNASKED
    assert run(["step-down", upstream.url], {}) == UNASKED
    assert capsys.readouterr().err.count("prometheus-elector st") == 2


def test_a_refusal_cannot_act_on_the_terminal(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a server says is printed without control characters."""
    body = b'{"error": "no\\u001b[2J \\ud800way"}'
    upstream.answer = say(body, b"HTTP/1.1 503 Gone\r\nContent-Length: %d" % len(body))
    assert run(["status", upstream.url], {}) == UNASKED
    assert capsys.readouterr().err.endswith(": no[2J way\n")
