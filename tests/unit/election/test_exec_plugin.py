"""A program that a kubeconfig names gives the credentials, as client-go has it."""

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
    """Return what a plugin prints with this status."""
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def program(folder: Path, script: str) -> dict[str, Any]:
    """Return an exec entry whose program is this shell script."""
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return {"apiVersion": VERSION, "command": str(path), "interactiveMode": "Never"}


def printing(folder: Path, printed: str) -> dict[str, Any]:
    """Return an exec entry whose program prints this."""
    (folder / "printed").write_text(printed)
    return program(folder, f"cat {folder}/printed")


def ask(plugin: object, **cluster: object) -> dict[str, Any]:
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


def test_a_plugin_gives_a_token_anew_each_time(tmp_path: Path) -> None:
    """So that one which has expired is replaced when it is refused."""
    cluster = kubeconfig(tmp_path, program(tmp_path, f"cat {tmp_path}/printed"))
    for token in ("first", "second"):
        (tmp_path / "printed").write_text(answer(token=token))
        access = read_credentials(cluster, Reading())
        assert dict(access.fields)["Authorization"] == f"Bearer {token}"


def test_a_plugin_gives_a_certificate(tmp_path: Path) -> None:
    """It is the one that is shown, and its key is not written to a file."""
    certificate, key = map(Path, Authority(tmp_path / "authority").issue("client").paths)
    given = answer(clientCertificateData=certificate.read_text(), clientKeyData=key.read_text())
    access = read_credentials(kubeconfig(tmp_path, printing(tmp_path, given)), Reading())
    assert access.fields == ()
    assert access.config.tls.certificate.inline == certificate.read_text()
    assert access.config.tls.key.path == ""
    _ = access.tls


def test_a_path_of_a_command_begins_at_its_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without a slash is looked up in PATH."""
    plugin = printing(tmp_path, answer(token="t"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for command in ("./plugin", "plugin"):
        access = read_credentials(kubeconfig(tmp_path, plugin | {"command": command}), Reading())
        assert dict(access.fields)["Authorization"] == "Bearer t"


def test_a_plugin_is_told_what_it_asks_for(tmp_path: Path) -> None:
    """Arguments, variables, and on request the cluster with its CA as data."""
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
    assert ask(plugin, **cluster)["token"] == "t"
    assert (tmp_path / "words").read_text() == "one 2 three\n"
    info = {"apiVersion": VERSION, "kind": "ExecCredential", "spec": {"interactive": False}}
    assert json.loads((tmp_path / "info").read_text()) == info
    ask(plugin | {"provideClusterInfo": True}, **cluster)
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
def test_an_answer_that_cannot_be_used_is_told(tmp_path: Path, printed: str, problem: str) -> None:
    """With the program's name, and without what it has printed."""
    with pytest.raises(ConfigurationError) as caught:
        ask(printing(tmp_path, printed))
    assert problem in str(caught.value)
    assert f"the plugin {tmp_path}/plugin " in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_an_answer_may_be_as_large_as_a_file_of_credentials(tmp_path: Path) -> None:
    """A byte more is refused."""
    whole = answer(token="t").ljust(exec_plugin.MOST_BYTES)
    assert ask(printing(tmp_path, whole))["token"] == "t"
    with pytest.raises(ConfigurationError, match="it printed more than 1 MiB"):
        ask(printing(tmp_path, whole + " "))


def test_a_plugin_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, that fails, that prints on and on, that does not end."""
    with pytest.raises(
        ConfigurationError, match=r"/none returned no .*No such file or directory; "
    ):
        ask({"command": "/none"})
    with pytest.raises(ConfigurationError, match="it exited with status 7: run it by hand"):
        ask(program(tmp_path, "echo SECRET >&2; exit 7"))
    with pytest.raises(ConfigurationError, match="it printed more than 1 MiB: run it by hand"):
        ask(program(tmp_path, "exec cat /dev/zero"))
    monkeypatch.setattr(exec_plugin, "TIMEOUT_S", 0.05)
    with pytest.raises(ConfigurationError, match="it did not exit within 0 s: run it by hand"):
        ask(program(tmp_path, "exec >&- sleep 60"))
    with pytest.raises(ConfigurationError, match="it did not exit within 0 s: run it by hand"):
        ask(program(tmp_path, "exec sleep 60"))


def test_a_plugin_has_no_longer_if_it_closes_its_output_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took until then counts."""
    monkeypatch.setattr(exec_plugin, "TIMEOUT_S", 2.0)
    begin = clock.now()
    with pytest.raises(ConfigurationError, match="it did not exit within 2 s"):
        ask(program(tmp_path, "sleep 1.5; exec >&-; exec sleep 60"))
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
def test_an_entry_of_another_form_is_told(given: dict[str, Any], problem: str) -> None:
    """Nothing is run by it."""
    with pytest.raises(ConfigurationError, match=problem):
        ask({"command": "/none"} | given)
