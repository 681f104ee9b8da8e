"""The real Promgen for tests: under gunicorn, with SQLite and a broker of the test.

Tests act as its users do: with its own commands, and with the forms of its pages; Promgen sends its
tasks at the end of these requests. Its database is in memory, because the disk may be slow.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import requests

from tests.real.parts import Program, program
from tests.support import free_port

SHARD, PROJECT, FARM, PORT = "promshard", "shop", "shop-farm", 9100
OURS = re.compile(r'"GET (/\S+) HTTP/1.1" (\d+) .*"prometheus-elector/')
TOKEN = "a" * 32
SEED = f"""
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from promgen import models

shard = models.Shard.objects.get(name="{SHARD}")
service = models.Service.objects.create(name="web")
farm = models.Farm.objects.create(name="{FARM}", source="promgen")
project = models.Project.objects.create(
    name="{PROJECT}", service=service, shard=shard, farm=farm
)
models.Exporter.objects.create(job="node", port={PORT}, project=project)
models.Host.objects.create(name="first.example.com", farm=farm)
probe = models.Probe.objects.get(module="http_2xx")
models.URL.objects.create(url="http://first.example.com/", project=project, probe=probe)
admin = User.objects.get(username="admin")
session = SessionStore()
session[SESSION_KEY] = admin.pk
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = admin.get_session_auth_hash()
session.save()
print("seeded", session.session_key, farm.pk, project.pk, probe.pk)
"""


class RealPromgen(Program):
    """Promgen, with one project, and these servers as its Prometheus servers."""

    def __init__(self, folder: Path, broker_url: str, *servers: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.other_url = f"http://127.0.0.2:{self.port}"
        self.servers = servers
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "promgen.yml").write_text(f"prometheus: {{promtool: {program('promtool')}}}\n")
        self._memory = tempfile.TemporaryDirectory(dir="/dev/shm")
        self._variables = {
            "HOME": str(folder),
            "PROMGEN_CONFIG_DIR": str(folder),
            "SECRET_KEY": "of a test",
            "DATABASE_URL": f"sqlite:///{self._memory.name}/db.sqlite3",
            "CELERY_BROKER_URL": broker_url,
            "PYTHONWARNINGS": "ignore",
        }
        argv = ["env", *(f"{name}={value}" for name, value in self._variables.items())]
        argv += [program("promgen"), "gunicorn", "promgen.wsgi:application"]
        for host in ("127.0.0.1", "127.0.0.2"):  # only the first is in its ALLOWED_HOSTS
            argv += ["--bind", f"{host}:{self.port}"]
        argv += ["--worker-class", "gthread", "--threads", "8"]
        argv += ["--no-control-socket", "--timeout", "120", "--access-logfile", "-"]
        super().__init__("promgen", argv, folder)

    def start(self) -> None:
        """Create its database, and start it."""
        self._command("migrate", "--verbosity=0")
        for server in self.servers:
            self._command("register-server", SHARD, server, "9090")
        said = self._command("shell", "--command", SEED).partition("seeded ")[2].split()
        self._session, self.farm, self.project, self.probe = said
        super().start()
        self.await_answer(f"{self.url}/api/v1/targets")

    def stop(self, *args: Any, **kwargs: Any) -> int:
        """Stop it, and delete its database."""
        try:
            return super().stop(*args, **kwargs)
        finally:
            self._memory.cleanup()

    def _command(self, *words: str) -> str:
        """Run one of its own commands; return its output."""
        argv = [program("promgen"), "promgen", *words]
        variables = os.environ | self._variables
        done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # --- what its users do ---

    def save_hosts(self, names: list[str]) -> None:
        """Add hosts to the farm, in one request."""
        self._post(f"farm/{self.farm}/hosts", hosts="\n".join(names))

    def save_url(self, url: str) -> None:
        """Add a URL to the project."""
        self._post(f"url/{self.project}/new", url=url, probe=self.probe)

    def save_rule(self, name: str, expr: str) -> None:
        """Add a rule to the project."""
        fields = {"name": name, "clause": expr, "duration": "1m", "enabled": "on"}
        self._post(f"project/{self.project}/rule", **fields)

    def act(self, action: str) -> None:
        """Run an action of the admin's page for all servers."""
        numbers = [str(number) for number in range(1, len(self.servers) + 1)]
        self._post("admin/promgen/prometheus/", action=action, _selected_action=numbers)

    def greet(self) -> None:
        """Send the task with which Promgen's own worker greets its queue."""
        send = "from promgen.celery import debug_task; debug_task.apply_async(queue={!r})"
        for server in self.servers:
            self._command("shell", "--command", send.format(server))

    def _post(self, path: str, **fields: Any) -> None:
        """Send a form as the administrator; the answer must be a redirect."""
        answer = requests.post(
            f"{self.url}/{path}",
            data={**fields, "csrfmiddlewaretoken": TOKEN},
            cookies={"sessionid": self._session, "csrftoken": TOKEN},
            allow_redirects=False,
            timeout=120,
        )
        assert answer.status_code == 302, answer.text[-2000:]

    def fetches(self, path: str) -> int:
        """Return how many of our program's fetches of a path it has answered."""
        found = OURS.findall(self.log.read_text(errors="replace"))
        return sum(fetched == path for fetched, _status in found)
