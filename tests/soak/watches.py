"""Continuous observation of the lease, and of the configuration that each Prometheus has loaded."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from datetime import datetime
from typing import Any

import requests

from tests.real.parts import ADMIN_TOKEN, bearer
from tests.soak import check_config
from tests.soak.actor import Actor
from tests.soak.facts import Reign
from tests.soak.group import BASE, Group, Member
from tests.soak.record import Record
from tests.support import now

UNSEEN_S = 1.0  # after a longer time without an answer, the state in between is uncertain


class LoadedWatch(Actor):
    """Asks one Prometheus repeatedly which configuration it has loaded."""

    pause_s = 0.15

    def __init__(self, group: Group, member: Member, record: Record) -> None:
        super().__init__(f"what {member.name} has loaded", record)
        self.group, self.member = group, member
        self._reign: Reign | None = None
        self._answered_at = 0.0
        self._connection: http.client.HTTPConnection | None = None

    def turn(self) -> None:
        """Ask once."""
        asked_at = now()
        yaml = self._ask()
        if yaml is None:
            return
        if asked_at - self._answered_at > UNSEEN_S:
            self._reign = None
        self._answered_at = now()
        seen = check_config.seen(self.member.name, asked_at, now(), yaml)
        self._check(seen)
        if not self.group.has_gate:
            self._reign = self._reigning(seen)

    def _ask(self) -> str | None:
        """Return the configuration as YAML, or None without an answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.member.address, timeout=0.5)
        try:
            self._connection.request("GET", "/api/v1/status/config")
            answer = json.loads(self._connection.getresponse().read())
            return str(answer["data"]["yaml"])
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            self._connection.close()
            self._connection = None
            return None

    def _check(self, seen: check_config.Seen) -> None:
        edits = tuple(self.group.known.edits[seen.replica])
        found = check_config.wrong(self.group.name, seen, edits, BASE, has_gate=self.group.has_gate)
        for violation in found:
            self.record.violated(violation)
        self.member.loaded = seen

    def _reigning(self, seen: check_config.Seen) -> Reign | None:
        """Combine the answers: between two with remote_write, it always had it."""
        if not seen.has_remote_write:
            return None
        if self._reign is None:
            reign = Reign(seen.replica, seen.at, seen.at)
            self.group.known.loaded_reigns.append(reign)
            return reign
        self._reign.until = seen.asked_at
        return self._reign


class LeaseWatch(Actor):
    """Watches the group's Lease at the API server."""

    pause_s = 0.2

    def __init__(self, group: Group, record: Record) -> None:
        super().__init__(f"lease of {group.name}", record)
        self.group = group
        self._reign: Reign | None = None

    def turn(self) -> None:
        """Watch until the API server ends the watch."""
        namespace = self.group.namespace
        server = namespace.server
        answer: requests.Response | None = None
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(
                f"{server.url}{namespace.leases_path}",
                params={"watch": "1", "fieldSelector": f"metadata.name={namespace.lease_name}"},
                headers=bearer(ADMIN_TOKEN),
                verify=str(server.ca_file),
                stream=True,
                timeout=(2, 2),
            )
            for line in answer.iter_lines():
                self._hear(json.loads(line))
                if self.over.is_set():
                    break
        if answer is not None:
            answer.close()

    def _hear(self, event: dict[str, Any]) -> None:
        """Process a change of the Lease: its holder, and its renewal by the holder's clock."""
        spec = event["object"].get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if self._reign is None or self._reign.replica != holder:
            self._reign = None
            if holder:
                self._reign = Reign(holder, now(), now())
                self.group.known.lease_reigns.append(self._reign)
                self.record.note("lease", group=self.group.name, holder=holder)
        elif self._has_right_clock(holder) and (renewed := spec.get("renewTime")):
            self._reign.until = max(self._reign.until, min(_since_boot(renewed), now()))

    def _has_right_clock(self, holder: str) -> bool:
        member = self.group.by_name(holder)
        return member is None or member.clock_wrong_until < now()


def _since_boot(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() - time.time() + now()
