"""The file of a pause: it is written, read, and ignored if its content is not valid."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wrapper.base import clock
from wrapper.election import step_down_pause


def test_pause_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A pause is read with the same end on both clocks; a pause of 0 removes it."""
    path = step_down_pause.path_of(tmp_path / "prometheus.yml")
    step_down_pause.write(path, 600.0)
    read = step_down_pause.read(path)
    assert read is not None
    assert abs(read.until_at - clock.now() - 600) < 30
    assert abs(read.until_time - clock.wall() - 600) < 30
    step_down_pause.write(path, 0)
    assert step_down_pause.read(path) is None
    step_down_pause.write(path, 0)


def test_file_is_given_to_its_reader(tmp_path: Path) -> None:
    """The file belongs to the user who reads it; if that is not possible, there is no file."""
    path, another = tmp_path / "pause", os.geteuid() + 1
    step_down_pause.write(path, 600.0, owner=os.geteuid())
    path.unlink()
    if os.geteuid() == 0:
        step_down_pause.write(path, 600.0, owner=another)
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (another, 0o600)
    else:
        with pytest.raises(PermissionError):
            step_down_pause.write(path, 600.0, owner=another)
        assert list(tmp_path.iterdir()) == []


def test_outputs_in_one_folder_have_different_files(tmp_path: Path) -> None:
    """The file's name depends on the name of the output."""
    assert step_down_pause.path_of(tmp_path / "a.yml") != step_down_pause.path_of(
        tmp_path / "b.yml"
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"until": "soon"}',
        '{"until": NaN}',
        '{"until": Infinity}',
        '{"until": null}',
        '{"until": 1}',
        pytest.param(
            json.dumps({"until": clock.wall() + 2 * step_down_pause.LONGEST_S}),
            id="too far in the future",
        ),
        pytest.param('{"until": ' + "9" * 400 + "}", id="too large for a float"),
        pytest.param("[" * 4000, id="nested too deeply"),
    ],
)
def test_invalid_pause_is_ignored(tmp_path: Path, content: str) -> None:
    """A pause that is damaged, over or too long is ignored."""
    path = tmp_path / "pause"
    path.write_text(content)
    assert step_down_pause.read(path) is None


def test_file_that_is_not_regular_is_ignored(tmp_path: Path) -> None:
    """A pipe without a writer and a file that is too large are ignored without reading them."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_text(json.dumps({"until": clock.wall() + 60}) + " " * 5000)
    assert step_down_pause.read(pipe) is None
    assert step_down_pause.read(large) is None
