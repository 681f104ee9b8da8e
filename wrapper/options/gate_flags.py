"""The flags about the gate for ``remote_write``; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

GATE: tuple[Flag, ...] = (
    Flag(
        "remote-write-gate",
        FlagKind.BOOLEAN,
        "Send remote_write through the gate, a process of this program on the same machine, so "
        "that a failover loses no samples. Each remote_write of the leader's part is then in both "
        "configurations. The leader's gate passes samples on to the receiver. A follower's gate "
        "holds them until the receiver has the leader's samples of that time. Set this flag on "
        "all replicas.",
        default="false",
    ),
    Flag(
        "remote-write-gate-listen-address",
        FlagKind.ADDRESS,
        "The loopback address on which the gate listens. Replicas that share one network need "
        "different ports.",
        default="127.0.0.1:9096",
    ),
    Flag(
        "gate-memory",
        FlagKind.SIZE,
        "How many bytes of compressed samples the gate holds in memory; 1MiB or more. When it is "
        "full, Prometheus sends the rest later, from its write-ahead log.",
        default="64MiB",
    ),
)
