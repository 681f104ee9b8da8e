"""The options of the gate: one frozen value, passed to its process as JSON; pure."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from wrapper.base.log_form import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """The options that stay the same while the gate runs, and the descriptors that it inherits.

    - ``listen_fd``: the listening socket; the supervisor keeps it open too, so that requests wait
      while the gate restarts;
    - ``control_fd``: the gate's end of the channel to the supervisor;
    - ``parent_pid``: the supervisor, with which the gate dies;
    - ``memory_bytes``: the limit of the requests that the gate holds, in bytes;
    - ``identity``: this replica's identity;
    - ``peers``, ``api_port``, ``api_is_tls``: the API of the other replicas, which the gate queries
      for marks;
    - ``log_level``, ``log_form``: the lowest level that is logged, and the form of the lines.
    """

    listen_fd: int
    control_fd: int
    parent_pid: int
    memory_bytes: int
    identity: str
    peers: tuple[str, ...] = ()
    api_port: int = 9095
    api_is_tls: bool = False
    log_level: str = "info"
    log_form: Form = Form.LOGFMT

    @classmethod
    def from_json(cls, text: str) -> GateOptions:
        """Return the options from the last word of ``command``."""
        values = json.loads(text)
        form = Form(values["log_form"])
        return cls(**values | {"peers": tuple(values["peers"]), "log_form": form})

    def command(self) -> tuple[str, ...]:
        """Return the command of a gate that inherits both descriptors."""
        return (sys.executable, "-P", "-m", "wrapper.gate.process", json.dumps(asdict(self)))
