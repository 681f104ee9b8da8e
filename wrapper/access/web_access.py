"""TLS and authentication of our own API, reloaded when their file changes.

The settings come from the file of ``--web-config-file``.

Guarantees:

- While the file, or a file that it names, is invalid, the last valid state stays in use.
- No edit removes protection at run time: TLS cannot be switched on or off, and passwords or client
  certificates stay required once they are required.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from wrapper.access.reloading_file import Reading, ReloadingFile
from wrapper.access.tls_context import ContextKind, server_context
from wrapper.access.web_config import WebConfig, read_web_config
from wrapper.documents.problems import ConfigurationError

_REQUIRED: dict[str, Callable[[WebConfig], bool]] = {
    "passwords": lambda config: bool(config.users),
    "client certificates": lambda config: config.needs_certificate,
}


@dataclass(frozen=True, slots=True)
class ServerState:
    """The configuration, and the TLS context for new connections; None without TLS."""

    config: WebConfig = field(default_factory=WebConfig)
    tls: ssl.SSLContext | None = None


class WebAccess:
    """The current state of the file. Without a file, there is no TLS and no authentication."""

    def __init__(self, path: str = "", kind: ContextKind | None = None) -> None:
        """Read the file; raise ConfigurationError. ``kind`` is the class of TLS contexts."""
        self._path = path
        self._kind = kind
        self._last: WebConfig | None = None
        self._plain = ServerState()
        self._file = ReloadingFile(path, self._read) if path else None

    def current(self) -> ServerState:
        """Return the current state."""
        return self._file.current() if self._file else self._plain

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for a new connection; raise RuntimeError without TLS."""
        tls = self.current().tls
        if tls is None:
            raise RuntimeError("TLS was not switched on at the start")
        return tls

    def _read(self, reading: Reading) -> ServerState:
        config = read_web_config(reading.source(self._path))
        if self._last is not None:
            _check_change(self._path, self._last, config)
        tls = server_context(config.tls, reading.read, self._kind) if config.tls else None
        self._last = config
        return ServerState(config, tls)


def _check_change(path: str, old: WebConfig, new: WebConfig) -> None:
    """Raise ConfigurationError for an edit that removes protection: that needs a restart."""
    if (old.tls is None) != (new.tls is None):
        text = "TLS cannot be switched on or off at run time; restart this program"
        raise ConfigurationError([f"{path}: {text}"])
    lost = [
        name for name, is_required in _REQUIRED.items() if is_required(old) and not is_required(new)
    ]
    if lost:
        text = f"the new content no longer requires {' and '.join(lost)}"
        raise ConfigurationError([f"{path}: {text}; restart this program if that is intended"])
