"""The rows of the matrix: which versions are tested together, and with which tests.

The versions are those of scripts/versions. Each pair of Prometheus and Python is in one row, and no
row has another purpose. Each pair of Prometheus and the API server, and of the API server and
Python, is in a row whose tests use both. Triples need no rows, because Prometheus and the API
server do not interact. The oldest row also has the oldest libraries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
SEPARATOR = "/"
UNKNOWN = "unknown"  # the version of a program that does not print it
ETCD = {"1.20": "3.4", "1.37": "3.5"}  # the version with which Kubernetes is released
OLD = ("rabbitmq@3.10", "redis-server")
NEW = ("rabbitmq@4.3", "valkey-server@9.1")

# The tests that use Prometheus: it is started, reloaded, queried, stopped; promtool checks.
PROMETHEUS = tuple(
    f"tests/{name}.py"
    for name in (
        *("real/test_plain", "real/test_requests", "real/test_faults_reload", "real/test_refusals"),
        *("real/test_faults_signals", "real/test_config_check", "real/test_configuration_page"),
        *("process/test_promtool", "process/test_rules"),
    )
)
# The tests that use the API server: the Lease, the leader's label, and the proxy.
KUBERNETES = tuple(
    f"tests/{name}.py"
    for name in (
        *(
            "real/test_parts",
            "real/test_election",
            "real/test_faults_api",
            "real/test_faults_lease",
        ),
        *("real/test_cluster", "real/test_pod_label", "real/test_proxy_handover"),
        "process/test_cluster_http",
    )
)


@dataclass(frozen=True, slots=True)
class Step:
    """One run of pytest: its tests, and its number of workers (0: none)."""

    paths: tuple[str, ...]
    at_a_time: int = 0


# All rows of a kind run the same tests; VictoriaMetrics is the receiver in those of the gate. The
# tests of tests/gate take as long as all others together, so they run only in the newest row.
KINDS = {
    "everything": (
        Step(("tests/real", "tests/process"), 3),
        Step(("tests/gate",), 3),
        Step(("tests/k8s",)),
    ),
    "most": (Step(("tests/real", "tests/process"), 3), Step(("tests/k8s",))),
    "both": (Step((*PROMETHEUS, *KUBERNETES), 3),),
    "prometheus": (Step(PROMETHEUS, 3),),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Versions that are tested together."""

    prometheus: str
    kubernetes: str
    python: str
    kind: str = "both"
    beside: tuple[str, ...] = ()
    requirements: str = "tests/requirements.txt"

    @property
    def name(self) -> str:
        """The name by which the row is chosen, such as `3.16/1.37/3.14`."""
        return SEPARATOR.join((self.prometheus, self.kubernetes, self.python))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that scripts/real-parts must get."""
        return (
            *(f"prometheus@{self.prometheus}", f"promtool@{self.prometheus}"),
            *(f"kube-apiserver@{self.kubernetes}", f"etcd@{ETCD[self.kubernetes]}"),
            *(f"python@{self.python}", *self.beside),
        )


ROWS = (
    Row("2.42", "1.20", "3.11", "most", OLD, "tests/requirements-oldest.txt"),
    Row("2.42", "1.37", "3.13"),
    Row("2.42", "1.20", "3.14", "prometheus"),
    Row("2.53", "1.37", "3.11"),
    Row("2.53", "1.20", "3.13"),
    Row("2.53", "1.37", "3.14", "prometheus"),
    Row("3.5", "1.37", "3.11", "prometheus"),
    Row("3.5", "1.37", "3.13"),
    Row("3.5", "1.20", "3.14"),
    Row("3.16", "1.37", "3.11", "prometheus"),
    Row("3.16", "1.20", "3.13"),
    Row("3.16", "1.37", "3.14", "everything", NEW),
)


def pairs(rows: Iterable[Row], one: str, other: str) -> set[tuple[str, str]]:
    """Return the pairs of versions of two fields that are in a row."""
    return {(getattr(row, one), getattr(row, other)) for row in rows}


def known_versions(program: str) -> tuple[str, ...]:
    """Return the versions of a program in scripts/versions, from old to new."""
    lines = (CHECKOUT / "scripts/versions").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return tuple(each[1] for each in words if program in each[0].split(","))
