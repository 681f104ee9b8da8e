"""A pod of a rendered StatefulSet as processes of this machine, similar to one of the kubelet.

Command, variables, mounts, user, groups, capabilities and the read-only root are those of the
manifest. The root is an empty tmpfs into which this machine's programs are bound read-only; volumes
are folders. Not covered: the image itself, seccomp, limits, and PID 1.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import requests

from tests.k8s.network import API_NAME, API_PORT, Network
from tests.k8s.objects import Objects
from tests.k8s.rendering import Document
from tests.real.parts import CHECKOUT, Program, applied_config, program
from tests.support import wait_until

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
MACHINE = (
    *("/bin", "/lib", "/lib64", "/sbin", "/usr", "/proc", "/dev"),
    *("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/passwd"),
)
LAUNCH = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 root {root}
bind() {{ # <flags> <from> <to>
    if [ -d "$2" ]; then mkdir -p {root}"$3"; else mkdir -p {root}"${{3%/*}}"; : >{root}"$3"; fi
    mount --rbind "$2" {root}"$3"
    [ "$1" = rw ] || mount -o remount,bind,ro {root}"$3"
}}
mkdir -p {root}/tmp
{binds}
{seal}
exec chroot {root} setpriv {privileges} --pdeathsig KILL -- env -i {environment} {command}
"""


class Cluster(Objects):
    """A namespace with applied manifests, and the pods that tests have made in it."""

    def __init__(self, network: Network, namespace: str, made: list[Document]) -> None:
        super().__init__(network, namespace, made)
        self.pods: list[Pod] = []

    def pod(self, stateful_set: str, ordinal: int) -> Pod:
        """Return a pod that is not started yet."""
        made = Pod(self, self.object("StatefulSet", stateful_set), ordinal)
        self.pods.append(made)
        return made

    def change(self, kind: str, name: str, data: dict[str, str]) -> None:
        """Replace the texts of a ConfigMap or a Secret, also in the pods that mount it."""
        super().change(kind, name, data)
        for pod in self.pods:
            pod.refresh(kind, name)


class Pod:
    """A pod; one made again has the same name, data and address, and another UID."""

    def __init__(self, cluster: Objects, stateful_set: Document, ordinal: int) -> None:
        self.cluster, self.spec = cluster, stateful_set["spec"]["template"]["spec"]
        self.name = f"{stateful_set['metadata']['name']}-{ordinal}"
        self.folder = cluster.network.folder / self.name
        self.host = cluster.network.address(self.name)
        self.address = f"{self.host}:9090"
        self.url, self.api = f"http://{self.address}", f"http://{self.host}:9095"
        self.uid = cluster.register(self.name, stateful_set)
        self._make_volumes(stateful_set)
        self.first = [Container(self, each) for each in self.spec.get("initContainers", ())]
        self.containers = [Container(self, each) for each in self.spec["containers"]]

    @property
    def main(self) -> Container:
        """The container in which Prometheus runs."""
        return self.container("prometheus")

    @property
    def grace_s(self) -> float:
        """How long the kubelet waits between SIGTERM and SIGKILL."""
        return float(self.spec["terminationGracePeriodSeconds"])

    @property
    def has_remote_write(self) -> bool:
        """Whether its Prometheus has loaded a remote_write."""
        return "\nremote_write:" in applied_config(self.url)

    def container(self, name: str) -> Container:
        """Return the container with this name."""
        [found] = [each for each in self.containers if each.spec["name"] == name]
        return found

    def start(self) -> None:
        """Run the init containers in order, then start the other containers."""
        for each in self.first:
            each.start()
            assert each.process is not None
            assert each.process.wait(60) == 0, each.tail()
        for each in self.containers:
            each.start()

    def delete(self) -> int:
        """Stop it as the kubelet does; return the exit status of Prometheus' container."""
        for each in self.containers:
            os.kill(each.pid, signal.SIGTERM)
        status = self.main.await_end(self.grace_s)
        for each in self.containers:
            each.stop()
        return status

    def leader(self) -> str:
        """Return the leader's name by this pod's API; "" while it is unknown."""
        answer = requests.get(f"{self.api}/_elector/leader", timeout=2)
        return str(answer.json().get("current_leader") or "") if answer.ok else ""

    def passes(self, probe: str) -> bool:
        """Tell whether the manifest's probe with this name (``readiness``, …) succeeds."""
        spec = self.main.spec
        ask = spec[f"{probe}Probe"]["httpGet"]
        [port] = [each for each in spec["ports"] if each["name"] == ask["port"]]
        scheme = ask.get("scheme", "HTTP").lower()
        url = f"{scheme}://{self.host}:{port['containerPort']}{ask['path']}"
        return requests.get(url, timeout=5).ok

    def await_probe(self, probe: str, timeout_s: float = 30) -> None:
        """Wait until a probe passes; raise with the log if Prometheus' container ends."""

        def passes() -> bool:
            assert self.main.is_running, f"{self.name} ended:\n{self.main.tail()}"
            return self.passes(probe)

        wait_until(passes, timeout_s, f"the {probe} probe of {self.name} passes")

    def volume(self, mount: str) -> Path:
        """Return the folder that a mount path of Prometheus' container is."""
        [name] = [e["name"] for e in self.main.spec["volumeMounts"] if e["mountPath"] == mount]
        return self.folder / "volumes" / str(name)

    def refresh(self, kind: str, named: str) -> None:
        """Update the volumes of a ConfigMap or Secret to its content, as the kubelet does."""
        for volume in self.spec.get("volumes", ()):
            if (kind, named) in [source[:2] for source in _sources(volume)]:
                self._fill(volume)

    def _make_volumes(self, stateful_set: Document) -> None:
        claims = stateful_set["spec"].get("volumeClaimTemplates", ())
        for claim in claims:
            self._make_folder(claim["metadata"]["name"])
        for volume in self.spec.get("volumes", ()):
            if "emptyDir" in volume:
                shutil.rmtree(self.folder / "volumes" / volume["name"], ignore_errors=True)
                self._make_folder(volume["name"])
            else:
                self._fill(volume)
        token = self.cluster.token(self.spec["serviceAccountName"]) if self.has_token else ""
        ca = self.cluster.server.ca_file.read_text()
        held = {"token": token, "ca.crt": ca, "namespace": self.cluster.namespace}
        fill(self.folder / "service-account", {key: text.encode() for key, text in held.items()})

    @property
    def has_token(self) -> bool:
        """Whether the service account's token is mounted."""
        return bool(self.spec.get("automountServiceAccountToken", True))

    def _make_folder(self, name: str) -> None:
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 0, self.spec["securityContext"].get("fsGroup", 0))
        folder.chmod(0o2775)

    def _fill(self, volume: Document) -> None:
        content: dict[str, bytes] = {}
        for kind, named, is_optional in _sources(volume):
            if not is_optional or self.cluster.has(kind, named):
                content |= self.cluster.content(kind, named)
        fill(self.folder / "volumes" / volume["name"], content)


class Container(Program):
    """A container of a pod, with the manifest's command, variables, mounts and rights."""

    def __init__(self, pod: Pod, spec: Document) -> None:
        self.pod, self.spec = pod, spec
        self.folder = pod.folder / spec["name"]
        super().__init__(f"{pod.name}-{spec['name']}", self._command(), self.folder)
        pod.cluster.network.programs.append(self)

    def await_end(self, timeout_s: float) -> int:
        """Wait until it has ended and return its exit status."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def processes(self) -> list[psutil.Process]:
        """Return its processes."""
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def _command(self) -> list[str]:
        script, root = self.folder / "launch.sh", self.folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        script.write_text(
            LAUNCH.format(
                root=shlex.quote(str(root)),
                binds="\n".join(f"bind {shlex.join(bind)}" for bind in self._binds()),
                seal=f"mount -o remount,ro {root}" if self._has_read_only_root() else "",
                privileges=self._privileges(),
                environment=shlex.join(f"{k}={v}" for k, v in self._environment().items()),
                command=shlex.join(self._words()),
            )
        )
        inside = f"--net={self.pod.cluster.network.namespace_of(self.pod.name)}"
        return ["nsenter", inside, "unshare", "--mount", "sh", str(script)]

    def _words(self) -> list[str]:
        """Return the command, with this machine's programs instead of the image's."""
        entrypoint = list(self.spec.get("command") or entrypoint_of(self.spec["image"]))
        entrypoint[0] = PROGRAMS.get(entrypoint[0], lambda it=entrypoint[0]: it)()
        return [*entrypoint, *self.spec.get("args", ())]

    def _binds(self) -> Iterator[tuple[str, str, str]]:
        """Yield mode, source and target of each mount: this machine's programs, the manifest's."""
        for each in (*MACHINE, sys.base_prefix, str(CHECKOUT), *map(str, programs())):
            yield "rw" if each in ("/proc", "/dev") else "ro", each, each
        yield "ro", str(self.pod.cluster.network.hosts), "/etc/hosts"
        for mount in self.spec.get("volumeMounts", ()):
            source = self.pod.folder / "volumes" / mount["name"] / mount.get("subPath", "")
            yield "ro" if mount.get("readOnly") else "rw", str(source), mount["mountPath"]
        if self.pod.has_token:
            yield "ro", str(self.pod.folder / "service-account"), SERVICE_ACCOUNT

    def _environment(self) -> dict[str, str]:
        fields = {"metadata.name": self.pod.name, "metadata.uid": self.pod.uid}
        path = [*map(str, programs()), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
        has = {
            "PATH": ":".join(path),
            "KUBERNETES_SERVICE_HOST": API_NAME,
            "KUBERNETES_SERVICE_PORT": str(API_PORT),
        }
        for each in self.spec.get("env", ()):
            source = each.get("valueFrom")
            has[each["name"]] = (
                fields[source["fieldRef"]["fieldPath"]] if source else each.get("value", "")
            )
        return has

    def _has_read_only_root(self) -> bool:
        return bool(self.spec.get("securityContext", {}).get("readOnlyRootFilesystem"))

    def _privileges(self) -> str:
        user = self.pod.spec["securityContext"]
        assert self.spec["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert self.spec["securityContext"]["allowPrivilegeEscalation"] is False
        return (
            f"--reuid={user['runAsUser']} --regid={user['runAsGroup']} --groups={user['fsGroup']} "
            "--inh-caps=-all --bounding-set=-all --no-new-privs"
        )


def _sources(volume: Document) -> Iterator[tuple[str, str, bool]]:
    """Yield kind and name of the sources of a volume's files, and whether each is optional."""
    for source in (volume, *volume.get("projected", {}).get("sources", ())):
        for kind, key in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if of := source.get(key):
                yield kind, of.get("secretName") or of["name"], bool(of.get("optional"))


def entrypoint_of(image: str) -> list[str]:
    """Return the entrypoint of an image: our image's, or Prometheus' own."""
    is_stand_in = image.startswith("prometheus-elector:")
    return ["prometheus-elector", "--", "prometheus"] if is_stand_in else ["prometheus"]


def fill(folder: Path, content: dict[str, bytes]) -> None:
    """Write files to a volume's folder as the kubelet does: a new folder, then a link to it.

    Then the old folder is removed; only by this does a watch on one of its files get an event.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = folder / (folder / "..data").readlink() if (folder / "..data").is_symlink() else None
    fresh = folder / f"..{time.time_ns()}"
    fresh.mkdir()
    fresh.chmod(0o755)
    for name, text in content.items():
        (fresh / name).write_bytes(text)
        (fresh / name).chmod(0o644)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    swap = folder / "..data_tmp"
    swap.symlink_to(fresh.name)
    swap.replace(folder / "..data")
    if old is not None:
        shutil.rmtree(old)


PROGRAMS: dict[str, Callable[[], str]] = {
    "prometheus-elector": lambda: str(Path(sys.executable).with_name("prometheus-elector")),
    "/bin/prometheus-config-reloader": lambda: program("prometheus-config-reloader"),
}


def programs() -> list[Path]:
    """Return the folders of the programs that an image would have."""
    names = ("prometheus", "prometheus-config-reloader")
    return list(dict.fromkeys(Path(program(name)).resolve().parent for name in names))
