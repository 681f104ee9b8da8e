"""The leader's label on real Pod objects, with a service account that may patch only these."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.real.fleet import LEASE_S, Fleet, own_lines
from tests.real.parts import RBAC, Namespace
from tests.real.replica import QUICK, Replica, on_lease
from tests.support import wait_until
from wrapper.election.pod_patch import Pod
from wrapper.model.lease import LeaseUnavailable

KEY = "prometheus-elector/role"
FLAG = f"--lease-pod-label={KEY}=leader"
WARNING = ("warn", " label=")
RULE = {
    "apiGroups": [""],
    "resources": ["pods"],
    "resourceNames": ["a", "b"],
    "verbs": ["patch"],
}


@pytest.fixture
def namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    """Give a namespace whose service account may patch the pods a and b."""
    return make_namespace(more_rules=[RULE])


def pods_path(namespace: Namespace, name: str = "") -> str:
    """Return the API's path of a pod, or of all."""
    return f"/api/v1/namespaces/{namespace.name}/pods" + (f"/{name}" if name else "")


def make_pod(namespace: Namespace, name: str, **labels: str) -> str:
    """Create a pod, which no kubelet runs, and return its UID."""
    spec = {"containers": [{"name": "prometheus", "image": "prometheus"}]}
    metadata = {"name": name, "labels": {"app": "prometheus"} | labels}
    pod = namespace.server.make(pods_path(namespace), {"metadata": metadata, "spec": spec})
    return str(pod["metadata"]["uid"])


def labels_of(namespace: Namespace, name: str) -> dict[str, str]:
    """Return a pod's labels."""
    answer = namespace.server.call("GET", pods_path(namespace, name))
    answer.raise_for_status()
    labels: dict[str, str] = answer.json()["metadata"]["labels"]
    return labels


def labelled(namespace: Namespace) -> list[str]:
    """Return the names of the pods that a Service would select by the label."""
    query = f"{pods_path(namespace)}?labelSelector={KEY}%3Dleader"
    answer = namespace.server.call("GET", query)
    answer.raise_for_status()
    return sorted(pod["metadata"]["name"] for pod in answer.json()["items"])


def await_labelled(namespace: Namespace, *names: str, timeout_s: float = 20) -> None:
    """Wait until exactly these pods have the label."""
    wait_until(lambda: labelled(namespace) == list(names), timeout_s, f"the label is on {names}")


def metric(replica: Replica, name: str) -> str:
    """Return a metric's value by its API, "" if there is none."""
    text = requests.get(f"{replica.api}/_elector/metrics", timeout=2).text
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return next((value for key, value in lines if key == f"prometheus_elector_{name}"), "")


def pod(namespace: Namespace, name: str, uid: str) -> Pod:
    """Return the program's client of a pod."""
    return Pod(
        name,
        namespace.name,
        uid,
        label=(KEY, "leader"),
        kubeconfig=str(namespace.kubeconfig),
        request_timeout_s=2.0,
    )


def start(fleet: Fleet, name: str, **labels: str) -> Replica:
    """Start a replica in a new pod with its name."""
    uid = make_pod(fleet.namespace, name, **labels)
    return fleet.start(name, FLAG, environment={"POD_UID": uid})


def pair(fleet: Fleet) -> tuple[Replica, Replica]:
    """Start two replicas; return the leader, once it has the label, then the other."""
    for name in ("a", "b"):
        start(fleet, name)
    leader, other = fleet.settled()
    await_labelled(fleet.namespace, leader.name)
    return leader, other


def test_a_label_is_set_and_removed(namespace: Namespace) -> None:
    """The label is set and removed with only the right to patch; other labels stay.

    Setting it twice changes nothing.
    """
    ours = pod(namespace, "a", make_pod(namespace, "a"))
    for is_on in (False, True, True, False):
        ours.set_label(is_on=is_on)
        own = {KEY: "leader"} if is_on else {}
        assert labels_of(namespace, "a") == {"app": "prometheus"} | own
    answer = namespace.server.call("GET", pods_path(namespace, "a"), token=namespace.token)
    assert answer.status_code == 403


def test_a_later_pod_with_the_same_name_gets_no_label(namespace: Namespace) -> None:
    """A patch contains the pod's UID, so a new pod with the same name gets no label."""
    make_pod(namespace, "a")
    with pytest.raises(LeaseUnavailable, match="does not have the UID"):
        pod(namespace, "a", "00000000-0000-0000-0000-000000000000").set_label(is_on=True)
    assert labelled(namespace) == []


def test_a_missing_pod_or_right_is_named(namespace: Namespace) -> None:
    """If the pod does not exist or may not be patched, the error says so."""
    with pytest.raises(LeaseUnavailable, match=r"pod a in namespace .* does not exist"):
        pod(namespace, "a", "").set_label(is_on=True)
    with pytest.raises(LeaseUnavailable, match=r"elector may not patch pods c in namespace"):
        pod(namespace, "c", "").set_label(is_on=True)


def changes(namespace: Namespace, path: str, since: str) -> list[dict[str, Any]]:
    """Return the changed objects since a version, in the server's order."""
    query = f"{path}?watch=1&timeoutSeconds=1&resourceVersion={since}"
    lines = namespace.server.call("GET", query).text.splitlines()
    return [json.loads(line)["object"] for line in lines]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_label_is_removed_before_the_successor_gets_it(
    fleet: Fleet, number: signal.Signals
) -> None:
    """In an ordered hand-over, the label is removed before the successor gets it."""
    leader, other = pair(fleet)
    namespace = fleet.namespace
    wait_until(lambda: metric(leader, "pod_has_label") == "1.0", 15, "the metric says so")
    wait_until(lambda: metric(other, "pod_has_label") == "0.0", 15, "and the other's not")
    since = namespace.server.call("GET", pods_path(namespace)).json()["metadata"]["resourceVersion"]
    os.kill(leader.pid, number)
    await_labelled(namespace, other.name)
    pods = changes(namespace, pods_path(namespace), since)
    assert [each["metadata"]["name"] for each in pods] == [leader.name, other.name]
    assert KEY not in pods[0]["metadata"]["labels"]
    assert pods[1]["metadata"]["labels"][KEY] == "leader"
    wait_until(lambda: metric(other, "pod_has_label") == "1.0", 15, "its metric says so")
    failed = bool(own_lines(other, *WARNING))  # on a busy machine a request may time out
    assert (metric(other, "pod_label_failures_total") == "0.0") is not failed


def test_the_label_is_removed_when_prometheus_dies(fleet: Fleet) -> None:
    """When Prometheus dies, the label is removed before the wrapper exits; the other gets it."""
    leader, other = pair(fleet)
    os.kill(leader.child.pid, signal.SIGKILL)
    assert leader.await_end() == 128 + signal.SIGKILL
    assert KEY not in labels_of(fleet.namespace, leader.name)
    await_labelled(fleet.namespace, other.name)


def test_a_restart_removes_the_label_after_a_crash(fleet: Fleet) -> None:
    """A killed replica keeps the label until it is started again as a follower."""
    leader, other = pair(fleet)
    leader.kill()
    both = sorted((leader.name, other.name))
    await_labelled(fleet.namespace, *both, timeout_s=LEASE_S + 20)
    leader.start()
    await_labelled(fleet.namespace, other.name)


def test_without_the_right_the_election_goes_on(
    make_namespace: Callable[..., Namespace], fleet: Fleet
) -> None:
    """Without the right to patch, a leader leads, logs this once and retries.

    Once the right is granted, the pod gets the label.
    """
    fleet.namespace = make_namespace()
    leader = start(fleet, "a")
    leader.await_leader()
    wait_until(lambda: own_lines(leader, *WARNING), 15, "it says so")
    wait_until(
        lambda: float(metric(leader, "pod_label_failures_total") or 0) >= 3, 20, "it tries again"
    )
    assert metric(leader, "pod_has_label") == ""
    [said] = own_lines(leader, *WARNING)
    assert said.has(" reason=", "(403)", fleet.namespace.name, "verb patch")
    assert leader.has_remote_write
    assert own_lines(leader, "warn", "(403)") == [said], "nothing is said of the lease"
    place = f"{RBAC}/{fleet.namespace.name}/roles/elector"
    role: dict[str, Any] = fleet.namespace.server.call("GET", place).json()
    role["rules"].append(RULE)
    fleet.namespace.server.call("PUT", place, role).raise_for_status()
    await_labelled(fleet.namespace, "a", timeout_s=30)


def test_without_the_right_a_hand_over_works(
    make_namespace: Callable[..., Namespace], fleet: Fleet
) -> None:
    """Without the right to patch, an ordered hand-over still completes."""
    fleet.namespace = make_namespace()
    for name in ("a", "b"):
        start(fleet, name)
    leader, other = fleet.settled()
    leader.term()
    other.await_leader()
    assert leader.await_end() == 0


def test_a_pod_label_without_lease_or_pod_name_is_refused(
    tmp_path: Path, namespace: Namespace
) -> None:
    """Without a Lease or the pod's name, the start is refused with a reason."""
    for words, name, cure in (
        ((f"--lease-lock=file:{tmp_path / 'lock'}",), "a", "--lease-name"),
        (on_lease(namespace), "", "metadata.name"),
    ):
        replica = Replica(tmp_path, "x", *words, *QUICK, FLAG, environment={"POD_NAME": name})
        replica.start()
        assert replica.await_end() == 2
        assert cure in replica.tail()
