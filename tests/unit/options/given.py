"""Shared parts of the tests of settings: valid words, their settings and their problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wrapper.options.loading import SettingsError, load
from wrapper.options.settings import Settings

CHILD = ("--", "prometheus", "--config.file=p.yml")
OWNER = ("--config=c.yml", *CHILD)


def loaded(
    argv: Sequence[str] = OWNER, environ: Mapping[str, str] | None = None, **more: str
) -> Settings:
    """Return the settings on a host called ``host``."""
    return load(argv, environ or {}, **{"hostname": "host", "incarnation": "random", **more})


def problems(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the problems, () for none."""
    try:
        loaded(argv, environ)
    except SettingsError as error:
        return error.problems
    return ()


def own(*words: str) -> tuple[str, ...]:
    """Return a valid command line with these words."""
    return (*words, *OWNER)
