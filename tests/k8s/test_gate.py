"""The gate in the chart and in kustomize: its variables, and what it needs of other objects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.rendering import (
    K8S,
    USES,
    Document,
    chart,
    container,
    documents,
    environment,
    find,
    kustomize,
    without_helm,
)
from tests.k8s.test_chart import GATED
from wrapper.base.durations import parse_duration
from wrapper.model.gate import Endpoint
from wrapper.options.flag import Flag
from wrapper.options.flag_values import read_value
from wrapper.options.flags import BY_NAME, FLAGS

BY_VARIABLE = {flag.env: flag for flag in FLAGS}


@pytest.mark.parametrize("use", USES)
def test_component_is_the_switch_of_the_chart(use: str, tmp_path: Path) -> None:
    """An overlay with the component `gate` equals the chart with the gate.

    Only the StatefulSet differs from that without it.
    """
    folders = {"resources": f"overlays/{use}", "components": "components/gate"}
    whole = {key: [os.path.relpath(K8S / path, tmp_path)] for key, path in folders.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    made = without_helm(kustomize(tmp_path))
    assert made == without_helm(chart(*GATED, use=use))
    plain = without_helm(chart(use=use))
    assert [name for name, each in made.items() if each != plain[name]] == [
        "StatefulSet/prometheus"
    ]


def test_the_gate_has_its_port_and_memory() -> None:
    """The gate's variables have the given port, on loopback, and memory; no port is published."""
    words = (*GATED, "--set", "gate.port=9196", "--set", "gate.memory=128MiB")
    objects = chart(*words)
    stateful_set = find(objects, "StatefulSet")
    has = environment(stateful_set)
    given = {
        name: read_value(BY_NAME[name], has[BY_NAME[name].env])
        for name in ("remote-write-gate", "remote-write-gate-listen-address", "gate-memory")
    }
    assert given.pop("gate-memory") == 128 << 20
    assert given.pop("remote-write-gate") is True
    assert str(given.pop("remote-write-gate-listen-address")) == "127.0.0.1:9196"
    assert [each["name"] for each in container(stateful_set)["ports"]] == ["web", "api"]
    assert "9196" not in str([each for each in objects if each["kind"] != "StatefulSet"])


def test_replicas_reach_each_other_for_marks() -> None:
    """With the gate, the network policy lets replicas connect to each other's API.

    They query each other's marks there.
    """
    words = ("--set", "networkPolicy.from[0].podSelector.matchLabels.a=b")
    objects = chart(*GATED, *words)
    stateful_set, policy = find(objects, "StatefulSet"), find(objects, "NetworkPolicy")
    [ingress] = policy["spec"]["ingress"]
    labels = stateful_set["spec"]["template"]["metadata"]["labels"]
    assert {"podSelector": {"matchLabels": labels}} in ingress["from"]
    assert "api" in {each["port"] for each in ingress["ports"]}
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    service = find(objects, "Service", environment(stateful_set)["ELECTOR_PEERS"])["spec"]
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"] == labels


def test_the_demotion_grace_covers_the_gates_hand_over() -> None:
    """With the default batch_send_deadline, the demotion grace covers sending and demoting."""
    has = environment(find(chart(*GATED), "StatefulSet"))
    takes_s = Endpoint(name="a", url="").batch_deadline_s + 1
    assert parse_duration(has["ELECTOR_DEMOTION_GRACE"]) >= takes_s + 2


@pytest.mark.parametrize("demotion_s", [8, 20])
def test_the_grace_period_covers_the_gates_hand_over(demotion_s: int) -> None:
    """With the gate, the kubelet's grace period is longer by the demotion grace."""
    words = ("--set", f"handOver.demotionGraceSeconds={demotion_s}")
    without, with_gate = (
        find(chart(*words, *more), "StatefulSet")["spec"]["template"]["spec"]
        for more in ((), GATED)
    )
    grace = "terminationGracePeriodSeconds"
    assert with_gate[grace] - without[grace] == demotion_s


def with_comments(text: str) -> list[Document]:
    """Return a manifest's documents with the commented-out lines for the gate enabled."""
    return documents(re.sub(r"# (- (--remote-write-gate|--peers|{name: ELECTOR_))", r"\1", text))


def containers(node: Any) -> Iterator[Document]:
    """Yield our containers, wherever they are in a manifest."""
    if isinstance(node, dict):
        has = [each["name"] for each in node.get("env", ())]
        if "ELECTOR_LEADER_CONFIG" in has or node.get("command") == ["prometheus-elector"]:
            yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from containers(each)


SERVICES = {
    "prometheus.yaml": "prometheus-operated",
    "prometheus-agent.yaml": "prometheus-agent-operated",
    "prometheus-sidecar.yaml": "prometheus-operated",
    "values-kube-prometheus-stack.yaml": "prometheus-operated",
}


@pytest.mark.parametrize("name", SERVICES)
def test_operators_manifests_have_the_gate_in_comments(name: str) -> None:
    """With the commented-out lines, replicas have the gate, and peers by the Operator's Service."""
    text = (K8S / "operator" / name).read_text()
    for made, is_on in ((documents(text), False), (with_comments(text), True)):
        found = [options(each) for each in containers(made)]
        assert found
        assert [BY_NAME["remote-write-gate"] in each for each in found] == [is_on] * len(found)
        assert found[-1].get(BY_NAME["peers"]) == (SERVICES[name] if is_on else None)


def options(of: Document) -> dict[Flag, str]:
    """Return the flags of a container, from arguments and variables."""
    words = [each.removeprefix("--").partition("=") for each in of.get("args", ())]
    variables = (
        [each for each in of["env"] if each["name"].startswith("ELECTOR_")] if "env" in of else []
    )
    return {
        **{BY_NAME[name]: value for name, _, value in words},
        **{BY_VARIABLE[each["name"]]: each["value"] for each in variables},
    }
