"""The modules that are imported before Prometheus starts, and failures of an early start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wrapper.startup.launch import BAD_INPUT

LAUNCH = """\
import json, sys
from wrapper.base import process

def start_child(*_, **__):
    print(json.dumps(sorted(sys.modules)))
    raise SystemExit

process.start_child = start_child
from wrapper.__main__ import main
main(sys.argv[1:])
"""
FOR_LATER = {
    *("kubernetes", "ssl", "http.client", "urllib3", "requests", "flask", "gunicorn", "gevent"),
    *("psutil", "prometheus_client", "inotify_simple"),
    *(
        "wrapper.startup.assembly",
        "wrapper.supervision.supervisor",
        "wrapper.supervision.plan",
        "wrapper.supervision.prometheus_api",
    ),
}


@pytest.mark.parametrize("lock", ["file:{}/election.lock", "kubernetes", "none"])
def test_few_modules_are_imported_before_prometheus_starts(tmp_path: Path, lock: str) -> None:
    """Only what starts Prometheus is imported before it; more would be time without a writer."""
    config, kubeconfig = tmp_path / "config.yml", tmp_path / "kubeconfig"
    config.write_text("follower: {}\nleader: {remote_write: [{url: http://127.0.0.1:1/}]}\n")
    cluster, user = "{name: c, cluster: {server: 'https://127.0.0.1:1'}}", "{name: u, user: {}}"
    context = "{name: x, context: {cluster: c, user: u}}"
    kubeconfig.write_text(
        f"current-context: x\nclusters: [{cluster}]\nusers: [{user}]\ncontexts: [{context}]\n"
    )
    flags = [f"--config={config}", f"--lease-lock={lock.format(tmp_path)}", "--lease-name=a"]
    flags += [f"--kubeconfig={kubeconfig}", "--lease-namespace=n"]
    child = ["--", "true", f"--config.file={tmp_path / 'prometheus.yml'}"]
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, *flags, *child], capture_output=True, text=True, check=True
    )
    imported = set(json.loads(done.stdout))
    assert "wrapper.startup.launch" in imported, done.stderr
    assert not imported & FOR_LATER


WITHOUT_THREADS = """
import sys, threading
def refuse(thread): raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
from wrapper.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_start_without_threads_kills_prometheus(tmp_path: Path) -> None:
    """If no thread can be started, the error names the limit, and Prometheus is killed."""
    config = tmp_path / "elector.yml"
    config.write_text("follower: {}\nleader: {}\n")
    flags = [f"--config={config}", f"--lease-lock=file:{tmp_path / 'lock'}"]
    prometheus = ["sh", "-c", "exec sleep 60", "prometheus"]
    child = ["--", *prometheus, f"--config.file={tmp_path / 'prometheus.yml'}"]
    command = [sys.executable, "-c", WITHOUT_THREADS, *flags, *child]
    # This waits for the end of the output, so it times out if Prometheus is still running.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == BAD_INPUT, done.stderr
    assert "raise the limit of processes" in done.stderr
    assert "Traceback" not in done.stderr


FOR_OTHERS = {
    "wrapper.startup.assembly": {"flask", "gevent"},
    "wrapper.gate.process": {"flask", "yaml"},
    "wrapper.web.app": {"urllib3", "yaml", "wrapper.model.events"},
}


@pytest.mark.parametrize("process", FOR_OTHERS)
def test_a_process_imports_only_what_it_needs(process: str) -> None:
    """No process imports libraries that only others need: modules use most of the memory."""
    told = f"import json, sys, {process}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stdout))
    assert process in imported
    assert not imported & {"kubernetes", "kombu", "requests", *FOR_OTHERS[process]}


SIGNALLED_EARLY = """
import os, signal, sys
from wrapper.startup import launch, prepare
EARLY = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

def send(*_):
    for number in EARLY:
        os.kill(os.getpid(), number)
    os.execve = lambda *_: print([signal.getsignal(number).name for number in EARLY])
    launch._re_execute(launch.RefusedInput("a", 1))
    raise SystemExit(7)

prepare.prepare = send
from wrapper.__main__ import main
main(sys.argv[1:])
"""


def test_early_signals_do_not_end_the_program() -> None:
    """Signals before the loop runs are ignored, also when the program executes itself again."""
    command = [
        sys.executable,
        "-c",
        SIGNALLED_EARLY,
        "--config=a.yml",
        "--",
        "true",
        "--config.file=b",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "['SIG_IGN', 'SIG_IGN', 'SIG_IGN']\n"
