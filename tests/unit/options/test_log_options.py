"""The level and format of log lines: set by flags, or those of Prometheus."""

from __future__ import annotations

import pytest

from wrapper.base.log_form import Form
from wrapper.options.loading import load
from wrapper.options.log_options import LogOptions

NEWEST = "3.16.0"


def options(*words: str, own: tuple[str, ...] = (), **environ: str) -> LogOptions:
    """Return the options beside a Prometheus with these words."""
    argv = [*own, "--", "prometheus", "--config.file=c", *words]
    return load(argv, environ, hostname="h", incarnation="i").log


@pytest.mark.parametrize(
    ("version", "words", "form"),
    [
        ("2.53.3+ds1", (), Form.GO_KIT_LOGFMT),
        ("2.53.3+ds1", ("--log.format=json",), Form.GO_KIT_JSON),
        ("3.0.0-beta.0", (), Form.LOGFMT),
        (NEWEST, ("--log.format", "json"), Form.JSON),
        (NEWEST, ("--log.format=logfmt",), Form.LOGFMT),
        ("20.1.0", (), Form.LOGFMT),
        ("", (), Form.LOGFMT),
        ("", ("--log.format=json",), Form.JSON),
    ],
)
def test_format_is_that_of_prometheus(version: str, words: tuple[str, ...], form: Form) -> None:
    """The format depends on Prometheus' version and ``--log.format``; no version is the newest."""
    given = options(*words)
    assert given.needs_version
    assert given.form(version) is form


@pytest.mark.parametrize("form", Form)
def test_given_format_needs_no_version(form: Form) -> None:
    """A format that the flag or its variable sets is used with any version of Prometheus."""
    for given in (
        options("--log.format=json", own=(f"--log-format={form}",)),
        options(ELECTOR_LOG_FORMAT=form),
    ):
        assert not given.needs_version
        assert {given.form(version) for version in ("", "2.53.0", NEWEST)} == {form}


@pytest.mark.parametrize(
    ("own", "words", "level"),
    [
        ((), (), "info"),
        ((), ("--log.level=debug",), "debug"),
        ((), ("--log.level", "error"), "error"),
        ((), ("--log.level=WARN",), "warn"),
        ((), ("--log.level=chatty",), "info"),
        (("--log-level=auto",), ("--log.level=warn",), "warn"),
        (("--log-level=info",), ("--log.level=debug",), "info"),
    ],
)
def test_level_is_that_of_prometheus_unless_given(
    own: tuple[str, ...], words: tuple[str, ...], level: str
) -> None:
    """Without our flag, Prometheus' level counts, also in upper case as in 3.x.

    A value that Prometheus refuses is not checked.
    """
    assert options(*words, own=own).level == level


def test_format_without_a_prometheus_is_the_newest() -> None:
    """In a sidecar, the level is info, and the format is that of the newest Prometheus."""
    argv = ["--config=c", "--output=o", "--notify-http-url=http://127.0.0.1:9090/-/reload"]
    given = load(argv, {}, hostname="h", incarnation="i").log
    assert (given.level, given.form("")) == ("info", Form.LOGFMT)
