"""The API server's address, from kubeconfig files or from a pod's environment.

Files are found as client-go finds them, and read again at each call. Error messages name what is
missing, and never quote the files. ``credentials`` reads the credentials.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yaml.nodes import MappingNode, Node, SequenceNode

from wrapper.access.proxy_environment import BadProxy, HttpProxy, proxy_for
from wrapper.access.reloading_file import Reading
from wrapper.base.shown_text import in_short
from wrapper.documents.problems import ConfigurationError, Problems
from wrapper.documents.source import Source
from wrapper.documents.yaml_inspection import read_document
from wrapper.documents.yaml_nodes import BOOL_TAG, TRUE, entries, is_null
from wrapper.election.lease_fields import Json

_PROXY_SCHEMES = ("http", "https")
_FILES = ("tokenFile", "client-certificate", "client-key", "certificate-authority")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoAccess(Exception):
    """The API server's address or the credentials are unknown; the text says why."""


def check_kubeconfig(path: str) -> str:
    """Return why ``--kubeconfig`` does not give an API server; "" if it does.

    ``path`` "" means the default. Only files are read: the first request shows whether the server
    answers and accepts us.
    """
    try:
        access = ClusterAccess.find(path)
        if not access.kubeconfigs and not access.is_in_cluster:
            return (
                "no Kubernetes API server is known: set --kubeconfig or KUBECONFIG,"
                " or run in a pod with a service account; on one machine, leave out --lease-name"
            )
        access.proxy()
    except NoAccess as problem:
        return str(problem)
    return ""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """The kubeconfig files to use; if there are none, the pod's service account."""

    kubeconfigs: tuple[Path, ...]
    service_account: Path = SERVICE_ACCOUNT

    @classmethod
    def find(cls, explicit: str, service_account: Path = SERVICE_ACCOUNT) -> ClusterAccess:
        """Find the files as client-go: this one, else KUBECONFIG or ~/.kube/config, else a pod."""
        if explicit:
            return cls((Path(explicit),), service_account)
        named = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
        # Not Path.expanduser: it fails for a user without a home.
        paths = named or [os.path.expanduser("~/.kube/config")]  # noqa: PTH111
        return cls(tuple(Path(name) for name in paths if os.access(name, os.F_OK)), service_account)

    @property
    def is_in_cluster(self) -> bool:
        """Whether this process runs in a pod with a service account."""
        has_token = os.access(self.service_account / "token", os.F_OK)
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and has_token

    @property
    def credentials(self) -> str:
        """Where the credentials come from, for messages."""
        return " and ".join(map(str, self.kubeconfigs)) or str(self.service_account / "token")

    @property
    def server(self) -> str:
        """The API server's URL."""
        if self.kubeconfigs:
            return str(self.current()["cluster"]["server"])
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def proxy(self) -> HttpProxy | None:
        """Return the proxy to use, or None; raise NoAccess.

        As in client-go, a kubeconfig's proxy-url is used before the environment's variables.
        """
        named = self.current()["cluster"].get("proxy-url")
        try:
            if named:
                return HttpProxy.read(
                    str(named), f"proxy-url in {self.credentials}", _PROXY_SCHEMES
                )
            return proxy_for(urlsplit(self.server), os.environ, _PROXY_SCHEMES)
        except BadProxy as problem:
            raise NoAccess(str(problem)) from None
        except ValueError:
            wrong = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not make a URL"
            raise NoAccess(f"{wrong}: correct them, or set --kubeconfig") from None

    def namespace(self) -> str:
        """Return the pod's own namespace, else the kubeconfig context's, else ``default``."""
        with contextlib.suppress(OSError):
            text = (self.service_account / "namespace").read_text(errors="replace")
            return text.strip() or "default"
        with contextlib.suppress(NoAccess):
            return str(self.current()["context"].get("namespace") or "default")
        return "default"

    def current(self, reading: Reading | None = None) -> Json:
        """Return the current context with its cluster and user; all empty without a kubeconfig.

        Relative file names in it are resolved against the folder of their kubeconfig. Raise
        NoAccess, whose text never quotes the files.
        """
        reading = reading or Reading()
        documents = [(path, _load(path, reading)) for path in self.kubeconfigs]
        if not documents:
            return {"name": None, "context": {}, "cluster": {}, "user": {}}
        named = (document.get("current-context") for _, document in documents)
        name = next(filter(None, named), None)
        if name is None:
            raise NoAccess(f"{self.credentials}: current-context is missing: choose a context")
        context = self._named(documents, "context", name)
        cluster = self._named(documents, "cluster", context.get("cluster"))
        if not _is_url(str(cluster.get("server"))):
            wrong = f"cluster {context.get('cluster')} has no server: write https://HOST:PORT"
            raise NoAccess(f"{self.credentials}: {wrong}")
        user = self._named(documents, "user", context["user"]) if context.get("user") else {}
        return {"name": name, "context": context, "cluster": cluster, "user": user}

    def _named(self, documents: list[tuple[Path, Json]], kind: str, name: object) -> Json:
        for path, document in documents:
            entries = document.get(f"{kind}s") or []
            if not isinstance(entries, list):
                raise NoAccess(f"{path}: {kind}s is not a list: write each entry as - name: NAME")
            for entry in entries:
                if isinstance(entry, dict) and entry.get("name") == name:
                    found = entry.get(kind) or {}
                    if not isinstance(found, dict):
                        wrong = (
                            f"the {kind} named {name!r} is not a mapping: write it as KEY: VALUE"
                        )
                        raise NoAccess(f"{path}: {wrong}")
                    return _from_folder(path.parent, found)
        shown = in_short(repr(name))
        raise NoAccess(f"{self.credentials}: there is no {kind} named {shown}: add it")


def _is_url(server: str) -> bool:
    try:
        url = urlsplit(server)
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _from_folder(folder: Path, entry: Json) -> Json:
    """Resolve an entry's file names, and that of its plugin, against a folder."""
    found = {**entry} | {key: str(folder / str(entry[key])) for key in _FILES if entry.get(key)}
    plugin = found.get("exec")
    if isinstance(plugin, dict) and "/" in str(plugin.get("command")):
        found["exec"] = {**plugin, "command": str(folder / str(plugin["command"]))}
    return found


def _load(path: Path, reading: Reading) -> Json:
    problems = Problems()
    try:
        root = read_document(Source(str(path), reading.read(str(path))), problems)
        problems.raise_if_any(only_if_broken=True)
    except ConfigurationError as error:
        if problems:
            raise NoAccess(f"the kubeconfig {error.problems[0]}") from None
        cause = str(error).partition(";")[0]
        cure = "correct --kubeconfig (or KUBECONFIG), or let this user read it"
        raise NoAccess(f"the kubeconfig {cause}; {cure}") from None
    if not isinstance(root, MappingNode):
        raise NoAccess(f"{path}: not a kubeconfig: it has no clusters, users and contexts")
    document: Json = _value_of(root, {})
    return document


def _value_of(node: Node, known: dict[int, Any]) -> Any:
    """Convert a YAML node to dicts, lists, texts, booleans and None.

    ``known`` contains the nodes converted so far. PyYAML's constructors are not used, because they
    also make dates and numbers, and raise any error for an invalid one.
    """
    if id(node) not in known:
        known[id(node)] = _made(node, known)
    return known[id(node)]


def _made(node: Node, known: dict[int, Any]) -> Any:
    if isinstance(node, MappingNode):
        return {name: _value_of(value, known) for name, (_, value) in entries(node).items()}
    if isinstance(node, SequenceNode):
        return [_value_of(item, known) for item in node.value]
    if is_null(node):
        return None
    return node.value.lower() in TRUE if node.tag == BOOL_TAG else node.value
