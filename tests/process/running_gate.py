"""A real gate process: the test acts as its supervisor, and holds the listening socket."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from tests.support import now, wait_until
from wrapper.base.process import start_child
from wrapper.gate import channel
from wrapper.model.gate import Endpoint, EndpointReport, GateOrder, GateReport
from wrapper.options.gate_options import GateOptions

LIMIT_S = 20.0
V1 = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
V2 = {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


class RunningGate:
    """A gate process, its orders and its reports; it can be restarted on the same socket."""

    def __init__(self, log: Path, **options: Any) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.log = log
        self._options = {"memory_bytes": 4 << 20, "identity": "b", **options}
        self.newest = GateOrder()
        self.reports: list[GateReport] = []
        self.reads = threading.Event()  # set while the supervisor reads reports
        self.reads.set()
        self.start()

    def start(self) -> None:
        """Start the process with a new channel."""
        self.end, its = channel.pair()
        options = GateOptions(
            listen_fd=self.listener.fileno(),
            control_fd=its.fileno(),
            parent_pid=os.getpid(),
            **self._options,
        )
        inherited = (self.listener.fileno(), its.fileno())
        with self.log.open("ab") as log:
            self.process = start_child(options.command(), inherit=inherited, output=log.fileno())
        its.close()
        self._reader = threading.Thread(target=self._read, args=(self.end,), daemon=True)
        self._reader.start()

    def order(self, *endpoints: Endpoint, **changes: Any) -> None:
        """Send an order: the newest one with these changes."""
        if endpoints:
            changes["endpoints"] = endpoints
        self.newest = replace(self.newest, number=self.newest.number + 1, **changes)
        assert channel.send(self.end, self.newest)

    def open(self, *endpoints: Endpoint, for_s: float = 60.0, **changes: Any) -> None:
        """Open the gate for this many seconds, and wait until it reports that it is open."""
        self.order(*endpoints)
        self.await_report(lambda _: True, "the gate runs")
        self.order(open_until=now() + for_s, **changes)
        self.await_report(lambda report: report.is_open, "the gate is open")

    def close(self) -> None:
        """Close the gate, and wait until it reports that it is closed."""
        self.order(open_until=None)
        self.await_report(lambda report: not report.is_open, "the gate is closed")

    def await_report(self, is_wanted: Callable[[GateReport], bool], what: str) -> GateReport:
        """Wait for a report on the newest order that meets the condition, and return it."""

        def found() -> GateReport | None:
            report = self.reports[-1] if self.reports else None
            is_new = report is not None and report.order == self.newest.number
            return report if is_new and report is not None and is_wanted(report) else None

        try:
            report = wait_until(found, LIMIT_S, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.reports[-1:]}; log:\n{self.log_text}") from None
        assert report is not None
        return report

    def await_endpoint(
        self, is_wanted: Callable[[EndpointReport], bool], what: str, name: str = "x"
    ) -> EndpointReport:
        """Wait until the report of this endpoint meets the condition, and return it."""
        report = self.await_report(
            lambda report: any(each.name == name and is_wanted(each) for each in report.endpoints),
            what,
        )
        return next(each for each in report.endpoints if each.name == name)

    def counted(self, counter: str, least: float = 1, name: str = "x") -> float:
        """Wait until a counter has reached this value, and return it."""
        report = self.await_endpoint(
            lambda each: each.counters.get(counter, 0) >= least, f"{counter} ≥ {least}", name
        )
        return report.counters[counter]

    def url(self, name: str = "x") -> str:
        """Return the URL that remote_write sends to."""
        return f"http://127.0.0.1:{self.port}/gate/{name}"

    def post(
        self, body: bytes, fields: dict[str, str] | None = None, name: str = "x"
    ) -> requests.Response:
        """Send a batch as Prometheus would."""
        header = {"User-Agent": "Prometheus/2.42.0", **(fields or V1)}
        return requests.post(self.url(name), body, headers=header, timeout=LIMIT_S)

    @property
    def log_text(self) -> str:
        """The log of the process."""
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
        status = self.process.wait(LIMIT_S)
        self.reads.set()
        self._reader.join()
        self.end.close()
        return status

    def _read(self, end: socket.socket) -> None:
        while self.reads.wait() and (report := channel.receive_report(end)) is not None:
            self.reports.append(report)


@contextmanager
def running_gate(folder: Path, **options: Any) -> Iterator[RunningGate]:
    """Run a gate until the context ends."""
    gate = RunningGate(folder / "gate.log", **options)
    try:
        yield gate
    finally:
        gate.stop(signal.SIGKILL)
        gate.listener.close()
