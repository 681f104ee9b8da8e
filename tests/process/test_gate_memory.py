"""Memory of the gate after failed requests to a receiver."""

from __future__ import annotations

import pytest

from tests.memory import stays
from tests.process.receiving import Incoming, Play, receiving
from tests.support import free_port
from wrapper.gate.in_flight import InFlight
from wrapper.gate.receiver import NoAnswer, Receiver
from wrapper.model.gate import Endpoint


def no_final_answer(incoming: Incoming) -> None:
    """Send an interim answer, and no final one."""
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
def test_a_failed_request_is_freed(play: Play | None) -> None:
    """A failed request and its batch do not stay in memory with the error."""
    with receiving() as stand_in:
        url = f"http://127.0.0.1:{free_port()}/" if play is None else stand_in.url
        if play is not None:
            stand_in.play = play
        receiver = Receiver(Endpoint("x", url, timeout_s=1.0), InFlight())
        assert not stays(lambda: receiver.send(b"x", ()), NoAnswer)
