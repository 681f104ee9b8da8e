"""The trial start of Prometheus: how often, and with what file; a script refuses every file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from wrapper.configuration.scratch_rendering import NoVerdict
from wrapper.model.configuration import Rendering
from wrapper.model.roles import Role
from wrapper.startup.trial_start import TrialStart

RECEIVER = "http://receiver/w"
CONTENT = f"rule_files: [r.yml]\nremote_write: [{{url: '{RECEIVER}'}}]\n".encode()
SCRIPT = """\
#!/bin/sh
for word; do
  case "$word" in --config.file=*) file="${word#*=}" ;; esac
done
cat "$file" >> "$0.given"
sed "s|FILE|$file|" "$0.says"
exit 1
"""


@pytest.mark.parametrize(
    ("said", "gets_original"),
    [
        ("parsing YAML file FILE: yaml: unmarshal errors:\n  line 2: field foo not found", True),
        ("parsing YAML file FILE: yaml: line 2: did not find expected key", True),
        ("/etc/rules.yml: yaml: line 2: did not find expected key", False),
    ],
)
def test_the_original_is_started_only_if_it_cannot_be_parsed(
    tmp_path: Path, said: str, gets_original: bool
) -> None:
    """The original file is tried only if the first error is one of parsing it.

    Otherwise Prometheus would load it with its receivers before it refuses another file.
    """
    script = tmp_path / "prometheus"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    Path(f"{script}.says").write_text(json.dumps({"level": "error", "err": said}) + "\n")
    trial = TrialStart([str(script)], tmp_path / "p.yml", is_agent=False)
    refusal = trial.refusal(Rendering(Role.LEADER, CONTENT, "", writes_remotely=True))
    assert "line 2: " in refusal
    assert (RECEIVER in Path(f"{script}.given").read_text()) is gets_original


def test_without_a_folder_for_data_there_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a temporary folder there is no verdict, and no file is left.

    A read-only root file system without /tmp has none.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    trial = TrialStart(["prometheus"], tmp_path / "p.yml", is_agent=False)
    with pytest.raises(NoVerdict, match=r"^no folder for temporary files: .*; name one in the var"):
        trial.refusal(Rendering(Role.LEADER, CONTENT, "", writes_remotely=True))
    assert list(tmp_path.iterdir()) == []
