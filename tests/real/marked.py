"""A replica with a unique secret in every place for one, and where secrets could appear."""

from __future__ import annotations

import base64
import signal
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import psutil
import requests

from tests.certificates import Authority
from tests.real.parts import Namespace
from tests.real.replica import QUICK, Replica, on_lease
from tests.real.versions import takes
from tests.support import free_port

SHARED_MEMORY = Path("/dev/shm")


class Secrets:
    """Secrets by their places; each is a unique text."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    @property
    def places(self) -> tuple[str, ...]:
        """The places of all secrets."""
        return tuple(self._known)

    def of(self, place: str) -> str:
        """Return the secret of a place."""
        return self._known.setdefault(place, f"zq{len(self._known)}{place.replace(' ', '')}qz")

    def add(self, place: str, secret: str) -> None:
        """Add a secret that was generated elsewhere."""
        self._known[place] = secret

    def basic(self, user: str, place: str) -> None:
        """Add the form that a password has in the header field Authorization."""
        pair = base64.b64encode(f"{user}:{self.of(place)}".encode()).decode()
        self._known[f"{place}, Basic"] = pair.rstrip("=")

    def found_in(self, content: bytes | str) -> list[str]:
        """Return the places whose secrets occur in the content."""
        content = content.encode() if isinstance(content, str) else content
        return [place for place, each in self._known.items() if each.encode() in content]


def line_of(key: Path) -> str:
    """Return a line of a private key."""
    return key.read_text().splitlines()[1]


def indented(text: str, by: int) -> str:
    """Return the lines of a text, indented for a block scalar of YAML."""
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


class Access:
    """The files with the access data for the API, Prometheus and the server of targets."""

    def __init__(self, folder: Path, secrets: Secrets, authority: Authority) -> None:
        folder.mkdir()
        self.authority = authority
        self.api_user = ("alice", secrets.of("api password"))
        web_hash = self._hash(secrets, "api password")
        prometheus_hash = self._hash(secrets, "prometheus password")
        pair = authority.issue("api")
        secrets.add("api key", line_of(pair.key))
        for user, place in (("alice", "api password"), ("p", "prometheus password")):
            secrets.basic(user, place)
        files = f"cert_file: {pair.certificate}, key_file: {pair.key}"
        self.web = folder / "web.yml"
        self.web.write_text(
            f"tls_server_config: {{{files}}}\nbasic_auth_users: {{alice: {web_hash}}}\n"
        )
        self.prometheus = folder / "prometheus-web.yml"
        self.prometheus.write_text(f"basic_auth_users: {{p: {prometheus_hash}}}\n")
        self.prometheus_user = ("p", secrets.of("prometheus password"))
        self.http = folder / "http.yml"
        self.http.write_text(
            f"basic_auth: {{username: p, password: {secrets.of('prometheus password')}}}\n"
            f"http_headers: {{X-Token: {{secrets: [{secrets.of('http header')}]}}}}\n"
        )
        self.targets = folder / "targets.yml"
        self.targets.write_text(f"authorization: {{credentials: {secrets.of('targets token')}}}\n")

    def _hash(self, secrets: Secrets, place: str) -> str:
        made = bcrypt.hashpw(secrets.of(place).encode(), bcrypt.gensalt(4)).decode()
        secrets.add(f"{place}, hash", made)
        return made


def configuration(secrets: Secrets, authority: Authority, write_url: str, dead: str) -> str:
    """Return a configuration with a secret in each place that this Prometheus has for one.

    ``write_url`` accepts samples; nobody listens at ``dead``.
    """
    for user, place in (("u", "url password"), ("u", "basic"), ("u", "scrape basic")):
        secrets.basic(user, place)
    write_to = write_url.replace("http://", f"http://u:{secrets.of('url password')}@")
    of = secrets.of
    return f"""\
follower:
  global: {{scrape_interval: 1s, external_labels: {{cluster: test}}}}
  scrape_configs:
  - job_name: self
    basic_auth: {{username: u, password: {of("scrape basic")}}}
    static_configs: [{{targets: ['{dead}']}}]
  - job_name: by-token
    authorization: {{credentials: {of("scrape token")}}}
    params: {{token: [{of("params token")}]}}
{_headers(secrets, authority.file.parent)}\
    proxy_url: http://u:{of("scrape proxy")}@{dead}
    http_sd_configs:
    - url: http://u:{of("sd url")}@{dead}/sd?token={of("sd parameter")}
      oauth2: {{client_id: c, client_secret: {of("sd oauth")}, token_url: 'http://{dead}/'}}
{_consul(secrets, authority.file.parent, dead)}\
leader:
  alerting:
    alertmanagers:
    - basic_auth: {{username: u, password: {of("alerting")}}}
      static_configs: [{{targets: ['{dead}']}}]
  remote_read:
  - url: http://u:{of("read url")}@{dead}/read
    authorization: {{credentials: {of("read token")}}}
  remote_write:
  - name: url
    url: {write_to}?key={of("url parameter")}
    queue_config: {{batch_send_deadline: 200ms}}
    headers: {{X-Tenant-Token: {of("write header")}}}
  - name: basic
    url: {write_url}
    queue_config: {{batch_send_deadline: 200ms}}
    basic_auth: {{username: u, password: {of("basic")}}}
  - name: token
    url: {write_url}
    queue_config: {{batch_send_deadline: 200ms}}
    authorization: {{credentials: $(WRITE_TOKEN)}}
  - name: key
    url: https://{dead}/write
    proxy_url: http://u:{of("write proxy")}@{dead}
{_inline_key(secrets, authority)}\
  - name: oauth
    url: http://{dead}/write
    oauth2: {{client_id: c, client_secret: {of("oauth")}, token_url: 'http://{dead}/'}}
  - name: aws
    url: http://{dead}/write
    sigv4: {{region: r, access_key: AKIA, secret_key: {of("aws")}}}
"""


def _consul(secrets: Secrets, folder: Path, dead: str) -> str:
    """Return a job with Consul's service discovery; "" if this Prometheus has none."""
    sd = f"[{{server: '{dead}', token: {secrets.of('consul token')}}}]"
    made = f"  - job_name: by-password\n    consul_sd_configs: {sd}\n"
    return made if takes(f"scrape_configs:\n{made}", folder) else ""


def _headers(secrets: Secrets, folder: Path) -> str:
    """Return the headers of a scrape; "" if this Prometheus has none (before 3.0)."""
    if not takes("scrape_configs: [{job_name: a, http_headers: {A: {values: [b]}}}]", folder):
        return ""
    secret, value = secrets.of("scrape header"), secrets.of("header value")
    return f"    http_headers: {{X-Key: {{secrets: [{secret}], values: [{value}]}}}}\n"


def _inline_key(secrets: Secrets, authority: Authority) -> str:
    """Return TLS settings with an inline key; "" if Prometheus takes only files (2.42)."""
    pair = authority.issue("receiver", usage="clientAuth")
    lines = [f"      {name}: |\n{indented(file.read_text(), 8)}" for name, file in (
        ("cert", pair.certificate), ("key", pair.key)
    )]  # fmt: skip
    made = "    tls_config:\n" + "".join(lines)
    if not takes(f"remote_write:\n  - url: http://h\n{made}", authority.file.parent):
        return ""
    secrets.add("inline key", line_of(pair.key))
    return made


class Marked(Replica):
    """A replica with all flags that take secrets, in a folder for its core files."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        namespace: Namespace,
        access: Access,
        secrets: Secrets,
        broker: str,
        peers: str,
        api_port: int,
    ) -> None:
        self.access = access
        self._session = requests.Session()
        self._session.trust_env = False
        feed = f"http://u:{secrets.of('feed url')}@127.0.0.1:{free_port()}/api/v1/targets"
        super().__init__(
            folder,
            name,
            *on_lease(namespace),
            *QUICK,
            "--remote-write-gate",
            f"--remote-write-gate-listen-address=127.0.0.1:{(gate := free_port())}",
            "--api-proxy-enabled",
            "--api-proxy-prometheus-service-name=localhost",
            "--runtime-metrics",
            "--targets-interval=1s",
            "--demotion-grace=2s",
            "--log-level=debug",
            f"--web-config-file={access.web}",
            f"--prometheus-http-config={access.http}",
            f"--targets-http-config={access.targets}",
            environment={
                "ELECTOR_CONFIG_ENVSUBST": "true",
                "ELECTOR_TARGETS_URL": f"{feed}={folder / name / 'targets.json'}",
                "ELECTOR_TARGETS_BROKER": broker,
                "ELECTOR_PEERS": peers,
                "WRITE_TOKEN": secrets.of("environment"),
                "SSL_CERT_FILE": str(access.authority.file),
            },
            child_flags=(f"--web.config.file={access.prometheus}",),
        )
        self.gate_url = f"http://127.0.0.1:{gate}"
        self.api = f"https://127.0.0.1:{api_port}"
        at = next(i for i, each in enumerate(self.argv) if each.startswith("--api-listen-address"))
        self.argv[at] = f"--api-listen-address=127.0.0.1:{api_port}"
        self.argv[:0] = ["prlimit", "--core=unlimited", "--", "env", "-C", str(folder / name)]

    def ask(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Send a request to its API, as its user unless told otherwise."""
        verify = str(self.access.authority.file)
        options = {"auth": self.access.api_user, "verify": verify, "timeout": 10, **options}
        return self._session.request(method, f"{self.api}{path}", **options)

    @property
    def leads(self) -> bool:
        """Whether its API reports that it leads, with the leader's configuration loaded."""
        answer = self.ask("/_elector/leader")
        if not answer.ok or not answer.json()["is_leader"]:
            return False
        return bool(self.ask("/_elector/config").json()["is_loaded"])


def readable_by_others(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files in these folders that another user may read."""
    for folder in folders:
        for path in folder.rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
                yield path


def command_lines(replica: Replica) -> Iterator[bytes]:
    """Yield the arguments of each of its processes, which every user can read."""
    for process in replica.family():
        try:
            yield Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except (OSError, psutil.Error):
            continue


def abort(process: psutil.Process) -> None:
    """Send SIGABRT, which may dump a core, and wait until the process has ended."""
    process.send_signal(signal.SIGABRT)
    psutil.wait_procs([process], timeout=15)


def core_limit(process: psutil.Process) -> str:
    """Return a process' soft limit for the size of core files."""
    lines = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith("Max core file size")).split()[4]
