"""The level and form of log lines: by our own flags, or else as Prometheus logs; pure."""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.base.log_form import Form
from wrapper.options.flag_fields import flag_field
from wrapper.options.prometheus_args import ChildArguments

AUTO = "auto"
LEVELS = ("debug", "info", "warn", "error")
DEFAULT_LEVEL = "info"
_OLD = "2."  # versions of Prometheus with the old form; 3.0 has another


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """The lowest level that is logged, and the form of the lines.

    If ``format`` is ``auto``, the form depends on the version of Prometheus, and on whether
    Prometheus writes JSON (``is_child_json``).
    """

    level: str = flag_field("log-level")
    format: str = flag_field("log-format")
    is_child_json: bool = False

    @property
    def needs_version(self) -> bool:
        """Whether the form depends on the version of Prometheus."""
        return self.format == AUTO

    def form(self, version: str) -> Form:
        """Return the form to use with this version of Prometheus; "" means the newest version."""
        if self.format != AUTO:
            return Form(self.format)
        if version.startswith(_OLD):
            return Form.GO_KIT_JSON if self.is_child_json else Form.GO_KIT_LOGFMT
        return Form.JSON if self.is_child_json else Form.LOGFMT


def level_of(given: str, child: ChildArguments) -> str:
    """Return the level to use: ``given``, or for ``auto`` that of Prometheus.

    Prometheus itself refuses a level that it does not know. 3.x also accepts upper case.
    """
    if given != AUTO:
        return given
    level = child.log_level.lower()
    return level if level in LEVELS else DEFAULT_LEVEL
