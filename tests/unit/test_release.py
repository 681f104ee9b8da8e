"""The files of a release: reproducible packages, small libraries, allowed licences."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
SOURCES = (
    *("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "wrapper/__init__.py"),
    *("wrapper/base/__init__.py", "wrapper/base/clock.py", "wrapper/web/templates/status.js"),
)


def module(path: str) -> ModuleType:
    """Return the module of a script."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, CHECKOUT / path)
    assert spec is not None
    assert spec.loader is not None
    made = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def made_packages(folder: Path) -> dict[str, str]:
    """Make wheel and sdist from a copy of the sources, and return their hashes by name."""
    copy, output = folder / "sources", folder / "output"
    ignored = shutil.ignore_patterns("__pycache__", "docs")
    shutil.copytree(
        CHECKOUT / "wrapper", copy / "wrapper", ignore=ignored, copy_function=shutil.copy
    )
    for name in SOURCES:
        shutil.copy(CHECKOUT / name, copy)
    subprocess.run(
        [sys.executable, CHECKOUT / "scripts/packages.py", copy, output],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        check=True,
    )
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in output.iterdir()}


def test_packages_are_reproducible(tmp_path: Path) -> None:
    """The packages do not depend on the folder, or on the time of a file or of the build."""
    first = made_packages(tmp_path / "one")
    assert sorted(Path(name).suffix for name in first) == [".gz", ".whl"]
    assert made_packages(tmp_path / "two" / "another folder") == first


def test_library_without_symbols_can_be_loaded(tmp_path: Path) -> None:
    """A library without symbols can be loaded; other files are unchanged."""
    without_symbols = module("images/slim.py").without_symbols
    whole = Path(str(importlib.import_module("yaml._yaml").__file__))
    content = whole.read_bytes()
    small: bytes = without_symbols(content)
    assert len(small) < len(content)
    assert without_symbols(small) == small
    assert without_symbols(b"text") == b"text"
    folder = tmp_path / "yaml"
    shutil.copytree(whole.parent, folder)
    (folder / whole.name).write_bytes(small)
    code = "import yaml; print(yaml.load('a: [1]', yaml.CSafeLoader), yaml._yaml.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{{'a': [1]}} {folder / whole.name}\n"


def test_licences_of_the_image_are_allowed() -> None:
    """Each package of the image has an allowed licence."""
    contents = module("scripts/contents.py")
    lock = (CHECKOUT / "images/requirements.txt").read_text()
    names = re.findall(r"^([a-z0-9-]+)==\S+ \\$", lock, re.MULTILINE)
    assert len(names) > 20
    parts = [
        contents.Part("pypi", name, "", contents.licence_of(distribution(name))) for name in names
    ]
    assert [part.problem for part in parts if part.problem] == []


@pytest.mark.parametrize(
    ("licence", "problem"),
    [
        ("MIT", ""),
        ("(MIT OR Apache-2.0) AND PSF-2.0", ""),
        ("GPL-3.0-only", "some 1: GPL-3.0-only"),
        ("MIT AND AGPL-3.0-only", "some 1: AGPL-3.0-only"),
        ("", "some 1: no licence is named"),
    ],
)
def test_forbidden_licence_is_reported(licence: str, problem: str) -> None:
    """Each part of a licence expression is checked."""
    assert module("scripts/contents.py").Part("pypi", "some", "1", licence).problem == problem


def image(path: Path, container: str) -> Path:
    """Write a docker-archive as podman does in a container of this name."""
    config = {
        "container": container,
        "container_config": {"Hostname": container},
        "config": {"Hostname": container, "User": "65534"},
        "parent": f"sha256:{container}",
        "history": [{"created_by": "RUN", "comment": f"FROM {container}"}],
    }
    manifest = [{"Config": f"{container}.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        for name, content in (
            ("layer.tar", b"layer"),
            (f"{container}.json", json.dumps(config).encode()),
            (f"{container}/VERSION", b"1.0"),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_image_archive_is_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds of the same layers give the same bytes; layers and settings stay."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    outputs = [tmp_path / f"{name}.tar.gz" for name in ("one", "two")]
    for output in outputs:
        module("scripts/image_archive.py").main(image(tmp_path / "old.tar", output.stem), output)
    first, second = (output.read_bytes() for output in outputs)
    assert first == second
    with tarfile.open(outputs[0]) as archive:
        content = {each.name: archive.extractfile(each) for each in archive.getmembers()}
        read = {name: file.read() for name, file in content.items() if file is not None}
    (manifest,) = json.loads(read["manifest.json"])
    assert manifest["RepoTags"] == ["a:1"]
    assert [read[layer] for layer in manifest["Layers"]] == [b"layer"]
    config = read[manifest["Config"]]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["config"] == {"Hostname": "", "User": "65534"}
    assert json.loads(config)["history"] == [{"created_by": "RUN"}]
