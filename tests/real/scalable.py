"""Cortex as a receiver: all its parts in one process."""

from __future__ import annotations

from pathlib import Path

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
    """Cortex: what it refuses, 400 says, and the rest of the request is stored."""

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
        """Return what it has of the last hour; stale markers are left out."""
        return matrix(query(f"{self.url}/prometheus", f"{selector(job, name)}[1h]"))

    def refused(self) -> float:
        """Return the requests that it answered with 400."""
        return metric(
            f"{self.url}/metrics",
            "cortex_request_duration_seconds_count",
            'route="api_v1_push"',
            'status_code="400"',
        )
