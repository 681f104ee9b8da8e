"""The arguments of ``status`` and ``step-down``, and the table that they print."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from wrapper.commands.remote import (
    Api,
    lacks_authentication,
    outcome_of,
    output_of_process,
    table,
)
from wrapper.commands.remote_args import CommandFailed, RemoteRequest, read_arguments

LOCAL = "http://127.0.0.1:9095"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], RemoteRequest(LOCAL)),
        (["http://h:1"], RemoteRequest("http://h:1")),
        (["h:1"], RemoteRequest("http://h:1")),
        (["--for=30m"], RemoteRequest(LOCAL, 1800.0)),
        (
            ["-for", "90s", "--force", "https://h/p?a=b"],
            RemoteRequest("https://h/p?a=b", 90.0, True),  # noqa: FBT003
        ),
        (["--for=0s"], RemoteRequest(LOCAL, 0.0)),
        (["--force=false"], RemoteRequest(LOCAL)),
        (["--http-config", "/f.yml"], RemoteRequest(LOCAL, http_config="/f.yml")),
    ],
)
def test_arguments_are_read(words: list[str], asked: RemoteRequest) -> None:
    """The arguments are a URL, by default this machine's, a duration, and whether to force."""
    assert read_arguments(["step-down", *words], {}) == asked


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (":8000", "http://127.0.0.1:8000"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("[::]:8000", "http://[::1]:8000"),
        ("10.0.0.1:8000", "http://10.0.0.1:8000"),
    ],
)
def test_default_url_comes_from_the_environment(address: str, url: str, tmp_path: Path) -> None:
    """The default URL is that at which a replica with this environment listens, with TLS or not."""
    environ = {"ELECTOR_API_LISTEN_ADDRESS": address}
    assert read_arguments(["status"], environ).url == url
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: c, key_file: k}\n")
    environ["ELECTOR_WEB_CONFIG_FILE"] = str(web)
    assert read_arguments(["status"], environ).url == url.replace("http:", "https:")
    web.unlink()
    assert read_arguments(["status"], environ).url == url


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--for=soon"], "--for=soon: "),
        (["--for"], "--for: its value is missing"),
        (["--http-config="], "--http-config: its value is missing"),
        (["--for=8760h"], "write a time from 0s to 168h"),
        (["--quick"], "--quick: unknown; step-down takes URL, .*, --for=30m and --force"),
        (["--force=no"], "--force=no: write --force, or leave it out"),
        (["h:1", "h:2"], "h:2: only one URL .* h:1 "),
    ],
)
def test_invalid_arguments_are_refused(words: list[str], told: str) -> None:
    """The message names what can be written instead."""
    with pytest.raises(CommandFailed, match=told):
        read_arguments(["step-down", *words], {})


@pytest.mark.parametrize("word", ["--for=1h", "--force"])
def test_status_refuses_flags_of_step_down(word: str) -> None:
    """``status`` refuses flags of ``step-down`` rather than ignoring them."""
    with pytest.raises(CommandFailed, match="unknown; status takes URL and --http-config=FILE"):
        read_arguments(["status", word], {})


def test_password_that_cannot_be_prompted_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal or standard input, the message names other places for the password."""

    def fail(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", fail)
    with pytest.raises(CommandFailed, match=r"alice's password.*--http-config=FILE"):
        Api("http://alice@h:1")


@pytest.mark.parametrize("url", ["ftp://h", "http://h:port"])
def test_invalid_url_is_refused(url: str) -> None:
    """An invalid URL is refused before any request."""
    with pytest.raises(CommandFailed, match="is not an HTTP URL"):
        Api(url)


def test_password_is_not_shown() -> None:
    """The text of an API, which errors contain, has no password."""
    assert str(Api("http://alice:wonderland@h:1")) == "http://h:1"


@pytest.mark.parametrize(
    ("code", "answer", "lacks"),
    [
        (403, {"errorType": "no_authentication", "error": "in any words"}, True),
        (403, {"errorType": "forbidden", "error": "this API does not authenticate clients"}, True),
        (403, {"errorType": "forbidden", "error": "this client has no certificate"}, False),
        (403, {"error": ["no text"]}, False),
        (200, {"errorType": "no_authentication"}, False),
    ],
)
def test_api_without_authentication_is_recognised(
    code: int, answer: dict[str, Any], lacks: bool
) -> None:
    """An API without authentication is recognised by its error type, an old one by its message."""
    assert lacks_authentication(code, answer) is lacks


STATUS: dict[str, Any] = {
    "identity": "a",
    "role": "leader",
    "is_leader": True,
    "leader": "a",
    "reason": "x",
    "role_since": "2026-01-01T00:00:00+00:00",
    "prometheus": {"is_ready": True},
    "configuration": {"is_valid": True, "is_loaded": False},
}


def test_table_keeps_its_columns_with_any_content() -> None:
    """Control characters in an answer do not disturb the table."""
    told = {**STATUS, "identity": "a\x1b[2J"}
    gone = {"url": "http://h:1", "status": None, "problem": "it refuses connections"}
    unseen = {"url": "", "status": {**STATUS, "leader": None}, "problem": ""}
    heads, first, third, second = table([{"url": "", "status": told, "problem": ""}, unseen, gone])
    assert "not known" in third
    assert first.startswith("a[2J ")
    assert first.index("leader") == heads.index("ROLE")
    assert "not confirmed" in first
    assert second.endswith("unreachable: it refuses connections")


@pytest.mark.parametrize(
    "changes",
    [
        {"prometheus": "x"},
        {"configuration": [1]},
        {"leader": 1},
        {"identity": 1},
        {"reason": {}},
        {"without": "leader"},
    ],
)
def test_invalid_status_has_its_line(changes: dict[str, Any]) -> None:
    """An answer that is no status has a line of its own, and the others have theirs."""
    kept = {key: value for key, value in STATUS.items() if key != changes.get("without")}
    wrong = {"url": "http://h:1", "status": {**kept, **changes}}
    _, line, other = table([wrong, {"status": STATUS}])
    assert line.startswith("http://h:1 ")
    assert line.endswith("its answer is not a replica's status")
    assert other.startswith("a ")
    assert "unreachable" in list(table([{}]))[1]


def test_outcome_of_a_step_down_comes_from_the_status() -> None:
    """A step-down has succeeded if another leads, or if the end of the pause has changed."""
    follows = {**STATUS, "is_leader": False, "leader": "b"}
    paused = {**follows, "paused_until": "T2"}
    assert outcome_of(STATUS, STATUS, None) == ""
    assert outcome_of(follows, STATUS, None) == "a has stepped down; b leads"
    assert outcome_of(follows, STATUS, 60) == ""
    assert outcome_of(paused, STATUS, 60) == "a has stepped down; b leads"
    assert outcome_of(paused, {**follows, "paused_until": "T1"}, 60).startswith("a stays out")
    assert outcome_of(paused, paused, 60) == ""
    unseen = {**paused, "leader": None}
    assert outcome_of(unseen, STATUS, 60) == ""
    assert outcome_of(unseen, follows, 60).endswith("; the leader is not known")


@dataclass
class Supervisor:
    """A process with this command line."""

    words: list[str]
    pid: int = 7

    def cmdline(self) -> list[str]:
        """Return the command line."""
        return self.words

    def environ(self) -> dict[str, str]:
        """Return the environment."""
        return {"ELECTOR_OUTPUT": "o.yml"}

    def cwd(self) -> str:
        """Return the working directory."""
        return "/run"


@pytest.mark.parametrize(
    "words", [["/python", "/bin/prometheus-elector"], ["python", "-m", "wrapper"]]
)
def test_output_of_a_replica_on_this_machine_is_found(words: list[str]) -> None:
    """The output comes from the process' arguments or environment, relative to its directory."""
    assert output_of_process(cast("Any", Supervisor(words))) == Path("/run/o.yml")
    given = [*words, "--output=/data/p.yml", "--", "/bin/prometheus"]
    assert output_of_process(cast("Any", Supervisor(given))) == Path("/data/p.yml")


def test_replica_with_another_program_name_is_reported() -> None:
    """If the program has another name, e.g. that of a link, the message gives this reason."""
    with pytest.raises(CommandFailed, match="process 7 is not known, because its program has anot"):
        output_of_process(cast("Any", Supervisor(["python", "/bin/elector", "--output=p.yml"])))
