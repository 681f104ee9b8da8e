"""The label of the pod with a faulty API server: the errors, and their log lines.

What a real API server does is tested against one in tests/real.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.stand_in import LIMIT_S, Request, StandIn, problem_of, running
from tests.support import free_port
from wrapper.election.pod_label_updater import PodLabelUpdater
from wrapper.election.pod_patch import Pod
from wrapper.model.events import PodLabelAnswered
from wrapper.model.lease import LeaseUnavailable

KEY = "prometheus-elector/role"
PATH = "/api/v1/namespaces/monitoring/pods/p-0"


@pytest.fixture
def server() -> Iterator[StandIn]:
    """Run a stand-in that answers a patch with the patched pod, unless the test changes that."""
    with running(StandIn()) as stand_in:
        stand_in.play = patched
        yield stand_in


def patched(request: Request) -> None:
    """Answer as the API server does, with the patched pod."""
    labels = request.body["metadata"]["labels"]
    there = {key: value for key, value in labels.items() if value is not None}
    request.answer(200, {"kind": "Pod", "metadata": {"labels": {"app": "x"} | there}})


def refused(status: int, message: str, reason: str = "", kind: str = "") -> Any:
    """Return a function that answers with a refusal in the API server's format."""
    body = {"kind": "Status", "message": message, "reason": reason, "details": {"kind": kind}}
    return lambda request: request.answer(status, body)


def pod_at(url: str, folder: Path, uid: str = "uid-0") -> Pod:
    """Return the pod p-0; its token is in the file `token`."""
    (folder / "token").write_text("first\n")
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(content))
    return Pod(
        "p-0",
        "monitoring",
        uid,
        label=(KEY, "leader"),
        kubeconfig=str(folder / "kubeconfig"),
        request_timeout_s=LIMIT_S,
    )


@pytest.fixture
def pod(server: StandIn, tmp_path: Path) -> Pod:
    """Return the pod at the stand-in, with a loaded client."""
    made = pod_at(server.url, tmp_path)
    made.set_label(is_on=False)
    server.seen.clear()
    return made


@pytest.mark.parametrize(("is_on", "value"), [(True, "leader"), (False, None)])
def test_one_merge_patch_changes_the_label(
    server: StandIn, pod: Pod, *, is_on: bool, value: str | None
) -> None:
    """One merge patch changes only the label, and only of the pod with this UID."""
    pod.set_label(is_on=is_on)
    (request,) = server.seen
    assert (request.command, request.path) == ("PATCH", PATH)
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.headers["Authorization"] == "Bearer first"
    assert request.body == {"metadata": {"labels": {KEY: value}, "uid": "uid-0"}}


def test_without_a_uid_the_patch_has_none(server: StandIn, tmp_path: Path) -> None:
    """If POD_UID is not set, the patch contains no UID."""
    pod_at(server.url, tmp_path, uid="").set_label(is_on=True)
    assert server.seen[-1].body == {"metadata": {"labels": {KEY: "leader"}}}


CURE = (
    "set POD_NAME, POD_UID and POD_NAMESPACE from the pod's own fields"
    " metadata.name, metadata.uid and metadata.namespace"
)


@pytest.mark.parametrize(
    ("play", "reason", "words"),
    [
        pytest.param(
            refused(403, 'pods "p-0" is forbidden: User "sa" cannot patch resource "pods"'),
            "forbidden",
            [
                "sa may not patch pods p-0 in namespace monitoring (403): ",
                "grant the verb patch by a Role and a RoleBinding in namespace monitoring",
            ],
            id="no right to",
        ),
        pytest.param(
            refused(404, 'pods "p-0" not found', "NotFound", "pods"),
            "not-found",
            [f"pod p-0 in namespace monitoring does not exist (404): {CURE}"],
            id="no such pod",
        ),
        pytest.param(
            refused(409, "Precondition failed: UID in precondition: a, UID in object meta: b"),
            "conflict",
            ["pod p-0 in namespace monitoring ", f"the UID uid-0 (409): {CURE}"],
            id="another pod of the name",
        ),
        pytest.param(
            refused(422, "metadata.uid: Invalid value: field is immutable"),
            "conflict",
            ["pod p-0 in namespace monitoring ", f"the UID uid-0 (422): {CURE}"],
            id="likewise in other words",
        ),
        pytest.param(
            refused(422, "it shall not be"),
            "refused",
            ["{url}", "patch pods p-0 in namespace monitoring (422): it shall not be"],
            id="anything else in the server's words",
        ),
        pytest.param(
            lambda request: request.answer(404, {"hello": "world"}),
            "not-found",
            ["{url}", "pods (404): ", "Kubernetes API server"],
            id="no API server",
        ),
        pytest.param(
            lambda request: request.answer(200, {"kind": "Pod", "metadata": {"labels": {}}}),
            "error",
            ["pod p-0 in namespace monitoring ", "webhook", "proxy", KEY],
            id="taken off on the way",
        ),
        pytest.param(
            lambda request: request.answer(200, {"kind": "Pod", "metadata": "?"}),
            "error",
            ["pod p-0 in namespace monitoring ", "webhook", "proxy", KEY],
            id="not an object at all",
        ),
        pytest.param(
            lambda request: request.answer(200, {"kind": "Pod", "metadata": {"labels": "?"}}),
            "error",
            ["pod p-0 in namespace monitoring ", "webhook", "proxy", KEY],
            id="nor labels",
        ),
    ],
)
def test_a_refusal_gives_reason_and_fix(
    server: StandIn, pod: Pod, play: Any, reason: str, words: list[str]
) -> None:
    """The error for a refusal gives the reason and the fix."""
    server.play = play
    problem, _ = problem_of(lambda: pod.set_label(is_on=True))
    assert problem.reason == reason
    assert [each for each in words if each.replace("{url}", server.url) not in str(problem)] == []


def test_a_request_ends_at_its_time_limit(server: StandIn, pod: Pod) -> None:
    """If the server does not answer, the request ends at its time limit."""
    server.play = Request.wait
    problem, took_s = problem_of(lambda: pod.set_label(is_on=True))
    assert problem.reason == "timeout"
    assert took_s >= LIMIT_S


def test_a_refused_connection_is_reported(tmp_path: Path) -> None:
    """For a refused connection, the error is the same as for the lease."""
    url = f"http://127.0.0.1:{free_port()}"
    problem, _ = problem_of(lambda: pod_at(url, tmp_path).set_label(is_on=True))
    assert (
        str(problem)
        == f"{url} refuses connections: start the API server there, or correct the address"
    )


def test_a_changed_token_is_used(server: StandIn, pod: Pod, tmp_path: Path) -> None:
    """After the token file has changed, the next request uses the new token."""
    (tmp_path / "new").write_text("second\n")
    (tmp_path / "new").replace(tmp_path / "token")
    pod.set_label(is_on=True)
    assert [request.headers["Authorization"] for request in server.seen] == ["Bearer second"]


# --- the thread that sends the requests ---


class FakePod:
    """A pod that accepts or refuses the label as the test sets, and records the orders."""

    def __init__(self, *outcomes: LeaseUnavailable | None) -> None:
        self.outcomes = list(outcomes)
        self.ordered: list[bool] = []

    def set_label(self, *, is_on: bool) -> None:
        """Record the order, and raise the next error, if any."""
        self.ordered.append(is_on)
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome


def run_orders(pod: FakePod, orders: list[bool]) -> list[PodLabelAnswered]:
    """Send these orders to an updater, and return its answers."""
    answers: list[PodLabelAnswered] = []
    labeller = PodLabelUpdater(pod, "role=leader", answers.append)
    for order in orders:
        labeller.order(is_on=order)
    labeller.end()
    labeller.run()
    return answers


def test_each_order_is_answered() -> None:
    """Each order is answered in turn; a failure with its reason and Retry-After."""
    pod = FakePod(None, LeaseUnavailable("too much to do", "throttled", 3.0), None)
    answers = run_orders(pod, [False, True, False])
    assert answers == [
        PodLabelAnswered(),
        PodLabelAnswered("too much to do", 3.0),
        PodLabelAnswered(),
    ]
    assert pod.ordered == [False, True, False]


def test_each_problem_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A problem is logged when it is new, and a change of the label when it is made."""
    caplog.set_level(logging.INFO, "wrapper.election.pod_label_updater")
    may_not, away = LeaseUnavailable("may not"), LeaseUnavailable("away")
    pod = FakePod(None, may_not, may_not, away, None, None)
    run_orders(pod, [False, True, True, True, True, True])
    said = [(line.levelname, vars(line).get("reason")) for line in caplog.records]
    assert said == [("INFO", None), ("WARNING", "may not"), ("WARNING", "away"), ("INFO", None)]
    assert caplog.records[0].msg != caplog.records[-1].msg, "off, and on"
