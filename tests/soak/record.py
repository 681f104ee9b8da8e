"""The record of a soak test: a line of JSON for each event, and lines on the terminal."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.soak.facts import Fault, Outcome, Violation
from tests.support import now

MOST = 200  # violations that are printed; all are counted


class Record:
    """Writes to a file, if one is given, and to the terminal; all threads may use it.

    ``began_at`` is second 0 of all its times.
    """

    def __init__(self, file: Path | None) -> None:
        self.began_at = now()
        self.violations: list[Violation] = []
        self.faults: list[Fault] = []
        self.outcomes: list[Outcome] = []
        self.slow: list[Fault] = []  # periods in which the machine was too slow
        self.failures: list[str] = []  # of the soak test itself
        self._lock = threading.Lock()
        self._told: set[tuple[str, str, str]] = set()
        self._out = file.open("w", encoding="utf-8") if file else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._out:
            self._out.close()

    def say(self, text: str) -> None:
        """Print a line on the terminal."""
        with self._lock:
            sys.stdout.write(f"{now() - self.began_at:7.1f}  {text}\n")
            sys.stdout.flush()

    def note(self, event: str, **fields: Any) -> None:
        """Write a line of the record; times among the fields are since boot."""
        if self._out is None:
            return
        line = {"event": event, "t": round(now() - self.began_at, 3), **fields}
        with self._lock:
            if not self._out.closed:
                self._out.write(json.dumps(line, default=str) + "\n")
                self._out.flush()

    def begun(self, fault: Fault) -> None:
        """Record the beginning of a fault."""
        self.faults.append(fault)
        words = " ".join(f"{key}={value}" for key, value in fault.parameters.items())
        self.say(f"{fault.group:6} #{fault.number} {fault.kind} {' '.join(fault.targets)} {words}")
        self.note("fault", **self._fields(fault))

    def touching(self, *groups: str) -> list[Fault]:
        """Return all faults that may affect these groups, with the slow periods."""
        both = (*tuple(self.faults), *tuple(self.slow))
        return [fault for fault in both if fault.group in (*groups, "all")]

    def ended(self, fault: Fault, outcome: Outcome) -> None:
        """Record the result of a fault."""
        self.outcomes.append(outcome)
        lasted_s = round(fault.until - fault.since, 2)
        fields = outcome._asdict()
        self.note("fault ended", number=fault.number, lasted_s=lasted_s, **fields)

    def failed(self, text: str) -> None:
        """Record a failure of the soak test itself."""
        self.failures.append(text)
        self.say(f"FAILED  {text}")
        self.note("failed", text=text)

    def violated(self, violation: Violation) -> None:
        """Record a violation once."""
        key = (violation.check, violation.group, violation.text)
        with self._lock:
            if key in self._told:
                return
            self._told.add(key)
            self.violations.append(violation)
            count = len(self.violations)
        if count <= MOST:
            at = violation.at - self.began_at
            self.say(
                f"VIOLATION  {violation.group}: {violation.check}: at {at:.1f}: {violation.text}"
            )
        fields = dataclasses.asdict(violation) | {"at": round(violation.at - self.began_at, 3)}
        self.note("violation", **fields)

    def _fields(self, fault: Fault) -> dict[str, Any]:
        fields = dataclasses.asdict(fault)
        return fields | {"since": round(fault.since - self.began_at, 3), "until": None}


def today() -> str:
    """Return the date and time, for the first line of a record."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
