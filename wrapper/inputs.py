"""The input files of one configuration: read, rendered, and looked at again for changes.

What is handed out is always valid and whole: a bad input raises, or is reported as rejected, with
every problem in it. Where it ends: whether Prometheus accepts a rendering is only known to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wrapper import files, render
from wrapper.model import ConfigurationRead, ConfigurationRejected, Renderings

LARGEST_INPUT = 256 * 1024 * 1024  # bytes; a larger one is a mistake


class BadInputs(Exception):
    """The inputs cannot be used; ``problems`` are lines that each name one cause and its cure."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the configuration comes from; ``leader_config`` None: ``config`` has both sections."""

    config: Path
    leader_config: Path | None = None


class Inputs:
    """Remembers what it read last, so that only changes are rendered and reported."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._contents: tuple[bytes, ...] | str | None = None

    def read(self, *, is_start: bool = False) -> Renderings:
        """Read and render; raise BadInputs. The start refuses also what merely looks wrong."""
        contents = self._read_files()
        self._contents = contents
        return self._render(contents, is_start=is_start)

    def changed(self) -> ConfigurationRead | ConfigurationRejected | None:
        """Look again; None when nothing has changed since the last look."""
        try:
            contents: tuple[bytes, ...] | str = self._read_files()
        except BadInputs as error:
            contents = str(error)
        if contents == self._contents:
            return None
        self._contents = contents
        if isinstance(contents, str):
            return ConfigurationRejected(contents)
        try:
            return ConfigurationRead(self._render(contents))
        except BadInputs as error:
            return ConfigurationRejected(str(error))

    def _read_files(self) -> tuple[bytes, ...]:
        try:
            found = [files.read_input(self._sources.config, LARGEST_INPUT)]
            if self._sources.leader_config is not None and self._sources.leader_config.exists():
                found.append(files.read_input(self._sources.leader_config, LARGEST_INPUT))
        except files.InputError as error:
            raise BadInputs((str(error),)) from error
        return tuple(found)

    def _render(self, contents: tuple[bytes, ...], *, is_start: bool = False) -> Renderings:
        name = str(self._sources.config)
        try:
            if self._sources.leader_config is None:
                rendered = render.render(contents[0], name)
            else:
                overrides = [(str(self._sources.leader_config), each) for each in contents[1:]]
                rendered = render.render_overrides(contents[0], name, overrides)
        except render.ConfigurationError as error:
            raise BadInputs(error.problems) from error
        if is_start and rendered.suspicions:
            raise BadInputs(rendered.suspicions)
        return rendered.renderings
