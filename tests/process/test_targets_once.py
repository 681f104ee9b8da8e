"""The command `targets FILE --from URL`, as cron runs it: its file and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from tests import promgen
from tests.promgen import RULES, TARGETS, Promgen, group
from tests.support import free_port

CHECKOUT = Path(__file__).parent.parent.parent
ONE, TWO = promgen.targets(group("a:1")), promgen.targets(group("a:1"), group("b:1", shard="other"))


def targets(*words: str | Path, **environ: str) -> tuple[int, str]:
    """Run the command with these arguments; return the exit status and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "wrapper", "targets", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environ},
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def server() -> Iterator[Promgen]:
    """Run a server with valid answers."""
    part = Promgen()
    part.bodies = {TARGETS: TWO, RULES: promgen.rules()}
    yield part
    part.close()


class Reloading(ThreadingHTTPServer):
    """A replacement for Prometheus: answers reloads with these statuses; the last one repeats."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.asked = 0
        super().__init__(("127.0.0.1", 0), _Handler)
        self.flag = f"--notify-http-url=http://127.0.0.1:{self.server_port}/-/reload"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Reloading

    def do_POST(self) -> None:
        """Answer with the next status."""
        self.server.asked += 1
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def test_the_file_is_the_answer(server: Promgen, tmp_path: Path) -> None:
    """The file is the answer, with exit status 0; an unchanged file is not written again."""
    file = tmp_path / "t.json"
    assert targets(file, f"--from={server.url}{TARGETS}")[0] == 0
    assert file.read_bytes() == TWO
    before = file.stat()
    assert targets("--from", f"{server.url}{TARGETS}", file)[0] == 0
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_only_groups_of_the_shard_are_written(server: Promgen, tmp_path: Path) -> None:
    """The shard can be set by ELECTOR_TARGETS_SHARD, as for the running program."""
    file = tmp_path / "t.json"
    url = f"--from={server.url}{TARGETS}"
    assert targets(file, url, ELECTOR_TARGETS_SHARD="other")[0] == 0
    assert b"a:1" not in file.read_bytes()


def test_an_unknown_shard_is_an_error(server: Promgen, tmp_path: Path) -> None:
    """An unknown shard gives exit status 1 and no file, unless --targets-allow-empty is set."""
    file, url = tmp_path / "t.json", f"--from={server.url}{TARGETS}"
    status, said = targets(file, url, "--targets-shard=promshrad")
    assert (status, "there are: other, promshard" in said) == (1, True), said
    assert not file.exists()
    assert targets(file, url, "--targets-shard=new", "--targets-allow-empty")[0] == 0
    assert file.read_bytes() == b"[]\n"


def test_a_url_may_contain_any_letters(server: Promgen, tmp_path: Path) -> None:
    """Letters outside ASCII and spaces in the URL are percent-encoded, as browsers do."""
    file = tmp_path / "t.json"
    server.bodies["/rest/service/%E6%B1%BA%E6%B8%88%20a/targets/"] = ONE
    assert targets(file, f"--from={server.url}/rest/service/決済 a/targets/") == (0, ANY)
    assert file.read_bytes() == ONE


def test_an_invalid_answer_does_not_change_the_file(server: Promgen, tmp_path: Path) -> None:
    """An invalid answer gives exit status 1; an empty one needs --targets-allow-empty."""
    file = tmp_path / "t.json"
    file.write_bytes(ONE)
    url = f"--from={server.url}{TARGETS}"
    server.act = promgen.to_login
    status, said = targets(file, url)
    assert (status, "/accounts/login/" in said) == (1, True)
    server.act = None
    server.bodies[TARGETS] = b"[]"
    for _ in range(2):
        assert targets(file, url)[0] == 1
        assert file.read_bytes() == ONE
    assert targets(file, url, "--targets-allow-empty")[0] == 0
    assert file.read_bytes() == b"[]"


def test_changed_rules_are_loaded(server: Promgen, tmp_path: Path) -> None:
    """With --reload, changed rules cause one reload, and unchanged rules none."""
    file, url = tmp_path / "r.yml", f"--from={server.url}{RULES}"
    with Reloading(200) as prometheus:
        for _ in range(2):
            assert targets(file, url, "--reload", prometheus.flag)[0] == 0
        assert prometheus.asked == 1
        server.bodies[RULES] = promgen.rules("up")
        assert targets(file, url, prometheus.flag)[0] == 0
        assert prometheus.asked == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r.yml"]


def test_refused_rules_are_replaced_by_the_old_ones(server: Promgen, tmp_path: Path) -> None:
    """If Prometheus refuses rules, the exit status is 1, and the old ones are loaded again."""
    file, url = tmp_path / "r.yml", f"--from={server.url}{RULES}"
    file.write_bytes(promgen.rules("up"))
    with Reloading(500, 200) as prometheus:
        status, said = targets(file, url, "--reload", prometheus.flag)
        assert (status, prometheus.asked) == (1, 2)
    assert str(file) in said
    assert file.read_bytes() == promgen.rules("up")


def test_a_failed_reload_is_repeated_by_the_next_run(server: Promgen, tmp_path: Path) -> None:
    """If Prometheus is unreachable, the next run reloads it, though the file is unchanged."""
    file, url = tmp_path / "r.yml", f"--from={server.url}{RULES}"
    nobody = f"--notify-http-url=http://127.0.0.1:{free_port()}/-/reload"
    assert targets(file, url, "--reload", nobody)[0] == 1
    assert file.read_bytes() == promgen.rules()
    with Reloading(200) as prometheus:
        assert targets(file, url, "--reload", prometheus.flag)[0] == 0
        assert prometheus.asked == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "it needs a FILE and --from=URL"),
        (("/tmp/t.json",), "it needs a FILE and --from=URL"),
        (("/tmp/t.txt", "--from=http://p/"), "does not say what it holds"),
        (("/tmp/t.json", "--from=p"), "not an HTTP URL"),
        (("/none/t.json", "--from=http://p/"), "its folder /none does not exist"),
        (("/tmp/t.json", "--from=http://p/", "--", "prometheus"), "starts nothing"),
        (("/tmp/t.json", "/tmp/u.json", "--from=http://p/"), "run it once for each"),
        (("/tmp/r.yml", "--from=http://p/", "--config-check=/none"), "/none: no such command"),
        (
            ("/tmp/t.json", "--from=http://p/", "--targets-http-config=/none/h.yml"),
            "/none/h.yml",
        ),
    ],
)
def test_wrong_arguments_are_refused(words: tuple[str, ...], said: str) -> None:
    """Wrong arguments give exit status 2, and a message with the fix."""
    status, complaint = targets(*words)
    assert (status, said in complaint) == (2, True), complaint
