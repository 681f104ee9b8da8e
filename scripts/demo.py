"""Run two replicas with real Prometheus on one lock file, and a Prometheus that receives samples.

Start it with `scripts/run`, which provides what it needs. All processes and files use one temporary
folder and free ports of loopback, and are removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from demo_fleet import PORTS, Failed, Fleet, Replica, await_, free_ports, freeze

READY_WITHIN_S = 60.0
STEADY_S = 10.0  # for so long both replicas scrape before anything is done to the leader
SAMPLES_WITHIN_S = 60.0
LEADER_WITHIN_S = 60.0  # a frozen one is replaced when its lease expires
EXIT_WITHIN_S = 60.0
WIDTH = 30
Holes = tuple[float, float]  # of `up`, and of any series; in seconds


def main() -> int:
    """Run until Ctrl-C, or lose some leaders with ``--demo``; return the exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as folder:
        try:
            with contextlib.ExitStack() as stack:
                fleets = _fleets(Path(folder), options, stack)
                return _demonstrate(fleets) if options.demo else _attend(*fleets)
        except Failed as problem:
            _say(f"FAILED: {problem}")
            _show_logs(Path(folder))
            return 1
        except KeyboardInterrupt:
            _say("stopped")
            return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--demo",
        action="store_true",
        help="kill leaders with and without the gate, print the largest gap, then exit",
    )
    parser.add_argument(
        "--remote-write-gate",
        action="store_true",
        help="give both replicas the gate, so that a change of leader loses no samples",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help=f"the first of {PORTS} consecutive ports, with --demo of {2 * PORTS} "
        "(default: free ports)",
    )
    return parser.parse_args()


def _fleets(
    folder: Path, options: argparse.Namespace, stack: contextlib.ExitStack
) -> tuple[Fleet, ...]:
    """Start one fleet, or one without and one with the gate for the demonstration."""
    gates = (False, True) if options.demo else (options.remote_write_gate,)
    ports = free_ports(options.port, PORTS * len(gates))
    names = {False: "without the gate", True: "with the gate"}
    fleets = tuple(
        Fleet(names[gate], gate, folder / names[gate].replace(" ", "-"), list(own), stack)
        for gate, own in zip(gates, _in_parts(ports), strict=True)
    )
    for fleet in fleets:
        fleet.start()
    return fleets


def _in_parts(ports: list[int]) -> list[list[int]]:
    return [ports[start : start + PORTS] for start in range(0, len(ports), PORTS)]


# --- until Ctrl-C ---


def _attend(fleet: Fleet) -> int:
    """Print each change of leader until Ctrl-C, or until no replica is running."""
    leader: Replica | None = await_(fleet.leader, READY_WITHIN_S, "no replica leads")
    _introduce(fleet, leader)
    alive = [replica for replica in fleet.replicas if replica.is_running()]
    while alive:
        time.sleep(0.1)
        for replica in [replica for replica in alive if not replica.is_running()]:
            _say(f"replica {replica.name} exited with status {replica.process.returncode}")
            alive.remove(replica)
        now_leads = fleet.leader()
        if now_leads is not leader:
            _say(f"replica {now_leads.name} leads" if now_leads else "nobody leads")
            leader = now_leads
    _say("no replica is running any more")
    return 0


def _introduce(fleet: Fleet, leader: Replica | None) -> None:
    for replica in fleet.replicas:
        role = "leads and writes to the receiver" if replica is leader else "follows"
        _say(f"replica {replica.name} {role}")
        _say(f"  Prometheus        http://127.0.0.1:{replica.prometheus_port}")
        _say(f"  elector           http://127.0.0.1:{replica.api_port}/_elector/")
        _say(f"  proxy to the leader's Prometheus  http://127.0.0.1:{replica.api_port}/")
        _say(f"  to stop it        kill -TERM {replica.process.pid}")
    _say(f"the receiver        {fleet.receiver}/graph?g0.expr=up")
    _say(f"logs and data       {fleet.folder}")
    _say("Press Ctrl-C to exit. Stop the leader to see a hand-over.")


# --- the demonstration ---


def _demonstrate(fleets: tuple[Fleet, ...]) -> int:
    """Lose leaders in three ways; fail if the gate does not help where a leader vanishes.

    One that is killed frees its lock file at once; one that is frozen holds it until a kernel timer
    kills it shortly before its lease expires, as a Lease is held when a machine is lost.
    """
    _say("two fleets have started, one without the gate and one with it: this takes 2 to 3 minutes")
    killed = _lose("killed (kill -9)", fleets, lambda _, leader: leader.process.kill())
    frozen = _lose("frozen, as a lost machine", fleets, lambda it, leader: freeze(it.stack, leader))
    stopped = _lose("asked to stop (SIGTERM)", fleets, lambda _, leader: leader.process.terminate())
    _print("the largest distance of two samples at the receiver, of `up` and of any series")
    _print("(1.0 s if none is missing, since each second is scraped)")
    _print(_row("the leader is", [fleet.name for fleet in fleets]))
    for how, holes in (killed, frozen, stopped):
        _print(_row(how, [_both(each) for each in holes]))
    without, with_gate = frozen[1]
    if max(with_gate) >= min(without):
        raise Failed("a leader that vanishes leaves no smaller hole with the gate than without")
    return 0


def _lose(
    how: str, fleets: tuple[Fleet, ...], lose: Callable[[Fleet, Replica], None]
) -> tuple[str, list[Holes]]:
    """Lose the leader of each fleet; return how, and the largest hole that each receiver has."""
    _say(f"both replicas scrape for {STEADY_S:g} s and more")
    leaders = [_steady_leader(fleet) for fleet in fleets]
    _say(f"the leaders are now {how}")
    since = time.time()
    for fleet, leader in zip(fleets, leaders, strict=True):
        lose(fleet, leader)
    for fleet, leader in zip(fleets, leaders, strict=True):
        new = fleet.other(leader)
        await_(new.leads, LEADER_WITHIN_S, f"{fleet.name}: replica {new.name} did not take over")
        _say(f"{fleet.name}: replica {new.name} leads, {time.time() - since:.1f} s later")
    holes = [_holes(fleet, since, time.time()) for fleet in fleets]
    for fleet, leader in zip(fleets, leaders, strict=True):
        gone = f"{fleet.name}: replica {leader.name} has not exited"
        await_(lambda it=leader: not it.is_running(), EXIT_WITHIN_S, gone)
    return how, holes


def _steady_leader(fleet: Fleet) -> Replica:
    """Return the leader when both replicas have been ready for a while, and samples arrive."""
    for replica in fleet.replicas:
        if not replica.is_running():
            fleet.restart(replica)
    for replica in fleet.replicas:
        late = f"{fleet.name}: replica {replica.name} is not ready"
        await_(replica.is_ready, READY_WITHIN_S, late)
    leader = await_(fleet.leader, READY_WITHIN_S, f"{fleet.name}: no replica leads")
    _await_samples(fleet, time.time() + STEADY_S)
    return leader


def _holes(fleet: Fleet, since: float, until: float) -> Holes:
    """Return the largest holes since the leader was lost, once newer samples have arrived."""
    _await_samples(fleet, until + 1)
    holes = fleet.largest_hole(since, "up"), fleet.largest_hole(since)
    _say(f"{fleet.name}: the largest distance of two samples is {_both(holes)}")
    return holes


def _await_samples(fleet: Fleet, after: float) -> None:
    within_s = SAMPLES_WITHIN_S + max(after - time.time(), 0)
    missing = f"{fleet.name}: no new sample at the receiver"
    await_(lambda: fleet.has_sample_after(after), within_s, missing)


def _both(holes: Holes) -> str:
    return " and ".join(f"{hole:.1f} s" for hole in holes)


def _row(first: str, cells: list[str]) -> str:
    return f"  {first:{WIDTH}}" + "".join(f"{cell:>20}" for cell in cells)


def _say(text: str) -> None:
    _print(f"{time.strftime('%H:%M:%S')} {text}")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is what it is for


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*/*.log")):
        lines = log.read_text(errors="replace").splitlines()
        tail = [line for line in lines if not _is_usual(line)][-20:]
        _print("\n".join((f"--- {log.parent.name}/{log.name}", *tail)))


def _is_usual(line: str) -> bool:
    """Tell whether a line is one that Prometheus logs when all is well."""
    return " level=info " in line.lower() and " component=elector " not in line


if __name__ == "__main__":
    sys.exit(main())
