"""How long to keep out: written, read again, and nothing where it makes no sense."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wrapper.base import clock
from wrapper.election import step_down_pause


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Until the same moment, by both clocks; 0 takes it back."""
    path = step_down_pause.path_of(tmp_path / "prometheus.yml")
    step_down_pause.write(path, 600.0)
    read = step_down_pause.read(path)
    assert read is not None
    assert abs(read.until_at - clock.now() - 600) < 30
    assert abs(read.until_time - clock.wall() - 600) < 30
    step_down_pause.write(path, 0)
    assert step_down_pause.read(path) is None
    step_down_pause.write(path, 0)


def test_it_is_given_to_who_has_to_read_it(tmp_path: Path) -> None:
    """Where that cannot be done, as by anybody but root, there is none."""
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


def test_two_replicas_with_outputs_in_one_folder_have_files_of_their_own(tmp_path: Path) -> None:
    """The name follows the output's."""
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
        pytest.param('{"until": ' + "9" * 400 + "}", id="no float holds it"),
        pytest.param("[" * 4000, id="nested too deeply"),
    ],
)
def test_what_makes_no_sense_counts_for_nothing(tmp_path: Path, content: str) -> None:
    """Damaged, over, or further off than anybody can ask for."""
    path = tmp_path / "pause"
    path.write_text(content)
    assert step_down_pause.read(path) is None


def test_what_is_no_regular_file_counts_for_nothing(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for, and a large file read to its end."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_text(json.dumps({"until": clock.wall() + 60}) + " " * 5000)
    assert step_down_pause.read(pipe) is None
    assert step_down_pause.read(large) is None
