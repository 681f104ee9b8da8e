"""A program with the Go prometheus-elector's flags, as a sidecar of a Prometheus."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.real.gap import Writers
from tests.real.parts import Program, program
from tests.real.replica import Replica
from tests.support import wait_until


class Sidecar(Replica):
    """A pod with two containers: the elector, and its Prometheus."""

    def __init__(self, binary: str, folder: Path, name: str, *flags: str) -> None:
        super().__init__(folder, name)
        folder = folder / name
        self.output.write_text("global: {scrape_interval: 1s}\n")
        argv = ["env", f"TMPDIR={self.temporary}", program("prometheus"), "--web.enable-lifecycle"]
        argv += [f"--config.file={self.output}", f"--storage.tsdb.path={folder / 'data'}"]
        argv += [f"--web.listen-address={self.address}"]
        self._prometheus = Program("prometheus", argv, folder)
        argv = ["env", f"TMPDIR={self.temporary}", f"POD_NAME={name}", *binary.split()]
        argv += [f"-config={self.config}", f"-output={self.output}", *flags]
        argv += [f"-notify-http-url={self.url}/-/reload"]
        argv += [f"-readiness-http-url={self.url}/-/ready", "-readiness-poll-period=5s"]
        argv += [f"-healthcheck-http-url={self.url}/-/healthy"]
        self.argv = [*argv, f"-api-listen-address={self.api.removeprefix('http://')}"]

    def start(self) -> None:
        """Start both."""
        self._prometheus.start()
        super().start()

    def await_ready(self, timeout_s: float = 15) -> None:
        """Wait until Prometheus is ready and the elector answers."""
        self._prometheus.await_answer(f"{self.url}/-/ready")
        wait_until(lambda: self.says_it_leads or True, timeout_s, f"{self.name} answers")

    def add_flags(self, *flags: str) -> None:
        """Add flags to the elector's command."""
        self.argv += flags

    def term(self) -> None:
        """Stop both, as the kubelet does when it ends a pod."""
        if self._prometheus.process is not None:
            self._prometheus.process.terminate()
        super().term()

    def await_end(self, timeout_s: float = 15) -> int:
        """Wait until both have ended."""
        self._prometheus.stop(timeout_s=timeout_s)
        return super().await_end(timeout_s)

    def family(self) -> list[psutil.Process]:
        """Return both processes."""
        return [*super().family(), psutil.Process(self._prometheus.pid)]


class PeerWriters(Writers):
    """Replicas of a peer, without the features that it does not have."""

    def build(self, name: str, *flags: str) -> Replica:
        """Return a sidecar with these flags."""
        return Sidecar(self.setup.program, self.folder, name, *flags)

    def own_flags(self) -> tuple[str, ...]:
        """Return no flags, because those are only this program's."""
        return ()
