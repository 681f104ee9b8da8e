"""How our own API is served: who may ask, over TLS or not; from a file that may change.

It is the one place that turns ``--web-config-file`` into what a server needs. What was good stays
in force while the file, or one that it names, is not. No edit takes protection away while this
runs: TLS stays as it was at the start, and what clients once had to show, they have to.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from wrapper.access.reloading_file import Reading, ReloadingFile
from wrapper.access.tls_context import ContextKind, server_context
from wrapper.access.web_config import WebConfig, read_web_config
from wrapper.documents.problems import ConfigurationError

_ASKED: dict[str, Callable[[WebConfig], bool]] = {
    "passwords": lambda config: bool(config.users),
    "client certificates": lambda config: config.needs_certificate,
}


@dataclass(frozen=True, slots=True)
class Serving:
    """The file's words, and the context for connections that begin now; None without TLS."""

    config: WebConfig = field(default_factory=WebConfig)
    tls: ssl.SSLContext | None = None


class WebAccess:
    """How to serve as the file says now; without a file, to anybody."""

    def __init__(self, path: str = "", kind: ContextKind | None = None) -> None:
        """Read the file; raise ConfigurationError. ``kind`` is the class of contexts."""
        self._path = path
        self._kind = kind
        self._last: WebConfig | None = None
        self._plain = Serving()
        self._renewed = ReloadingFile(path, self._read) if path else None

    def current(self) -> Serving:
        """Return how to serve now."""
        return self._renewed.current() if self._renewed else self._plain

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection that begins now; to be asked only with TLS."""
        tls = self.current().tls
        if tls is None:
            raise RuntimeError("TLS was not switched on at the start")
        return tls

    def _read(self, reading: Reading) -> Serving:
        config = read_web_config(reading.source(self._path))
        if self._last is not None:
            _check_change(self._path, self._last, config)
        tls = server_context(config.tls, reading.read, self._kind) if config.tls else None
        self._last = config
        return Serving(config, tls)


def _check_change(path: str, old: WebConfig, new: WebConfig) -> None:
    """Refuse an edit that takes away what protects; a restart is needed for that."""
    if (old.tls is None) != (new.tls is None):
        text = "TLS cannot be switched on or off while this runs; start it again for that"
        raise ConfigurationError([f"{path}: {text}"])
    lost = [name for name, is_asked in _ASKED.items() if is_asked(old) and not is_asked(new)]
    if lost:
        text = f"it would ask for {' and '.join(lost)} no longer"
        raise ConfigurationError([f"{path}: {text}; start this program again if that is meant"])
