"""A soak that is ended while it starts ends all its programs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.real.parts import Program
from tests.soak.record import Record
from tests.soak.stage import EndedEarly, Stage
from tests.support import wait_until


def test_a_soak_can_be_ended_while_it_starts(tmp_path: Path) -> None:
    """When a soak is ended during its start, no further program starts, and all end."""
    over = threading.Event()
    before = set(Program.running)

    def end() -> None:
        wait_until(lambda: set(Program.running) - before, 30, "a part is started", 0.005)
        over.set()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(EndedEarly), Stage(tmp_path, Record(None), over):
        pass
    ending.join()
    assert set(Program.running) == before
    assert not (tmp_path / "store").exists()
