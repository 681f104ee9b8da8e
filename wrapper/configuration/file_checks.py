"""Whether files that a configuration names can be read here, as Prometheus would read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wrapper.base import files
from wrapper.configuration.client_files import ClientFile

_LARGEST = 1 << 20  # bytes that are looked at
_PEM = b"-----BEGIN "


def problem_of(path: str, *, is_pem: bool) -> str:
    """Return why a file is of no use, "" where nothing is known against it."""
    try:
        with open(path, "rb", opener=files.open_without_waiting) as file:
            content = file.read(_LARGEST) or b""
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    if is_pem and _PEM not in content:
        return f"{path}: no certificate or key in PEM form is in it"
    return ""


def problems_of_needed(named: Iterable[ClientFile], folder: str) -> Iterator[str]:
    """Yield a line for each file without which Prometheus refuses the configuration.

    ``folder`` is that of the file that Prometheus reads.
    """
    for each in named:
        wrong = problem_of(each.under(folder), is_pem=each.is_pem) if each.is_needed else ""
        if wrong:
            yield (
                f"{each.name}:{each.line}:{each.column}: {each.place}: {wrong}; Prometheus refuses "
                "the configuration without it: create the file, or correct the path"
            )
