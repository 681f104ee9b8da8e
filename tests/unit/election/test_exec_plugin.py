"""Credentials from a program that a kubeconfig names, as in client-go."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from wrapper.access.reloading_file import Reading
from wrapper.base import clock
from wrapper.documents.problems import ConfigurationError
from wrapper.election import exec_plugin
from wrapper.election.credentials import read_credentials
from wrapper.election.exec_plugin import credentials_of_plugin
from wrapper.election.kubeconfig import ClusterAccess

VERSION = "client.authentication.k8s.io/v1"


def answer(**status: str) -> str:
    """Return the output of a plugin with this status."""
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def program(folder: Path, script: str) -> dict[str, Any]:
    """Return an exec entry whose program is this shell script."""
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return {"apiVersion": VERSION, "command": str(path), "interactiveMode": "Never"}


def printing(folder: Path, printed: str) -> dict[str, Any]:
    """Return an exec entry whose program prints this text."""
    (folder / "printed").write_text(printed)
    return program(folder, f"cat {folder}/printed")


def run_plugin(plugin: object, **cluster: object) -> dict[str, Any]:
    """Run a plugin for this cluster."""
    return credentials_of_plugin(plugin, dict(cluster), Reading())


def kubeconfig(folder: Path, plugin: dict[str, Any]) -> ClusterAccess:
    """Write a kubeconfig whose user has this plugin."""
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://s"}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(content))
    return ClusterAccess((folder / "kubeconfig",))


def test_plugin_runs_again_for_each_read(tmp_path: Path) -> None:
    """The plugin runs at each read, so that an expired token is replaced."""
    cluster = kubeconfig(tmp_path, program(tmp_path, f"cat {tmp_path}/printed"))
    for token in ("first", "second"):
        (tmp_path / "printed").write_text(answer(token=token))
        access = read_credentials(cluster, Reading())
        assert dict(access.fields)["Authorization"] == f"Bearer {token}"


def test_plugin_returns_a_certificate(tmp_path: Path) -> None:
    """A plugin's certificate is used, and its key is not written to a file."""
    certificate, key = map(Path, Authority(tmp_path / "authority").issue("client").paths)
    given = answer(clientCertificateData=certificate.read_text(), clientKeyData=key.read_text())
    access = read_credentials(kubeconfig(tmp_path, printing(tmp_path, given)), Reading())
    assert access.fields == ()
    assert access.config.tls.certificate.inline == certificate.read_text()
    assert access.config.tls.key.path == ""
    _ = access.tls


def test_path_of_the_command_is_relative_to_the_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command with a slash is relative to the kubeconfig; one without is searched in PATH."""
    plugin = printing(tmp_path, answer(token="t"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for command in ("./plugin", "plugin"):
        access = read_credentials(kubeconfig(tmp_path, plugin | {"command": command}), Reading())
        assert dict(access.fields)["Authorization"] == "Bearer t"


def test_plugin_gets_arguments_variables_and_cluster(tmp_path: Path) -> None:
    """A plugin gets its arguments and variables and, if requested, the cluster with its CA."""
    plugin = program(
        tmp_path,
        f'echo "$@" "$GIVEN" >{tmp_path}/words\n'
        f'printf %s "$KUBERNETES_EXEC_INFO" >{tmp_path}/info\n'
        f"echo '{answer(token='t')}'",
    )
    plugin |= {"args": ["one", 2], "env": [{"name": "GIVEN", "value": "three"}]}
    (tmp_path / "ca").write_text("CA")
    extensions = [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}]
    cluster = {
        "server": "https://s",
        "tls-server-name": "other",
        "certificate-authority": str(tmp_path / "ca"),
        "extensions": extensions,
    }
    assert run_plugin(plugin, **cluster)["token"] == "t"
    assert (tmp_path / "words").read_text() == "one 2 three\n"
    info = {"apiVersion": VERSION, "kind": "ExecCredential", "spec": {"interactive": False}}
    assert json.loads((tmp_path / "info").read_text()) == info
    run_plugin(plugin | {"provideClusterInfo": True}, **cluster)
    assert json.loads((tmp_path / "info").read_text())["spec"]["cluster"] == {
        "server": "https://s",
        "tls-server-name": "other",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
        "config": {"audience": "a"},
    }


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ("SECRET", "printed no ExecCredential as JSON: run it by hand to see why"),
        ("[" * 100_000, "printed no ExecCredential as JSON"),
        ('{"kind": "SECRET"}', "printed no ExecCredential as JSON"),
        ('{"kind": "ExecCredential", "apiVersion": "SECRET"}', "answers with another apiVersion"),
        (answer(), "printed neither a token nor a certificate with its key"),
        (answer(clientCertificateData="SECRET"), "printed neither a token nor a certificate"),
        (answer().replace("{}", '"SECRET"'), "printed neither a token nor a certificate"),
    ],
)
def test_unusable_output_is_reported(tmp_path: Path, printed: str, problem: str) -> None:
    """The problem names the program, but shows nothing of its output."""
    with pytest.raises(ConfigurationError) as caught:
        run_plugin(printing(tmp_path, printed))
    assert problem in str(caught.value)
    assert f"the plugin {tmp_path}/plugin " in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_output_may_be_as_large_as_a_file_of_credentials(tmp_path: Path) -> None:
    """An output of the largest size is accepted; a byte more is refused."""
    whole = answer(token="t").ljust(exec_plugin.MOST_BYTES)
    assert run_plugin(printing(tmp_path, whole))["token"] == "t"
    with pytest.raises(ConfigurationError, match="it printed more than 1 MiB"):
        run_plugin(printing(tmp_path, whole + " "))


def test_failing_plugin_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that is missing, fails, prints too much or does not exit is reported."""
    with pytest.raises(
        ConfigurationError, match=r"/none returned no .*No such file or directory; "
    ):
        run_plugin({"command": "/none"})
    with pytest.raises(ConfigurationError, match="it exited with status 7: run it by hand"):
        run_plugin(program(tmp_path, "echo SECRET >&2; exit 7"))
    with pytest.raises(ConfigurationError, match="it printed more than 1 MiB: run it by hand"):
        run_plugin(program(tmp_path, "exec cat /dev/zero"))
    monkeypatch.setattr(exec_plugin, "TIMEOUT_S", 0.05)
    with pytest.raises(ConfigurationError, match="it did not exit within 0 s: run it by hand"):
        run_plugin(program(tmp_path, "exec >&- sleep 60"))
    with pytest.raises(ConfigurationError, match="it did not exit within 0 s: run it by hand"):
        run_plugin(program(tmp_path, "exec sleep 60"))


def test_closing_the_output_late_does_not_extend_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout covers both the output and the exit of the plugin."""
    monkeypatch.setattr(exec_plugin, "TIMEOUT_S", 2.0)
    begin = clock.now()
    with pytest.raises(ConfigurationError, match="it did not exit within 2 s"):
        run_plugin(program(tmp_path, "sleep 1.5; exec >&-; exec sleep 60"))
    assert clock.now() - begin < 3.0


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"args": "one"}, "args of exec is not a list"),
        ({"env": {"A": "b"}}, "env of exec is not a list of name and value"),
        ({"env": ["A"]}, "env of exec is not a list of name and value"),
        ({"args": ["\0"]}, "contain a NUL character"),
    ],
)
def test_malformed_entry_is_reported(given: dict[str, Any], problem: str) -> None:
    """An exec entry with a wrong type is reported as such, before its program is started."""
    with pytest.raises(ConfigurationError, match=problem):
        run_plugin({"command": "/none"} | given)
