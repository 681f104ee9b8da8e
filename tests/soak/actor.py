"""A thread that does something again and again until it is closed; an error of it is told."""

from __future__ import annotations

import threading
import traceback

from tests.soak.record import Record


class Actor:
    """Calls `turn` every ``pause_s`` in a thread of its own, until `close`."""

    pause_s = 1.0

    def __init__(self, name: str, record: Record) -> None:
        self.record = record
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self.over.set()
        if self._thread.is_alive():
            self._thread.join()

    def turn(self) -> None:
        """Do it once."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            while not self.over.is_set():
                self.turn()
                self.over.wait(self.pause_s)
        except Exception:  # noqa: BLE001 - the soak itself has failed, and says so
            self.record.failed(f"{self._thread.name}:\n{traceback.format_exc()}")
