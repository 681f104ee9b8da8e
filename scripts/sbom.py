"""Write the SBOM of an image, and a summary of its licences, from what its file system contains.

    sbom.py ROOT BEGINNING     write BEGINNING.cdx.json (CycloneDX 1.6) and BEGINNING-licences.txt

The status is 1 if a licence is not allowed, see contents.py. SOURCE_DATE_EPOCH is the time in the
SBOM.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from contents import Part, debian_packages, go_modules, python, python_packages
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

OURS = "Apache-2.0"


def main(root: Path, beginning: str) -> int:
    """Write both files and return the exit status."""
    groups = {
        "Python packages": python_packages(root),
        "Python": [python(root)],
        "Debian packages": debian_packages(root),
        "Go modules of Prometheus": go_modules(root),
    }
    parts = [part for group in groups.values() for part in group]
    Path(f"{beginning}.cdx.json").write_text(sbom(parts, version_of_image()), "utf-8")
    Path(f"{beginning}-licences.txt").write_text("".join(summary(groups)), "utf-8")
    problems = [part.problem for part in parts if part.problem]
    for problem in problems:
        cure = "replace the package, or add the licence to ALLOWED in scripts/contents.py"
        sys.stderr.write(f"{problem}; {cure}\n")
    return 1 if problems else 0


def version_of_image() -> str:
    """Return our version."""
    found = re.search(r"^version = (.+)$", Path("setup.cfg").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else ""


def sbom(parts: list[Part], version: str) -> str:
    """Return the SBOM as JSON; raise ValueError if it is not as CycloneDX' schema has it."""
    ours = component(Part("generic", "prometheus-elector", version, OURS))
    ours.type = ComponentType.CONTAINER
    moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    names = "\n".join(str(part) for part in parts)
    bom = Bom(
        components=[component(part) for part in parts],
        metadata=BomMetaData(component=ours, timestamp=moment),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, names),
    )
    bom.register_dependency(ours, bom.components)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(error)
    return text + "\n"


def component(part: Part) -> Component:
    """Return it as CycloneDX has it."""
    scope, _, name = part.name.rpartition("/")
    scope = scope or ("debian" if part.kind == "deb" else "")
    url = PackageURL(part.kind, scope or None, name, part.version, dict(part.qualifiers))
    licences = [LicenseFactory().make_from_string(part.licence)] if part.licence else []
    return Component(
        name=part.name, version=part.version, purl=url, bom_ref=str(url), licenses=licences
    )


def summary(groups: dict[str, list[Part]]) -> Iterator[str]:
    """Yield the lines of the summary."""
    yield f"prometheus-elector: {OURS}, see LICENSE in the wheel\n"
    where = {
        "Debian packages": "of Debian's main; texts in /usr/share/doc/PACKAGE/copyright of Debian",
        "Go modules of Prometheus": "see LICENSE and NOTICE in /usr/share/prometheus",
    }
    for title, parts in groups.items():
        yield f"\n{title}: {len(parts)}\n"
        for part in parts:
            yield f"    {part.name} {part.version}: {part.licence or where[title]}\n"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
