"""The examples, rendered and run as real processes: pods elect, write, hand over, are replaced.

Two things are changed for the tests, both as the manifests describe: the scrape interval and, with
a Prometheus 2, the flag for agent mode.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from urllib.parse import quote

import requests

from tests.k8s.network import Network
from tests.k8s.pods import Cluster, Pod
from tests.k8s.rendering import Document, chart, container, find, kustomize
from tests.k8s.versions import prometheus_major
from tests.real.parts import query
from tests.real.witness import Reign, Witness
from tests.support import now, wait_until

START_S = 60
HOLE_S = 1.0
CONFIG = "prometheus-config"
LABEL = "prometheus-elector/role=leader"
RESTRICTED = {
    "Uid": "65534",
    "Gid": "65534",
    "CapEff": "0" * 16,
    "CapBnd": "0" * 16,
    "NoNewPrivs": "1",
}


def example(name: str) -> list[Document]:
    """Return an example as built, with a scrape interval of 1 s, for the tests' Prometheus."""
    made = kustomize(f"examples/{name}")
    text = find(made, "ConfigMap", "prometheus-config")["data"]
    assert "scrape_interval: 15s" in text["config.yml"]
    text["config.yml"] = text["config.yml"].replace("scrape_interval: 15s", "scrape_interval: 1s")
    args = container(find(made, "StatefulSet", "prometheus"))["args"]
    if "--agent" in args and prometheus_major() == 2:
        args[args.index("--agent")] = "--enable-feature=agent"
    return made


def start(cluster: Cluster, witness: Witness) -> tuple[Pod, Pod]:
    """Start both replicas; return the leader and the other, each ready by its probes."""
    pods = [cluster.pod("prometheus", ordinal) for ordinal in (0, 1)]
    for pod in pods:
        pod.start()
        witness.watch(pod)  # type: ignore[arg-type] # a pod is asked as a replica is
    for pod, probe in itertools.product(pods, ("startup", "liveness", "readiness")):
        pod.await_probe(probe, START_S)
    [leader] = wait_until(lambda: leader_of(pods), 40, "one leads, and both say so")
    [other] = [pod for pod in pods if pod is not leader]
    return leader, other


def leader_of(pods: list[Pod]) -> list[Pod]:
    """Return the pod that leads by the APIs of all these pods, none while they differ."""
    names = {pod.leader() for pod in pods}
    return [pod for pod in pods if names == {pod.name}]


def test_agents_elect_write_and_hand_over(network: Network, witness: Witness) -> None:
    """One agent writes to the example's storage; when it is deleted, the other does."""
    cluster = Cluster(network, "agents", example("agent"))
    storage = cluster.pod("storage", 0)
    storage.start()
    leader, other = start(cluster, witness)
    assert not other.has_remote_write
    wait_until(lambda: written_by(storage) == {leader.name}, 30, "the leader's samples arrive")

    assert leader.delete() == 0
    left = leader.volume("/run/prometheus-elector") / "prometheus.yml"
    assert "remote_write" not in left.read_text(), "the way back starts from the follower's"
    wait_until(lambda: other.has_remote_write, START_S, "the other writes")
    first, second = await_reigns(witness, 2)
    assert (first.replica, second.replica) == (leader.name, other.name)
    wait_until(lambda: other.name in written_by(storage), 30, "its samples arrive")


def test_rolling_update(network: Network, witness: Witness) -> None:
    """In a rolling update no two pods write at once, and no gap lasts a second.

    The test acts as the StatefulSet's controller: from the last pod, each is deleted and made again
    under its name; the next one follows when the new one passes its readiness probe.
    """
    cluster = Cluster(network, "rolling", example("agent"))
    storage = cluster.pod("storage", 0)
    storage.start()
    start(cluster, witness)
    wait_until(lambda: written_by(storage), 30, "samples arrive")
    olds = [pod for pod in cluster.pods if pod is not storage]
    for old in reversed(olds):
        began = now()
        assert old.delete() == 0
        assert now() - began < old.grace_s
        fresh = cluster.pod("prometheus", int(old.name[-1]))
        assert fresh.uid != old.uid
        fresh.start()
        fresh.await_probe("readiness", START_S)
    wait_until(lambda: leader_of(cluster.pods[-2:]), 30, "a new pod leads, and both say so")
    reigns = await_reigns(witness, 2)
    holes = [later.since - earlier.until for earlier, later in itertools.pairwise(reigns)]
    assert max(holes) < HOLE_S, f"{holes} s in {reigns}"


def await_reigns(witness: Witness, least: int) -> list[Reign]:
    """Return the reigns in order, once there are at least so many."""
    return wait_until(
        lambda: witness.reigns[:] if len(witness.reigns) >= least else [], 30, "reigns"
    )


def written_by(storage: Pod) -> set[str]:
    """Return the pods whose samples the storage has."""
    found = query(storage.url, "count by (pod) (last_over_time(up[10m]))")
    return {each["metric"]["pod"] for each in found if "pod" in each["metric"]}


def test_active_passive(network: Network, witness: Witness) -> None:
    """Queries to any pod are answered by the leader's Prometheus, after its end by the other."""
    made = example("active-passive")
    [web] = [p for p in find(made, "Service", "prometheus")["spec"]["ports"] if p["name"] == "web"]
    assert web["targetPort"] == "api", "the Service's port leads to the proxy"
    cluster = Cluster(network, "active-passive", made)
    leader, other = start(cluster, witness)
    for pod in (leader, other):
        wait_until(lambda it=pod: answering(it) == leader.name, 30, "the leader answers")  # type: ignore[misc]
    wait_until(lambda: sends_alerts(other.api), 30, "what the leader alone does is seen through it")
    assert not sends_alerts(other.url)

    assert leader.delete() == 0
    wait_until(lambda: answering(other) == other.name, 30, "the other answers itself")
    wait_until(lambda: sends_alerts(other.url), 30, "it does what the leader alone does")


def sends_alerts(url: str) -> bool:
    """Tell whether the Prometheus behind a URL has Alertmanagers configured."""
    return "alertmanagers" in config_by(url)


def answering(pod: Pod) -> str:
    """Return the pod whose Prometheus answers queries to a pod's proxy, "" for none."""
    found = query(pod.api, 'up{job="prometheus"}')
    return str(found[0]["metric"]["pod"]) if len(found) == 1 else ""


def config_by(url: str) -> str:
    """Return the loaded configuration of the Prometheus behind a URL."""
    answer = requests.get(f"{url}/api/v1/status/config", timeout=5)
    return str(answer.json()["data"]["yaml"])


def test_pod_is_restricted(network: Network, witness: Witness) -> None:
    """A pod's processes have the manifest's user and no rights, and write only to volumes.

    The output is readable only by its owner, and a changed ConfigMap is loaded.
    """
    cluster = Cluster(network, "restricted", example("active-passive"))
    leader, _ = start(cluster, witness)
    for process in leader.main.processes():
        status = Path(f"/proc/{process.pid}/status").read_text()
        has = dict(line.split(":\t", 1) for line in status.splitlines())
        assert {name: has[name].split()[0] for name in RESTRICTED} == RESTRICTED, process.cmdline()
    root = Path(f"/proc/{leader.main.pid}/root")
    read_only = [
        path for path in ("", "tmp", "etc/prometheus-elector") if is_read_only(root / path)
    ]
    assert read_only == ["", "tmp", "etc/prometheus-elector"]
    assert not is_read_only(root / "run/prometheus-elector")
    output = leader.volume("/run/prometheus-elector") / "prometheus.yml"
    assert output.stat().st_mode & 0o777 == 0o600
    text = {key: held.decode() for key, held in cluster.content("ConfigMap", CONFIG).items()}
    text["config.yml"] = text["config.yml"].replace("scrape_interval: 1s", "scrape_interval: 2s")
    cluster.change("ConfigMap", CONFIG, text)
    wait_until(lambda: "scrape_interval: 2s" in config_by(leader.url), 30, "the change is loaded")


def is_read_only(path: Path) -> bool:
    """Tell whether the filesystem at a path is read-only."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def test_leaders_label(network: Network, witness: Witness) -> None:
    """With the chart's Role the leader labels its own pod, so that a Service selects it."""
    words = ("--set", "leaderLabel.enabled=true", "--set", f"prometheus.major={prometheus_major()}")
    made = chart(*words, use="agent")
    [key, value] = LABEL.split("=")
    assert find(made, "Service", "prometheus-leader")["spec"]["selector"][key] == value
    cluster = Cluster(network, "leaders-label", made)
    leader, other = start(cluster, witness)
    wait_until(lambda: labelled(cluster) == [leader.name], 20, "the leader has the label")
    assert leader.delete() == 0
    wait_until(lambda: labelled(cluster) == [other.name], 30, "the other has it, and it alone")


def labelled(cluster: Cluster) -> list[str]:
    """Return the names of the pods with the leader's label."""
    url = f"/api/v1/namespaces/{cluster.namespace}/pods?labelSelector={quote(LABEL)}"
    return [pod["metadata"]["name"] for pod in cluster.server.call("GET", url).json()["items"]]
