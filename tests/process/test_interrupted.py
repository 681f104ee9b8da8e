"""Signals that interrupt a command that waits for an answer, and a start."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import wait_until


@pytest.mark.parametrize(
    "words", [("status", "{url}"), ("step-down", "{url}"), ("targets", "t.json", "--from={url}/t")]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_has_no_traceback(
    words: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    """A command that a signal ends exits with 128 plus the signal's number, without output."""
    program = Path(sys.executable).with_name("prometheus-elector")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [str(program), *(word.format(url=url) for word in words)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
            try:
                client, _ = silent.accept()
                with client:
                    client.recv(1)
                    process.send_signal(number)
                    _, said = process.communicate(timeout=20)
            finally:
                process.kill()
    assert (process.returncode, said) == (128 + number, "")


def test_an_interrupted_start_has_no_traceback(tmp_path: Path) -> None:
    """If SIGINT arrives before the loop runs, it ends the program, without a traceback."""
    (tmp_path / "config.yml").write_text("follower: {}\n")
    promtool = tmp_path / "promtool"
    promtool.write_text(f"#!/bin/sh\ntouch {tmp_path}/is_checking\nexec sleep 10\n")
    promtool.chmod(0o755)
    program = Path(sys.executable).with_name("prometheus-elector")
    words = [str(program), "--config=config.yml", "--lease-lock=none", "--output=out.yml"]
    words += [f"--config-check={promtool}", "--", "true"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            wait_until((tmp_path / "is_checking").exists, 20, "the start checks the configuration")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == -signal.SIGINT
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""
