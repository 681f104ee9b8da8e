"""Receivers of remote_write whose samples tests can read: Prometheus and VictoriaMetrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import requests

from tests.real.account import Sample
from tests.real.parts import Program, Receiver, program
from tests.support import free_port


class Store(Protocol):
    """A receiver: a program that accepts remote_write at ``write_url`` and returns its samples."""

    kind: str
    write_url: str

    def samples(self, job: str, name: str = "") -> dict[str, list[Sample]]:
        """Return the samples of a job, or of one metric, by name and labels, oldest first."""
        ...

    def refused(self) -> float:
        """Return how many requests or samples it has refused, by its own metrics."""
        ...

    def start(self) -> None:
        """Start it and wait until it answers."""

    def stop(self) -> int:
        """Stop it with SIGTERM; its data stays."""
        ...

    def freeze(self) -> None:
        """Stop it with SIGSTOP."""

    def thaw(self) -> None:
        """Continue it with SIGCONT."""


class PrometheusStore(Receiver):
    """A Prometheus as receiver, without an out-of-order window: it refuses older samples.

    ``binary`` is a Prometheus other than that of the tests.
    """

    def __init__(self, folder: Path, binary: str = "") -> None:
        super().__init__(folder)
        self.kind = "Prometheus"
        if binary:
            self.argv[0] = binary

    def samples(self, job: str, name: str = "") -> dict[str, list[Sample]]:
        """Return its samples of the last hour, without stale markers."""
        return matrix(self.query(f"{selector(job, name)}[1h]"))

    def refused(self) -> float:
        """Return how many requests it answered with 400."""
        return metric(
            f"{self.url}/metrics", "prometheus_http_requests_total", 'code="400"', "write"
        )


class VictoriaStore(Program):
    """VictoriaMetrics: it answers 204 to everything, and stores duplicates."""

    def __init__(self, folder: Path) -> None:
        self.kind = "VictoriaMetrics"
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.write_url = f"{self.url}/api/v1/write"
        argv = [program("victoria-metrics"), f"-storageDataPath={folder / 'data'}"]
        argv += [
            f"-httpListenAddr={self.address}",
            "-retentionPeriod=1d",
            "-memory.allowedBytes=256MB",
        ]
        super().__init__("victoria-metrics", argv, folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        super().start()
        self.await_answer(f"{self.url}/health")

    def samples(self, job: str, name: str = "") -> dict[str, list[Sample]]:
        """Return all its samples, after a flush of the newest."""
        requests.get(f"{self.url}/internal/force_flush", timeout=10).raise_for_status()
        answer = requests.get(
            f"{self.url}/api/v1/export", params={"match[]": selector(job, name)}, timeout=10
        )
        answer.raise_for_status()
        found: dict[str, list[Sample]] = {}
        for line in answer.text.splitlines():
            block = json.loads(line)
            pairs = zip(block["timestamps"], block["values"], strict=True)
            kept = [(at, float(value)) for at, value in pairs if value is not None]  # stale markers
            found.setdefault(_name(block["metric"]), []).extend(kept)
        return {name: sorted(samples) for name, samples in found.items()}

    def refused(self) -> float:
        """Return the rows that it dropped; it refuses no request."""
        return metric(f"{self.url}/metrics", "vm_rows_ignored_total")


def metric(url: str, name: str, *words: str) -> float:
    """Return the sum of a metric's values in lines with all these words."""
    lines = requests.get(url, timeout=5).text.splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith(name) and all(word in line for word in words)
    )


def matrix(result: Iterable[Mapping[str, Any]]) -> dict[str, list[Sample]]:
    """Return the samples of a query's result, by name and labels."""
    return {
        _name(each["metric"]): [(round(at * 1000), float(value)) for at, value in each["values"]]
        for each in result
    }


def selector(job: str, name: str) -> str:
    """Return the selector of a job, or of one of its metrics."""
    return f'{{job="{job}"' + (f',__name__="{name}"}}' if name else "}")


def _name(metric: Mapping[str, Any]) -> str:
    labels = ",".join(f'{k}="{v}"' for k, v in sorted(metric.items()) if k != "__name__")
    return f"{metric['__name__']}{{{labels}}}"
