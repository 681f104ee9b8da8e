"""Profiles of histories: which faults they combine, and how often. Values only.

The first has all faults; each of the others combines those against which a rule protects.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL_FAULTS = (
    "main pauses",
    "elector pauses",
    "writer pauses",
    "all pauses",
    "crash",
    "prometheus dies",
    "SIGTERM",
    "SIGUSR1",
    "SIGHUP",
    "refused",
    "swallowed",
    "replies lost",
    "late replies",
    "slow",
    "watches break",
    "watch silent",
    "lease deleted",
    "slow reload",
    "slow flush",
    "hangs",
    "refuses leader",
    "broken rules",
    "foreign reload",
    "slow disk",
    "full disk",
    "edit",
    "new rules",
)


@dataclass(frozen=True)
class Profile:
    """The faults of a history, their frequency and their duration, in seconds.

    ``stumbles`` is the probability that a thread is delayed at a reading of the clock. A peer is
    another program that follows only client-go's rules; a namesake is a pod with the same name as
    another. ``restart_s`` is the longest time until a replica that ended is started again.
    """

    name: str
    faults: tuple[str, ...]
    stumbles: float = 0.0
    has_peer: bool = False
    has_namesake: bool = False
    faulty_s: float = 24.0
    mean_gap_s: float = 1.5
    restart_s: float = 2.0


@dataclass(frozen=True)
class GatedProfile(Profile):
    """A profile of histories whose replicas have gates.

    ``skew_s`` is the largest error of the machines' wall clocks. ``late_s``: the age of one
    target's samples when Prometheus scrapes them. ``is_exact``: no sample may arrive twice, or be
    refused. ``is_complete``: no sample may be lost that any replica holds.
    """

    skew_s: float = 0.03
    memory_bytes: int = 1 << 20
    late_s: float = 0.0
    is_exact: bool = False
    is_complete: bool = False


ANY = Profile("any", ALL_FAULTS)
HELD_UP = Profile("held up", ALL_FAULTS, stumbles=0.003)
CUT_OFF = Profile("cut off", ("refused", "swallowed", "slow", "slow flush", "foreign reload"))
LATE = Profile("late", ("late replies", "refused", "slow flush"), mean_gap_s=0.7)
FROZEN = Profile("frozen", ("main pauses", "all pauses", "slow reload", "SIGUSR1"), mean_gap_s=1.0)
NAMESAKES = Profile(
    "namesakes", ("refused", "elector pauses", "slow flush", "crash"), has_namesake=True
)
REMOVED = Profile("removed", ("lease deleted", "refused", "crash", "watch silent"), mean_gap_s=3.0)
PEER = Profile("peer", ("slow", "crash", "watches break"), has_peer=True, mean_gap_s=6.0)
HASTY = Profile("hasty", ("slow reload", "SIGUSR1", "SIGTERM", "foreign reload"), mean_gap_s=0.7)
UNANSWERED = Profile("unanswered", ("SIGUSR1", "replies lost"), mean_gap_s=0.7)
SLUGGISH = Profile(
    "sluggish",
    ("slow disk", "slow reload", "SIGUSR1", "foreign reload", "refused"),
    mean_gap_s=0.7,
)
EDITED = Profile(
    "edited",
    ("edit", "broken rules", "foreign reload", "SIGUSR1", "SIGHUP", "slow reload", "refused"),
    mean_gap_s=0.7,
)
FED = Profile(
    "fed",
    ("new rules", "edit", "SIGUSR1", "foreign reload", "slow reload", "refused", "crash"),
    mean_gap_s=0.7,
)
QUIET = Profile("quiet", ())
PROFILES = (
    ANY,
    HELD_UP,
    CUT_OFF,
    LATE,
    FROZEN,
    NAMESAKES,
    REMOVED,
    PEER,
    HASTY,
    UNANSWERED,
    SLUGGISH,
    EDITED,
    FED,
)

GATE_FAULTS = (
    "gate pauses",
    "gate dies",
    "node freezes",
    "prometheus pauses",
    "API away",
    "peers deaf",
    "receiver away",
    "receiver slow",
    "receiver refuses",
    "answers lost",
)
_NOT_GATED = ("edit", "new rules", "lease deleted")
GATED_ANY = GatedProfile(
    "gated any",
    (*(each for each in ALL_FAULTS if each not in _NOT_GATED), *GATE_FAULTS),
    faulty_s=30.0,
)
GATED_IN_ORDER = GatedProfile(
    "gated in order",
    ("steps down", "stops"),
    faulty_s=50.0,
    mean_gap_s=4.0,
    is_exact=True,
)
GATED_LATE = GatedProfile(
    "gated late",
    ("steps down", "stops", "crash"),
    faulty_s=50.0,
    mean_gap_s=4.0,
    late_s=5.0,
)
GATED_RECEIVER = GatedProfile(
    "gated receiver",
    (
        "receiver away",
        "receiver slow",
        "receiver refuses",
        "answers lost",
        "SIGUSR1",
        "crash",
        "gate pauses",
    ),
    faulty_s=40.0,
    mean_gap_s=2.5,
)
GATED_NO_LEASE = GatedProfile(
    "gated no lease",
    ("API away", "crash", "SIGUSR1", "node freezes", "peers deaf"),
    faulty_s=50.0,
    mean_gap_s=6.0,
    memory_bytes=40_000,
)
GATED_CLOCKS = GatedProfile(
    "gated clocks",
    ("SIGUSR1", "crash", "gate dies", "API away", "answers lost"),
    faulty_s=40.0,
    mean_gap_s=4.0,
    skew_s=30.0,
)
GATED_FROZEN = GatedProfile(
    "gated frozen",
    ("main pauses", "all pauses", "gate pauses", "node freezes", "receiver slow", "SIGUSR1"),
    mean_gap_s=1.0,
)
GATED_CRASHES = GatedProfile(
    "gated crashes",
    ("crash", "gate dies", "prometheus dies", "SIGTERM", "SIGUSR1"),
    faulty_s=60.0,
    mean_gap_s=1.0,
    restart_s=5.0,
    is_complete=True,
)
GATED = (
    GATED_FROZEN,
    GATED_CRASHES,
    GATED_ANY,
    GATED_IN_ORDER,
    GATED_LATE,
    GATED_RECEIVER,
    GATED_NO_LEASE,
    GATED_CLOCKS,
)
