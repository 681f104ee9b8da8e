"""What an image consists of, and which licences may be in it; reads the image's file system.

What is read: the metadata of the Python packages, Debian's list of packages, and the modules that
Go recorded in Prometheus' programs. Not allowed is a Python package whose licence is not in
ALLOWED, and a Debian package that is not of main, which is free software alone. The licences of
Go's modules are Prometheus' affair.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

HOME = "opt/prometheus-elector"
SPDX = ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0", "ZPL-2.1")
OLDER = ("BSD", "BSD License", "3-Clause BSD License", "MIT License", "Apache Software License")
ALLOWED = frozenset((*SPDX, *OLDER))
OUTSIDE_MAIN = re.compile(r"^(contrib|non-free)")


@dataclass(frozen=True, slots=True)
class Part:
    """A package; ``licence`` is what it says itself, "" if that stands elsewhere."""

    kind: str  # of a package URL: pypi, deb, golang, generic
    name: str
    version: str
    licence: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()
    section: str = ""

    @property
    def problem(self) -> str:
        """Why it may not be in a release; "" if it may."""
        if self.kind == "pypi":
            names = re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", self.licence)
            unknown = sorted({name for name in map(str.strip, names) if name} - ALLOWED)
            if unknown or not self.licence:
                return f"{self.name} {self.version}: {', '.join(unknown) or 'no licence is named'}"
        if OUTSIDE_MAIN.match(self.section):
            return f"{self.name} {self.version}: Debian's section {self.section}"
        return ""


def python_packages(root: Path) -> list[Part]:
    """Return the packages beside ours."""
    (site,) = (root / HOME / "lib").glob("python3*/site-packages")
    found = distributions(path=[str(site)])
    parts = [Part("pypi", each.name.lower(), each.version, licence_of(each)) for each in found]
    return sorted(parts, key=lambda part: part.name)


def licence_of(package: Distribution) -> str:
    """Return an SPDX expression, or what older packages say instead."""
    fields = package.metadata.get_all
    classes = [
        text.rpartition(" :: ")[2] for text in fields("Classifier", []) if "License ::" in text
    ]
    named = [text for text in fields("License", []) if "\n" not in text]
    return next(filter(None, [*fields("License-Expression", []), *named, *classes]), "")


def python(root: Path) -> Part:
    """Return the Python that ours was made with."""
    text = (root / HOME / "pyvenv.cfg").read_text("utf-8")
    found = re.search(r"^version = (\S+)", text, re.MULTILINE)
    return Part("generic", "python", found[1] if found else "", "PSF-2.0")


def debian_packages(root: Path) -> list[Part]:
    """Return what is installed of Debian, with the source package and release for scanners."""
    release = re.search(r"^VERSION_CODENAME=(\S+)", text_of(root / "etc/os-release"), re.MULTILINE)
    distribution = f"debian-{release[1]}" if release else "debian"
    parts = []
    for entry in text_of(root / "var/lib/dpkg/status").split("\n\n"):
        field = dict(re.findall(r"^([A-Za-z-]+): (.*)$", entry, re.MULTILINE))
        if field.get("Status", "").endswith(" installed"):
            source = field.get("Source", field["Package"]).partition(" ")[0]
            more = {"arch": field["Architecture"], "distro": distribution, "upstream": source}
            parts.append(
                Part(
                    "deb",
                    field["Package"],
                    field["Version"],
                    qualifiers=tuple(more.items()),
                    section=field.get("Section", ""),
                )
            )
    return sorted(parts, key=lambda part: (part.name, part.qualifiers))


def text_of(path: Path) -> str:
    """Return a file of the image, "" if it is not there."""
    return path.read_text("utf-8") if path.is_file() else ""


def go_modules(root: Path) -> list[Part]:
    """Return the modules of both programs; one that is replaced counts as what replaces it."""
    programs = [str(root / "bin" / name) for name in ("prometheus", "promtool")]
    command = ["go", "version", "-m", *programs]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, str] = {}
    last = ""
    for kind, name, version in re.findall(r"^\t(mod|dep|=>)\t(\S+)\t(\S+)", told, re.MULTILINE):
        if kind == "=>":
            found.pop(last, None)
        found[name], last = version, name
    return [Part("golang", name, version) for name, version in sorted(found.items())]
