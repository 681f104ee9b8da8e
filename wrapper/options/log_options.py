"""What is logged, and in which form: by our own flags, else as Prometheus does; pure."""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.base.log_form import Form
from wrapper.options.flag_fields import of
from wrapper.options.prometheus_args import ChildArguments

AUTO = "auto"
LEVELS = ("debug", "info", "warn", "error")
DEFAULT_LEVEL = "info"
_OLD = "2."  # from 3.0 on, Prometheus writes another form


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """The lowest level that is logged, and the form of the lines.

    ``format`` may be ``auto``: then the form depends on the version of Prometheus, and
    ``is_child_json`` says whether Prometheus writes JSON.
    """

    level: str = of("log-level")
    format: str = of("log-format")
    is_child_json: bool = False

    @property
    def needs_version(self) -> bool:
        """Whether the form depends on the version of Prometheus."""
        return self.format == AUTO

    def form(self, version: str) -> Form:
        """Return the form beside a Prometheus of this version; "" counts as the newest."""
        if self.format != AUTO:
            return Form(self.format)
        if version.startswith(_OLD):
            return Form.GO_KIT_JSON if self.is_child_json else Form.GO_KIT_LOGFMT
        return Form.JSON if self.is_child_json else Form.LOGFMT


def level_of(given: str, child: ChildArguments) -> str:
    """Return the level to use where ``given`` may be ``auto``: that of Prometheus, if it has one.

    Prometheus itself refuses a level that it does not know; 3.x also takes upper case.
    """
    if given != AUTO:
        return given
    level = child.log_level.lower()
    return level if level in LEVELS else DEFAULT_LEVEL
