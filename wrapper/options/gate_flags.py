"""The flags about the gate, through which ``remote_write`` of the leader goes; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

GATE: tuple[Flag, ...] = (
    Flag(
        "remote-write-gate",
        FlagKind.BOOLEAN,
        "Have each remote_write that the leader has beyond the follower's in both configurations, "
        "and send it through a gate on this machine: a process of this program that passes on "
        "what the leader's Prometheus sends, and keeps what a follower's sends until the leader's "
        "receiver has it. A failover then loses no samples. Give it to all replicas.",
        default="false",
    ),
    Flag(
        "remote-write-gate-listen-address",
        FlagKind.ADDRESS,
        "Where the gate listens; a loopback address. Replicas that share one network need a port "
        "each.",
        default="127.0.0.1:9096",
    ),
    Flag(
        "gate-memory",
        FlagKind.SIZE,
        "How many bytes of samples the gate keeps in memory, compressed as they came; 1MiB or "
        "more. When it is full, Prometheus sends the rest later, from its write-ahead log.",
        default="64MiB",
    ),
)
