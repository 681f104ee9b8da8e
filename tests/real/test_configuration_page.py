"""The examples of the README and of the page about configuration, with promtool."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.real.parts import CHECKOUT, program

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
PAGE = (CHECKOUT / "wrapper/docs/configuration.md").read_text(encoding="utf-8")


def example(text: str, kind: str, start: str) -> str:
    """Return the only example of this kind with this beginning."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    [one] = [each for name, each in found if name == kind and each.startswith(start)]
    return str(one)


def run(folder: Path, *words: str) -> str:
    """Run the program with promtool on its PATH; return its output. It must succeed."""
    own = Path(sys.executable).with_name("prometheus-elector")
    path = f"{Path(program('promtool')).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path}
    done = subprocess.run(
        [own, *words], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_report_on_the_page_is_the_one_that_is_printed(tmp_path: Path) -> None:
    """`check` prints exactly the report that the page shows for its input."""
    pattern = r"(?:with|and) this `([\w.]+)`:\n\n```yaml\n(.*?)^```$"
    inputs = re.findall(pattern, PAGE, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in inputs] == ["prometheus.yml", "leader.yml"]
    for name, content in inputs:
        (tmp_path / name).write_text(content)
    command, report = example(PAGE, "", "$ prometheus-elector check").split("\n", 1)
    assert run(tmp_path, *shlex.split(command)[2:]) == report


def test_the_items_on_the_page_replace_and_delete(tmp_path: Path) -> None:
    """The page's items replace and delete jobs, as their comments say."""
    (tmp_path / "config.yml").write_text(
        "follower:\n  scrape_configs:\n    - job_name: node\n    - job_name: debug\n"
        + example(PAGE, "yaml", "leader:\n  scrape_configs:")
    )
    read = run(tmp_path, "check", "--config=config.yml", "--print=leader")
    assert re.findall("job_name: (.*)", read) == ["node"]
    assert "node:9101" in read
    assert "$patch" not in read


def test_the_configuration_of_the_readme_makes_the_leader_write(tmp_path: Path) -> None:
    """By the README's configuration, only the leader writes remotely; promtool accepts it."""
    (tmp_path / "config.yml").write_text(example(README, "yaml", "follower:"))
    said = run(tmp_path, "check", "--config=config.yml", "--config-check=promtool")
    assert re.search("follower +valid YAML, .* no remote_write", said)
    assert re.search("leader +valid YAML, .* writes remotely", said)
