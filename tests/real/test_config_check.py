"""Invalid edits are reported with their place; promtool checks edits before Prometheus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.real.conftest import Start
from tests.real.fleet import lines_of, rejections
from tests.real.loadable import OTHER_UUID, completed, is_asked, version
from tests.real.parts import program, started
from tests.real.replica import Replica
from tests.real.test_fidelity import REFUSED, Oracle, with_a_key
from tests.real.test_refusals import edit, is_valid
from tests.schema import UNKNOWN, schema
from tests.support import wait_until
from tests.unit.configuration.test_config_paths import trails
from tests.unit.configuration.test_remote_duplicates import PAIRS
from wrapper.configuration.redact import PLACES as SECRETS

MARKER = "hunter2-marker"


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    """Run a Prometheus that shows what it reads in a configuration."""
    with started(Oracle(tmp_path)) as part:
        yield part


@pytest.fixture(scope="module")
def shared_oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Run one Prometheus for all cases that leave no state in it."""
    with started(Oracle(tmp_path_factory.mktemp("oracle"))) as part:
        yield part


def config_status(replica: Replica) -> dict[str, Any]:
    """Return what its API reports of its configuration."""
    answer = requests.get(f"{replica.api}/_elector/config", timeout=5)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content


def own_output(replica: Replica) -> str:
    """Return its own log lines, without Prometheus', and the API's answer."""
    logged = "\n".join(lines_of(replica, "component=elector"))
    return f"{logged}\n{requests.get(f'{replica.api}/_elector/config', timeout=5).text}"


def await_rejection(replica: Replica) -> list[str]:
    """Wait until log, metrics and API report a rejection; return the problems."""
    wait_until(lambda: rejections(replica), 30, "it is logged")
    wait_until(lambda: not is_valid(replica), 30, "it is in the metrics")
    assert not config_status(replica)["is_valid"]
    problems: list[str] = config_status(replica)["problems"]
    return problems


# --- reports of rejections ------------------------------------------------------------------------


def test_an_invalid_edit_is_reported_with_file_line_and_column(start: Start) -> None:
    """An invalid edit is reported in log, metrics and API until it is corrected.

    The output file does not change meanwhile.
    """
    replica = start("a")
    replica.await_ready()
    wait_until(lambda: config_status(replica)["is_loaded"], 30, "it is known to be loaded")
    before, output = config_status(replica), replica.output.read_bytes()
    assert (before["is_valid"], before["problems"]) == (True, [])
    assert before["loaded"] == before["renderings"]["follower"]
    edit(replica, "  scrape_configs:", f"  global: {{a: {MARKER}}}\n\tscrape_configs:")
    (problem,) = await_rejection(replica)
    assert problem.startswith(f"{replica.config}:5:1: not YAML")
    assert json.dumps(problem) in rejections(replica)[-1]
    assert config_status(replica)["renderings"] == before["renderings"]
    assert config_status(replica)["is_loaded"], "the last good one is what it should read"
    assert replica.output.read_bytes() == output
    assert MARKER not in own_output(replica)
    edit(replica, f"  global: {{a: {MARKER}}}\n\tscrape_configs:", "  scrape_configs:")
    wait_until(lambda: config_status(replica)["is_valid"], 30, "mended, it is good again")
    assert config_status(replica)["problems"] == []


def test_a_password_in_prometheus_error_is_not_repeated(start: Start) -> None:
    """When Prometheus' error contains a URL with a password, our log and API omit it."""
    replica = start("a", reloads_by_http=True)
    replica.await_ready()
    url = f"http://user:{MARKER}@host:no-port/"
    edit(replica, "  scrape_configs:", f"  remote_write: [{{url: '{url}'}}]\n  scrape_configs:")
    (problem,) = await_rejection(replica)
    assert "invalid port" in problem
    assert MARKER in replica.log.read_text(), "Prometheus' own log does"
    assert MARKER not in own_output(replica)


# --- promtool -------------------------------------------------------------------------------------


def test_promtool_keeps_a_bad_edit_from_prometheus(start: Start) -> None:
    """When promtool refuses an edit, its error is reported and the output does not change."""
    replica = start("a", f"--config-check={program('promtool')}")
    replica.await_ready()
    edit(replica, "job_name: self", f"basic_auth: {MARKER}\n    bogus: 1\n    job_name: self")
    (problem,) = await_rejection(replica)
    assert "the follower's rendering" in problem
    assert "field bogus not found" in problem
    assert "bogus" not in replica.output.read_text()
    assert not lines_of(replica, 'msg="Loading configuration file" filename=bogus')
    assert MARKER not in own_output(replica)
    assert not list(replica.output.parent.glob(".*check*"))
    edit(replica, f"basic_auth: {MARKER}\n    bogus: 1\n    ", "scrape_timeout: 500ms\n    ")
    wait_until(lambda: is_valid(replica), 30, "mended, it is good again")
    wait_until(lambda: "500ms" in replica.output.read_text(), 30, "it is written")


def test_sighup_loads_an_edit_whose_missing_file_has_come(start: Start) -> None:
    """After a missing credentials file has been created, SIGHUP loads the refused edit."""
    replica = start("a", f"--config-check={program('promtool')}")
    replica.await_ready()
    token = replica.config.with_name("token")
    edit(replica, "job_name: self", f"bearer_token_file: {token}\n    job_name: self")
    (problem,) = await_rejection(replica)
    assert "no such file" in problem
    token.write_text(MARKER)
    os.kill(replica.pid, signal.SIGHUP)
    wait_until(lambda: is_valid(replica), 30, "it is good now")
    wait_until(lambda: str(token) in replica.output.read_text(), 30, "and written")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program with the configuration in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "wrapper", *words, f"--config={folder}/c.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("content", "says", "status"),
    [
        ("rule_files: [r.yml]", ("accepted", "accepted"), 0),
        ("rule_files: [none.yml]", ("accepted", "refused"), 1),
    ],
)
def test_check_with_promtool(
    tmp_path: Path, content: str, says: tuple[str, str], status: int
) -> None:
    """With promtool, `check` accepts a rule file beside the input, and refuses a missing one."""
    (tmp_path / "r.yml").write_text("groups: []\n")
    (tmp_path / "c.yml").write_text(f"follower: {{}}\nleader:\n  {content}\n")
    done = run(tmp_path, "check", f"--config-check={program('promtool')}")
    assert f"  follower  {says[0]}" in done.stdout
    assert f"  leader    {says[1]}" in done.stdout
    assert done.returncode == status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yml", "r.yml"]


@pytest.mark.parametrize(("flags", "status"), [((), 1), (("--syntax-only",), 0)])
@pytest.mark.parametrize(
    "client",
    [
        "bearer_token_file: /no/token",
        "tls_config: {cert_file: /no/cert.pem, key_file: /no/key.pem}",
    ],
)
def test_promtool_needs_no_files_of_clients_for_the_syntax_only(
    tmp_path: Path, client: str, flags: tuple[str, ...], status: int
) -> None:
    """With --syntax-only, promtool accepts missing files of clients; rules are still checked.

    These files may exist only where Prometheus will run.
    """
    job = f"{{job_name: a, {client}}}"
    (tmp_path / "r.yml").write_text("groups: []\n")
    (tmp_path / "c.yml").write_text(
        f"follower: {{rule_files: [r.yml], scrape_configs: [{job}]}}\nleader:\n"
    )
    words = ("check", *flags, f"--config-check={program('promtool')}")
    assert run(tmp_path, *words).returncode == status
    (tmp_path / "r.yml").write_text("groups: [{}]\n")
    assert run(tmp_path, *words).returncode == 1


def test_promtool_accepts_functions_of_a_feature_of_prometheus(tmp_path: Path) -> None:
    """With Prometheus' feature flag, promtool accepts the feature's functions.

    The promtool of 2.x refuses them in any case.
    """
    rule = "{record: a, expr: 'sort_by_label(up, \"job\")'}"
    (tmp_path / "r.yml").write_text(f"groups: [{{name: g, rules: [{rule}]}}]\n")
    (tmp_path / "c.yml").write_text("follower: {rule_files: [r.yml]}\n")
    promtool = f"--config-check={program('promtool')}"
    prometheus = ("prometheus", f"--config.file={tmp_path}/p.yml", "--enable-feature=")
    feature = "promql-experimental-functions"
    config = f"--config={tmp_path}/c.yml"
    plain, told = (
        subprocess.run(
            [sys.executable, "-m", "wrapper", "check", config, promtool, "--", *child],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for child in (prometheus, (*prometheus[:-1], f"{prometheus[-1]}x,{feature}"))
    )
    assert (plain.returncode, "refused: " in plain.stdout) == (1, True)
    is_known = int(version().partition(".")[0]) >= 3
    assert told.returncode == (0 if is_known else 1), told.stdout


def test_a_start_that_promtool_refuses(tmp_path: Path) -> None:
    """When promtool refuses the configuration, Prometheus is not started."""
    (tmp_path / "c.yml").write_text("follower: {bogus: 1}\n")
    words = (f"--config-check={program('promtool')}", "--lease-lock=none")
    child = ("--", "/bin/sh", "-c", f"touch {tmp_path}/started", f"--config.file={tmp_path}/p.yml")
    done = subprocess.run(
        [sys.executable, "-m", "wrapper", f"--config={tmp_path}/c.yml", *words, *child],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "field bogus not found" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.yml"]


# --- which places are secrets ---------------------------------------------------------------------


def test_prometheus_shows_each_secret_as_in_the_schema(oracle: Oracle, tmp_path: Path) -> None:
    """Prometheus shows each secret as <secret> or in clear text, as the schema has it."""
    words, pem = schema().since(version()), with_a_key(tmp_path / "x.pem")
    lacking, wrong, hidden = oracle.lacks(words), [], set()
    ours = {"/".join(trail).replace("params/key", "params/*") for trail in trails(SECRETS)}
    for place in sorted(ours | schema().places("secret")):
        if not is_asked(place, lacking):
            continue
        secret = Path(pem).read_text() if place.endswith("/key") else OTHER_UUID
        configuration = completed(place, secret, pem)
        shown = oracle.shows(yaml.safe_dump(configuration))
        word = UNKNOWN if shown == REFUSED else "secret" if "<secret>" in shown else ""
        word = "text" if secret[:20] in shown else word
        hidden |= {place} if word == "secret" else set()
        if word not in words.get(place, (UNKNOWN,)):
            wrong.append((place, word, oracle.complaint(configuration)))
    assert wrong == []
    assert {"remote_write/[]/sigv4/secret_key", "scrape_configs/[]/bearer_token"} <= hidden


URL = f"http://user:{MARKER}@host/?token=in-a-parameter"


@pytest.mark.parametrize(
    ("configuration", "hides_password"),
    [
        ({"remote_write": [{"url": URL}]}, True),
        ({"remote_read": [{"url": URL}]}, True),
        ({"scrape_configs": [{"job_name": "a", "proxy_url": URL}]}, True),
        ({"scrape_configs": [{"job_name": "a", "http_sd_configs": [{"url": URL}]}]}, False),
    ],
)
def test_prometheus_shows_urls_as_the_security_page_states(
    shared_oracle: Oracle, configuration: Any, hides_password: bool
) -> None:
    """Prometheus shows tokens in URL parameters, and passwords in URLs of http_sd_configs.

    Our own pages hide both.
    """
    shown = shared_oracle.shows(yaml.safe_dump(configuration))
    assert "token=in-a-parameter" in shown
    assert (MARKER not in shown) is hides_password


@pytest.mark.parametrize(("one", "other", "is_duplicate"), PAIRS.values(), ids=list(PAIRS))
def test_prometheus_refuses_the_same_duplicates_as_we(
    shared_oracle: Oracle, one: str, other: str, is_duplicate: bool
) -> None:
    """Prometheus refuses two remote_write entries together exactly if we call them duplicates.

    Each alone is accepted. No queue exists before a test: a refusal while another entry is loaded
    would harm its queue.
    """
    both = [yaml.safe_load(f"{{{each}}}") for each in (one, other)]
    for entries, is_refused in (([both[0]], False), ([both[1]], False), (both, is_duplicate)):
        assert not shared_oracle.complaint({})
        assert bool(shared_oracle.complaint({"remote_write": entries})) is is_refused
    assert not shared_oracle.complaint({})
