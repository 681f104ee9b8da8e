"""Measure the cost of rendering and changing a configuration, and the delay of a change.

Rendering: configurations of 100, 1,000 and 10,000 scrape jobs (3.4 MB), as one file and as a whole
file with --leader-config, each in fresh processes. "us/job" is constant if the cost is linear; it
is CPU time, which other load on the machine affects less. "different" are jobs of which no two have
the same keys. A pause is how long another thread waits, such as the one that renews the lease, in
CPU time of the process: p99 and the longest.
Changing: one job, one value of the leader's part, and the replacement of the output by the other
rendering.
Delay: from the rename of a ConfigMap's ..data to the request that makes Prometheus reload, for a
small configuration; an HTTP endpoint takes Prometheus' place. Programs of --peer take the flags of
the Go prometheus-elector; they render one role with -init, and are elected on a real Lease.
Quote medians. Memory is resident memory in MiB; the peak of a program is never reported below the
benchmark's own, about 30. All figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench.on_terminal import in_turn, parser, ratio, say, spread
from tests.real.parts import ApiServer, Etcd, Namespace, Program, started
from tests.real.replica import on_lease
from tests.support import free_port, wait_until

SIZES = (100, 1_000, 10_000)
SMALL = 10
FORMS = ("one file", "--leader-config", "… different")
PAUSE_S = 1.5  # between two swaps, so that none belongs to a burst
JOB = """\
- job_name: service-{number:05d}
  scrape_interval: 30s
  metrics_path: /internal/metrics
  static_configs:
  - targets: ["app-{number:05d}-0.example:9100", "app-{number:05d}-1.example:9100"]
    labels: {{team: team-{team}, tier: backend}}
  relabel_configs:
  - source_labels: [__address__]
    regex: (.+):\\d+
    target_label: instance
"""
GLOBAL = "global:\n  external_labels: {{edit: '{edit}'}}\n"
LEADER = """\
global:
  external_labels: {replica: one}
remote_write:
- url: http://receiver.example/api/v1/push
"""


# --- configurations -------------------------------------------------------------------------------


def follower(jobs: int, edit: int = 0) -> str:
    """Return a complete Prometheus configuration."""
    items = "".join(JOB.format(number=number, team=number % 40) for number in range(jobs))
    return GLOBAL.format(edit=edit) + "scrape_configs:\n" + items


def one_file(jobs: int, edit: int = 0) -> str:
    """Return both parts in one file, indented."""
    parts = (("follower", follower(jobs, edit)), ("leader", LEADER))
    return "".join(
        f"{name}:\n  " + text.rstrip().replace("\n", "\n  ") + "\n" for name, text in parts
    )


def different(jobs: int) -> str:
    """Return a complete configuration in which no two jobs have the same keys."""
    head, *parts = follower(jobs).split("tier: backend")
    return head + "".join(f"tier_{number}: backend{part}" for number, part in enumerate(parts))


def write_forms(folder: Path, jobs: int) -> dict[str, list[Path]]:
    """Write a configuration in both forms; return the files of each."""
    folder.mkdir(parents=True)
    texts = {"one.yml": one_file(jobs), "whole.yml": follower(jobs), "leader.yml": LEADER}
    texts["different.yml"] = different(jobs)
    for name, text in texts.items():
        (folder / name).write_text(text)
    one, whole, leader, unlike = (folder / name for name in texts)
    return {
        "one file": [one],
        "--leader-config": [whole, leader],
        "… different": [unlike, leader],
    }


# --- rendering ------------------------------------------------------------------------------------


def measured(kind: str, paths: Sequence[Path], runs: int) -> dict[str, float]:
    """Return the medians of the values that fresh processes measure."""
    argv = [sys.executable, "-m", "tests.bench.one_rendering", kind, *map(str, paths)]
    found = [json.loads(subprocess.check_output(argv)) for _ in range(runs)]
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def render(folder: Path, jobs: int, runs: int) -> None:
    """Measure both renderings of a configuration of this size, in all forms."""
    for form, paths in write_forms(folder, jobs).items():
        disk, pure = measured("from_disk", paths, runs), measured("pure", paths, runs)
        per_job = disk["cpu"] / jobs * 1e6
        say(
            f"{jobs:6,} jobs {_megabytes(paths):4.1f} MB  {form:16} both renderings "
            f"{disk['seconds']:6.3f} s (CPU {disk['cpu']:6.3f} s, {per_job:4.0f} us/job), "
            f"pure part {pure['seconds']:6.3f} s; memory {disk['before']:3.0f} before, "
            f"peak {disk['peak']:3.0f} (+{disk['peak'] - disk['before']:.0f}), "
            f"kept {disk['kept']:3.0f} MiB; {_pauses(disk)}"
        )


def edit(folder: Path, jobs: int, runs: int) -> None:
    """Measure an edit of one job, in all forms."""
    for form in FORMS:
        found = []
        for run in range(runs):
            paths = write_forms(folder / f"{FORMS.index(form)}-{run}", jobs)[form]
            found.append(measured("edit", paths, 1))
        took = {name: statistics.median(each[name] for each in found) for name in found[0]}
        say(
            f"{jobs:6,} jobs          {form:16} one job edited "
            f"{took['seconds'] * 1e3:7.1f} ms (CPU {took['cpu'] * 1e3:6.1f} ms); {_pauses(took)}"
        )


def _pauses(took: Mapping[str, float]) -> str:
    return f"pause p99 {took['pause_p99']:4.1f}, longest {took['pause']:4.1f} ms"


def change(folder: Path, jobs: int, runs: int) -> None:
    """Measure a change of one value of the leader, and a change of role, in two forms."""
    for form in ("--leader-config", "one file"):
        found = []
        for run in range(runs):
            paths = write_forms(folder / f"{form.strip('-')}-{run}", jobs)[form]
            found.append(measured("change", paths, 1))
        edit, role = (
            statistics.median(each[name] for each in found) for name in ("seconds", "role")
        )
        say(
            f"{jobs:6,} jobs          {form:16} a leader value changed {edit * 1e3:7.1f} ms;"
            f" change of role (the output written) {role * 1e3:6.1f} ms"
        )


def run_once(kinds: Mapping[str, str], folder: Path, jobs: int, runs: int) -> None:
    """Measure programs, in turn, that write the follower's rendering and exit."""
    config = write_forms(folder, jobs)["one file"][0]
    words = [f"-config={config}", f"-output={config.parent / 'out.yml'}", "-init"]
    words += ["-notify-http-url=http://127.0.0.1:1/"]
    ways = {name: partial(_resources, [*kind.split(), *words]) for name, kind in kinds.items()}
    found = in_turn(f"{jobs:,} jobs, -init", ways, runs)
    own, *_ = found.values()
    for name, figures in found.items():
        seconds = [each[0] for each in figures]
        say(
            f"{jobs:6,} jobs  {name:20.20} started, rendered, one written, ended: "
            f"{spread(seconds, 3)} s  ratio {ratio(seconds, [each[0] for each in own])}"
            f"  peak {statistics.median(each[1] for each in figures):4.0f} MiB"
        )


def _resources(argv: Sequence[str]) -> tuple[float, float]:
    """Return the seconds that a command runs, and its peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(argv)}: exit status {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


# --- the delay ------------------------------------------------------------------------------------


class Endpoint(ThreadingHTTPServer):
    """An endpoint for reloads, in place of Prometheus: it records the time, and answers 200."""

    def __init__(self) -> None:
        self.requests: list[float] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.requests.append(time.perf_counter())
                self.do_GET()

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ConfigMap:
    """A folder like the kubelet's: the file is a link to ..data/, which is swapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._edits = 0
        folder.mkdir()
        self.swap()
        self.file = folder / "elector.yml"
        self.file.symlink_to("..data/elector.yml")

    def swap(self) -> float:
        """Swap in new content, and return the time."""
        self._edits += 1
        content = self._folder / f"..{self._edits}"
        content.mkdir()
        (content / "elector.yml").write_text(one_file(SMALL, self._edits))
        link = self._folder / "..data_tmp"
        link.symlink_to(content.name)
        at = time.perf_counter()
        link.rename(self._folder / "..data")
        return at


def pass_on(name: str, binary: str, flags: Sequence[str], folder: Path, runs: int) -> None:
    """Measure the time from the swap of a ConfigMap to the request to reload."""
    folder.mkdir(parents=True)
    config, endpoint = ConfigMap(folder / "config"), Endpoint()
    argv = [*binary.split(), f"-config={config.file}", f"-output={folder / 'out.yml'}", *flags]
    argv += [f"-notify-http-url={endpoint.url}/-/reload"]
    argv += [f"-api-listen-address=127.0.0.1:{free_port()}"]
    with running(Program("elector", ["env", "POD_NAME=bench", *argv], folder)):
        wait_until(lambda: endpoint.requests, 60, f"{name} has asked for a first reload")
        found = []
        for _ in range(runs):
            time.sleep(PAUSE_S)
            endpoint.requests.clear()
            swapped_at = config.swap()
            wait_until(lambda: endpoint.requests, 60, f"{name} asks for a reload", 0.001)
            found.append((endpoint.requests[0] - swapped_at) * 1e3)
    endpoint.shutdown()
    say(
        f"{SMALL:6,} jobs  {name:20.20} ..data swapped to reload asked for: min {min(found):5.1f}  "
        f"median {statistics.median(found):5.1f}  max {max(found):5.1f} ms ({runs} swaps)"
    )


@contextmanager
def running(part: Program) -> Iterator[None]:
    """Run a program until the context ends."""
    part.start()
    try:
        yield
    finally:
        part.stop()


def pass_all_on(folder: Path, peers: Sequence[str], runs: int) -> None:
    """Measure this program without an election, and each peer on its own Lease."""
    own = ("--lease-lock=none", "--role=follower")
    pass_on("prometheus-elector", OWN, own, folder / "own", runs)
    if not peers:
        return
    with ExitStack() as stack:
        etcd = stack.enter_context(started(Etcd(folder)))
        server = stack.enter_context(started(ApiServer(folder, etcd)))
        for number, peer in enumerate(peers):
            namespace = Namespace(server, folder / f"k8s-{number}", f"bench-{number}")
            durations = ("-lease-duration=10s", "-lease-renew-deadline=8s")
            flags = (*durations, "-lease-retry-period=2s", *on_lease(namespace))
            pass_on(peer, peer, flags, folder / f"peer-{number}", runs)


# --- all of it ------------------------------------------------------------------------------------


OWN = f"{sys.executable} -m wrapper"


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    runs, sizes = (1, SIZES[:2]) if options.quick else (options.runs, SIZES)
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name:
        folder = Path(name)
        say(f"medians of {runs} runs")
        for jobs in sizes:
            render(folder / str(jobs), jobs, runs)
        edit(folder / "edit", sizes[-1], runs)
        change(folder / "change", sizes[-1], runs)
        for jobs in sizes:
            kinds = {"prometheus-elector": OWN} | {peer: peer for peer in options.peer}
            run_once(kinds, folder / "once" / f"{jobs}", jobs, runs)
        pass_all_on(folder / "pass", options.peer, 3 if options.quick else 20)
    return 0


def _options() -> argparse.Namespace:
    options = parser("config", __doc__, runs=5)
    options.add_argument("--quick", action="store_true", help="once, up to 1,000 jobs, in seconds")
    return options.parse_args()


def _megabytes(paths: Sequence[Path]) -> float:
    return sum(path.stat().st_size for path in paths) / 1e6


if __name__ == "__main__":
    sys.exit(main())
