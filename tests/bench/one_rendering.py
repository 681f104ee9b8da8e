"""What one fresh process measures of one configuration, as JSON: run by tests.bench.config."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from wrapper.base import files
from wrapper.configuration.inputs import Inputs, Sources
from wrapper.configuration.render import WholeFile, render
from wrapper.documents.source import Source

KIB = 1024


def memory(name: str) -> float:
    """Return what the kernel says of this process' memory, MiB: VmRSS is resident, VmHWM its peak.

    Its ru_maxrss would be no less than that of the process that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / KIB


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def from_disk(inputs: Inputs) -> dict[str, float]:
    """Measure from files on disk to both renderings, and the memory that it takes."""
    before = memory("VmRSS")
    renderings = []
    cpu = time.process_time()
    seconds = timed(lambda: renderings.append(inputs.read(is_start=True)))
    cpu = time.process_time() - cpu
    kept, peak = memory("VmRSS"), memory("VmHWM")
    return {"seconds": seconds, "cpu": cpu, "before": before, "peak": peak, "kept": kept}


def pure(inputs: Inputs) -> dict[str, float]:
    """Measure rendering alone: from bytes in memory to bytes in memory."""
    sources = inputs.sources
    paths = [sources.config, *(sources.leader_configs or ())]
    given = [Source(str(path), path.read_bytes()) for path in paths]
    if sources.leader_configs is None:
        return {"seconds": timed(lambda: render(given[0]))}
    return {"seconds": timed(lambda: WholeFile().render(given[0], given[1:]))}


def change(inputs: Inputs) -> dict[str, float]:
    """Measure a changed value of the leader's, and then a change of role, there and back."""
    inputs.read()
    edited = (inputs.sources.leader_configs or (inputs.sources.config,))[0]
    edited.write_text(edited.read_text().replace("replica: one", "replica: two"))
    found: list[object] = []
    seconds = timed(lambda: found.append(inputs.changed()))
    return {"seconds": seconds, "role": change_of_role(inputs)}


def change_of_role(inputs: Inputs) -> float:
    """Return how long it takes to put the other rendering into the output's place."""
    output = inputs.sources.output_folder / "output.yml"
    renderings = inputs.read()
    files.write_atomically(output, renderings.follower.content, 0o600)
    leader = renderings.leader.content

    def write() -> None:
        if not files.is_current(output, leader, 0o600):
            files.write_atomically(output, leader, 0o600)

    return timed(write)


KINDS = {"from_disk": from_disk, "pure": pure, "change": change}


def main() -> int:
    """Measure one thing: KIND CONFIG [LEADER_CONFIG]."""
    kind, config, *overrides = sys.argv[1:]
    leader_configs = tuple(map(Path, overrides)) or None
    sources = Sources(Path(config), leader_configs, output_folder=Path(config).parent)
    sys.stdout.write(json.dumps(KINDS[kind](Inputs(sources))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
