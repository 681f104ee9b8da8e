"""What a request to a receiver leaves in the gate's memory."""

from __future__ import annotations

import pytest

from tests.memory import stays
from tests.process.receiving import Incoming, Play, receiving
from tests.support import free_port
from wrapper.gate.in_flight import InFlight
from wrapper.gate.receiver import NoAnswer, Receiver
from wrapper.model.gate import Endpoint


def no_final_answer(incoming: Incoming) -> None:
    """Send an interim answer of which no final one follows."""
    incoming.answer(101)


FAULTS: dict[str, Play | None] = {
    "refused": None,
    "hangs": Incoming.hang,
    "hangs up": Incoming.hang_up,
    "no final answer": no_final_answer,
    "redirect as GET": lambda incoming: incoming.answer(302, Location="/elsewhere"),
    "redirects for ever": lambda incoming: incoming.answer(307, Location="/again"),
    "no HTTP": lambda incoming: incoming.answer(307, Location="ftp://elsewhere"),
}


@pytest.mark.parametrize("play", FAULTS.values(), ids=FAULTS)
def test_a_failed_request_does_not_stay(play: Play | None) -> None:
    """Its batch, which comes again and again, would stay with the error."""
    with receiving() as stand_in:
        url = f"http://127.0.0.1:{free_port()}/" if play is None else stand_in.url
        if play is not None:
            stand_in.play = play
        receiver = Receiver(Endpoint("x", url, timeout_s=1.0), InFlight())
        assert not stays(lambda: receiver.send(b"x", ()), NoAnswer)
