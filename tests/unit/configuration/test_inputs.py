"""The input files: which are read, when they count as changed, and how they are checked."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from wrapper.configuration import inputs as module
from wrapper.configuration.inputs import BadInputs, Inputs, Sources
from wrapper.model.configuration import Renderings
from wrapper.model.events import ConfigurationRead, ConfigurationRejected
from wrapper.model.roles import Role

BASE = "global: {a: 1}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Make a folder with a whole Prometheus file in it."""
    (tmp_path / "p.yml").write_text(BASE)
    yield tmp_path
    tmp_path.chmod(0o700)


def inputs(folder: Path, *leader_configs: str, **more: Any) -> Inputs:
    """Return the inputs of a whole file, with the output in the same folder."""
    paths = tuple(folder / name for name in leader_configs)
    return Inputs(Sources(folder / "p.yml", paths, **{"output_folder": folder, **more}))


def leader(renderings: Renderings) -> Any:
    """Return the leader's configuration as values."""
    return yaml.safe_load(renderings.of(Role.LEADER).content)


def refused(inputs: Inputs) -> tuple[str, ...]:
    """Return the reasons for which the inputs are refused."""
    with pytest.raises(BadInputs) as raised:
        inputs.read()
    return raised.value.problems


def read_again(inputs: Inputs) -> Any:
    """Return the leader's configuration after a change, as values."""
    event = inputs.changed()
    assert isinstance(event, ConfigurationRead)
    return leader(event.renderings)


# --- which files ----------------------------------------------------------------------------------


def test_file_with_both_sections(folder: Path) -> None:
    """Without leader configs, the file has a follower and a leader section."""
    (folder / "p.yml").write_text("follower: {a: 1}\nleader: {b: 2}\n")
    found = Inputs(Sources(folder / "p.yml", output_folder=folder)).read()
    assert leader(found) == {"a": 1, "b": 2}
    assert found.follower.content == b"{a: 1}\n"


def test_leader_configs_are_merged_in_the_order_given(folder: Path) -> None:
    """If leader configs set the same value, the last one counts."""
    (folder / "1.yml").write_text("b: 1\nc: 1\n")
    (folder / "2.yml").write_text("c: 2\n")
    assert leader(inputs(folder, "1.yml", "2.yml").read()) == {"global": {"a": 1}, "b": 1, "c": 2}
    assert leader(inputs(folder, "2.yml", "1.yml").read())["c"] == 1


def test_folder_of_leader_configs(folder: Path) -> None:
    """The YAML files of a folder count in order of name; hidden ones and others do not."""
    (folder / "l").mkdir()
    for name, text in {
        "20.yaml": "b: 20\nrule_files: [/b]\n",
        "10.yml": "b: 10\nrule_files: [/a]\n",
        ".30.yml": "b: 30\n",
        "40.yml~": "b: 40\n",
        "README": "no: [yaml",
    }.items():
        (folder / "l" / name).write_text(text)
    (folder / "l" / ".#50.yml").symlink_to("user@host.1234")
    found = leader(inputs(folder, "l").read())
    assert found == {"global": {"a": 1}, "b": 20, "rule_files": ["/a", "/b"]}


def test_leader_configs_may_be_missing_or_empty(folder: Path) -> None:
    """Missing and empty leader configs override nothing, and are read when they appear."""
    (folder / "empty").mkdir()
    (folder / "empty.yml").touch()
    there = inputs(folder, "none.yml", "empty", "empty.yml", "none/deep.yml")
    assert not there.read().has_overrides
    assert there.absent() == tuple(folder / name for name in ("none.yml", "empty", "none/deep.yml"))
    assert there.changed() is None
    (folder / "none.yml").write_text("b: 1\n")
    (folder / "empty" / "a.yml").write_text("c: 1\n")
    assert read_again(there) == {"global": {"a": 1}, "b": 1, "c": 1}
    (folder / "none.yml").unlink()
    assert read_again(there) == {"global": {"a": 1}, "c": 1}


def test_missing_base_is_refused(folder: Path) -> None:
    """Only leader configs may be missing; all unreadable files are reported together."""
    (folder / "p.yml").unlink()
    (folder / "l.yml").mkdir()
    (folder / "l.yml" / "x.yml").mkdir()
    assert refused(inputs(folder, "l.yml")) == (
        f"--config: {folder}/p.yml: No such file or directory; create it, or correct the path",
        f"--leader-config: {folder}/l.yml/x.yml: Is a directory; name a file in it",
    )


def test_gzip_is_recognised(folder: Path) -> None:
    """A gzip file is recognised by its content, in each input."""
    (folder / "p.yml").write_bytes(gzip.compress(BASE.encode()))
    (folder / "l.yml").write_bytes(gzip.compress(b"b: 1\n"))
    assert leader(inputs(folder, "l.yml").read()) == {"global": {"a": 1}, "b": 1}


def test_which_files_are_inputs(folder: Path) -> None:
    """A YAML file in a folder of leader configs is an input, also if a link leads to it."""
    (folder / "l").mkdir()
    (folder / "link").symlink_to(folder)
    there = inputs(folder, "l", "m.yml")
    for name in ("p.yml", "m.yml", "l/new.yml", "link/p.yml"):
        assert there.reads(folder / name)
    for name in ("q.yml", "l/new.txt", "l/deep/new.yml"):
        assert not there.reads(folder / name)


def test_without_a_configuration_no_file_is_an_input(folder: Path) -> None:
    """Without a configuration file, files of the working or the named folder are no inputs."""
    for config in (Path(), folder):
        there = Inputs(Sources(config, output_folder=folder))
        assert not there.reads(Path("prometheus.yml"))
        assert not there.reads(folder / "prometheus.yml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\n---\nb: 2\n", 2),
        ("# x\n%YAML 1.1\n---\na: 1\n--- # y\n\nb: 2\n", 5),
        ("---\na: 1\n--- {b: 2}", 3),
        ("a: |\n  x\n---\n---\nb: 2\n", 4),
        ("---\na: 1\n", 0),
        ("# x\n\n---\na: 1\n---\n# nothing\n", 0),
        ("a: |\n  ---\n  b\n----: 1\n", 0),
        ("a: 1\n---", 0),
        ("a: 1\n---\n...\n", 0),
        ("\ufeff# x\n---\na: 1\n", 0),
        ("\ufeff# x\n---\na: 1\n---\nb: 2\n", 4),
        ("", 0),
    ],
)
def test_ignored_documents_are_reported(folder: Path, text: str, line: int) -> None:
    """Documents after the first are ignored, as in the Go program, but reported unless empty."""
    (folder / "p.yml").write_text(text)
    there = inputs(folder)
    with suppress(BadInputs):
        there.read()
    told = [each.partition(": ")[0] for each in there.ignored_parts()]
    assert told == ([f"{folder}/p.yml:{line}"] if line else [])


# --- changes --------------------------------------------------------------------------------------


def test_only_changes_are_reported(folder: Path) -> None:
    """A rewrite with equal content is no change; an invalid edit and its end are reported once."""
    there = inputs(folder)
    there.read()
    (folder / "p.yml").write_text(BASE)
    assert there.changed() is None
    (folder / "p.yml").write_text("global: {a: [}\n")
    rejected = there.changed()
    assert isinstance(rejected, ConfigurationRejected)
    assert rejected.problem.startswith(f"{folder}/p.yml:1:")
    assert there.changed() is None
    (folder / "p.yml").write_text(BASE)
    assert read_again(there) == {"global": {"a": 1}}


def test_missing_base_is_rejected_until_it_is_back(folder: Path) -> None:
    """If the base disappears, it is rejected once, and read when it is back."""
    there = inputs(folder)
    there.read()
    (folder / "p.yml").rename(folder / "away")
    assert isinstance(there.changed(), ConfigurationRejected)
    assert there.changed() is None
    (folder / "away").rename(folder / "p.yml")
    assert isinstance(there.changed(), ConfigurationRead)


def test_likely_mistake_is_refused(folder: Path) -> None:
    """A likely mistake is refused at a start and after an edit.

    Prometheus would refuse it only when a replica leads.
    """
    mended = "remote_write: []\n"
    (folder / "l.yml").write_text(mended)
    there = inputs(folder, "l.yml")
    before = there.read()
    (folder / "l.yml").write_text("remote_writes: []\n")
    with pytest.raises(BadInputs, match='did you mean "remote_write"'):
        inputs(folder, "l.yml").read(is_start=True)
    edit = there.changed()
    assert isinstance(edit, ConfigurationRejected)
    assert 'did you mean "remote_write"' in edit.problem
    (folder / "l.yml").write_text(mended)
    assert there.changed() == ConfigurationRead(before)


def test_likely_mistakes_are_reported_with_other_problems(folder: Path) -> None:
    """Likely mistakes and other problems are reported together."""
    (folder / "l.yml").write_text("remote_writes: [$(NONE)]\n")
    with pytest.raises(BadInputs) as raised:
        inputs(folder, "l.yml", environ={}).read(is_start=True)
    assert len(raised.value.problems) == 2
    (folder / "l.yml").write_text("remote_writes: []\na: 1\na: 2\n")
    assert len(refused(inputs(folder, "l.yml"))) == 2


# --- a checker ------------------------------------------------------------------------------------


class Checker:
    """Refuses what the test sets, and records what it has checked."""

    def __init__(self) -> None:
        self.refusals: tuple[str, ...] = ()
        self.asked: list[Any] = []

    def __call__(self, renderings: Renderings) -> tuple[str, ...]:
        """Return the refusals that the test has set."""
        self.asked.append(leader(renderings))
        return self.refusals


@pytest.fixture
def checker() -> Checker:
    """Give a checker that accepts everything at first."""
    return Checker()


def test_refusal_by_the_checker_is_reported(folder: Path, checker: Checker) -> None:
    """All reasons of a refusal are reported; an input that is not YAML is not checked."""
    there = Inputs(Sources(folder / "p.yml", (), folder), checker)
    checker.refusals = ("one", "two")
    assert refused(there) == ("one", "two")
    (folder / "p.yml").write_text("a: [}\n")
    assert isinstance(there.changed(), ConfigurationRejected)
    assert checker.asked == [{"global": {"a": 1}}]
    (folder / "p.yml").write_text("b: 1\n")
    assert there.changed() == ConfigurationRejected("one\ntwo")
    assert checker.asked[1:] == [{"b": 1}]


def test_refused_input_is_checked_again(folder: Path, checker: Checker) -> None:
    """A refused input is checked again, since the cause may be elsewhere; others are not."""
    there = Inputs(Sources(folder / "p.yml", (), folder), checker)
    there.read()
    assert there.changed() is None
    checker.refusals = ("one",)
    (folder / "p.yml").write_text("b: 1\n")
    assert there.changed() == there.changed() == ConfigurationRejected("one")
    checker.refusals = ()
    assert read_again(there) == {"b": 1}
    assert there.changed() is None
    checker.refusals = ("one",)
    (folder / "p.yml").write_text("c: 1\n")
    assert isinstance(there.changed(), ConfigurationRejected)
    (folder / "p.yml").unlink()
    assert isinstance(there.changed(), ConfigurationRejected)
    assert there.changed() is None


# --- the inputs as read ---------------------------------------------------------------------------


def test_inputs_are_shown_as_rendered(folder: Path) -> None:
    """Inputs are shown with replaced variables, and only with the variables that they use."""
    (folder / "p.yml").write_text("a: $(A)\nb: $$(B)\nc: $(NONE)\n")
    environ = {b"A": b"1", b"B": b"2", b"C": b"3"}
    there = inputs(folder, environ=environ, allow_unset=True)
    assert (there.texts(), there.variables()) == ([], {})
    there.read()
    (found,) = there.texts()
    assert found.content == b"a: 1\nb: $$(B)\nc: $(NONE)\n"
    assert there.variables() == {"A": "1"}


# --- references to variables ----------------------------------------------------------------------


def test_variables_are_replaced_in_all_inputs(folder: Path) -> None:
    """With the flag, variables are replaced before YAML is read; without it, they stay."""
    (folder / "p.yml").write_text("a: $(A)\n")
    (folder / "l.yml").write_text("b: $(A)\nc: $$(A)\n")
    environ = {b"A": b"[1, x]"}
    found = inputs(folder, "l.yml", environ=environ).read()
    assert found.follower.content == b"a: [1, x]\n"
    assert leader(found) == {"a": [1, "x"], "b": [1, "x"], "c": "$$(A)"}
    assert inputs(folder, "l.yml").read().follower.content == b"a: $(A)\n"


def test_unset_variables_are_refused_with_other_problems(folder: Path) -> None:
    """Each unset variable is reported with its place, together with other problems."""
    (folder / "p.yml").write_text("a: 1\nb: $(NONE)\n")
    (folder / "l.yml").write_text("c: $(OTHER)\nc: 1\n")
    first, second, third = refused(inputs(folder, "l.yml", environ={}))
    assert first.startswith(f"{folder}/l.yml:1:4: the variable OTHER is not set")
    assert second.startswith(f"{folder}/p.yml:2:4: the variable NONE is not set")
    assert third.startswith(f'{folder}/l.yml:2:1: the key "c" is already on line 1')
    (folder / "l.yml").unlink()
    assert refused(inputs(folder, "l.yml", environ={})) == (second,)


def test_unset_variables_may_be_allowed(folder: Path) -> None:
    """If unset variables are allowed, the references stay as written."""
    (folder / "p.yml").write_text("a: $(NONE)\n")
    assert leader(inputs(folder, environ={}, allow_unset=True).read()) == {"a": "$(NONE)"}


# --- relative paths -------------------------------------------------------------------------------


def test_paths_are_relative_to_the_folder_of_each_input(folder: Path) -> None:
    """Relative paths are resolved if the input's folder is not the output's."""
    (folder / "l").mkdir()
    (folder / "p.yml").write_text("rule_files: [a]\n")
    (folder / "l/l.yml").write_text("rule_files: [b]\n")
    home, away = f"{folder}/a", f"{folder}/l/b"
    out = folder / "out"
    assert leader(inputs(folder, "l").read()) == {"rule_files": ["a", away]}
    assert leader(inputs(folder, "l", output_folder=folder / "l").read())["rule_files"] == [
        home,
        "b",
    ]
    assert leader(inputs(folder, "l", output_folder=out).read())["rule_files"] == [home, away]
    sections = folder / "sections.yml"
    sections.write_text("follower: {rule_files: [a]}\nleader: {rule_files: [c]}\n")
    both = Inputs(Sources(sections, output_folder=out)).read()
    assert leader(both) == {"rule_files": [home, f"{folder}/c"]}


def test_relative_inputs_are_below_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths of ``--config`` and ``--output`` are below the working directory."""
    monkeypatch.chdir(folder)
    (folder / "p.yml").write_text("rule_files: [a]\n")
    here = Sources(Path("p.yml"), (), Path())
    there = Sources(Path("p.yml"), (), Path("out"))
    assert leader(Inputs(here).read()) == {"rule_files": ["a"]}
    assert leader(Inputs(there).read()) == {"rule_files": [f"{folder}/a"]}


def test_path_with_a_nul_byte_is_reported(folder: Path) -> None:
    """A NUL byte in a certificate's path is reported with its place."""
    (folder / "p.yml").write_text(
        'remote_write: [{url: "http://r/", tls_config: {ca_file: "a\\0b"}}]'
    )
    (problem,) = refused(inputs(folder, are_files_here=True))
    assert problem.startswith(f"{folder}/p.yml:1:57: remote_write[0].tls_config.ca_file: ")
    assert "a\ufffdb: no file can have this path; Prometheus refuses" in problem


# --- limits ---------------------------------------------------------------------------------------


def test_inputs_that_are_too_large_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits apply to all inputs together: bytes, also unpacked and with variables, and values."""
    monkeypatch.setattr(module, "LARGEST_INPUT", 1000)
    monkeypatch.setattr(module, "MOST_VALUES", 100)
    environ = {b"A": b"x" * 400}
    cases = {
        b"a: "
        + b"x" * 900: f"{folder}/l.yml: with this file, the inputs have more than 1000 bytes",
        gzip.compress(b"a: " + b"x" * 5000): f"--config: {folder}/p.yml: more than 1000 bytes",
        b"a: $(A)$(A)$(A)": f"{folder}/p.yml: with this file, the inputs have more than 1000 bytes",
        b"a: ["
        + b"," * 110
        + b"]": f"{folder}/p.yml: with this file, the inputs have more than 100 values",
        b"a: ["
        + b"," * 60
        + b"]": f"{folder}/l.yml: with this file, the inputs have more than 100 values",
        b"a: " + b"x" * 110: "",
    }
    (folder / "l.yml").write_bytes(b"b: [" + b"1," * 40 + b"]" + b" " * 100)
    for content, said in cases.items():
        (folder / "p.yml").write_bytes(content)
        given = inputs(folder, "l.yml", environ=environ)
        if said:
            assert refused(given)[0].startswith(said)
        else:
            given.read()


def test_variables_of_all_inputs_count_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit includes variables; refused inputs are shown with the names of their variables."""
    monkeypatch.setattr(module, "LARGEST_INPUT", 1000)
    for name in ("p.yml", "l.yml"):
        (folder / name).write_bytes(b"a: $(A)")
    given = inputs(folder, "l.yml", environ={b"A": b"x" * 600})
    assert refused(given)[0].startswith(
        f"{folder}/l.yml: with this file, the inputs have more than 1000"
    )
    assert [each.content for each in given.texts()] == [b"a: $(A)"] * 2


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_values_are_counted_with_any_line_break(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line_break: str
) -> None:
    """Each line break of YAML 1.1, which Prometheus reads, counts."""
    monkeypatch.setattr(module, "MOST_VALUES", 100)
    for text in ("-", "b:", "?"):
        (folder / "p.yml").write_bytes(f"a:{line_break}{(text + line_break) * 110}".encode())
        assert "more than 100 values" in refused(inputs(folder))[0]


def test_number_of_reported_problems_is_bounded(folder: Path) -> None:
    """Of many problems, the first thousand are reported, and the others counted."""
    (folder / "p.yml").write_text("a: 1\n" * 3001)
    problems = refused(inputs(folder))
    assert len(problems) == 1001
    assert problems[-1] == "2000 more problems are not shown; correct these first"
