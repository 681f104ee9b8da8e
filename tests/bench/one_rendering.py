"""The measurements of one configuration in a fresh process, as JSON for tests.bench.config."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from wrapper.base import files
from wrapper.configuration.inputs import Inputs, Sources
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.source import Source
from wrapper.model.events import ConfigurationRead

KIB = 1024


def memory(name: str) -> float:
    """Return this process' memory from the kernel, MiB: VmRSS is resident, VmHWM its peak.

    ru_maxrss would be at least that of the parent process.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / KIB


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


class Pauses:
    """The waits of another thread of this process, in ms of the process' CPU time.

    The thread sleeps for a millisecond repeatedly. Its wait is the CPU time of the process until it
    runs again; other programs on the machine do not count.
    """

    def __init__(self) -> None:
        self._found: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            before = time.process_time()
            time.sleep(0.001)
            self._found.append((time.process_time() - before) * 1e3)

    def end(self) -> dict[str, float]:
        """Return the longest wait, and the 99th percentile."""
        self._ended.set()
        self._thread.join()
        found = sorted(self._found)
        return {"pause": found[-1], "pause_p99": found[int(len(found) * 0.99)]}


def weighed(act: Callable[[], object]) -> dict[str, float]:
    """Return the cost of a call, and the waits of another thread during it."""
    pauses, cpu = Pauses(), time.process_time()
    seconds = timed(act)
    cpu = time.process_time() - cpu
    return {"seconds": seconds, "cpu": cpu, **pauses.end()}


def from_disk(inputs: Inputs) -> dict[str, float]:
    """Measure the time from files on disk to both renderings, and the memory."""
    before = memory("VmRSS")
    renderings: list[object] = []
    took = weighed(lambda: renderings.append(inputs.read(is_start=True)))
    kept, peak = memory("VmRSS"), memory("VmHWM")
    return {**took, "before": before, "peak": peak, "kept": kept}


def edit(inputs: Inputs) -> dict[str, float]:
    """Measure the edit of one job in the middle, from the file on disk to both renderings."""
    inputs.read()
    text = inputs.sources.config.read_text()
    before, job, after = text.partition(f"job_name: service-{text.count('job_name:') // 2:05d}")
    inputs.sources.config.write_text(f"{before}{job}-edited{after}")
    found: list[object] = []
    took = weighed(lambda: found.append(inputs.changed()))
    if not isinstance(found[0], ConfigurationRead):
        sys.exit(f"the edit was not read: {found[0]}")
    return {**took, "peak": memory("VmHWM")}


def pure(inputs: Inputs) -> dict[str, float]:
    """Measure only the rendering, from bytes in memory to bytes in memory."""
    sources = inputs.sources
    paths = [sources.config, *(sources.leader_configs or ())]
    given = [Source(str(path), path.read_bytes()) for path in paths]
    if sources.leader_configs is None:
        return {"seconds": timed(lambda: render(given[0]))}
    return {"seconds": timed(lambda: WholeFile().render(given[0], given[1:]))}


def change(inputs: Inputs) -> dict[str, float]:
    """Measure a changed value of the leader, and then a change of role."""
    inputs.read()
    edited = (inputs.sources.leader_configs or (inputs.sources.config,))[0]
    edited.write_text(edited.read_text().replace("replica: one", "replica: two"))
    found: list[object] = []
    seconds = timed(lambda: found.append(inputs.changed()))
    return {"seconds": seconds, "role": change_of_role(inputs)}


def change_of_role(inputs: Inputs) -> float:
    """Return the seconds that it takes to replace the output by the other rendering."""
    output = inputs.sources.output_folder / "output.yml"
    renderings = inputs.read()
    files.write_atomically(output, renderings.follower.content, 0o600)
    leader = renderings.leader.content

    def write() -> None:
        if not files.is_current(output, leader, 0o600):
            files.write_atomically(output, leader, 0o600)

    return timed(write)


KINDS = {"from_disk": from_disk, "pure": pure, "change": change, "edit": edit}


def main() -> int:
    """Measure one thing: KIND CONFIG [LEADER_CONFIG]."""
    kind, config, *overrides = sys.argv[1:]
    leader_configs = tuple(map(Path, overrides)) or None
    sources = Sources(Path(config), leader_configs, output_folder=Path(config).parent)
    sys.stdout.write(json.dumps(KINDS[kind](Inputs(sources))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
