"""The manifests for the Prometheus Operator, with the Operator itself and its config-reloader.

The Operator's program runs against the API server and makes a StatefulSet from the manifests in
`k8s/operator/`. The containers of that run here: the real config-reloader writes the configuration
and makes Prometheus reload, beside our program, and Prometheus never has the configuration of
another role than its own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.k8s.network import Network
from tests.k8s.pods import Cluster, Pod
from tests.k8s.rendering import K8S, Document, documents, find, kustomize
from tests.k8s.versions import prometheus_version
from tests.real.parts import ADMIN_TOKEN, ApiServer, Program, applied_config, kubeconfig, program
from tests.real.witness import Witness
from tests.support import wait_until

GROUP = "/apis/monitoring.coreos.com"
KINDS = {  # the plural in the path, and the prefix of the StatefulSets' names
    "Prometheus": ("prometheuses", "prometheus"),
    "PrometheusAgent": ("prometheusagents", "prom-agent"),
}
START_S = 60
WATCHED = "--watched-dir="
LOADED_S = 60  # the config-reloader has delays of its own


class Operator(Program):
    """The Operator's program, with an administrator's rights, for one namespace."""

    def __init__(self, folder: Path, server: ApiServer, namespace: str) -> None:
        folder.mkdir()
        access, token = folder / "kubeconfig", folder / "token"
        token.write_text(ADMIN_TOKEN)
        access.write_text(kubeconfig(server, namespace, token))
        argv = ["env", f"KUBECONFIG={access}", program("prometheus-operator")]
        argv += [f"--namespaces={namespace}", "--kubelet-endpoints=false"]
        super().__init__("operator", [*argv, "--web.listen-address=127.0.0.1:0"], folder)


@dataclass
class Operated:
    """What the Operator has made from one of our manifests, with two of its pods."""

    cluster: Cluster
    pods: list[Pod]
    secret: str

    def target(self, name: str) -> None:
        """Have the Operator add a target with this name, and bring its configuration to the pods.

        The config-reloader can miss a change until its next check, after 3 minutes. So it is
        restarted: then it checks, writes and reloads at once.
        """
        server, namespace = self.cluster.server, self.cluster.namespace
        before = self.cluster.content("Secret", self.secret)
        server.make(f"{GROUP}/v1alpha1/namespaces/{namespace}/scrapeconfigs", scrape_config(name))
        wait_until(lambda: self.cluster.content("Secret", self.secret) != before, 30, "it is made")
        for pod in self.cluster.pods:
            pod.refresh("Secret", self.secret)
        for pod in self.pods:
            reloader = pod.container("config-reloader")
            reloader.stop()
            reloader.start()

    def await_target(self, name: str) -> None:
        """Wait until the Prometheus of each running pod has loaded the target."""
        for pod in self.pods:
            wait_until(lambda it=pod: name in applied_config(it.url), LOADED_S, f"{name} is loaded")  # type: ignore[misc]

    def leaders(self) -> list[Pod]:
        """Return the pods whose Prometheus has loaded a remote_write."""
        return [pod for pod in self.pods if pod.has_remote_write]


def scrape_config(name: str) -> Document:
    """Return a ScrapeConfig for Prometheus itself, with a job of this name."""
    spec = {"jobName": name, "staticConfigs": [{"targets": ["localhost:9090"]}]}
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": {"name": name},
        "spec": {**spec, "scrapeInterval": "1s", "scrapeTimeout": "1s"},
    }


def operate(network: Network, folder: Path, namespace: str, manifest: str) -> Operated:
    """Have the Operator make a StatefulSet from a manifest; return two pods of it."""
    account = {"kind": "ServiceAccount", "metadata": {"name": "prometheus"}}
    election = documents((K8S / "operator/election.yaml").read_text())
    cluster = Cluster(network, namespace, [account, *election, *storage()])
    cluster.pod("storage", 0).start()
    operator = Operator(folder / "operator", network.server, namespace)
    network.programs.append(operator)
    operator.start()
    made = stateful_set(cluster, manifest)
    cluster.name_pods(made)
    name = made["metadata"]["name"]
    return Operated(cluster, [cluster.pod(name, 0), cluster.pod(name, 1)], name)


def stateful_set(cluster: Cluster, manifest: str, name: str = "main") -> Document:
    """Return the StatefulSet that the Operator makes from a manifest with this name."""
    [made] = documents((K8S / f"operator/{manifest}").read_text())
    made["metadata"]["name"] = name
    made["spec"]["version"] = f"v{prometheus_version()}"
    made["spec"]["scrapeConfigSelector"] = {}
    plural, prefix = KINDS[made["kind"]]
    version = made["apiVersion"].rpartition("/")[2]
    cluster.server.make(f"{GROUP}/{version}/namespaces/{cluster.namespace}/{plural}", made)
    wait_until(
        lambda: cluster.has("StatefulSet", f"{prefix}-{name}"), START_S, "the Operator makes it"
    )
    return cluster.object("StatefulSet", f"{prefix}-{name}")


def storage() -> list[Document]:
    """Return the storage of the agents' example."""
    made = kustomize("examples/agent")
    return [
        find(made, kind, name)
        for kind, name in (("ConfigMap", "storage-config"), ("StatefulSet", "storage"))
    ]


MANIFESTS = ("prometheus.yaml", "prometheus-agent.yaml", "prometheus-sidecar.yaml")


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_operator(
    network: Network, operators_kinds: None, witness: Witness, tmp_path: Path, manifest: str
) -> None:
    """Two pods elect one that writes, and both load the Operator's changes in any phase.

    Each change is a write and a POST /-/reload by the config-reloader, which knows no roles. The
    witness checks that this never gives a Prometheus the configuration of another role.
    """
    one = operate(network, tmp_path, manifest.partition(".")[0], manifest)
    assert_changed_rules_are_seen(one)
    for pod in one.pods:
        pod.start()
        witness.watch(pod)  # type: ignore[arg-type] # a pod is asked as a replica is
    for pod, probe in itertools.product(one.pods, ("startup", "readiness", "liveness")):
        pod.await_probe(probe, START_S)
    [leader] = wait_until(one.leaders, 30, "one leads")
    [other] = [pod for pod in one.pods if pod is not leader]
    for number in range(3):
        one.target(f"quiet{number}")
        one.await_target(f"quiet{number}")
    assert one.leaders() == [leader]
    assert min(map(reloads, one.pods)) > 0, "the config-reloader has had no part in it"

    one.target("amid")
    assert leader.delete() == 0
    one.pods.remove(leader)
    wait_until(one.leaders, START_S, "the other leads")
    one.await_target("amid")
    one.target("after")
    one.await_target("after")
    assert one.leaders() == [other]


def assert_changed_rules_are_seen(one: Operated) -> None:
    """Check that the config-reloader watches each mounted folder of rules."""
    for pod in one.pods:
        spec = pod.container("config-reloader").spec
        folders = {
            each["mountPath"] for each in spec["volumeMounts"] if "rulefiles" in each["name"]
        }
        watched = {arg[len(WATCHED) :] for arg in spec["args"] if arg.startswith(WATCHED)}
        assert folders <= watched
        assert folders or one.secret.startswith("prom-agent"), "an agent evaluates no rules"


def test_the_sidecar_repeats_the_operators_arguments(
    network: Network, operators_kinds: None, tmp_path: Path
) -> None:
    """The sidecar's config-reloaders have the Operator's arguments, except for their output."""
    one = operate(network, tmp_path, "repeated", "prometheus-sidecar.yaml")
    repeated = one.cluster.object("StatefulSet", "prometheus-main")
    own = stateful_set(one.cluster, "prometheus.yaml", "own")
    expected = {
        name: [arg.replace("prometheus-own-", "prometheus-main-") for arg in args]
        for name, args in reloaders(own).items()
    }
    assert len(expected) == 2
    assert reloaders(repeated) == expected


def reloaders(of: Document) -> dict[str, list[str]]:
    """Return the arguments of a StatefulSet's config-reloaders, without the file they write."""
    spec = of["spec"]["template"]["spec"]
    return {
        each["name"]: [arg for arg in each["args"] if "--config-envsubst-file=" not in arg]
        for each in (*spec["initContainers"], *spec["containers"])
        if each["name"].endswith("config-reloader")
    }


def reloads(pod: Pod) -> int:
    """Return how many times the config-reloader has made Prometheus reload."""
    return pod.container("config-reloader").log.read_text().count("Reload triggered")


def test_stack_values() -> None:
    """The values for kube-prometheus-stack agree with the manifests beside them."""
    values = yaml.safe_load((K8S / "operator/values-kube-prometheus-stack.yaml").read_text())
    [made] = documents((K8S / "operator/prometheus.yaml").read_text())
    spec = values["prometheus"]["prometheusSpec"]
    for same in ("containers", "secrets", "version", "replicas"):
        assert spec[same] == made["spec"][same]
    assert values["prometheus"]["serviceAccount"]["name"] == made["spec"]["serviceAccountName"]
    election = documents((K8S / "operator/election.yaml").read_text())
    for one, other in zip(election, values["extraManifests"], strict=True):
        for subject in (*one.get("subjects", ()), *other.get("subjects", ())):
            del subject["namespace"]
        assert one == other
