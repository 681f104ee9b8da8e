"""A thread that repeats an action until it is closed, and records its errors."""

from __future__ import annotations

import threading
import traceback

from tests.soak.record import Record


class Actor:
    """Calls `turn` every ``pause_s`` in its own thread, until `close`."""

    pause_s = 1.0

    def __init__(self, name: str, record: Record) -> None:
        self.record = record
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and wait until it has ended."""
        self.over.set()
        if self._thread.is_alive():
            self._thread.join()

    def turn(self) -> None:
        """Do the action once."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            while not self.over.is_set():
                self.turn()
                self.over.wait(self.pause_s)
        except Exception:  # noqa: BLE001 - the soak test itself has failed, and reports it
            self.record.failed(f"{self._thread.name}:\n{traceback.format_exc()}")
