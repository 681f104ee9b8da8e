"""Containers of the image under test, by podman; nothing but loopback leads to them."""

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
READY_S = 60  # importing, on a machine that others use too
_numbers = itertools.count(1)


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman and return what came of it; raise AssertionError where it failed."""
    done = subprocess.run(
        [*PODMAN, *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert not (check and done.returncode), f"podman {shlex.join(words)}:\n{done.stderr}"
    return done


def inspected() -> dict[str, Any]:
    """Return what podman knows of the image."""
    found: dict[str, Any] = json.loads(podman("image", "inspect", IMAGE).stdout)[0]
    return found


class Container:
    """One container; ``options`` are podman's, ``words`` the image's own arguments.

    On the ``network`` of the machine it listens on two free loopback ports; on another ("none": one
    of its own that nobody reaches) where the image does by itself.
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
        """End it at once, and remove it with the volumes that have no name."""
        podman("rm", "--force", "--time=0", "--volumes", self.name)

    def logs(self) -> str:
        """Return all that it has said."""
        done = podman("logs", self.name, check=False)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        """Return its state as podman has it."""
        state: dict[str, Any] = wait_until(self._state, 10, "podman tells its state")
        return state

    def _state(self) -> dict[str, Any]:
        """Ask once; raise OSError where its process ended while podman looked at it."""
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
        """Run a command in it and return what that prints."""
        return podman("exec", self.name, *command, check=check).stdout

    def get(self, url: str) -> str:
        """Return what answers inside it, "" where nothing does."""
        code = (
            "import sys, urllib.request\n"
            "print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
        )
        return self.run(PYTHON, "-c", code, url, check=False)

    def is_healthy(self) -> bool:
        """Run the image's own HEALTHCHECK and tell what it says."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def await_healthy(self) -> None:
        """Wait until its HEALTHCHECK says so."""
        wait_until(lambda: self._running() and self.is_healthy(), READY_S, "it is healthy", 0.3)

    def await_ready(self) -> None:
        """Wait until its API says that it is ready."""
        url = f"{self.api}/_elector/readyz"
        wait_until(
            lambda: self._running() and requests.get(url, timeout=2).ok, READY_S, "it is ready", 0.2
        )

    def leads(self) -> bool:
        """Tell whether it says that it leads, and its Prometheus has the leader's part."""
        says = requests.get(f"{self.api}/_elector/leader", timeout=2).json()
        shown = requests.get(f"{self.url}/api/v1/status/config", timeout=5).json()
        return bool(says.get("is_leader")) and "remote_write:" in shown["data"]["yaml"]

    def processes(self) -> dict[int, tuple[str, str]]:
        """Return its processes: for each number in it, its state's letter and its command."""
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
        """Return the number in it of the process whose command begins so."""
        for number, (_, command) in self.processes().items():
            if command.startswith(beginning):
                return number
        raise OSError(f"there is no {beginning} (yet)")

    def _running(self) -> bool:
        assert self.state()["Status"] == "running", f"{self.name} ended:\n{self.logs()}"
        return True
