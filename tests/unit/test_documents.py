"""All documents: their links and names exist, and their commands are valid as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests import links
from tests.layers import ORDER
from wrapper.commands.remote_args import read_arguments
from wrapper.options.commands import COMMANDS as OWN_HELP
from wrapper.options.flags import BY_NAME
from wrapper.options.loading import load
from wrapper.options.usage import usage

CHECKOUT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted(
    path.relative_to(CHECKOUT)
    for path in CHECKOUT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(CHECKOUT).parts)
)
PAGES = [Path("README.md"), *(path for path in DOCUMENTS if path.parent == Path("wrapper/docs"))]
FLAGS_OF_COMMANDS = {"for", "force", "help", "http-config", "version"}
FOREIGN = {  # flags of Prometheus, docker and our own scripts that the pages name
    *("agent", "beside", "enable-feature", "flag", "peer", "record", "stop-timeout", "verify"),
}


def commands(text: str) -> list[str]:
    """Return the commands of this program in the examples of a text."""
    examples = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    shown = "\n".join(example for kind, example in examples if kind in {"", "sh"})
    lines = re.sub(r" *\\\n *", " ", shown).splitlines()
    found = (re.search(r"(?:^ *|\$ |-- |=a )(prometheus-elector \S.*)", line) for line in lines)
    return [re.split("  #| > ", each[1])[0] for each in found if each]


COMMANDS = [
    *((str(page), each) for page in PAGES for each in commands((CHECKOUT / page).read_text())),
    *(
        (f"{name} --help", each)
        for name in ("", *OWN_HELP)
        for each in commands(
            f"```\n{usage(name).partition('Examples:')[2].partition('Exit status:')[0]}\n```"
        )
    ),
]


@pytest.mark.parametrize("name", DOCUMENTS, ids=str)
def test_links_lead_to_files_and_headings(name: Path) -> None:
    """Each link leads to an existing file, and to a heading in it."""
    assert links.broken(CHECKOUT / name) == []


@pytest.mark.parametrize(("place", "command"), COMMANDS)
def test_commands_are_valid(place: str, command: str) -> None:
    """Each command is accepted as it is written."""
    words = shlex.split(command)[1:]
    if words[0] in {"status", "step-down"}:
        read_arguments(words, {})
    else:
        load(words, {}, hostname="host", incarnation="random")


def test_commands_were_found() -> None:
    """The search of these tests finds the commands."""
    assert len({place for place, _ in COMMANDS}) >= 5
    assert len(COMMANDS) >= 19


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_named_flags_exist(page: Path) -> None:
    """Each flag that a page names is one of ours, or a known one of another program."""
    named = set(re.findall(r"`--([a-z][a-z-]*)(?=[=` ])", (CHECKOUT / page).read_text()))
    assert named <= {*BY_NAME, *FLAGS_OF_COMMANDS, *FOREIGN}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_named_scripts_exist(page: Path) -> None:
    """Each script that a page names exists."""
    for name in re.findall(r"\bscripts/([a-z0-9-]+)", (CHECKOUT / page).read_text()):
        assert (CHECKOUT / "scripts" / name).exists(), name


def test_architecture_has_every_folder() -> None:
    """The table of the architecture page has each folder, in the order of the layers."""
    page = (CHECKOUT / "wrapper/docs/architecture.md").read_text(encoding="utf-8")
    part = page.split("\n## Folders\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
    assert rows == [each for each in ORDER if each]
