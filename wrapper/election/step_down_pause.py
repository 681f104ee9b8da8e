"""The pause of a replica after a step-down, stored in a file beside its output.

The web process, or the command ``step-down``, writes the file and sends SIGUSR1. The supervisor
then reads it, and also at its start. The pause survives restarts as long as the folder exists: an
emptyDir outlives the container, but not the pod. A file is ignored if it is damaged, or if its end
is more than 7 days ahead.

Limitation: the end is a wall time, so it moves if the system clock is changed.
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

from wrapper.base import clock, files
from wrapper.model.pause import Pause

LONGEST_S = 7 * 86400.0
_MODE = 0o600
_LARGEST = 4096


def path_of(output: Path) -> Path:
    """Return the path of the pause file of the replica with this output."""
    return output.with_name(f".{output.name}.pause")


def write(path: Path, seconds: float, owner: int | None = None) -> None:
    """Pause for ``seconds`` from now; 0 ends the pause. Raise OSError.

    ``owner`` is the id of the user that must be able to read the file; None for that of this
    process.
    """
    if seconds <= 0:
        path.unlink(missing_ok=True)
        return
    content = json.dumps({"until": clock.wall() + min(seconds, LONGEST_S)})
    files.write_atomically(path, content.encode(), _MODE, owner)


def read(path: Path) -> Pause | None:
    """Return the pause, or None if there is none or it is over."""
    with contextlib.suppress(Exception):  # a damaged file must not prevent a start
        until = float(json.loads(files.read_input(path, _LARGEST))["until"])
        left_s = until - clock.wall()
        if math.isfinite(until) and 0 < left_s <= LONGEST_S:
            return Pause(until_at=clock.now() + left_s, until_time=until)
    return None
