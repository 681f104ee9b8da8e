"""How long this replica keeps out of the election after a step-down: a small file by its output.

Whoever asks writes it and then sends SIGUSR1; the supervisor reads it then, and when it starts. So
it lasts across restarts for as long as the folder does: where that is an emptyDir, across those of
the container, not of the pod. A file that is damaged, or too far off, counts for nothing, and holds
nobody up. Where it ends: it is wall time, which others may set.
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

from wrapper.base import clock, files
from wrapper.model.events import Pause

LONGEST_S = 7 * 86400.0
_MODE = 0o600
_LARGEST = 4096


def path_of(output: Path) -> Path:
    """Return the file of the replica that writes this output."""
    return output.with_name(f".{output.name}.pause")


def write(path: Path, seconds: float, owner: int | None = None) -> None:
    """Keep out for so long from now, 0 for no longer; raise OSError.

    ``owner`` is the user id that has to be able to read it, None for this process' own.
    """
    if seconds <= 0:
        path.unlink(missing_ok=True)
        return
    content = json.dumps({"until": clock.wall() + min(seconds, LONGEST_S)})
    files.write_atomically(path, content.encode(), _MODE, owner)


def read(path: Path) -> Pause | None:
    """Return the pause that is asked for, None for none, or for one that is over."""
    with contextlib.suppress(Exception):  # read at every start, which no file here may prevent
        until = float(json.loads(files.read_input(path, _LARGEST))["until"])
        left_s = until - clock.wall()
        if math.isfinite(until) and 0 < left_s <= LONGEST_S:
            return Pause(until_at=clock.now() + left_s, until_time=until)
    return None
