"""No secret appears in logs, answers, arguments, readable files or cores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import requests

from tests.certificates import Authority
from tests.real.marked import (
    SHARED_MEMORY,
    Access,
    Marked,
    Secrets,
    abort,
    command_lines,
    configuration,
    core_limit,
    readable_by_others,
)
from tests.real.parts import Namespace, WriteLog
from tests.support import free_port, wait_until

OWN_PATHS = (
    "", "/", "/config", "/fleet", "/healthz", "/is-leader", "/leader", "/metrics", "/none",
    "/readyz", "/status",
)  # fmt: skip
PROXIED = ("/-/ready", "/-/reload", "/none")
_PROMETHEUS = re.compile(r" (source|caller)=\w+\.go:\d+ ")
# Not in every configuration (Consul), only in the other replica's environment, or in requests.
_ELSEWHERE = {"consul token", "amqp password", "redis password", "api password"}


class Run:
    """Two replicas with all secrets, and all output collected from them."""

    def __init__(self, folder: Path, namespace: Namespace, write_log: WriteLog) -> None:
        self.secrets = Secrets()
        self.folder = folder
        self.write_log = write_log
        authority = Authority(folder / "certificates")
        self.access = Access(folder / "access", self.secrets, authority)
        self.secrets.add("lease token", namespace.token)
        self.namespace = namespace
        self.dead = f"127.0.0.1:{free_port()}"
        self.text = configuration(self.secrets, authority, write_log.url("a"), self.dead)
        brokers = (
            f"amqp://u:{self.secrets.of('amqp password')}@{self.dead}//",
            f"redis://:{self.secrets.of('redis password')}@{self.dead}/0",
        )
        ports = free_port(), free_port()
        urls = [f"https://127.0.0.1:{port}" for port in ports]
        self.replicas = [
            Marked(
                folder / "replicas",
                name,
                namespace=namespace,
                access=self.access,
                secrets=self.secrets,
                broker=broker,
                peers=",".join(urls),
                api_port=port,
            )
            for name, broker, port in zip("ab", brokers, ports, strict=True)
        ]
        for each in self.replicas:
            each.config.write_text(self.text)
        for path in (*authority.file.parent.iterdir(), *self.inputs):
            path.chmod(0o600)
        self.answers: list[tuple[str, str]] = []
        self.shown: list[tuple[str, bytes]] = []

    @property
    def inputs(self) -> list[Path]:
        """The files that the test writes; whoever writes them has to protect them."""
        access = self.access
        files = [access.web, access.prometheus, access.http, access.targets]
        files += [self.namespace.kubeconfig, self.namespace.token_file]
        return files + [each.config for each in self.replicas]

    def write(self, path: Path, text: str) -> None:
        """Edit an input in place."""
        assert path in self.inputs
        path.write_text(text)

    def leader_and_other(self) -> tuple[Marked, Marked]:
        """Wait until one replica leads; return it, and the other."""
        one, other = self.replicas
        wait_until(lambda: one.leads or other.leads, 30, "one leads")
        return (one, other) if one.leads else (other, one)

    def collect_output(self, when: str) -> None:
        """Collect all answers, with and without a password, and the arguments of all processes."""
        for replica in self.replicas:
            if not replica.is_running:
                continue
            for path in (*(f"/_elector{each}" for each in OWN_PATHS), *PROXIED):
                self._ask(when, replica, path)
            for path in ("/_elector/status", "/-/ready"):
                for auth in (None, ("alice", "wrong")):
                    self._ask(when, replica, path, auth=auth)
            self._ask(when, replica, "/_elector/step-down", "POST", auth=None)
            self._ask(when, replica, "/_elector/step-down", "POST", json={"for_s": "x"})
            for path in ("/", "/gate/", "/gate/none", "/gate/basic"):
                for method in ("GET", "POST"):
                    answer = requests.request(method, f"{replica.gate_url}{path}", timeout=10)
                    self._keep(f"{when}: gate {path}", answer)
            self.shown += [(f"{when}: arguments", each) for each in command_lines(replica)]

    def _ask(
        self, when: str, replica: Marked, path: str, method: str = "GET", **options: object
    ) -> None:
        self._keep(f"{when}: {path}", replica.ask(path, method, **options))

    def _keep(self, name: str, answer: requests.Response) -> None:
        head = "\n".join(f"{key}: {value}" for key, value in answer.headers.items())
        self.answers.append((name, f"{answer.status_code}\n{head}\n\n{answer.text}"))

    def log(self, replica: Marked) -> str:
        """Return a replica's log."""
        return replica.log.read_text(errors="replace")

    def await_line(self, replica: Marked, *words: str) -> None:
        """Wait until a line of the log has these words."""

        def has_come() -> bool:
            lines = self.log(replica).splitlines()
            return any(all(word in line for word in words) for line in lines)

        wait_until(has_come, 30, f"{replica.name} logs {words}")


@pytest.fixture
def run(tmp_path: Path, namespace: Namespace, write_log: WriteLog) -> Iterator[Run]:
    """Start two replicas."""
    made = Run(tmp_path, namespace, write_log)
    with ExitStack() as stack:
        for each in made.replicas:
            each.start()
            stack.callback(each.stop)
        for each in made.replicas:
            wait_until(lambda one=each: one.ask("/_elector/healthz").ok, 30, "its API answers")  # type: ignore[misc]
        yield made


def test_no_secret_appears_anywhere(run: Run) -> None:
    """From start to end, through leader changes, invalid edits and faults, no secret appears."""
    before = set(SHARED_MEMORY.iterdir())
    one, _ = run.leader_and_other()
    _check_that_secrets_are_present(run, one)
    run.collect_output("leader and follower")
    _break_the_configuration(run, one)
    _break_the_other_files(run, one)
    _fail_the_receiver(run)
    one, other = run.leader_and_other()
    step_down = "/_elector/step-down"
    wait_until(
        lambda: one.ask(step_down, "POST", json={"for_s": 60, "force": True}).ok, 30, "asked"
    )
    wait_until(lambda: other.leads, 30, "the other leads")
    run.collect_output("after the step-down")
    one.term()
    assert one.await_end(30) == 0
    _kill_by_abort(run, other)
    _check_all(run, before)


def _check_that_secrets_are_present(run: Run, leader: Marked) -> None:
    """Check that the replicas have the secrets; without them the test would prove nothing."""
    rendered = leader.output.read_bytes()
    assert leader.output.stat().st_mode & 0o777 == 0o600
    found = set(run.secrets.found_in(rendered))
    assert {"scrape basic", "params token", "aws", "environment", "alerting"} <= found
    assert len(found) >= 15
    inputs = b"".join(path.read_bytes() for path in run.inputs)
    environ = repr(psutil.Process(leader.pid).environ()).encode()
    certificates = (run.folder / "certificates/api.key").read_bytes()
    missing = set(run.secrets.places) - set(run.secrets.found_in(inputs + environ + certificates))
    assert not {each for each in missing if "Basic" not in each} - _ELSEWHERE


def _break_the_configuration(run: Run, leader: Marked) -> None:
    """Make edits that are rejected, by us or by Prometheus."""
    secret = run.secrets.of("bad edit")
    for text, words in (
        (f"follower: {{password: !{secret}\n", ("not YAML",)),
        (run.text.replace("name: basic", f"name: {secret}\n    name: x"), ("name",)),
        (run.text.replace("region: r", f"region: r, reg{secret}: {secret}"), ("Prometheus",)),
        (run.text.replace("$(WRITE_TOKEN)", "$(NO_TOKEN)"), ("NO_TOKEN",)),
    ):
        run.write(leader.config, text)
        run.await_line(leader, "rejected", *words)
    run.collect_output("a bad edit")
    run.write(leader.config, run.text)
    wait_until(lambda: leader.ask("/_elector/config").json()["is_valid"], 30, "it is mended")


def _break_the_other_files(run: Run, leader: Marked) -> None:
    """Break each file about access at a secret."""
    access = run.access
    broken = run.secrets.of("bad file")
    for path in (access.web, access.http, access.targets, run.namespace.kubeconfig):
        whole = path.read_text()
        run.write(path, f"basic_auth: {{password:{broken}, *{broken}}}\ntoken: !{broken}\n")
        run.await_line(leader, str(path), "not YAML")
        run.write(path, f"basic_auth: {{password:{broken}}}\nbasic_auth_users: {{{broken}}}\n")
        leader.ask("/-/ready")  # reads the files about access again
        run.write(path, whole)


def _fail_the_receiver(run: Run) -> None:
    """Have the receiver refuse requests, temporarily (401) and for good (400)."""
    for status in (401, 400):
        run.write_log.status = status
        seen = len(run.write_log.writes())
        wait_until(lambda n=seen: len(run.write_log.writes()) > n + 3, 30, "some are refused")  # type: ignore[misc]
    run.collect_output("the receiver refuses")
    run.write_log.status = 204


def _kill_by_abort(run: Run, replica: Marked) -> None:
    """Abort each process of ours; Prometheus keeps the core limit that it was started with."""
    assert core_limit(replica.child) == "unlimited"
    supervisor = psutil.Process(replica.pid)
    for process in (replica.web, replica.gate, supervisor):
        assert core_limit(process) == "1"
        abort(process)
    replica.await_end(15)


def _check_all(run: Run, before: set[Path]) -> None:
    found = [
        *((name, run.secrets.found_in(text)) for name, text in run.answers),
        *((name, run.secrets.found_in(text)) for name, text in run.shown),
        *(
            (each.name, run.secrets.found_in(_without_prometheus(run.log(each))))
            for each in run.replicas
        ),
    ]
    files = [*readable_by_others([run.folder]), *_new_in_shared_memory(before)]
    files = [path for path in files if path.suffix != ".log"]
    found += [(str(path), run.secrets.found_in(path.read_bytes())) for path in files]
    assert [(name, places) for name, places in found if places] == []
    assert [path for path in run.folder.rglob("core*") if path.is_file()] == []


def _without_prometheus(log: str) -> str:
    """Return a log without Prometheus' lines, which contain URL parameters and keys."""
    return "\n".join(line for line in log.splitlines() if not _PROMETHEUS.search(line))


def _new_in_shared_memory(before: set[Path]) -> list[Path]:
    new = set(SHARED_MEMORY.iterdir()) - before
    return [path for path in new if path.is_file()]
