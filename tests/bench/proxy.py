"""Measure the proxy: its latency, and its requests per second compared with Prometheus directly.

Two replicas run with real Prometheus on one lock file. wrk sends requests to the leader's
Prometheus directly, through the follower, through nginx and haproxy if they are installed, and
through each program of --peer, which runs as leader in front of the same Prometheus with the flags
of the Go prometheus-elector. All share the machine: quote shares within one run, and medians of
several runs.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import requests

from tests.bench.on_terminal import in_turn, parser, ratio, say, spread
from tests.real.parts import ApiServer, Etcd, Namespace, Program, program, started
from tests.real.replica import Replica, on_lease
from tests.support import free_port, wait_until

DIRECT, OWN = "direct", "prometheus-elector"
DROPPED_TARGETS = 70_000
SILENT_CLIENTS = 500
ARRIVED_S = 1.0  # until their connections are accepted
DELAYS = 200
ROOM = 4096  # connections: the default limit of Prometheus and of nginx is 512
ALONE = 1  # a case with one connection is measured without wrk, by at least DOWNLOADS requests
DOWNLOADS = 4
_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class Case(NamedTuple):
    """A request, and the number of connections."""

    name: str
    path: str
    connections: int


CASES = (
    Case("small query", "/api/v1/query?query=1", 16),
    Case("page", "/metrics", 16),
    Case("20 MB", "/api/v1/targets?state=dropped", ALONE),
)


@dataclass(frozen=True)
class Figures:
    """The results of wrk: requests a second, milliseconds at two quantiles, and failures."""

    rate: float
    p50_ms: float
    p99_ms: float
    failures: str


def wrk(url: str, connections: int, seconds: int) -> Figures:
    """Send requests continuously, over this number of connections."""
    words = [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    done = subprocess.run([*words, "--latency", url], capture_output=True, text=True, check=True)
    text = done.stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    failed = re.findall(r"(?:Non-2xx|Socket errors).*", text)
    assert rate, text
    return Figures(
        float(rate[1]), _quantile(text, "50%"), _quantile(text, "99%"), "; ".join(failed)
    )


def _quantile(text: str, name: str) -> float:
    found = re.search(rf"^\s+{name}\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE)
    return float(found[1]) * _UNITS_MS[found[2]] if found else float("nan")


def download(url: str, seconds: int) -> Figures:
    """Request a large answer repeatedly, and discard it."""
    begun, taken = time.perf_counter(), list[float]()
    while len(taken) < DOWNLOADS or time.perf_counter() < begun + seconds:
        start = time.perf_counter()
        with requests.get(url, headers={"Accept-Encoding": "identity"}, stream=True) as answer:
            answer.raise_for_status()
            while answer.raw.read(1 << 20):
                pass
        taken.append((time.perf_counter() - start) * 1e3)
    return Figures(1e3 / statistics.mean(taken), statistics.median(taken), max(taken), "")


def tool(name: str) -> str:
    """Return the path of a Debian tool; the environment names its libraries."""
    return program(name)


# --- the subjects ----------------------------------------------------------------------------


@contextmanager
def replicas(folder: Path) -> Iterator[tuple[Replica, Replica]]:
    """Run a leader with a large answer, and a follower with a proxy."""
    lock = f"--lease-lock=file:{folder / 'locks/election.lock'}"
    room = (f"--web.max-connections={ROOM}",)
    pair = [
        Replica(folder, name, lock, "--api-proxy-enabled", child_flags=room) for name in ("a", "b")
    ]
    for replica in pair:
        _add_dropped_targets(replica, folder / "targets.json")
    leader, follower = pair
    with started(leader):
        wait_until(lambda: leader.says_it_leads, 60, "the leader leads")
        with started(follower):
            follower.await_ready(60)
            url = follower.api + CASES[-1].path
            _await_size(url, 15_000_000)
            yield leader, follower


def _add_dropped_targets(replica: Replica, path: Path) -> None:
    """Let the leader discover many targets, and scrape none, for a large answer."""
    targets = [{"targets": [f"target-{n}.example:9100"]} for n in range(DROPPED_TARGETS)]
    path.write_text(json.dumps(targets))
    job = {
        "job_name": "dropped",
        "file_sd_configs": [{"files": [str(path)]}],
        "relabel_configs": [{"action": "drop", "regex": ".*"}],
    }
    with replica.config.open("a") as config:
        config.write(f"leader:\n  scrape_configs:\n  - {json.dumps(job)}\n")


def _await_size(url: str, size: int) -> None:
    """Wait until the answer has this size."""

    def is_large() -> bool:
        answer = requests.get(url, timeout=60)
        return answer.ok and len(answer.content) > size

    wait_until(is_large, 120, "the leader knows all targets", poll_s=1.0)


def nginx(folder: Path, upstream: str) -> tuple[Program, str]:
    """Return nginx in front of an upstream, with kept connections, and its URL."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes auto;"
        f"events {{ worker_connections {ROOM}; }}"
        f"http {{ access_log off; {temporary}"
        f"upstream up {{ server {upstream}; keepalive 64; }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up;"
        'proxy_max_temp_file_size 0; proxy_http_version 1.1; proxy_set_header Connection ""; } } }'
    )
    argv = [tool("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    return Program("nginx", [*map(str, argv)], folder), f"http://127.0.0.1:{port}"


def haproxy(folder: Path, upstream: str) -> tuple[Program, str]:
    """Return haproxy in front of an upstream, and its URL."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "haproxy.cfg").write_text(
        "defaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 3s\n"
        f"listen it\n  bind 127.0.0.1:{port}\n  server up {upstream}\n"
    )
    argv = [tool("haproxy"), "-f", str(folder / "haproxy.cfg")]
    return Program("haproxy", argv, folder), f"http://127.0.0.1:{port}"


def peer(binary: str, folder: Path, upstream: str, server: ApiServer) -> tuple[Program, str]:
    """Return a peer that leads, alone on its own Lease, in front of an upstream."""
    folder.mkdir(parents=True, exist_ok=True)
    namespace = Namespace(server, folder / "k8s", f"bench-{abs(hash(binary)) % 10_000}")
    address, port = f"127.0.0.1:{free_port()}", upstream.rpartition(":")[2]
    (folder / "elector.yml").write_text("follower: {}\nleader: {}\n")
    argv = ["env", "POD_NAME=peer", *binary.split(), f"-config={folder / 'elector.yml'}"]
    argv += [f"-output={folder / 'prometheus.yml'}", *on_lease(namespace)]
    argv += [f"-notify-http-url=http://{upstream}/-/healthy", "-notify-http-method=GET"]
    argv += [f"-api-listen-address={address}", "-api-proxy-enabled"]
    argv += [f"-api-proxy-prometheus-local-port={port}"]
    argv += ["-api-proxy-prometheus-service-name=none"]
    return Program("peer", argv, folder), f"http://{address}"


def subjects(stack: ExitStack, folder: Path, peers: list[str]) -> dict[str, str]:
    """Start all subjects; return their URLs, by name."""
    leader, follower = stack.enter_context(replicas(folder))
    urls = {DIRECT: leader.url, OWN: follower.api}
    for name, make in (("nginx", nginx), ("haproxy", haproxy)):
        try:
            part, url = make(folder / name, leader.address)
        except RuntimeError as error:
            say(f"without {name}: {error}")
            continue
        urls[name] = _begin(stack, part, url)
    if peers:
        etcd = stack.enter_context(started(Etcd(folder)))
        server = stack.enter_context(started(ApiServer(folder, etcd)))
        for number, binary in enumerate(peers):
            part, url = peer(binary, folder / f"peer-{number}", leader.address, server)
            urls[binary] = _begin(stack, part, url)
    else:
        say("without a peer: name one with --peer")
    return urls


def _begin(stack: ExitStack, part: Program, url: str) -> str:
    stack.enter_context(started(part))
    part.await_answer(url + CASES[0].path)
    return url


# --- measuring -------------------------------------------------------------------------------


def measure(case: Case, urls: dict[str, str], runs: int, seconds: int) -> None:
    """Measure all subjects in turn, run by run, and print medians."""
    for url in urls.values():  # warm up
        size = len(requests.get(url + case.path, timeout=60).content)

    def asked(url: str) -> Figures:
        if case.connections == ALONE:
            return download(url + case.path, seconds)
        return wrk(url + case.path, case.connections, seconds)

    found = in_turn(case.name, {name: partial(asked, url) for name, url in urls.items()}, runs)
    direct = [each.rate for each in found[DIRECT]]
    say(f"{case.name}: {size} bytes, {case.connections} connections, {runs} runs of {seconds} s")
    for name, figures in found.items():
        rates = [each.rate for each in figures]
        say(
            f"  {name:20.20} {spread(rates, 1)} requests/s  share {ratio(rates, direct)}"
            f"  p50 {_median(each.p50_ms for each in figures):7.2f} ms"
            f"  p99 {_median(each.p99_ms for each in figures):7.2f} ms"
            f"  {'; '.join(filter(None, (each.failures for each in figures)))}"
        )


def measure_silent(urls: dict[str, str], runs: int) -> None:
    """Measure and print the time of a request beside many silent clients."""
    ways = {name: partial(_alone_and_beside, url) for name, url in urls.items()}
    say(f"silent clients: {SILENT_CLIENTS}, {runs} runs of {DELAYS} requests; medians of runs")
    for name, found in in_turn("silent clients", ways, runs).items():
        for at, which in enumerate(("alone", "beside them")):
            p50, p99 = ([each[at][quantile] for each in found] for quantile in (0, 1))
            say(f"  {name:20.20} {which:11}  p50 {spread(p50)} ms  p99 {spread(p99)} ms")


def _alone_and_beside(url: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the delays without and with silent clients."""
    alone = _delays(url)
    with ExitStack() as stack:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for number in range(SILENT_CLIENTS):
            client = stack.enter_context(socket.create_connection(address))
            client.sendall(b"GET / HTTP/1.1\r\n"[: number % 2 * 16])
        time.sleep(ARRIVED_S)
        return alone, _delays(url)


def _delays(url: str) -> tuple[float, float]:
    """Return median and 99th percentile of requests on new connections, in milliseconds."""
    delays = []
    for _ in range(DELAYS):
        begun = time.perf_counter()
        requests.get(url + CASES[0].path, timeout=60).raise_for_status()
        delays.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(delays), statistics.quantiles(delays, n=100)[98]


def _median(values: Iterator[float]) -> float:
    return statistics.median(list(values))


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        urls = subjects(stack, Path(name), options.peer)
        for case in CASES:
            if options.only in case.name:
                measure(case, urls, options.runs, options.seconds)
        if options.only in "silent clients":
            measure_silent(urls, options.runs)
    return 0


def _options() -> argparse.Namespace:
    options = parser("proxy", __doc__, runs=5)
    options.add_argument("--seconds", type=int, default=4, help="length of a run (default 4)")
    options.add_argument("--only", default="", help="only cases whose name contains this")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
