"""Make wheel and sdist of a folder's sources, with the same bytes wherever and whenever it is done.

    packages.py FOLDER OUTPUT

SOURCE_DATE_EPOCH is the time of every file in them. setuptools keeps to it in a wheel; a sdist is
written again, since it has the files' own times and owner, and the time at which it was made.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def main(folder: Path, output: Path) -> None:
    """Build both by setuptools, which builds what lies in the current folder."""
    from setuptools import build_meta  # noqa: PLC0415 - heavy

    output.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    os.chdir(folder)
    build_meta.build_wheel(str(output))
    rewrite(output / build_meta.build_sdist(str(output)))


def rewrite(path: Path) -> None:
    """Write a .tar.gz again, in order, with one time and owner and two modes."""
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    content = io.BytesIO()
    with (
        tarfile.open(path) as old,
        tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname, info.size = member.type, member.linkname, member.size
            info.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            info.mtime = moment
            new.addfile(info, old.extractfile(member) if member.isreg() else None)
    path.write_bytes(gzip.compress(content.getvalue(), mtime=moment))


if __name__ == "__main__":
    main(*(Path(word).absolute() for word in sys.argv[1:]))
