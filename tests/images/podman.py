"""Containers of the tested image, run by podman; they are reachable only by loopback."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

import requests

from tests.support import free_port, wait_until

IMAGE = os.environ.get("PROMETHEUS_ELECTOR_TEST_IMAGE", "")
PODMAN = shlex.split(os.environ.get("PROMETHEUS_ELECTOR_TEST_PODMAN", ""))
LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096")
PYTHON = "/opt/prometheus-elector/bin/python"
READY_S = 60  # for the imports, on a busy machine
_numbers = itertools.count(1)


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman and return its result; raise AssertionError if it fails."""
    done = subprocess.run(
        [*PODMAN, *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert not (check and done.returncode), f"podman {shlex.join(words)}:\n{done.stderr}"
    return done


def inspected() -> dict[str, Any]:
    """Return podman's description of the image."""
    found: dict[str, Any] = json.loads(podman("image", "inspect", IMAGE).stdout)[0]
    return found


class Container:
    """A container; ``options`` are podman's, ``words`` the arguments for the image.

    On the machine's ``network`` it listens on two free loopback ports. On another network ("none":
    its own, which nobody can reach) it listens on the image's default ports.
    """

    def __init__(
        self, options: Sequence[str] = (), words: Sequence[str] = (), *, network: str = "host"
    ) -> None:
        self.name = f"prometheus-elector-test-{os.getpid()}-{next(_numbers)}"
        self.url, self.api = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._options = [f"--network={network}", *options]
        self._words = [*words]
        if network == "host":
            listen = f"ELECTOR_API_LISTEN_ADDRESS={self.api.removeprefix('http://')}"
            self._options.insert(0, f"--env={listen}")
            self._words.append(f"--web.listen-address={self.url.removeprefix('http://')}")

    def start(self) -> None:
        """Start it; it runs when this returns."""
        name = f"--name={self.name}"
        podman("run", "--detach", name, *LIMITS, *self._options, IMAGE, *self._words)

    def remove(self) -> None:
        """Kill it, and remove it with its anonymous volumes."""
        podman("rm", "--force", "--time=0", "--volumes", self.name)

    def logs(self) -> str:
        """Return its whole log."""
        done = podman("logs", self.name, check=False)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        """Return its state by podman."""
        state: dict[str, Any] = wait_until(self._state, 10, "podman tells its state")
        return state

    def _state(self) -> dict[str, Any]:
        """Query once; raise OSError if its process ended during the query."""
        words = ("container", "inspect", "--format={{json .State}}", self.name)
        done = podman(*words, check=False)
        if "no such process" in done.stderr:
            raise OSError(done.stderr)
        assert done.returncode == 0, done.stderr
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    def await_end(self, timeout_s: float = 30) -> int:
        """Wait until it has ended and return its exit status."""
        wait_until(lambda: self.state()["Status"] == "exited", timeout_s, "it has ended", 0.2)
        return int(self.state()["ExitCode"])

    def signal(self, name: str) -> None:
        """Send a signal to its process 1."""
        podman("kill", f"--signal={name}", self.name)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in it and return its output."""
        return podman("exec", self.name, *command, check=check).stdout

    def get(self, url: str) -> str:
        """Return the answer to a GET from inside it, "" if there is none."""
        code = (
            "import sys, urllib.request\n"
            "print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
        )
        return self.run(PYTHON, "-c", code, url, check=False)

    def is_healthy(self) -> bool:
        """Run the image's HEALTHCHECK and tell whether it succeeds."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def await_healthy(self) -> None:
        """Wait until its HEALTHCHECK succeeds."""
        wait_until(lambda: self._running() and self.is_healthy(), READY_S, "it is healthy", 0.3)

    def await_ready(self) -> None:
        """Wait until its API reports that it is ready."""
        url = f"{self.api}/_elector/readyz"
        wait_until(
            lambda: self._running() and requests.get(url, timeout=2).ok, READY_S, "it is ready", 0.2
        )

    def leads(self) -> bool:
        """Tell whether it reports that it leads, and Prometheus has loaded the leader's part."""
        says = requests.get(f"{self.api}/_elector/leader", timeout=2).json()
        shown = requests.get(f"{self.url}/api/v1/status/config", timeout=5).json()
        return bool(says.get("is_leader")) and "remote_write:" in shown["data"]["yaml"]

    def processes(self) -> dict[int, tuple[str, str]]:
        """Return its processes: state's letter and command, by the PID inside it."""
        script = (
            "import glob\n"
            "for folder in glob.glob('/proc/[0-9]*'):\n"
            "    try: stat, line = (open(f'{folder}/{n}').read() for n in ('stat', 'cmdline'))\n"
            "    except OSError: continue\n"
            "    state = stat.rpartition(')')[2].split()[0]\n"
            "    print(folder[6:], state, ' '.join(line.replace(chr(0), ' ').split()))\n"
        )
        lines = self.run(PYTHON, "-c", script).splitlines()
        words = (line.split(" ", 2) for line in lines)
        return {int(number): (state, command) for number, state, command in words}

    def number_of(self, beginning: str) -> int:
        """Return the PID inside it of the process whose command begins like this."""
        for number, (_, command) in self.processes().items():
            if command.startswith(beginning):
                return number
        raise OSError(f"there is no {beginning} (yet)")

    def _running(self) -> bool:
        assert self.state()["Status"] == "running", f"{self.name} ended:\n{self.logs()}"
        return True
