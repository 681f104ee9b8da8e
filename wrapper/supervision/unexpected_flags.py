"""Finds flags of a running Prometheus that the user or this program does not expect; pure.

If these flags are in the command after ``--``, the start refuses them. The start cannot see the
flags of a sidecar's Prometheus, nor those that a script adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_OWN_RELOADS = (
    "Prometheus reloads its files itself too: this program may notice late that an edit or new "
    "rules are refused; start Prometheus without --config.auto-reload, or auto-reload-config in "
    "--enable-feature"
)
_NO_AGENT = (
    "Prometheus ignores --enable-feature=agent, as all since 3.0, and runs as a server; start it "
    "with --agent"
)


def unexpected_flags(flags: Mapping[str, str], *, may_reload: bool) -> Iterator[str]:
    """Yield a warning for each unexpected flag.

    ``flags`` are the flags that Prometheus shows, by name. If ``may_reload`` is true, Prometheus
    may reload its files automatically, because nothing here depends on it.
    """
    features = flags.get("enable-feature", "").split(",")
    is_known = "config.auto-reload-interval" in flags  # since 3.0
    is_asked = flags.get("config.auto-reload") == "true" or "auto-reload-config" in features
    if is_known and is_asked and not may_reload:
        yield _OWN_RELOADS
    if flags.get("agent") == "false" and "agent" in features:
        yield _NO_AGENT
