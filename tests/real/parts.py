"""Real programs for tests: etcd, kube-apiserver, Prometheus, and a receiver that logs writes.

Each listens on free ports of the loopback address, in a folder that the caller names and in a
process group of its own, and dies with the test run. `scripts/real-parts` tells where the programs
are, and fetches them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar, TypeVar

import requests

from tests.support import free_port, wait_until

CHECKOUT = Path(__file__).parent.parent.parent
SomeProgram = TypeVar("SomeProgram", bound="Program")
ADMIN_TOKEN = "admin-token"  # of a server on loopback that ends with the tests
START_S = 120.0  # of a program; a kube-apiserver took over 30 s on a busy machine


@cache
def program(part: str) -> str:
    """Return the path of a real program (`prometheus`, `prometheus@3.5`, …); fetch it if needed.

    Raises RuntimeError with the script's output if it is not available.
    """
    done = subprocess.run(
        [CHECKOUT / "scripts/real-parts", part], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"no {part} for the tests:\n{done.stderr}")
    return shlex.split(done.stdout)[0].partition("=")[2]


class Program:
    """A process in its own process group, with a log file; it can be started again."""

    running: ClassVar[dict[Path, Program]] = {}  # by log file, for reports of failed tests

    def __init__(self, name: str, argv: Sequence[str | Path], folder: Path) -> None:
        self.argv = [str(word) for word in argv]
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self.process is not None, f"{self.argv[0]} has not been started"
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process exists, stopped by SIGSTOP or not."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it; by setpriv, the kernel kills it if the test run is killed."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running[self.log] = self

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, timeout_s: float = 10) -> int:
        """End it, by SIGKILL if the signal has no effect in time; return its exit status."""
        if self.process is None:
            return 0
        if self.is_running:
            self.process.send_signal(with_signal)
            self.thaw()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.running.pop(self.log, None)
        return self.process.wait()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it with SIGSTOP: its connections stay open, but nothing answers on them."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        wait_until(self._is_stopped, 10, f"{self.argv[0]} stops")

    def _is_stopped(self) -> bool:
        """Tell whether all its threads have stopped, which takes a while on a busy machine."""
        stats = [file.read_text() for file in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        return {stat.rpartition(")")[2].split()[0] for stat in stats} == {"T"}

    def thaw(self) -> None:
        """Continue it after `freeze`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def await_answer(self, url: str, **options: Any) -> None:
        """Wait until a GET of `url` answers 200; raise with its log's end if the process ends."""

        def answers() -> bool:
            assert self.is_running, f"{self.argv[0]} ended:\n{self.tail()}"
            return requests.get(url, timeout=1, **options).status_code == 200

        wait_until(answers, START_S, f"{self.argv[0]} answers at {url}")

    def tail(self, size: int = 4000) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-size:]


class Etcd(Program):
    """The database of the API server."""

    def __init__(self, folder: Path) -> None:
        self.url, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        argv = [program("etcd"), "--data-dir", str(folder / "etcd")]
        argv += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        super().__init__("etcd", [*argv, "--initial-cluster", f"default={peer}"], folder)

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        super().start()
        self.await_answer(f"{self.url}/health")


class ApiServer(Program):
    """A real kube-apiserver with RBAC; without controllers, scheduler or nodes."""

    def __init__(self, folder: Path, etcd: Etcd) -> None:
        self.etcd = etcd
        self.url = f"https://127.0.0.1:{(port := free_port())}"
        self.ca_file = folder / "certs/apiserver.crt"
        key, tokens = folder / "service-accounts.key", folder / "tokens.csv"
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        tokens.write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n')
        argv = [program("kube-apiserver"), "--etcd-servers", etcd.url]
        argv += ["--bind-address", "127.0.0.1", "--secure-port", str(port)]
        argv += ["--advertise-address", "127.0.0.1", "--service-cluster-ip-range", "10.0.0.0/24"]
        argv += ["--cert-dir", str(folder / "certs"), "--token-auth-file", str(tokens)]
        argv += ["--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount"]
        argv += ["--service-account-issuer", self.url, "--service-account-key-file", str(key)]
        argv += [
            "--service-account-signing-key-file",
            str(key),
            "--endpoint-reconciler-type",
            "none",
        ]
        super().__init__("kube-apiserver", argv, folder)

    def start(self) -> None:
        """Start it and wait until it is ready, including its RBAC rules."""
        super().start()
        wait_until(self.ca_file.exists, 10, "kube-apiserver has made its certificate")
        self.await_answer(
            f"{self.url}/readyz", verify=str(self.ca_file), headers=bearer(ADMIN_TOKEN)
        )

    def restore(self) -> None:
        """Undo what a test did to the server or its etcd, and wait until both answer."""
        for part in (self.etcd, self):
            if part.is_running:
                part.thaw()
            else:
                part.start()
        self.await_answer(
            f"{self.url}/readyz", verify=str(self.ca_file), headers=bearer(ADMIN_TOKEN)
        )

    def call(
        self, method: str, path: str, body: Any = None, token: str = ADMIN_TOKEN
    ) -> requests.Response:
        """Send one request, as the administrator unless another token is given."""
        return requests.request(
            method,
            self.url + path,
            json=body,
            headers=bearer(token),
            verify=str(self.ca_file),
            timeout=5,
        )

    def patch(self, path: str, text: str) -> requests.Response:
        """Send what ``kubectl patch --type=merge -p TEXT`` sends, as the administrator."""
        return requests.patch(
            self.url + path,
            data=text,
            headers={**bearer(ADMIN_TOKEN), "Content-Type": "application/merge-patch+json"},
            verify=str(self.ca_file),
            timeout=5,
        )

    def make(self, path: str, body: Any) -> Any:
        """Create an object as the administrator and return it as stored by the server."""
        answer = self.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        return answer.json()


LEASES = "/apis/coordination.k8s.io/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"


@dataclass
class Namespace:
    """A new namespace, a lease's name in it, and a service account with the documented rights.

    These are get, update and watch on that lease, and create on leases: those that
    wrapper/docs/operation.md requires. `more_rules` adds RBAC rules, for tests of a further right.
    """

    server: ApiServer
    folder: Path
    name: str
    lease_name: str = "prometheus"
    more_rules: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.token_file = self.folder / "token"
        self.kubeconfig = self.folder / "kubeconfig"
        self.server.make("/api/v1/namespaces", {"metadata": {"name": self.name}})
        self._make_service_account()
        self.renew_token()
        self.kubeconfig.write_text(kubeconfig(self.server, self.name, self.token_file))
        wait_until(lambda: self.call("GET").status_code == 404, 15, "the RBAC rules are in force")

    @property
    def token(self) -> str:
        """The service account's token, as it is in the file now."""
        return self.token_file.read_text()

    @property
    def leases_path(self) -> str:
        """The API's path of this namespace's leases."""
        return f"{LEASES}/{self.name}/leases"

    def renew_token(self, lifetime_s: int = 3600) -> None:
        """Replace the token file by a rename, as the kubelet does."""
        path = f"/api/v1/namespaces/{self.name}/serviceaccounts/elector/token"
        answer = self.server.make(path, {"spec": {"expirationSeconds": lifetime_s}})
        fresh = self.token_file.with_suffix(".new")
        fresh.write_text(answer["status"]["token"])
        fresh.replace(self.token_file)

    def lease(self) -> dict[str, Any] | None:
        """Return the Lease as the server's JSON, None if there is none."""
        answer = self.server.call("GET", f"{self.leases_path}/{self.lease_name}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        lease: dict[str, Any] = answer.json()
        return lease

    def holder(self) -> str:
        """Return the lease's holder identity, "" if nobody holds it."""
        return str(((self.lease() or {}).get("spec") or {}).get("holderIdentity") or "")

    def duration_s(self) -> int:
        """Return the lease's leaseDurationSeconds."""
        return int((self.lease() or {})["spec"]["leaseDurationSeconds"])

    def call(self, method: str, body: Any = None) -> requests.Response:
        """Send one request for the lease (POST: for leases) as the service account."""
        path = self.leases_path if method == "POST" else f"{self.leases_path}/{self.lease_name}"
        return self.server.call(method, path, body, self.token)

    def _make_service_account(self) -> None:
        meta = {"metadata": {"name": "elector"}}
        group, leases = ["coordination.k8s.io"], ["leases"]
        by_name = {"resourceNames": [self.lease_name], "verbs": ["get", "update", "watch"]}
        rules = [
            {"apiGroups": group, "resources": leases, **by_name},
            {"apiGroups": group, "resources": leases, "verbs": ["create"]},
            *self.more_rules,
        ]
        subject = {"kind": "ServiceAccount", "name": "elector", "namespace": self.name}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "elector"}
        self.server.make(f"/api/v1/namespaces/{self.name}/serviceaccounts", meta)
        self.server.make(f"{RBAC}/{self.name}/roles", {**meta, "rules": rules})
        binding = {**meta, "subjects": [subject], "roleRef": role}
        self.server.make(f"{RBAC}/{self.name}/rolebindings", binding)


class Prometheus(Program):
    """A real Prometheus on a free port, with `config` as its configuration file.

    In `config`, `{url}` and `{address}` stand for its own address, so that it can scrape itself.
    `flags` are passed to it unchanged.
    """

    def __init__(self, folder: Path, config: str = "{}", *flags: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        folder.mkdir(parents=True, exist_ok=True)
        self.config_file = folder / "prometheus.yml"
        self.config_file.write_text(
            config.replace("{url}", self.url).replace("{address}", self.address)
        )
        argv = [program("prometheus"), f"--config.file={self.config_file}"]
        argv += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={self.address}"]
        super().__init__("prometheus", [*argv, *flags], folder)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        super().start()
        self.await_answer(f"{self.url}/-/ready")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        return query(self.url, expression)

    def applied_config(self) -> str:
        """Return the configuration that it has loaded."""
        return applied_config(self.url)


class Receiver(Prometheus):
    """A Prometheus that accepts remote_write at `write_url`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "{}", "--web.enable-remote-write-receiver")
        self.write_url = f"{self.url}/api/v1/write"


@dataclass(frozen=True, slots=True)
class Write:
    """One remote_write request: from which replica, and when (seconds on CLOCK_BOOTTIME)."""

    replica: str
    at: float


class _WriteLogServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, unless the client has disconnected."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class WriteLog:
    """A remote_write receiver that records who writes and when; it does not decode requests.

    It identifies replicas by the URL that they write to, `url("a")`. A request counts once its head
    has arrived. It answers with `status`, 204 unless a test sets another, after `delay_s`.
    """

    def __init__(self) -> None:
        self.status = 204
        self.delay_s = 0.0
        self._is_closed = Event()
        self._writes: list[Write] = []
        self._server = _WriteLogServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, replica: str) -> str:
        """Return the URL for this replica to write to."""
        return f"http://127.0.0.1:{self._server.server_port}/{replica}/write"

    def writes(self, replica: str | None = None, since: float = 0.0) -> list[Write]:
        """Return the writes so far, in order of arrival; of a replica, or since a time, if set."""
        seen = list(self._writes)
        return [w for w in seen if w.at >= since and replica in (None, w.replica)]

    def writers(self, since: float = 0.0) -> set[str]:
        """Return the replicas that wrote at or after `since`."""
        return {write.replica for write in self.writes(since=since)}

    def turns(self) -> list[str]:
        """Return the replicas in the order in which they wrote; successive writes count once."""
        return [name for name, _ in itertools.groupby(write.replica for write in self.writes())]

    def close(self) -> None:
        """Stop the server."""
        self._is_closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(log) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the request's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                at = time.clock_gettime(time.CLOCK_BOOTTIME)
                log._writes.append(Write(self.path.split("/")[1], at))
                with contextlib.suppress(OSError):  # the sender may be killed at any time
                    self.rfile.read(int(self.headers["Content-Length"]))
                    log._is_closed.wait(log.delay_s)
                    self.send_response(log.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query to the Prometheus at `url`."""
    answer = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=5)
    answer.raise_for_status()
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


def applied_config(url: str) -> str:
    """Return the configuration that the Prometheus at `url` has loaded, as YAML text."""
    answer = requests.get(f"{url}/api/v1/status/config", timeout=5)
    answer.raise_for_status()
    return str(answer.json()["data"]["yaml"])


def bearer(token: str) -> dict[str, str]:
    """Return the request header with a bearer token."""
    return {"Authorization": f"Bearer {token}"}


def kubeconfig(server: ApiServer, namespace: str, token_file: Path, url: str | None = None) -> str:
    """Return a kubeconfig that uses the token in `token_file`; `url` is that of a proxy."""
    cluster = {"server": url or server.url, "certificate-authority": str(server.ca_file)}
    if "//127.0.0.1:" not in cluster["server"]:
        cluster["tls-server-name"] = "kubernetes.default.svc"  # a name that its certificate has
    context = {"cluster": "test", "user": "test", "namespace": namespace}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"tokenFile": str(token_file)}}],
            "contexts": [{"name": "test", "context": context}],
        }
    )


@contextmanager
def started(part: SomeProgram) -> Iterator[SomeProgram]:
    """Start a program, and stop it at the end, also after a failure."""
    try:
        part.start()
        yield part
    finally:
        part.stop()
