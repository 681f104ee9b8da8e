"""Write an image again, with the same bytes in every build of the same layers.

    image_archive.py ARCHIVE OUTPUT     ARCHIVE is a docker-archive, OUTPUT becomes one (.tar.gz)

Left out is what tells two builds apart: the random name and host name of the container that made
the image, the images of its steps, and copies of the metadata for Docker before 1.10. So the image
has another ID than in the storage that it comes from. SOURCE_DATE_EPOCH is the time of every file
in the archive.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import IO, Any


def main(archive: Path, output: Path) -> None:
    """Copy the layers as they are, after a manifest and a configuration of this image."""
    moment = int(os.environ["SOURCE_DATE_EPOCH"])

    def add(name: str, size: int, content: IO[bytes]) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = size, moment
        new.addfile(info, content)

    with (
        tarfile.open(archive) as old,
        output.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=moment, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        (manifest,) = json.load(opened(old, "manifest.json"))
        config = encoded(of_no_build(json.load(opened(old, manifest["Config"]))))
        manifest["Config"] = f"{hashlib.sha256(config).hexdigest()}.json"
        for name, content in (("manifest.json", encoded([manifest])), (manifest["Config"], config)):
            add(name, len(content), io.BytesIO(content))
        for layer in manifest["Layers"]:
            add(layer, old.getmember(layer).size, opened(old, layer))


def of_no_build(config: dict[str, Any]) -> dict[str, Any]:
    """Return an image's configuration without what only one build has."""
    kept = {key: config[key] for key in config.keys() - {"container", "container_config", "parent"}}
    steps = [{key: step[key] for key in step.keys() - {"comment"}} for step in kept["history"]]
    return kept | {"config": {**kept["config"], "Hostname": ""}, "history": steps}


def encoded(value: object) -> bytes:
    """Return it as JSON, its keys in order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def opened(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return the content of a member; raise ValueError if it is no file."""
    content = archive.extractfile(name)
    if content is None:
        raise ValueError(f"{name} is no file of the archive")
    return content


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:]))
