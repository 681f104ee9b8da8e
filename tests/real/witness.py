"""Evidence that two replicas never write at once: what each Prometheus has loaded, and when."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field

from tests.real.parts import WriteLog
from tests.real.replica import Replica, has_loaded_remote_write
from tests.support import now, wait_until


@dataclass(slots=True)
class Reign:
    """The time in which a Prometheus certainly had the leader's configuration loaded."""

    replica: str
    since: float
    until: float


@dataclass
class Witness:
    """Queries each Prometheus continually whether it has loaded a remote_write."""

    reigns: list[Reign] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def watch(self, replica: Replica) -> None:
        """Query this replica's Prometheus too, from now on."""
        thread = threading.Thread(target=self._watch, args=(replica,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Stop the queries."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def reign(self, name: str) -> Reign:
        """Return a replica's last reign; wait until it has one."""

        def seen() -> list[Reign]:
            return [reign for reign in self.reigns if reign.replica == name]

        return wait_until(seen, 15, f"{name} has been seen to lead")[-1]

    def assert_one_writer(self, log: WriteLog) -> None:
        """Check that no two reigns overlap, and nobody writes in the reign of another."""
        for one, other in itertools.combinations(self.reigns, 2):
            overlaps = max(one.since, other.since) < min(one.until, other.until)
            assert not (overlaps and one.replica != other.replica), f"two writers: {one}, {other}"
        for write, reign in itertools.product(log.writes(), self.reigns):
            is_strange = reign.since < write.at < reign.until and write.replica != reign.replica
            assert not is_strange, f"{write} while another had remote_write: {reign}"

    def _watch(self, replica: Replica) -> None:
        """Combine the answers to reigns: between two positive answers, remote_write was loaded."""
        reign: Reign | None = None
        while not self._over.wait(0.04):
            asked_at = now()
            try:
                has_remote_write = has_loaded_remote_write(replica.address, timeout_s=0.5)
            except TimeoutError:
                continue  # stopped: what it has loaded does not change
            except OSError:
                has_remote_write = False
            if not has_remote_write:
                reign = None
            elif reign is None:
                reign = Reign(replica.name, now(), now())
                self.reigns.append(reign)
            else:
                reign.until = asked_at
