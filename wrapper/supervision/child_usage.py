"""Reads the resource usage of a process from the files of proc(5).

psutil reads the same files, but its import takes 0.8 MiB of memory and 9 ms.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KERNEL = Path("/proc/stat")
_PAGE_BYTES = resource.getpagesize()


def usage(pid: int) -> dict[str, float]:
    """Return a process' resource usage by name; raise OSError.

    Memory is in bytes, CPU time in seconds, the start time in seconds since 1970; open files and
    threads are counts.
    """
    folder = Path(f"/proc/{pid}")
    # The second field, the name in brackets, may contain any character: split after its end.
    _, _, fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
    stat = dict(enumerate(map(int, fields.split()[1:]), 4))  # by the numbers in proc(5)
    resident_pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    return {
        "resident_memory_bytes": float(resident_pages * _PAGE_BYTES),
        "virtual_memory_bytes": float(stat[23]),
        "cpu_seconds": (stat[14] + stat[15]) / _TICKS_PER_S,
        "open_fds": float(sum(1 for _ in (folder / "fd").iterdir())),
        "max_fds": float(resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]),
        "threads": float(stat[20]),
        "start_time_seconds": _boot_time() + stat[22] / _TICKS_PER_S,
    }


def _boot_time() -> int:
    """Return the machine's boot time, in seconds since 1970; raise OSError."""
    for line in _KERNEL.read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), str(_KERNEL))
