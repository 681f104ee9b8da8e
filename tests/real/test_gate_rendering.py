"""A rendering with the gate, loaded by Prometheus and checked by promtool."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.real.parts import Prometheus, program, started
from tests.support import wait_until
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.render import render
from wrapper.documents.source import Source

# Fields that 2.42 has too. The files are for the gate: Prometheus does not need them.
ENTRIES = """\
follower:
  global: {scrape_interval: 100ms}
  scrape_configs: [{job_name: self, static_configs: [{targets: ['{address}']}]}]
leader:
  remote_write:
  - &plain
    url: https://user:password@receiver.test/api/v1/push?tenant=a
    queue_config: {batch_send_deadline: 100ms, min_backoff: 30ms, max_backoff: 100ms}
    tls_config: {ca_file: none.pem, cert_file: none.pem, key_file: none.key, server_name: r}
    follow_redirects: false
    enable_http2: false
  - <<: *plain
    name: a/b c%é
    proxy_url: http://user:password@proxy.test:3128
    remote_timeout: 1m
    headers: {X-Tenant: a}
    authorization: {credentials: secret}
    write_relabel_configs: [{action: drop, source_labels: [__name__], regex: go_.*}]
    metadata_config: {send: false}
"""


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """Give the URL of a server instead of the gate, and the paths of its requests."""
    targets: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            targets.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", targets
    server.shutdown()
    server.server_close()
    thread.join()


def test_prometheus_sends_to_the_gate(tmp_path: Path, asked: tuple[str, list[str]]) -> None:
    """Prometheus sends each entry to its own path of the gate, encoded once."""
    url, targets = asked
    gate = GateSettings(url, str(tmp_path))
    renderings = render(Source("c.yml", ENTRIES.encode()), gate).renderings
    assert not renderings.has_overrides
    expected = {gate.url_of(each.name).removeprefix(url) for each in renderings.follower.endpoints}
    assert "/gate/a%2Fb%20c%25%C3%A9" in expected
    prometheus = Prometheus(tmp_path / "p", renderings.follower.content.decode())
    with started(prometheus):
        wait_until(lambda: expected <= set(targets), 30, "all entries are sent")
        assert set(targets) == expected
        assert "prometheus-elector gate" not in prometheus.applied_config()
        assert "receiver.test" not in prometheus.applied_config()


def test_check_by_promtool_and_by_a_start(tmp_path: Path) -> None:
    """`check` with promtool and --start accepts a rendering with the gate."""
    (tmp_path / "none.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "none.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "c.yml").write_text(ENTRIES.replace("{address}", "127.0.0.1:1"))
    promtool = f"--config-check={program('promtool')}"
    words = [f"--config={tmp_path}/c.yml", "--remote-write-gate", "--start", promtool]
    child = ["--", program("prometheus"), f"--config.file={tmp_path}/p.yml"]
    done = subprocess.run(
        [sys.executable, "-m", "wrapper", "check", *words, *child],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "check config\n  follower  accepted\n" in done.stdout
    assert ", started for a moment\n  follower  accepted\n" in done.stdout
    assert "  leader    the same as the follower's\n" in done.stdout
    assert "password" not in done.stdout
