"""The C library's allocator: its arenas, and its free memory, measured in a separate process."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALLOCATES_IN_A_THREAD = """
import ctypes, threading
from wrapper.base import allocator
{call}
thread = threading.Thread(target=lambda: bytes(100_000))
thread.start()
thread.join()
ctypes.CDLL(None).malloc_stats()
"""

# Blocks of 8 KiB come from an arena. The last one stays, so that the arena cannot shrink.
FREES = """
from pathlib import Path
from wrapper.base import allocator

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytes([1]) * 8192 for _ in range(4096)]
del blocks[:-1]
before = resident()
{call}
print(before - resident())
"""


def run(code: str, call: str) -> subprocess.CompletedProcess[str]:
    """Run a program that makes this call."""
    argv = [sys.executable, "-c", code.format(call=call)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.parametrize(("call", "arenas"), [("", 2), ("allocator.use_one_arena()", 1)])
def test_all_threads_can_share_one_arena(call: str, arenas: int) -> None:
    """With `use_one_arena`, a thread allocates from the main arena; without, from its own."""
    assert run(ALLOCATES_IN_A_THREAD, call).stderr.count("Arena ") == arenas


def test_free_memory_is_returned_to_the_kernel() -> None:
    """`return_free_memory` returns at least 30 of 32 freed MiB; without it, almost none are."""
    assert int(run(FREES, "").stdout) < 1 << 20
    assert int(run(FREES, "allocator.return_free_memory()").stdout) > 30 << 20
