"""The compose files, run as written but for the network: one for all, with an address for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.images.conftest import Run
from tests.images.podman import READY_S, Container
from tests.support import wait_until
from wrapper.options.flag_values import read_value
from wrapper.options.flags import BY_NAME, FLAGS

FOLDER = Path(__file__).parent.parent.parent / "images"
PLAIN, GATED = ("compose.yml",), ("compose.yml", "compose-gate.yml")
ADDRESSES = {"receiver": "127.0.0.2", "replica-0": "127.0.0.3", "replica-1": "127.0.0.4"}
Services = dict[str, Container]


def options(service: dict[str, Any], volume: str) -> list[str]:
    """Return podman's options for a service of compose."""
    words = [f"--env={name}={value}" for name, value in service.get("environment", {}).items()]
    words += [f"--cap-drop={name}" for name in service.get("cap_drop", ())]
    words += [
        f"--security-opt={option.split(':')[0]}" for option in service.get("security_opt", ())
    ]
    words += ["--read-only", "--read-only-tmpfs=false"] if service.get("read_only") else []
    for mount in service.get("volumes", ()):
        source, target = mount.split(":", 1)
        source = volume if source == "data" else str(FOLDER / source)
        words.append(f"--volume={source}:{target}")
    return words


def described_by(files: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the services of a file, with the variables that a second file adds."""
    first, *others = (yaml.safe_load((FOLDER / name).read_text())["services"] for name in files)
    for other in others:
        for name, added in other.items():
            assert set(added) == {"environment", "stop_grace_period"}, "nothing else is read here"
            first[name] = {**first[name]}
            first[name]["environment"] = {**first[name]["environment"], **added["environment"]}
    return dict(first)


@pytest.fixture(params=[PLAIN, GATED], ids=["plain", "with the gate"])
def services(request: pytest.FixtureRequest, run: Run, volume: str, tmp_path: Path) -> Services:
    """Run the services in the receiver's network, in which their names resolve."""
    described = described_by(request.param)
    assert set(described) == set(ADDRESSES)
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"{address} {name}\n" for name, address in ADDRESSES.items()))
    started: Services = {}
    for name, address in ADDRESSES.items():
        service = described[name]
        own = [*options(service, volume), f"--volume={hosts}:/etc/hosts:ro"]
        own += [f"--env=POD_NAME={name}", f"--env=ELECTOR_API_LISTEN_ADDRESS={address}:9095"]
        own += [f"--env=ELECTOR_REMOTE_WRITE_GATE_LISTEN_ADDRESS={address}:9096"]
        words = [*service["command"], f"--web.listen-address={address}:9090"]
        network = f"container:{started['receiver'].name}" if started else "none"
        started[name] = run(own, words, network=network)
    return started


def leader(services: Services) -> str:
    """Return the replica that reports that it leads, "" unless it is exactly one."""
    leading = [
        name
        for name in ("replica-0", "replica-1")
        if '"is_leader":true' in services["receiver"].get(f"http://{name}:9095/_elector/leader")
    ]
    return leading[0] if len(leading) == 1 else ""


def targets_up(services: Services) -> int:
    """Return how many of the replicas' targets are up, by the receiver's samples."""
    query = quote('up{job=~"replicas|electors"}')
    answer = services["receiver"].get(f"http://receiver:9090/api/v1/query?query={query}")
    series = json.loads(answer or "{}").get("data", {}).get("result", ())
    return sum(1 for each in series if each["value"][1] == "1")


def test_one_writes_and_the_other_takes_over(services: Services) -> None:
    """One replica writes all targets' samples; on SIGTERM it exits with 0, and the other leads."""
    first = wait_until(lambda: leader(services), READY_S, "one leads", 0.3)
    wait_until(lambda: targets_up(services) == 4, READY_S, "all targets have been written", 0.3)
    services[first].signal("TERM")
    assert services[first].await_end() == 0
    second = {"replica-0", "replica-1"} - {first}
    wait_until(lambda: {leader(services)} == second, READY_S, "the other leads", 0.3)


@pytest.mark.parametrize("files", [PLAIN, GATED])
def test_variables_are_flags(files: tuple[str, ...]) -> None:
    """Every ELECTOR_ variable is that of a flag, and both replicas have the same variables."""
    described = described_by(files)
    zero, one = (described[f"replica-{number}"]["environment"] for number in (0, 1))
    assert zero == one
    assert set(zero) <= {flag.env for flag in FLAGS}
    peers = tuple(f"http://replica-{number}:9095" for number in (0, 1))
    assert read_value(BY_NAME["peers"], zero["ELECTOR_PEERS"]) == peers
    if files == GATED:
        assert read_value(BY_NAME["remote-write-gate"], zero["ELECTOR_REMOTE_WRITE_GATE"]) is True
