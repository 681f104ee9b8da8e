"""The command line: runs the supervisor or a subcommand, or prints the problems of its arguments.

As PID 1, the process first forks; the parent then acts as init. No large module is imported before
Prometheus has been started, because imports would delay it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wrapper import __version__, init
from wrapper.base import core_files, early_signals
from wrapper.options.command_line import help_or_version
from wrapper.options.loading import SettingsError, load
from wrapper.options.settings import Settings

if TYPE_CHECKING:
    from wrapper.startup.prometheus_version import PrometheusVersion

BAD_INPUT = 2
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with ``argv`` (default: ``sys.argv[1:]``); return the exit status."""
    core_files.forbid()
    # A parent may have ignored it, which is inherited: then the kernel keeps no exit status.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    early_signals.disregard()
    arguments = sys.argv[1:] if argv is None else list(argv)
    asked = help_or_version(arguments)
    if asked:
        from wrapper.base.log import say  # noqa: PLC0415 - not in the init process
        from wrapper.options.usage import usage  # noqa: PLC0415 - likewise

        say(usage(arguments[0]) if asked == "help" else f"prometheus-elector {__version__}")
        return 0
    if arguments[:1] in (["status"], ["step-down"]):
        return _run_remote(arguments)
    if os.getpid() == 1:
        init.split()
    return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    from wrapper.base import log  # noqa: PLC0415 - not in the init process
    from wrapper.startup.prometheus_version import PrometheusVersion  # noqa: PLC0415 - likewise

    settings, problems = _settings(arguments)
    version = PrometheusVersion(settings.child if settings.log.needs_version else ())
    log.set_up(settings.log.level, lambda: settings.log.form(version.answer()))
    if settings.is_check:
        return _refuse(problems) if problems else _check(settings)
    if settings.is_once:
        return _refuse(problems) if problems else _fetch(settings)
    return _start(settings, problems, version)


def _run_remote(arguments: Sequence[str]) -> int:
    early_signals.end_quietly()
    from wrapper.commands import remote  # noqa: PLC0415 - not needed to start Prometheus

    return remote.run(arguments, os.environ)


def _check(settings: Settings) -> int:
    from wrapper.commands import check  # noqa: PLC0415 - not needed to start Prometheus

    return check.run(settings)


def _fetch(settings: Settings) -> int:
    early_signals.end_quietly()
    from wrapper.commands import targets  # noqa: PLC0415 - not needed to start Prometheus

    return targets.run(settings)


def _start(settings: Settings, problems: list[str], version: PrometheusVersion) -> int:
    if not problems and not settings.mode.is_init:
        version.ask()  # in parallel with the imports
    from wrapper.startup import launch  # noqa: PLC0415 - not in the init process
    from wrapper.startup.prepare import prepare  # noqa: PLC0415 - likewise

    if not problems:
        launch.recover_rules(settings)
    start = prepare(settings, launch.refused_before())
    problems = [*problems, *start.problems]
    if problems:
        version.forget()
        return _refuse(problems)
    return launch.write_once(start) if settings.mode.is_init else launch.supervise(start)


def _settings(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """Return the settings, and one message for each problem."""
    try:
        settings = load(
            arguments,
            os.environ,
            hostname=socket.gethostname(),
            incarnation=os.urandom(8).hex(),
            pod_namespace=_pod_namespace(),
        )
    except SettingsError as error:
        return error.settings, list(error.problems)
    return settings, []


def _pod_namespace() -> str:
    try:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _refuse(problems: Sequence[str]) -> int:
    from wrapper.base import log  # noqa: PLC0415 - not in the init process

    log.say_problems(problems)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
