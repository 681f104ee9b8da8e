"""Checks that the files named in a configuration can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wrapper.base import files
from wrapper.base.shown_text import printable
from wrapper.configuration.client_files import ClientFile

_LARGEST = 1 << 20  # bytes of a file that are searched for PEM
_PEM = b"-----BEGIN "
PROMETHEUS = "Prometheus refuses the configuration without it"
GATE = "the gate cannot send to this receiver without it"


def problem_of(path: str, *, is_pem: bool) -> str:
    """Return why a file cannot be used; "" if no reason is found."""
    try:
        with files.open_to_read(path) as file:
            content = file.read(_LARGEST) or b""
    except OSError as error:
        return f"{printable(path)}: {error.strerror or error}"
    if is_pem and _PEM not in content:
        return f"{printable(path)}: it contains no certificate or key in PEM form"
    return ""


def problems_of_needed(
    named: Iterable[ClientFile], folder: str, *, by: str = PROMETHEUS
) -> Iterator[str]:
    """Yield a line for each file without which Prometheus, or the gate, cannot do its work.

    ``folder`` is that of Prometheus' configuration file.
    """
    for each in named:
        wrong = problem_of(each.under(folder), is_pem=each.is_pem) if each.is_needed else ""
        if wrong:
            yield (
                f"{each.name}:{each.line}:{each.column}: {each.place}: {wrong}; {by}: create the "
                "file, or correct the path"
            )
