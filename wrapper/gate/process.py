"""Entry point of the gate's process, which sits between remote_write and the receivers.

The supervisor starts the process, sends it orders, and restarts it. The process ends with its
parent, or when the supervisor's end of the channel is closed. ``serving`` does the work.
"""

from __future__ import annotations

import sys

from gevent import monkey

from wrapper.base import log
from wrapper.base.allocator import freeze_objects
from wrapper.base.descriptors import raise_limit
from wrapper.base.process import die_with_parent
from wrapper.gate.serving import Serving
from wrapper.options.gate_options import GateOptions


def main(arguments: list[str]) -> int:
    """Run the gate until it is told to stop; return the exit status."""
    options = GateOptions.from_json(arguments[0])
    die_with_parent(options.parent_pid)
    log.set_up(options.log_level, lambda: options.log_form)
    raise_limit()
    monkey.patch_socket()  # nothing else blocks; to patch everything would cost 1 MiB more
    freeze_objects()
    return Serving(options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
