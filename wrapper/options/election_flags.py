"""The flags about the election; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

ELECTION: tuple[Flag, ...] = (
    Flag(
        "lease-lock",
        FlagKind.LOCK,
        "What elects the leader. `kubernetes`: a Lease. `file:PATH`: a lock file, for replicas on "
        "one machine. `none`: no election; --role decides. `auto`: a Lease if --lease-name is "
        "given; otherwise, if the leader has overrides, the lock file "
        "/tmp/prometheus-elector-UID/election.lock; otherwise no election. `auto:PATH`: like "
        "`auto`, with this lock file.",
        default="auto",
    ),
    Flag(
        "role",
        FlagKind.CHOICE,
        "The role of this replica if there is no election.",
        default="leader",
        choices=("leader", "follower"),
    ),
    Flag(
        "lease-name",
        FlagKind.NAME,
        "The name of the Lease; the same on all replicas.",
    ),
    Flag(
        "lease-namespace",
        FlagKind.NAME,
        "The namespace of the Lease.",
        default_note="the pod's own, otherwise the kubeconfig's",
    ),
    Flag(
        "lease-pod-label",
        FlagKind.LABEL,
        "A label for this replica's pod (POD_NAME) while its Prometheus runs with the leader's "
        "configuration, so that a Service can select the leader; for example "
        "prometheus-elector/role=leader. The label is removed from pods that do not lead.",
        default_note="no label",
    ),
    Flag(
        "kubeconfig",
        FlagKind.FILE,
        "The kubeconfig for the API server, outside the cluster; several files are separated by "
        "colons.",
        default_note="the pod's service account",
        also_env=("KUBECONFIG",),
    ),
    Flag(
        "lease-duration",
        FlagKind.DURATION,
        "How long a lease is valid after its last renewal, in whole seconds. A leader that "
        "vanishes is replaced after this time.",
        default="15s",
    ),
    Flag(
        "lease-renew-deadline",
        FlagKind.DURATION,
        "A leader that has failed to renew its lease for this long steps down. It then has until "
        "0.95 * --lease-duration - 0.3s after the last renewal to demote Prometheus; after that "
        "Prometheus is killed.",
        default="10s",
    ),
    Flag(
        "lease-retry-period",
        FlagKind.DURATION,
        "The pause between two renewals of the lease, or between two attempts to acquire it.",
        default="2s",
    ),
    Flag(
        "demotion-grace",
        FlagKind.DURATION,
        "How long a leader that hands over in order may take to demote Prometheus, which sends "
        "its pending samples first. After that Prometheus is killed.",
        default="8s",
    ),
    Flag(
        "cool-down",
        FlagKind.DURATION,
        "How long a replica stays out of the election after its Prometheus has refused the "
        "leader's configuration. The time doubles with each further refusal, up to 5 minutes.",
        default="10s",
    ),
)
