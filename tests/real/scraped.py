"""A target whose scrapes are numbered, so that a sample identifies its scrape."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

HANGS_UP_S = 0.2
NUMBER = "scrape_number"  # the metric whose value is the number of the scrape


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape: its number, its replica, and when its request arrived (ms since 1970)."""

    number: int
    by: str
    at_ms: int


class Target:
    """Answers ``/metrics?by=REPLICA``; values depend only on the time and the number of scrapes.

    ``by`` becomes no label: the replicas' series are the same. But it is part of the URL, from
    which Prometheus derives the time within the interval at which it scrapes: replicas on one
    machine scrape at different times, as those on different machines do. ``hung_up`` has the
    numbers of scrapes whose client disconnected within HANGS_UP_S, which a bad network delivered
    late.
    """

    def __init__(self, series: int = 20, host: str = "127.0.0.1") -> None:
        self.series = series
        self.scrapes: list[Scrape] = []
        self.hung_up: set[int] = set()
        self._numbers = itertools.count(1)
        self._started_at = time.time()
        self._server = _Server((host, 0), self._handler())
        self.address = f"{host}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def job(self, by: str, interval_s: float) -> str:
        """Return the scrape job of a replica, as an item of ``scrape_configs``."""
        return (
            f"job_name: scraped, scrape_interval: {interval_s:g}s, "
            f"scrape_timeout: {interval_s:g}s, params: {{by: [{by}]}}, "
            f"static_configs: [{{targets: ['{self.address}']}}]"
        )

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def scraped(self, by: str) -> int:
        """Record a scrape and return its number."""
        scrape = Scrape(next(self._numbers), by, round(time.time() * 1000))
        self.scrapes.append(scrape)
        return scrape.number

    def page(self, number: int) -> bytes:
        """Return the answer to a scrape."""
        elapsed = time.time() - self._started_at
        lines = [f"{NUMBER} {number}", "# TYPE load_total counter"]
        lines += [f'load_total{{part="{n}"}} {elapsed * (n + 1):.3f}' for n in range(self.series)]
        return ("\n".join(lines) + "\n").encode()

    def _handler(target) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the request's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            number, at = 0, 0.0

            def do_GET(self) -> None:
                self.number = target.scraped(parse_qs(urlsplit(self.path).query)["by"][0])
                self.at = time.monotonic()
                page = target.page(self.number)
                with contextlib.suppress(OSError):  # the replica may be killed at any time
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain; version=0.0.4")
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    self.wfile.write(page)

            def finish(self) -> None:
                if time.monotonic() - self.at < HANGS_UP_S:
                    target.hung_up.add(self.number)
                with contextlib.suppress(OSError):
                    super().finish()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Print nothing: a Prometheus may be killed at any time."""
