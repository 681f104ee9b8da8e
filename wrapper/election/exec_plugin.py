"""Credentials from a plugin: a program that a kubeconfig names with ``exec``, as client-go runs it.

The contract is Kubernetes' API group client.authentication.k8s.io. The program gets an
ExecCredential in an environment variable, and prints one that contains the credentials. It gets no
terminal, must exit within ``TIMEOUT_S``, and may print at most ``MOST_BYTES``. Error messages name
the program, but never quote its output.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
from collections.abc import Mapping

from wrapper.access.reloading_file import Reading
from wrapper.base import clock
from wrapper.documents.problems import ConfigurationError
from wrapper.election.lease_fields import Json

TIMEOUT_S = 30.0
MOST_BYTES = 1 << 20  # the same limit as for a file with credentials
_PIECE_BYTES = 64 << 10
_EXTENSION = "client.authentication.k8s.io/exec"
# Fields of the cluster that are passed to the program. Its CA and extension are added separately.
_CLUSTER_FIELDS = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "proxy-url",
    "disable-compression",
)
_BY_HAND = "run it by hand to see why"


def credentials_of_plugin(plugin: object, cluster: Json, reading: Reading) -> Json:
    """Run the program; return its credentials as a kubeconfig user; raise ConfigurationError."""
    if not isinstance(plugin, dict) or not isinstance(plugin.get("command"), str):
        raise ConfigurationError(["exec has no command: name the program that gives credentials"])
    command, version = plugin["command"], plugin.get("apiVersion")
    spec: Json = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster, reading)
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    environment = _environment(plugin) | {"KUBERNETES_EXEC_INFO": json.dumps(info)}
    answer = _decoded(command, _run([command, *_arguments(plugin.get("args"))], environment))
    if answer.get("apiVersion") != version:
        problem = (
            f"the plugin {command} answers with another apiVersion: set apiVersion of exec to it"
        )
        raise ConfigurationError([problem])
    return _user(command, answer.get("status"))


def _environment(plugin: Json) -> dict[str, str]:
    added = plugin.get("env") or []
    if not isinstance(added, list) or not all(isinstance(each, dict) for each in added):
        raise ConfigurationError(
            ["env of exec is not a list of name and value: write - name: NAME"]
        )
    return {**os.environ} | {_text(each.get("name")): _text(each.get("value")) for each in added}


def _arguments(args: object) -> list[str]:
    if args is not None and not isinstance(args, list):
        raise ConfigurationError(["args of exec is not a list: write each argument as - ARGUMENT"])
    return [_text(word) for word in args or []]


def _text(value: object) -> str:
    """Return a value as text, as client-go does: a missing one is empty."""
    return "" if value is None else str(value)


def _cluster_info(cluster: Json, reading: Reading) -> Json:
    info = {key: cluster[key] for key in _CLUSTER_FIELDS if key in cluster}
    data, path = (cluster.get(f"certificate-authority{end}") for end in ("-data", ""))
    if path and not data:
        data = _base64(reading.read(str(path)))
    if data:
        info["certificate-authority-data"] = data
    extensions = cluster.get("extensions")
    for each in extensions if isinstance(extensions, list) else ():
        if isinstance(each, dict) and each.get("name") == _EXTENSION:
            info["config"] = each.get("extension")
    return info


def _run(command: list[str], environment: Mapping[str, str]) -> bytes:
    try:
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may contain secrets, so it is not logged
        ) as program:
            try:
                printed = _read_output(program, clock.now() + TIMEOUT_S)
            finally:
                program.kill()
    except OSError as error:
        problem = f"{error.strerror}; install it, or correct command"
    except ValueError:
        problem = "its command, args or env contain a NUL character: correct them"
    except subprocess.TimeoutExpired:
        problem = f"it did not exit within {TIMEOUT_S:.0f} s: {_BY_HAND}"
    else:
        if len(printed) > MOST_BYTES:
            problem = f"it printed more than {MOST_BYTES >> 20} MiB: {_BY_HAND}"
        elif program.returncode != 0:
            problem = f"it exited with status {program.returncode}: {_BY_HAND}"
        else:
            return printed
    raise ConfigurationError([f"the plugin {command[0]} returned no credentials: {problem}"])


def _read_output(program: subprocess.Popen[bytes], until_at: float) -> bytes:
    """Return what a program prints until it exits, or until that is too much.

    Raise subprocess.TimeoutExpired at ``until_at``.
    """
    output = program.stdout.fileno() if program.stdout else -1  # never -1, because of PIPE
    poll = select.poll()
    poll.register(output)
    printed = b""
    while len(printed) <= MOST_BYTES:
        left_s = max(until_at - clock.now(), 0.0)
        if not poll.poll(left_s * 1000):
            raise subprocess.TimeoutExpired(program.args, TIMEOUT_S)
        piece = os.read(output, _PIECE_BYTES)
        if not piece:
            program.wait(max(until_at - clock.now(), 0.0))
            break
        printed += piece
    return printed


def _decoded(command: str, printed: bytes) -> Json:
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        problem = f"the plugin {command} printed no ExecCredential as JSON: {_BY_HAND}"
        raise ConfigurationError([problem])
    return answer


def _user(command: str, status: object) -> Json:
    """Return a status as a kubeconfig user, with a token, or a certificate and its key."""
    given = status if isinstance(status, dict) else {}
    token, *pair = (given.get(k) for k in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not all(pair):
        problem = f"the plugin {command} printed neither a token nor a certificate with its key"
        raise ConfigurationError([f"{problem}: {_BY_HAND}"])
    names = ("client-certificate-data", "client-key-data")
    files = {k: _base64(str(v).encode()) for k, v in zip(names, pair, strict=True) if v}
    return {"token": token, **files}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
