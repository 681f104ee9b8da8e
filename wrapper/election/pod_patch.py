"""Set the label on this replica's own pod by a merge patch; this needs only the verb ``patch``.

Guarantee: the label is reported as set or removed only if the API server's answer shows it. A
caller waits at most for the request timeout.

Limitations: a request that has timed out may still take effect. A pod that is dead or partitioned
keeps its label.
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
    """One pod and one label; ``uid`` is "" if the pod's UID is not known."""

    def __init__(  # noqa: PLR0913 - each is one fact about the pod
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
        """Set or remove the label; raise LeaseUnavailable if that is not acknowledged."""
        path = _POD.format(namespace=quote(self._namespace, ""), name=quote(self._name, ""))
        value = self._value if is_on else None
        answer = self._cluster.ask("PATCH", path, self._patch(value), MERGE_PATCH)
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer)
        if _label_in(answer.json, self._key) != value or answer.json.get("kind") != "Pod":
            cure = f"check whether a webhook or a proxy changes its label {self._key}"
            raise LeaseUnavailable(f"{self._where} was not patched as requested: {cure}", "error")

    def _patch(self, value: str | None) -> Json:
        """Return the patch; with a UID, the server refuses it for another pod with this name."""
        labels = {"labels": {self._key: value}}
        return {"metadata": labels | ({"uid": self._uid} if self._uid else {})}

    def _refusal(self, answer: ApiAnswer) -> Exception:
        if answer.says_missing("pods"):
            return LeaseUnavailable(f"{self._where} does not exist (404): {_CURE}", "not-found")
        if self._uid and answer.status in _ANOTHER and "uid" in answer.message.lower():
            text = f"{self._where} does not have the UID {self._uid} ({answer.status}): {_CURE}"
            return LeaseUnavailable(text, "conflict")
        return refusal("patch", answer, self._place)

    @property
    def _where(self) -> str:
        return f"pod {self._name} in namespace {self._namespace}"

    @property
    def _place(self) -> ObjectPlace:
        return self._cluster.place("pods", self._namespace, self._name)


def _label_in(pod: Json, key: str) -> object:
    """Return a label's value, or None if the object has no such label."""
    return mapping(mapping(pod.get("metadata")).get("labels")).get(key)


_CURE = (
    "set POD_NAME, POD_UID and POD_NAMESPACE from the pod's own fields"
    " metadata.name, metadata.uid and metadata.namespace"
)
