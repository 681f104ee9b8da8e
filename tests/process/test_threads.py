"""The start of a thread while the limit of processes is reached."""

from __future__ import annotations

import subprocess
import sys

# The program gives up root, for whom the limit does not apply.
AT_THE_LIMIT = """
import os, resource, threading
from wrapper.base import threads
os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    threads.start(threading.Thread(target=print))
except OSError as error:
    print(error.strerror)
"""


def test_a_thread_beyond_the_limit_is_an_oserror() -> None:
    """A thread beyond the limit is an OSError, as a process beyond it is."""
    ended = subprocess.run(
        [sys.executable, "-c", AT_THE_LIMIT], stdout=subprocess.PIPE, text=True, check=True
    )
    assert ended.stdout.startswith("no thread can be started; raise the limit of processes (pids)")
