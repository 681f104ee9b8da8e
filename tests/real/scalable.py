"""Receivers that store in several components, each here in one process: Cortex and Thanos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.real.account import Sample
from tests.real.parts import Program, program, query
from tests.real.receivers import matrix, metric, selector
from tests.support import free_port

CORTEX = """
auth_enabled: false
server: {{http_listen_address: 127.0.0.1, http_listen_port: {http},
  grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: warn}}
distributor: {{shard_by_all_labels: true, remote_writev2_enabled: true}}
ingester: {{lifecycler: {{address: 127.0.0.1, min_ready_duration: 0s, final_sleep: 0s,
  ring: {{kvstore: {{store: inmemory}}, replication_factor: 1}}}}}}
blocks_storage: {{backend: filesystem, filesystem: {{dir: {folder}/blocks}},
  tsdb: {{dir: {folder}/tsdb}}, bucket_store: {{sync_dir: {folder}/sync}}}}
compactor: {{data_dir: {folder}/compactor, sharding_ring: {{kvstore: {{store: inmemory}}}}}}
querier: {{active_query_tracker_dir: {folder}/queries}}
ruler: {{rule_path: {folder}/rule-files}}
ruler_storage: {{backend: local, local: {{directory: {folder}/rules}}}}
alertmanager: {{external_url: "http://localhost/alerts", data_dir: {folder}/alerts}}
alertmanager_storage: {{backend: local, local: {{path: {folder}/alerts}}}}
memberlist: {{bind_addr: [127.0.0.1], bind_port: {gossip}}}
"""


class CortexStore(Program):
    """Cortex: it answers 400 if it refuses a sample, and stores the rest of the request."""

    def __init__(self, folder: Path) -> None:
        self.kind = "Cortex"
        self.url = f"http://127.0.0.1:{(http := free_port())}"
        self.write_url = f"{self.url}/api/v1/push"
        for name in ("rules", "alerts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        config = folder / "cortex.yml"
        ports = {"http": http, "grpc": free_port(), "gossip": free_port()}
        config.write_text(CORTEX.format(folder=folder, **ports))
        super().__init__("cortex", [program("cortex"), f"-config.file={config}"], folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        super().start()
        self.await_answer(f"{self.url}/ready")

    def samples(self, job: str, name: str = "") -> dict[str, list[Sample]]:
        """Return its samples of the last hour, without stale markers."""
        return matrix(query(f"{self.url}/prometheus", f"{selector(job, name)}[1h]"))

    def refused(self) -> float:
        """Return how many requests it answered with 400."""
        return metric(
            f"{self.url}/metrics",
            "cortex_request_duration_seconds_count",
            'route="api_v1_push"',
            'status_code="400"',
        )


class ThanosStore(Program):
    """Thanos: a receiver that stores, and a second process that answers queries.

    It answers 409 if it refuses a sample, and stores the rest of the request.
    """

    def __init__(self, folder: Path) -> None:
        self.kind = "Thanos"
        thanos = program("thanos")
        http, write, grpc, asked = (f"127.0.0.1:{free_port()}" for _ in range(4))
        self.url = f"http://{http}"
        self.write_url = f"http://{write}/api/v1/receive"
        argv = [thanos, "receive", f"--tsdb.path={folder / 'data'}", '--label=receive="here"']
        argv += [f"--http-address={http}", f"--remote-write.address={write}"]
        argv += [f"--grpc-address={grpc}", "--tsdb.retention=1d", "--log.level=warn"]
        super().__init__("thanos-receive", argv, folder)
        asks = [thanos, "query", f"--endpoint={grpc}", f"--http-address={asked}"]
        asks += [f"--grpc-address=127.0.0.1:{free_port()}", "--log.level=warn"]
        self._querier = Program("thanos-query", asks, folder)
        self._asked = f"http://{asked}"

    def start(self) -> None:
        """Start both and wait until they answer."""
        super().start()
        self.await_answer(f"{self.url}/-/ready")
        if not self._querier.is_running:
            self._querier.start()
            self._querier.await_answer(f"{self._asked}/-/ready")

    def stop(self, *how: Any, **options: Any) -> int:
        """Stop the receiver and the querier."""
        self._querier.kill()
        return super().stop(*how, **options)

    def samples(self, job: str, name: str = "") -> dict[str, list[Sample]]:
        """Return its samples of the last hour, without the labels that it adds."""
        found = query(self._asked, f"{selector(job, name)}[1h]")
        return matrix([{**each, "metric": _as_sent(each["metric"])} for each in found])

    def refused(self) -> float:
        """Return how many requests it answered with 409."""
        return metric(
            f"{self.url}/metrics", "http_requests_total", 'code="409"', 'handler="receive"'
        )


def _as_sent(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name not in ("receive", "tenant_id")}
