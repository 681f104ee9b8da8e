"""Run two replicas with real Prometheus on one lock file, and a Prometheus that receives samples.

Start it with `scripts/run`, which provides what it needs. All processes and files use one temporary
folder and free ports of loopback, and are removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

T = TypeVar("T")

READY_WITHIN_S = 60.0
HANDOVER_WITHIN_S = 30.0
SAMPLES_WITHIN_S = 30.0
STOP_WITHIN_S = 30.0

FOLLOWER = """\
follower:
  global:
    scrape_interval: 1s
    external_labels:
      replica: {name}
  scrape_configs:
    - job_name: prometheus
      static_configs:
        - targets: ["127.0.0.1:{port}"]
leader:
  remote_write:
    - url: http://127.0.0.1:{receiver}/api/v1/write
"""


class Failed(Exception):
    """The demonstration did not show what it should."""


@dataclass
class Replica:
    """One prometheus-elector with its Prometheus."""

    name: str
    prometheus_port: int
    api_port: int
    process: subprocess.Popen[bytes]

    def leads(self) -> bool:
        """Tell whether it says that it leads."""
        with contextlib.suppress(requests.RequestException, ValueError):
            url = f"http://127.0.0.1:{self.api_port}/_elector/leader"
            return bool(requests.get(url, timeout=2).json().get("is_leader"))
        return False

    def is_running(self) -> bool:
        """Tell whether its process is there."""
        return self.process.poll() is None


def main() -> int:
    """Run until Ctrl-C, or one hand-over with ``--demo``; return the exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as folder:
        try:
            with _fleet(Path(folder), options) as (replicas, receiver):
                return _demonstrate(replicas, receiver) if options.demo else _attend(replicas)
        except Failed as problem:
            _say(f"FAILED: {problem}")
            _show_logs(Path(folder))
            return 1
        except KeyboardInterrupt:
            _say("stopped")
            return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__.partition("\n")[0])
    parser.add_argument("--demo", action="store_true", help="perform one hand-over, then exit")
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="the first of five consecutive ports (default: free ports)",
    )
    return parser.parse_args()


# --- the fleet ---


@contextlib.contextmanager
def _fleet(folder: Path, options: argparse.Namespace) -> Iterator[tuple[list[Replica], str]]:
    ports = _ports(options.port)
    with contextlib.ExitStack() as stack:
        receiver = _start_receiver(stack, folder, ports[0])
        replicas = [
            _start_replica(stack, folder, name, (port, api_port), (ports[0], *ports[2::2]))
            for name, port, api_port in (("a", *ports[1:3]), ("b", *ports[3:5]))
        ]
        _introduce(replicas, receiver, folder)
        yield replicas, receiver


def _ports(first: int) -> list[int]:
    """Return five ports: free ones, or those asked for, each of which has to be free."""
    with contextlib.ExitStack() as stack:
        found = []
        for offset in range(5):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted = first + offset if first else 0
            try:
                listener.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise Failed(
                    f"port {wanted} is not free ({error.strerror}); "
                    "give another with --port, or none to have free ones chosen"
                ) from None
            found.append(listener.getsockname()[1])
        return found


def _start_receiver(stack: contextlib.ExitStack, folder: Path, port: int) -> str:
    config = folder / "receiver.yml"
    config.write_text("global: {}\n", encoding="utf-8")
    command = (
        _prometheus(),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'receiver'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    )
    _start(stack, command, folder / "receiver.log")
    return f"http://127.0.0.1:{port}"


def _start_replica(
    stack: contextlib.ExitStack,
    folder: Path,
    name: str,
    ports: tuple[int, int],
    others: tuple[int, ...],
) -> Replica:
    port, api_port = ports
    receiver, *apis = others
    config = folder / f"{name}.yml"
    config.write_text(FOLLOWER.format(name=name, port=port, receiver=receiver), encoding="utf-8")
    command = (
        sys.executable,
        "-m",
        "wrapper",
        f"--config={config}",
        f"--lease-lock=file:{folder / 'election.lock'}",
        f"--api-listen-address=127.0.0.1:{api_port}",
        "--api-proxy-enabled",
        "--peers=" + ",".join(f"http://127.0.0.1:{each}" for each in apis),
        "--",
        _prometheus(),
        f"--config.file={folder / name}.prometheus.yml",
        f"--storage.tsdb.path={folder / name}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    environment = {**os.environ, "POD_NAME": f"replica-{name}"}
    process = _start(stack, command, folder / f"{name}.log", environment)
    return Replica(name, port, api_port, process)


def _prometheus() -> str:
    return os.environ.get("PROMETHEUS", "prometheus")


def _start(
    stack: contextlib.ExitStack,
    command: tuple[str, ...],
    log: Path,
    environment: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process with its output in a file, to be ended with the stack."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        command, stdout=output, stderr=output, env=environment, process_group=0
    )
    stack.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _introduce(replicas: list[Replica], receiver: str, folder: Path) -> None:
    leader = _await(lambda: _leader(replicas), READY_WITHIN_S, "no replica leads")
    for replica in replicas:
        role = "leads and writes to the receiver" if replica is leader else "follows"
        _say(f"replica {replica.name} {role}")
        _say(f"  Prometheus        http://127.0.0.1:{replica.prometheus_port}")
        _say(f"  elector           http://127.0.0.1:{replica.api_port}/_elector/")
        _say(f"  proxy to the leader's Prometheus  http://127.0.0.1:{replica.api_port}/")
        _say(f"  to stop it        kill -TERM {replica.process.pid}")
    _say(f"the receiver        {receiver}/graph?g0.expr=up")
    _say(f"logs and data       {folder}")


# --- what is shown ---


def _attend(replicas: list[Replica]) -> int:
    """Print each change of leader until Ctrl-C, or until no replica is running."""
    _say("Press Ctrl-C to exit. Stop the leader to see a hand-over.")
    leader = _leader(replicas)
    alive = [replica for replica in replicas if replica.is_running()]
    while alive:
        time.sleep(0.1)
        for replica in [replica for replica in alive if not replica.is_running()]:
            _say(f"replica {replica.name} exited with status {replica.process.returncode}")
            alive.remove(replica)
        now_leads = _leader(alive)
        if now_leads is not leader:
            _say(f"replica {now_leads.name} leads" if now_leads else "nobody leads")
            leader = now_leads
    _say("no replica is running any more")
    return 0


def _demonstrate(replicas: list[Replica], receiver: str) -> int:
    """Stop the leader in order; fail unless the receiver has samples from before and from after."""
    old = _await(lambda: _leader(replicas), READY_WITHIN_S, "no replica leads")
    new = next(replica for replica in replicas if replica is not old)
    _await(lambda: _samples(receiver, old), SAMPLES_WITHIN_S, f"no sample from replica {old.name}")
    if _samples(receiver, new):
        raise Failed(f"replica {new.name} is a follower, but has written samples")
    own = _samples(receiver, old)
    _say(f"the receiver has {own} samples from replica {old.name}, none from {new.name}")
    stopped_at = time.monotonic()
    _say(f"stopping replica {old.name} (SIGTERM)")
    old.process.terminate()
    _await(new.leads, HANDOVER_WITHIN_S, f"replica {new.name} did not take over")
    _say(f"replica {new.name} leads after {time.monotonic() - stopped_at:.2f} s")
    _await(lambda: _samples(receiver, new), SAMPLES_WITHIN_S, f"no sample from replica {new.name}")
    _say(f"its first sample reached the receiver after {time.monotonic() - stopped_at:.2f} s")
    status = old.process.wait(STOP_WITHIN_S)
    took_s = time.monotonic() - stopped_at
    _say(f"replica {old.name} exited with status {status} after {took_s:.2f} s")
    if status != 0:
        raise Failed(f"replica {old.name} should have exited with status 0")
    _say("passed: one writer before the hand-over, one writer after it")
    return 0


def _leader(replicas: list[Replica]) -> Replica | None:
    return next((replica for replica in replicas if replica.leads()), None)


def _samples(receiver: str, replica: Replica) -> int:
    """Return how many samples of ``up`` the receiver has from a replica."""
    query = f'count_over_time(up{{replica="{replica.name}"}}[5m])'
    with contextlib.suppress(requests.RequestException, ValueError, KeyError):
        url = f"{receiver}/api/v1/query"
        found = requests.get(url, params={"query": query}, timeout=2).json()["data"]["result"]
        return int(found[0]["value"][1]) if found else 0
    return 0


def _await(look: Callable[[], T | None], within_s: float, otherwise: str) -> T:
    """Return what ``look`` returns as soon as it is something; raise Failed when time is up."""
    ends_at = time.monotonic() + within_s
    while time.monotonic() < ends_at:
        if found := look():
            return found
        time.sleep(0.02)
    raise Failed(f"{otherwise} within {within_s:g} s")


def _say(text: str) -> None:
    stamp = time.strftime("%H:%M:%S")
    print(f"{stamp} {text}", flush=True)  # noqa: T201 - this is what it is for


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-20:]
        print(f"--- {log.name}", *tail, sep="\n")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
