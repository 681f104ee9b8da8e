"""Lease objects and their records, error messages, and the choice of the API server."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wrapper.access.request_errors import ServerDescription
from wrapper.election.api_errors import ApiAnswer, ObjectPlace, failure, refusal
from wrapper.election.cluster import Cluster
from wrapper.election.kubeconfig import ClusterAccess, check_kubeconfig
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.election.lease_fields import LONGEST_NAME, MOST
from wrapper.election.lease_object import INCARNATION, lease_of, record_of, version_of
from wrapper.model.lease import LeaseConflict, LeaseRecord, LeaseUnavailable, ObservedLease

THEN = "2026-01-02T03:04:05.000006Z"
LATER = "2026-01-02T03:04:07.000000Z"
RECORD = LeaseRecord("a", 15.0, THEN, LATER, 3, "pod-1")
BARE: dict[str, Any] = {"kind": "Lease", "metadata": {"name": "prometheus"}}
PLACE = ObjectPlace("prometheus", "monitoring", "https://api:6443", "/tokens/token")


def test_record_is_written_in_the_fields_of_client_go() -> None:
    """The spec has client-go's fields only: whole seconds, and times in microseconds."""
    assert lease_of(RECORD, BARE, "unused")["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": THEN,
        "renewTime": LATER,
        "leaseTransitions": 3,
    }


def test_record_is_read_as_it_was_written() -> None:
    """A written record is read with the same content, except for its URL."""
    assert record_of(lease_of(replace(RECORD, url="http://x"), BARE, "unused")) == RECORD


def test_release_has_an_empty_holder() -> None:
    """As in client-go, a release has an empty holder and a duration of one second."""
    released = lease_of(LeaseRecord("", 0.4, THEN, THEN, 3, "pod-1"), BARE, "unused")
    assert released["spec"]["holderIdentity"] == ""
    assert released["spec"]["leaseDurationSeconds"] == 1
    assert record_of(released).incarnation == "pod-1"


def test_record_without_incarnation_gets_that_of_the_lock() -> None:
    """A record without an incarnation is written with that of the lock."""
    assert record_of(lease_of(replace(RECORD, incarnation=None), BARE, "p")).incarnation == "p"


def test_other_content_of_the_object_is_kept() -> None:
    """Labels, annotations, owners and unknown fields of the spec are written back."""
    metadata = {"labels": {"l": "1"}, "annotations": {"x": "y"}, "ownerReferences": [{"uid": "u"}]}
    base = {"metadata": metadata, "spec": {"strategy": "OldestEmulationVersion"}}
    before = json.dumps(base)
    lease = lease_of(RECORD, base, "unused")
    assert json.dumps(base) == before
    assert lease["metadata"]["labels"] == {"l": "1"}
    assert lease["metadata"]["ownerReferences"] == [{"uid": "u"}]
    assert lease["metadata"]["annotations"]["x"] == "y"
    assert lease["spec"]["strategy"] == "OldestEmulationVersion"


@pytest.mark.parametrize("key", ["holderIdentity", "acquireTime"])
def test_annotation_of_another_record_is_ignored(key: str) -> None:
    """Our annotation is ignored if its record is not that of the spec.

    client-go keeps the annotation when it takes the lease over.
    """
    lease = lease_of(RECORD, BARE, "unused")
    lease["spec"][key] = "another"
    assert record_of(lease).incarnation is None


DEEP = "[" * 100_000
ODD: dict[str, Any] = {
    "a list": [],
    "an object": {"a": 1},
    "a number": 7,
    "a lie": False,
    "nested deep": json.loads("[" * 500 + "]" * 500),
    "too large to be a float": 10**400,
    "no number": float("nan"),
    "endless": float("inf"),
    "negative": -1,
    "null": None,
    "a word": "soon",
    "half a pair": "\ud800",
    "a text of 1 MB": "x" * 1_000_000,
    "control characters": "\x00\x1b[31m\n",
}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"pod"', "{}", '{"holder": "a"}', DEEP, '{"a":' + DEEP, "9" * 5000],
)
def test_malformed_annotation_is_ignored(text: str) -> None:
    """Reading a record succeeds with any content of the annotation."""
    lease = lease_of(RECORD, BARE, "unused")
    lease["metadata"]["annotations"][INCARNATION] = text
    assert record_of(lease) == replace(RECORD, incarnation=None)


@pytest.mark.parametrize("incarnation", [None, 7, [], {}, json.loads("[" * 200 + "]" * 200), ""])
def test_incarnation_that_is_no_text_is_ignored(incarnation: Any) -> None:
    """An annotation for the right record is ignored if its incarnation is not a name."""
    lease = lease_of(RECORD, BARE, "unused")
    signed = {"incarnation": incarnation, "holder": RECORD.holder, "acquireTime": THEN}
    lease["metadata"]["annotations"][INCARNATION] = json.dumps(signed)
    assert record_of(lease).incarnation is None


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("key", list(lease_of(RECORD, BARE, "unused")["spec"]))
def test_any_value_in_a_lease_can_be_read_and_replaced(key: str, value: Any) -> None:
    """Any value in any field gives a small printable record, which can be overwritten.

    Other fields are unchanged, and other odd content of the object is kept or replaced.
    """
    lease = lease_of(RECORD, BARE, "unused")
    lease["spec"][key] = value
    record = record_of(lease)
    for text in (record.holder, record.acquire_time, record.renew_time):
        assert len(text) <= LONGEST_NAME
        assert not text or text.isprintable()
    assert 1 <= record.duration_s <= MOST
    assert 0 <= record.transitions <= MOST
    ours = replace(RECORD, holder="us", transitions=record.transitions)
    assert record_of(lease_of(ours, lease, "unused")) == ours


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("holderIdentity", None, "holder", ""),
        ("holderIdentity", "a\n\x1b[1m", "holder", "a\ufffd\ufffd[1m"),
        ("leaseDurationSeconds", None, "duration_s", 1.0),
        ("leaseDurationSeconds", 0, "duration_s", 1.0),
        ("leaseDurationSeconds", -5, "duration_s", 1.0),
        ("leaseDurationSeconds", "15", "duration_s", 1.0),
        ("leaseDurationSeconds", True, "duration_s", 1.0),
        ("leaseDurationSeconds", MOST, "duration_s", float(MOST)),
        ("leaseDurationSeconds", 10**400, "duration_s", float(MOST)),
        ("leaseTransitions", None, "transitions", 0),
        ("leaseTransitions", -1, "transitions", 0),
        ("leaseTransitions", "7", "transitions", 0),
        ("leaseTransitions", MOST + 1, "transitions", MOST),
        ("acquireTime", "yesterday", "acquire_time", ""),
        ("acquireTime", "2026-01-02T03:04:05Z", "acquire_time", "2026-01-02T03:04:05Z"),
        ("renewTime", "yesterday", "renew_time", "yesterday"),
    ],
)
def test_field_is_kept_within_its_bounds(
    key: str, value: Any, field: str, expected: object
) -> None:
    """A value of the wrong type counts as missing; a renew time of any form is kept."""
    lease = lease_of(RECORD, BARE, "unused")
    lease["spec"][key] = value
    assert getattr(record_of(lease), field) == expected


def test_long_names_stay_distinct() -> None:
    """Two holders of 1 MB with different ends are distinct, also after they are shortened."""
    holders = ["x" * 1_000_000 + end for end in "ab"]
    records = [record_of({"spec": {"holderIdentity": holder}}) for holder in holders]
    again = record_of({"spec": {"holderIdentity": records[0].holder}})
    assert records[0] != records[1]
    assert again == records[0]  # so that a shortened name of our own is still recognised


@pytest.mark.parametrize("key", ["metadata", "spec"])
@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_odd_object_is_read_as_an_empty_lease(key: str, value: Any) -> None:
    """If metadata, spec or annotations have a wrong type, the lease is read as empty."""
    assert record_of({key: value}) == LeaseRecord()
    assert version_of({key: value}) is None
    assert record_of({"metadata": {"annotations": value}}) == LeaseRecord()
    assert record_of(lease_of(RECORD, {"metadata": {"annotations": value}}, "unused")) == RECORD


@pytest.mark.parametrize("spec", [{}, {"spec": None}, {"spec": {"holderIdentity": None}}])
def test_empty_lease_is_free(spec: dict[str, Any]) -> None:
    """A Lease without a spec or holder, e.g. one made by hand, is free."""
    assert record_of(BARE | spec) == LeaseRecord()


def test_message_that_is_no_text_is_quoted_as_json() -> None:
    """An error message of another type is quoted as JSON; each one is cut to 300 characters."""
    assert ApiAnswer(500, b'{"message": [1,\n2]}').message == '{"message": [1, 2]}'
    assert len(ApiAnswer(500, b'{"message": "%s"}' % (b"x" * 1_000_000)).message) == 300


MANY = b'{"a": [%b]}' % b",".join([b"{}"] * 600_000)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" * 100_000, b"9" * 5000, b"\xff", b"\x1b[2J\x00", b"", b"7", b"[]", b"null"),
        pytest.param(MANY, id="many"),
    ],
)
def test_answer_that_is_no_object_is_empty(body: bytes) -> None:
    """An answer that is no JSON object counts as empty; its message is short and printable."""
    answer = ApiAnswer(500, body)
    assert answer.json == {}
    assert answer.message.isprintable()
    assert len(answer.message) <= 300
    assert not answer.says_missing("leases")


def status_answer(
    status: int, reason: str = "", kind: str = "", message: str = "no luck"
) -> ApiAnswer:
    """Return an answer in the form of an API server's."""
    body = {"kind": "Status", "reason": reason, "message": message, "details": {"kind": kind}}
    return ApiAnswer(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("update", status_answer(409, "Conflict")),
        ("create", status_answer(409, "AlreadyExists")),
        ("update", status_answer(404, "NotFound", "leases")),
    ],
)
def test_lost_race_is_a_conflict(verb: str, answer: ApiAnswer) -> None:
    """A changed version, a lease that exists already and a deleted lease are conflicts."""
    assert isinstance(refusal(verb, answer, PLACE), LeaseConflict)


FORBIDDEN = (
    'leases.coordination.k8s.io is forbidden: User "system:serviceaccount:monitoring:p" cannot'
    ' create resource "leases" in API group "coordination.k8s.io" in the namespace "monitoring"'
)

VERBS = "the verbs get, update, watch and create (create without resourceNames)"


@pytest.mark.parametrize(
    ("verb", "answer", "reason", "words"),
    [
        (
            "get",
            status_answer(401),
            "unauthorized",
            ["https://api:6443", "/tokens/token", "(401)", "expired", "another cluster"],
        ),
        (
            "create",
            status_answer(403, message=FORBIDDEN),
            "forbidden",
            [
                (
                    "system:serviceaccount:monitoring:p may not create leases.coordination.k8s.io"
                    " in namespace monitoring (403): "
                ),
                f"grant {VERBS} by a Role and a RoleBinding in namespace monitoring",
            ],
        ),
        (
            "watch",
            status_answer(403, message=FORBIDDEN),
            "forbidden",
            [
                (
                    "system:serviceaccount:monitoring:p may not watch leases.coordination.k8s.io"
                    " prometheus in namespace monitoring (403): "
                ),
                f"grant {VERBS} by a Role and a RoleBinding in namespace monitoring",
            ],
        ),
        (
            "create",
            status_answer(403, message="the namespace is being\n terminated"),
            "forbidden",
            [
                "https://api:6443",
                (
                    "create leases.coordination.k8s.io in namespace monitoring (403): "
                    "the namespace is being terminated"
                ),
            ],
        ),
        (
            "create",
            status_answer(404, "NotFound", "namespaces"),
            "namespace",
            ["the namespace monitoring does not exist: ", "--lease-namespace"],
        ),
        (
            "get",
            ApiAnswer(404, b"<html>"),
            "not-found",
            ["https://api:6443", "leases (404): ", "Kubernetes API server"],
        ),
        (
            "get",
            status_answer(429),
            "throttled",
            ["https://api:6443", "(429)"],
        ),
        ("get", status_answer(503), "server", ["https://api:6443", "(503): no luck"]),
        (
            "update",
            status_answer(
                422, message="metadata.annotations: Too long: may not be more than 262144 bytes"
            ),
            "refused",
            ["(422): metadata.annotations: Too long", ": remove annotations of other programs"],
        ),
        (
            "update",
            status_answer(422),
            "refused",
            [
                "https://api:6443",
                (
                    "update leases.coordination.k8s.io prometheus in namespace monitoring (422): "
                    "no luck"
                ),
            ],
        ),
    ],
)
def test_refusal_names_request_reason_and_remedy(
    verb: str, answer: ApiAnswer, reason: str, words: list[str]
) -> None:
    """Every refusal names the request and what to do, and has a reason for the metrics."""
    error = refusal(verb, answer, PLACE)
    assert isinstance(error, LeaseUnavailable)
    assert error.reason == reason
    assert [each for each in words if each not in str(error)] == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("", 0.0), ("inf", 0.0), ("-1", 0.0), ("9" * 30, 60.0)]
)
def test_retry_after_is_bounded(text: str, seconds: float) -> None:
    """Retry-After counts up to a minute; a value that is not a number of seconds is ignored."""
    error = refusal("get", ApiAnswer(429, b"", text), PLACE)
    assert isinstance(error, LeaseUnavailable)
    assert error.retry_after_s == seconds


def caused_by(cause: BaseException) -> Exception:
    """Return an error as libraries raise it, with this cause."""
    error = RuntimeError("<object at 0x7f00>")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "reason", "text"),
    [
        (
            ConnectionRefusedError(),
            "refused",
            "https://api:6443 refuses connections: start the API server there, or correct ",
        ),
        (TimeoutError(), "timeout", "no answer from https://api:6443 within 1.5 s: "),
        (
            socket.gaierror(-2, "Name unknown"),
            "dns",
            "https://api:6443 cannot be resolved (Name unknown): ",
        ),
        (ssl.SSLError(1, "x"), "tls", "TLS with https://api:6443 failed"),
        (ConnectionResetError(104, "reset"), "connection", "to https://api:6443 was lost: reset"),
        (OSError(113, "no route"), "connection", "to https://api:6443 failed: no route"),
        (KeyError("x"), "error", "cannot be read (RuntimeError)"),
    ],
)
def test_failure_names_cause_and_remedy(cause: Exception, reason: str, text: str) -> None:
    """A failure without an answer is described by its cause, in the same words each time."""
    server = ServerDescription(PLACE.server, "the API server", "name its CA")
    error = failure(caused_by(cause), server, 1.5)
    assert error.reason == reason
    assert text in str(error)
    assert "0x" not in str(error)


def write_kubeconfig(path: Path, **changes: Any) -> Path:
    """Write a usable kubeconfig with some of its top-level keys changed."""
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://s"}}],
        "users": [{"name": "u", "user": {"token": "SECRET"}}],
    }
    path.write_text(json.dumps(content | changes))
    return path


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove kubeconfig and service account from the environment."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_usable_kubeconfig_has_no_problem(tmp_path: Path) -> None:
    """A file with context, cluster and user is accepted."""
    assert check_kubeconfig(str(write_kubeconfig(tmp_path / "k"))) == ""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"current-context": ""}, "current-context is missing: choose a context"),
        ({"current-context": "x"}, "there is no context named 'x': add it"),
        ({"clusters": []}, "there is no cluster named 'k': add it"),
        (
            {"clusters": [{"name": "k", "cluster": {}}]},
            "cluster k has no server: write https://HOST:PORT",
        ),
        (
            {"clusters": [{"name": "k", "cluster": {"server": "api:6443"}}]},
            "cluster k has no server: write https://HOST:PORT",
        ),
        ({"users": None}, "there is no user named 'u': add it"),
        ({"contexts": 5}, "contexts is not a list: write each entry as - name: NAME"),
        (
            {"clusters": [{"name": "k", "cluster": "api"}]},
            "the cluster named 'k' is not a mapping: write it as KEY: VALUE",
        ),
        (
            {"users": [{"name": "u", "user": ["a"]}]},
            "the user named 'u' is not a mapping: write it as KEY: VALUE",
        ),
    ],
)
def test_incomplete_kubeconfig_is_reported(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    """The problem names the file and what is missing, without values of credentials."""
    path = write_kubeconfig(tmp_path / "k", **changes)
    assert check_kubeconfig(str(path)) == f"{path}: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "the kubeconfig {}:1:5: not YAML: "),
        ("", "{}: not a kubeconfig: "),
        ("- a", "{}: not a kubeconfig: "),
        ("\x01", "the kubeconfig {}:1:1: not text "),
        pytest.param("[" * 100_000, "the kubeconfig {}:1:", id="deep"),
        ("a: &a [*a]", "the kubeconfig {}:1:4: the value contains itself"),
        ("a: 2024-13-45\nb: !!int c\nc: !!timestamp d", "{}: current-context is missing"),
        ("current-context: [a]", "{}: there is no context named ['a']: add it"),
        ("current-context: 010", "{}: there is no context named '010': add it"),
        pytest.param("a: " + "9" * 5000, "{}: current-context is missing", id="long number"),
    ],
)
def test_malformed_kubeconfig_is_reported(tmp_path: Path, text: str, problem: str) -> None:
    """A file that is no kubeconfig is reported with the place of the error."""
    path = tmp_path / "k"
    path.write_text(text)
    assert check_kubeconfig(str(path)).startswith(problem.format(path))


@pytest.mark.parametrize(
    "server", ["https://[::1", "https://\u2100.x", "https://h:99999", "https://"]
)
def test_invalid_server_url_after_an_edit_is_reported(tmp_path: Path, server: str) -> None:
    """If an edit makes the server's URL invalid, each request fails with the file's problem.

    A running replica loses its lease by this, but a thread that handles the error does not end.
    """
    path = write_kubeconfig(tmp_path / "k")
    lease = KubernetesLease("l", "n", str(path), "i", 1.0)
    write_kubeconfig(path, clusters=[{"name": "k", "cluster": {"server": server}}])
    for request in (lease.read, lambda: lease.watch(ObservedLease(None), print)):
        with pytest.raises(LeaseUnavailable) as caught:
            request()
        assert str(caught.value) == f"{path}: cluster k has no server: write https://HOST:PORT"
    assert check_kubeconfig(str(path)) == str(caught.value)


def test_credentials_in_the_server_url_are_not_shown(tmp_path: Path) -> None:
    """Name and password in the server's URL are not part of the error message."""
    server = {"server": "http://me:secret@127.0.0.1:1"}
    path = write_kubeconfig(tmp_path / "k", clusters=[{"name": "k", "cluster": server}])
    cluster = Cluster(str(path), 1.0)
    with pytest.raises(LeaseUnavailable, match=r"^http://127\.0\.0\.1:1 ") as caught:
        cluster.ask("GET", "/")
    assert "secret" not in str(caught.value)


def test_missing_kubeconfig_is_reported(tmp_path: Path) -> None:
    """If the named kubeconfig does not exist, the problem names the file and the flags."""
    path = tmp_path / "none"
    problem = check_kubeconfig(str(path))
    cure = "correct --kubeconfig (or KUBECONFIG), or let this user read it"
    assert problem == f"the kubeconfig {path}: No such file or directory; {cure}"


@pytest.mark.usefixtures("nowhere")
def test_unknown_server_is_reported() -> None:
    """Without a kubeconfig and a service account, the problem names both and the flag."""
    problem = check_kubeconfig("")
    assert all(each in problem for each in ("--kubeconfig", "KUBECONFIG", "service account"))


@pytest.mark.usefixtures("nowhere")
def test_kubeconfig_is_searched_as_in_client_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The flag precedes KUBECONFIG, which precedes the file in the home folder."""
    assert ClusterAccess.find("").kubeconfigs == ()
    home = tmp_path / "home/.kube/config"
    home.parent.mkdir(parents=True)
    write_kubeconfig(home)
    assert ClusterAccess.find("").kubeconfigs == (home,)
    named = write_kubeconfig(tmp_path / "named")
    monkeypatch.setenv("KUBECONFIG", f"{named}:{tmp_path / 'missing'}")
    assert ClusterAccess.find("").kubeconfigs == (named,)
    assert ClusterAccess.find("flag").kubeconfigs == (Path("flag"),)


@pytest.mark.usefixtures("nowhere")
def test_namespace_of_the_pod_comes_first(tmp_path: Path) -> None:
    """The pod's namespace file precedes the context's namespace, which precedes ``default``."""
    kubeconfig = str(write_kubeconfig(tmp_path / "k"))
    assert ClusterAccess.find("", tmp_path).namespace() == "default"
    assert ClusterAccess.find(kubeconfig, tmp_path).namespace() == "n"
    (tmp_path / "namespace").write_text("pod\n")
    assert ClusterAccess.find(kubeconfig, tmp_path).namespace() == "pod"


@pytest.mark.parametrize(
    ("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_server_in_a_pod_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, url: str
) -> None:
    """In a pod, the environment variables name the server, by IPv4 or IPv6."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert ClusterAccess((), tmp_path).server == url
