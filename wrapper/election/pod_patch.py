"""The label on this replica's own pod, by a merge patch: no other right is needed than to patch it.

The guarantee: what is said to be on or off is what the API server answered, and no request outlives
its time limit. Where it ends: a request whose time is up may still take effect, and a pod that is
dead or cut off keeps its label.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from wrapper.election.api_errors import ApiAnswer, ObjectPlace, refusal
from wrapper.election.cluster import MERGE_PATCH, Cluster
from wrapper.election.lease_fields import Json, mapping
from wrapper.model.lease import LeaseUnavailable

_POD = "/api/v1/namespaces/{namespace}/pods/{name}"
_ANOTHER = frozenset({HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


class Pod:
    """One pod and one label; ``uid`` "" where it is not known which pod of the name it is."""

    def __init__(  # noqa: PLR0913 - each is one thing to know about the pod
        self,
        name: str,
        namespace: str,
        uid: str,
        *,
        label: tuple[str, str],
        kubeconfig: str,
        request_timeout_s: float,
    ) -> None:
        self._cluster = Cluster(kubeconfig, request_timeout_s)
        self._name = name
        self._namespace = namespace or self._cluster.namespace()
        self._uid = uid
        self._key, self._value = label

    def set_label(self, *, is_on: bool) -> None:
        """Put the label on, or take it off; raise LeaseUnavailable where that is not known."""
        path = _POD.format(namespace=quote(self._namespace, ""), name=quote(self._name, ""))
        value = self._value if is_on else None
        answer = self._cluster.ask("PATCH", path, self._patch(value), MERGE_PATCH)
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer)
        if _label_in(answer.json, self._key) != value or answer.json.get("kind") != "Pod":
            why = f"does a webhook or a proxy stand in the way of its label {self._key}?"
            raise LeaseUnavailable(f"{self._where} does not come back as patched: {why}", "error")

    def _patch(self, value: str | None) -> Json:
        """Return the patch; with a UID the server refuses it for another pod of this name."""
        labels = {"labels": {self._key: value}}
        return {"metadata": labels | ({"uid": self._uid} if self._uid else {})}

    def _refusal(self, answer: ApiAnswer) -> Exception:
        if answer.says_missing("pods"):
            return LeaseUnavailable(f"{self._where} does not exist (404): {_CURE}", "not-found")
        if self._uid and answer.status in _ANOTHER and "uid" in answer.words.lower():
            text = f"{self._where} is not of the UID {self._uid} ({answer.status}): {_CURE}"
            return LeaseUnavailable(text, "conflict")
        return refusal("patch", answer, self._place)

    @property
    def _where(self) -> str:
        return f"pod {self._name} in namespace {self._namespace}"

    @property
    def _place(self) -> ObjectPlace:
        return self._cluster.place("pods", self._namespace, self._name)


def _label_in(pod: Json, key: str) -> object:
    """Return a label's value, None where the object has no such label."""
    return mapping(mapping(pod.get("metadata")).get("labels")).get(key)


_CURE = (
    "set POD_NAME, POD_UID and POD_NAMESPACE from the pod's own fields"
    " metadata.name, metadata.uid and metadata.namespace"
)
