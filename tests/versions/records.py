"""The results of the rows: recorded in a file of the repository, and shown in tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.versions.table import CHECKOUT, ROWS, UNKNOWN, Row, known_versions

FILE = CHECKOUT / "tests/versions.json"  # the recorded results
LATEST = CHECKOUT / ".tested.json"  # the results of this checkout
MADE = re.compile(r"(<!-- made: tested -->\n).*?(<!-- end -->)", re.DOTALL)
BESIDE = {
    "etcd": "etcd",
    "victoria-metrics": "VictoriaMetrics",
    "prometheus-operator": "Prometheus Operator",
    "promgen": "Promgen",
    "rabbitmq": "RabbitMQ",
    "redis-server": "Redis",
    "valkey-server": "Valkey",
}
Records = Mapping[str, Mapping[str, Any]]


def load(file: Path) -> dict[str, Any]:
    """Return the records of a file by the names of the rows; none if there is no file."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def save(file: Path, records: Records) -> None:
    """Write the records of the existing rows, in their order."""
    kept = {row.name: records[row.name] for row in ROWS if row.name in records}
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def has_passed(record: Mapping[str, Any] | None, commit: str) -> bool:
    """Return whether a row has passed on this commit, with no file changed."""
    is_this = record is not None and record["commit"] == commit and not commit.endswith("-dirty")
    return is_this and record is not None and record.get("failed") == 0


def result(record: Mapping[str, Any] | None) -> str:
    """Return the result of a row as text."""
    if record is None:
        return "not run"
    if "error" in record:
        return "**could not run**"
    ran = record["passed"] + record["failed"]
    passed = f"**{record['failed']} of {ran} failed**" if record["failed"] else f"{ran} passed"
    again = f" ({record['again']} at a second run)" if record.get("again") else ""
    return passed + again + (f", {record['skipped']} skipped" if record["skipped"] else "")


def table(records: Records) -> str:
    """Return all rows as lines for a terminal."""
    lines = [f"{'row':16}  {'tests':10}  {'result':32} {'s':>5}  {'commit':18}  versions"]
    for row in ROWS:
        record = records.get(row.name)
        told = record or {}
        versions = ", ".join(f"{k} {v}" for k, v in told.get("versions", {}).items())
        lines.append(
            f"{row.name:16}  {row.kind:10}  {result(record).replace('*', ''):32} "
            f"{told.get('seconds', ''):>5}  {told.get('commit', ''):18}  {versions}"
        )
        if "error" in told:
            lines.append(f"{'':16}  {told['error']}")
    return "\n".join(lines)


def rendered(page: str, records: Records) -> str:
    """Return the README with its table of tested versions."""
    return MADE.sub(lambda part: f"{part[1]}{matrix(records)}{part[2]}", page)


def matrix(records: Records) -> str:
    """Return the table: a line for each Prometheus, a column for each API server."""
    servers = sorted({row.kubernetes for row in ROWS})
    heads = ["Prometheus", *(f"kube-apiserver {_told(records, 'kubernetes', v)}" for v in servers)]
    lines = [heads, ["---"] * len(heads)]
    for version in dict.fromkeys(row.prometheus for row in ROWS):
        of_it = [row for row in ROWS if row.prometheus == version]
        cells = (
            "; ".join(_cell(row, records) for row in of_it if row.kubernetes == server)
            for server in servers
        )
        lines.append([_told(records, "prometheus", version), *cells])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + f"\n{_beside(records)}\n"


def _cell(row: Row, records: Records) -> str:
    libraries = ", oldest libraries" if "oldest" in row.requirements else ""
    return f"Python {row.python}{libraries}: {result(records.get(row.name))}"


def _told(records: Records, field: str, version: str) -> str:
    """Return the complete version, as a program of this version reported it."""
    name = {"kubernetes": "kube-apiserver"}.get(field, field)
    for row in ROWS:
        told = records.get(row.name, {}).get("versions", {}).get(name)
        if getattr(row, field) == version and told:
            return str(told)
    return version


def _beside(records: Records) -> str:
    found: dict[str, dict[str, None]] = {}
    for record in records.values():
        for name, version in record.get("versions", {}).items():
            if name in BESIDE:
                # A program that was built without a version has the one of scripts/versions.
                told = version if version != UNKNOWN else known_versions(name)[-1]
                found.setdefault(name, {})[told] = None
    parts = [f"{BESIDE[n]} {' and '.join(found[n])}" for n in BESIDE if n in found]
    dates = sorted({record["date"] for record in records.values()})
    when = f" Run on {' to '.join(dict.fromkeys((dates[0], dates[-1])))}." if dates else ""
    return f"Beside them: {', '.join(parts) or 'nothing yet'}.{when}"
