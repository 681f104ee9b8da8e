"""Renews the replicas' tokens, as the kubelet does."""

from __future__ import annotations

import requests

from tests.real.parts import Namespace
from tests.soak.actor import Actor
from tests.soak.record import Record

LIFETIME_S = 600  # the shortest that the API server allows


class Kubelet(Actor):
    """Renews the token of one namespace each minute; after a failure, the old one is kept."""

    pause_s = 60.0

    def __init__(self, namespace: Namespace, record: Record) -> None:
        super().__init__(f"kubelet of {namespace.name}", record)
        self._namespace = namespace

    def turn(self) -> None:
        """Renew the token once."""
        try:
            self._namespace.renew_token(LIFETIME_S)
        except (requests.RequestException, AssertionError) as error:  # there is a fault
            self.record.note("token not renewed", reason=repr(error)[:200])
