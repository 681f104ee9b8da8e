"""`scripts/test-versions`: run rows of the matrix, print their results, record them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.versions.records import FILE, LATEST, has_passed, load, rendered, save, table
from tests.versions.running import CannotRunError, commit, run, run_failed
from tests.versions.table import CHECKOUT, ROWS, Row

README = CHECKOUT / "README.md"


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 if each chosen row passed."""
    options = _parser().parse_args(words)
    if options.render:
        README.write_text(
            rendered(README.read_text(encoding="utf-8"), load(FILE)), encoding="utf-8"
        )
        return 0
    chosen = [row for row in ROWS if not options.row or row.name in options.row]
    for row in () if options.list else chosen:
        if options.failed:
            _run_failed(row)
        else:
            _run(row, is_again=options.again)
    records = load(LATEST)
    sys.stdout.write(table(records) + "\n")
    if options.record:
        names = {row.name for row in chosen}
        save(FILE, load(FILE) | {name: told for name, told in records.items() if name in names})
    is_good = all(has_passed(records.get(row.name), commit()) for row in chosen)
    return 0 if options.list or is_good else 1


def _run(row: Row, *, is_again: bool) -> None:
    """Run a row, unless it has passed on this commit."""
    if not is_again and has_passed(load(LATEST).get(row.name), commit()):
        _say(f"{row.name} has passed on this commit; --again runs it again")
        return
    _say(f"{row.name}: {row.kind}")
    folder = CHECKOUT / ".tested"
    folder.mkdir(exist_ok=True)
    save(LATEST, load(LATEST) | {row.name: run(row, folder)})


def _run_failed(row: Row) -> None:
    """Run the failed tests of the row's last run again, if there are any."""
    records = load(LATEST)
    record = records.get(row.name, {})
    if not record.get("failed"):
        return
    _say(f"{row.name}: {record['failed']} failed, and run again")
    try:
        save(LATEST, records | {row.name: run_failed(row, record, CHECKOUT / ".tested")})
    except CannotRunError as error:
        _say(str(error))


def _say(text: str) -> None:
    sys.stderr.write(f"test-versions: {text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/test-versions", description=__doc__)
    parser.add_argument(
        "--row",
        action="append",
        choices=[row.name for row in ROWS],
        help="only this row: Prometheus/API server/Python; may be repeated",
    )
    parser.add_argument(
        "--again", action="store_true", help="also run rows that have passed on this commit"
    )
    parser.add_argument(
        "--failed",
        action="store_true",
        help="repeat only tests that failed in a row's last run; the table shows this",
    )
    parser.add_argument("--list", action="store_true", help="run nothing, print the results")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the results of the selected rows to tests/versions.json",
    )
    parser.add_argument("--render", action="store_true", help="only write the README's table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
