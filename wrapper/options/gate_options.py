"""The options of the gate: one frozen value, passed to its process as JSON; pure."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from wrapper.base.log_form import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What the gate inherits, and what does not change while it runs.

    ``listen_fd`` is the listening socket, which the supervisor keeps open, so that requests wait
    while the gate restarts; ``control_fd`` the gate's end of the channel. It dies with
    ``parent_pid``. ``memory_bytes`` bounds what it holds. ``peers``, ``api_port`` and
    ``api_is_tls`` say how to ask the other replicas' API for marks.
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
        """Return the options in the last word of ``command``."""
        values = json.loads(text)
        form = Form(values["log_form"])
        return cls(**values | {"peers": tuple(values["peers"]), "log_form": form})

    def command(self) -> tuple[str, ...]:
        """Return the command of a gate that inherits both descriptors."""
        return (sys.executable, "-P", "-m", "wrapper.gate.process", json.dumps(asdict(self)))
