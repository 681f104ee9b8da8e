"""Checks the settings of the gate, with the error texts for wrong ones; pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from wrapper.options.flag_values import Address
from wrapper.options.settings import Settings

LEAST_MEMORY = 1 << 20  # bytes
_LISTEN = "--remote-write-gate-listen-address"


def gate_is_local(settings: Settings) -> Iterator[str]:
    """Check that only this machine can reach the gate, which requires no credentials."""
    address = settings.gate.address
    example = "write for example 127.0.0.1:9096"
    if not _is_loopback(address):
        yield (
            f"{_LISTEN}={address}: not a loopback address, and anyone who reaches the gate can "
            f"write to the receivers; {example}"
        )
    elif not address.port:
        yield f"{_LISTEN}={address}: port 0 is not allowed for the gate; {example}"


def gate_has_own_port(settings: Settings) -> Iterator[str]:
    """Check that the API does not listen at the same address."""
    web, gate = settings.web, settings.gate
    if gate.enabled and web.port == gate.address.port and web.host in {"", gate.address.host}:
        yield (f"{_LISTEN}={gate.address}: same port as --api-listen-address; change one of them")


def gate_has_memory(settings: Settings) -> Iterator[str]:
    """Check that the gate's memory has room for more than one request of Prometheus."""
    if settings.gate.memory_bytes < LEAST_MEMORY:
        yield (
            f"--gate-memory={settings.gate.memory_bytes}: it must be 1MiB or more; write for "
            "example 64MiB"
        )


def gate_has_rendering(settings: Settings) -> Iterator[str]:
    """Check that Prometheus reads a rendering: only that can have the gate's URL."""
    if settings.gate.enabled and settings.mode.is_plain:
        yield (
            "--remote-write-gate: it needs a configuration that is rendered, and here Prometheus "
            "reads its own file unchanged; name a file with the leader's remote_write by "
            "--leader-config=FILE"
        )


def _is_loopback(address: Address) -> bool:
    if address.host == "localhost":
        return True
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return False
