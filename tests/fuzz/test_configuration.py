"""Configuration inputs: any input gives a rendering, or problems with place and fix."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.fuzz.yaml_texts import either, files
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.inputs import BadInputs, Inputs, Sources
from wrapper.configuration.last_good import LastGood
from wrapper.configuration.render import Rendered, WholeFile, render
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source
from wrapper.model.configuration import Renderings, SavedRenderings

ENVIRON = {b"A": b"1", b"B": b"x: [", b"C": b"\xff"}
gates = st.sampled_from([None, GateSettings("http://127.0.0.1:9096", "/out", identity="p-0")])
folders = st.sampled_from(["", "/etc/prometheus"])


def check(lines: tuple[str, ...]) -> None:
    """Check that each problem is one printable line."""
    assert lines
    for line in lines:
        assert line.isprintable(), line
        assert ": " in line
        assert len(line) < 1000


def check_rendered(rendered: Rendered) -> None:
    """Check that rendering a rendering again does not change it."""
    for content in (rendered.renderings.follower.content, rendered.renderings.leader.content):
        again = WholeFile().render(Source("again", content)).renderings
        assert again.follower.content == content


@fuzzed(250, content=either, gate=gates, folder=folders)
def test_one_file(content: bytes, gate: GateSettings | None, folder: str) -> None:
    """A file with both parts gives stable renderings, or problems."""
    try:
        rendered = render(Source("x.yml", content, folder), gate)
    except ConfigurationError as error:
        return check(error.problems)
    return check_rendered(rendered)


@fuzzed(
    250,
    content=files,
    overrides=st.lists(files, max_size=2),
    gate=gates,
    folder=folders,
)
def test_whole_file(
    content: bytes, overrides: list[bytes], gate: GateSettings | None, folder: str
) -> None:
    """A follower's file with overrides gives stable renderings, or problems, twice the same way."""
    reading = WholeFile(gate)
    given = [Source(f"{number}.yml", each, folder) for number, each in enumerate(overrides)]
    for _ in range(2):
        try:
            rendered = reading.render(Source("p.yml", content, folder), given)
        except ConfigurationError as error:
            check(error.problems)
        else:
            check_rendered(rendered)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all examples."""
    return tmp_path_factory.mktemp("inputs")


@fuzzed(
    60,
    content=files,
    override=files,
    is_packed=st.booleans(),
    cut=st.integers(0, 40),
    allow_unset=st.booleans(),
)
def test_files(
    folder: Path, content: bytes, override: bytes, *, is_packed: bool, cut: int, allow_unset: bool
) -> None:
    """Inputs as files, compressed, cut, with variables: they are rendered and saved, or refused."""
    packed = gzip.compress(content, 1) if is_packed else content
    (folder / "p.yml").write_bytes(packed[: len(packed) - cut] if cut < 10 else packed)
    (folder / "l.yml").write_bytes(override)
    sources = Sources(
        folder / "p.yml",
        (folder / "l.yml",),
        output_folder=folder,
        environ=ENVIRON,
        allow_unset=allow_unset,
        are_files_here=True,
    )
    inputs = Inputs(sources)
    try:
        renderings = inputs.read()
    except BadInputs as error:
        return check(error.problems)
    inputs.ignored_parts()
    inputs.variables()
    return check_kept(folder, renderings, cut)


def check_kept(folder: Path, renderings: Renderings, cut: int) -> None:
    """Check that saved renderings are loaded again, and a damaged file raises no error."""
    saved = LastGood(folder / "out.yml", 0o600)
    saved.save(SavedRenderings(renderings, None))
    assert saved.load() == renderings
    data = saved.follower.read_bytes()
    saved.follower.write_bytes(data[: max(len(data) - cut, 0)] + b"\x00" * (cut % 3))
    saved.load()


@fuzzed(40, data=st.binary(max_size=60))
def test_a_saved_file_of_any_bytes_can_be_loaded(folder: Path, data: bytes) -> None:
    """A saved file with any bytes raises no error when it is loaded."""
    saved = LastGood(folder / "any.yml", 0o600)
    saved.follower.write_bytes(data)
    saved.load()
