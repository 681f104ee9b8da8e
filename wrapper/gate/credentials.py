"""The credentials for the held batches of one endpoint: those of Prometheus' newest request; pure.

A token may expire while a batch is held, and only Prometheus has the next one. So a held batch
keeps only the header fields that describe its body. It is sent with the other fields of the newest
request, which may be one that was held or refused: ``Authorization``, and what else the
``remote_write`` adds to each of its requests.

If the receiver refuses the credentials (401 or 403), they may have expired since that request. So
nothing is sent until the next request, and only a second refusal is final: with the same
credentials, the receiver would also refuse what Prometheus sends now. If Prometheus sends nothing,
held batches wait. They then delay no live request, but they delay a hand-over.

Limitation: the gate cannot verify who sent a request. On loopback, any process can send one.
"""

from __future__ import annotations

from dataclasses import replace

from wrapper.gate.decisions import Answer
from wrapper.gate.held import Batch, Fields

_REFUSALS = frozenset((401, 403))
_OF_BATCH = frozenset(
    ("content-encoding", "content-type", "retry-attempt", "x-prometheus-remote-write-version")
)


class Credentials:
    """The header fields of the newest request, and whether the receiver has refused them."""

    def __init__(self) -> None:
        """Start without any."""
        self._newest: Fields | None = None
        self._are_refused = False  # those of an earlier request, and since then none was accepted

    def take(self, batch: Batch) -> Batch:
        """Take the credentials of a new request; return the batch without them."""
        self._newest = tuple(each for each in batch.fields if not _is_of_batch(each))
        return replace(batch, fields=tuple(filter(_is_of_batch, batch.fields)))

    def fields_for(self, batch: Batch) -> Fields | None:
        """Return all fields for a held batch; None if Prometheus must send a request first."""
        return None if self._newest is None else (*self._newest, *batch.fields)

    def must_be_newer(self, answer: Answer) -> bool:
        """Record an answer to a held batch; return whether to send it again with newer ones."""
        if answer.status in _REFUSALS and not self._are_refused:
            self._newest, self._are_refused = None, True
            return True
        if answer.status not in _REFUSALS and answer.outcome.is_final:
            self._are_refused = False
        return False

    def begin(self) -> None:
        """Forget earlier refusals, because the gate has opened or closed."""
        self._are_refused = False

    def forget(self) -> None:
        """Forget the credentials, because they were for another receiver."""
        self._newest = None


def _is_of_batch(field: tuple[str, str]) -> bool:
    return field[0].lower() in _OF_BATCH
