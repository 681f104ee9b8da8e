"""Take out of the image's packages what nothing uses when it runs, and say what is left.

    python slim.py FOLDER

FOLDER's packages are moved beside those installed for this Python. Out go tests, sources of
compiled modules, and the symbols of these. Only modules that `import_all.py` imports get bytecode:
any other is still there, and is compiled if it is imported. A line is printed for each package that
takes more than 0.5 MB.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import sysconfig
from importlib.util import source_from_cache
from pathlib import Path
from py_compile import PycInvalidationMode
from py_compile import compile as store_bytecode

SITE = Path(sysconfig.get_path("purelib"))
UNUSED = (
    "gevent/testing",
    "**/tests",
    *(f"**/*{ending}" for ending in (".c", ".cpp", ".h", ".hpp", ".pxd", ".pyi", ".pyx")),
)
LEAST_SHOWN = 500_000  # bytes
# ELF for 64 bits and little-endian: amd64, arm64. The header, then one of a segment.
ELF, HEADER, SEGMENT = b"\x7fELF\x02\x01", struct.Struct("<16x2HI3QI6H"), struct.Struct("<2I6Q")


def main(folder: Path) -> None:
    """Move, take out, compile, show."""
    shutil.copytree(folder, SITE, dirs_exist_ok=True)
    for pattern in UNUSED:
        for path in sorted(SITE.glob(pattern)):
            remove(path)
    for path in sorted(SITE.rglob("*.so*")):
        library = path.read_bytes()
        path.unlink()  # an installer may have linked it to a copy of its own
        path.write_bytes(without_symbols(library))
    import_all()
    for stored in sorted(SITE.rglob("*.pyc")):
        # This bytecode is right whatever the files' times become on the way into a layer.
        source = source_from_cache(str(stored))
        store_bytecode(source, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH, doraise=True)
    show()


def remove(path: Path) -> None:
    """Remove a file or a folder, where it is still there; never what leads out of the packages."""
    if SITE not in path.resolve().parents:
        return
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def without_symbols(library: bytes) -> bytes:
    """Return a shared library without what follows its segments: names and lines for debuggers.

    The loader reads segments alone, so the table of sections goes too. What is no ELF of this kind,
    or has a segment at the end, stays as it is.
    """
    if not library.startswith(ELF):
        return library
    _type, _machine, _version, _start, at, _sections, *rest = HEADER.unpack_from(library)
    _flags, length, size, count, _section_size, _section_count, _names = rest
    segments = [SEGMENT.unpack_from(library, at + number * size) for number in range(count)]
    end = max(
        [at + count * size, length, *(offset + taken for _, _, offset, _, _, taken, *_ in segments)]
    )
    header = bytearray(library[:end])
    header[0x28:0x30] = bytes(8)  # where the table of sections begins
    header[0x3A:0x40] = struct.pack("<3H", 64, 0, 0)  # size of an entry, how many, which has names
    return bytes(header)


def import_all() -> None:
    """Import all in another process, which stores the bytecode of each module that it reads."""
    script = str(Path(__file__).with_name("import_all.py"))
    subprocess.run([sys.executable, "-E", script], check=True)  # whatever the base image sets


def show() -> None:
    """Print what each package takes, the largest first."""
    sizes = {path.name: size(path) for path in SITE.iterdir()}
    for name, taken in sorted(sizes.items(), key=lambda item: -item[1]):
        if taken >= LEAST_SHOWN:
            print(f"{taken / 1e6:6.1f} MB {name}")
    print(f"{sum(sizes.values()) / 1e6:6.1f} MB all packages")


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
