"""The gate's process: it stands between remote_write and the receivers.

The supervisor starts it, tells it what to do and restarts it; it dies with its parent, and ends
when the supervisor's end of the channel is closed. Where it ends: ``serving`` runs it.
"""

from __future__ import annotations

import gc
import sys

from gevent import monkey

from wrapper.base import log
from wrapper.base.descriptors import raise_limit
from wrapper.base.process import die_with_parent
from wrapper.gate.serving import Serving
from wrapper.options.gate_options import GateOptions


def main(arguments: list[str]) -> int:
    """Serve until told to stop; return the exit status."""
    options = GateOptions.from_json(arguments[0])
    die_with_parent(options.parent_pid)
    log.set_up(options.log_level, lambda: options.log_form)
    raise_limit()
    monkey.patch_socket()  # nothing else waits: patching all would take 1 MiB more
    gc.collect()
    gc.freeze()  # the collector need not look at what is loaded already
    return Serving(options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
