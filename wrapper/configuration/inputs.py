"""Reads and renders the input files of a configuration, and detects when they have changed.

Guarantee: a rendering is always valid YAML and complete. Bad inputs raise ``BadInputs``, or are
reported as rejected, with all problems.

Limitations: whether Prometheus accepts a rendering is not known here. Files that change while they
are read are read again, but at most three times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wrapper.base import files
from wrapper.configuration import envsubst
from wrapper.configuration.file_checks import GATE, problems_of_needed
from wrapper.configuration.receiver_notes import ReceiverNote
from wrapper.configuration.relabeling_notes import relabeling_notes
from wrapper.configuration.render import OneFile, Rendered, WholeFile
from wrapper.documents.problems import ConfigurationError, Problems
from wrapper.documents.source import Source, further_document
from wrapper.model.configuration import Renderings
from wrapper.model.events import ConfigurationRead, ConfigurationRejected

if TYPE_CHECKING:
    from wrapper.configuration.gate_settings import GateSettings

# Limits of all inputs together, after variables have been replaced. A value takes up to 640 bytes
# while it is read. 30,000 jobs have 9 MB and 0.8 million of the marks below; 360,000 static targets
# have 8 MB and 0.7 million.
LARGEST_INPUT = 64 << 20  # bytes
MOST_VALUES = 3_000_000
# A zero is half of a blank in UTF-16. For YAML 1.1, the last three and a lone \r are line breaks.
_BLANKS = (b" ", b"\t", b"\0", b"\r", *map(str.encode, "\x85\u2028\u2029"))
_VALUE_MARKS = (  # each YAML node needs one of these
    *(b"[", b"{", b",", b"\n"),
    *(mark + blank for mark in (b"-", b":", b"?") for blank in _BLANKS),
)
_LEFT_OUT = "a second YAML document; only the first is read: move its content there, or remove it"
_READS = 3  # attempts if files change meanwhile; the last one is used in any case


class BadInputs(ConfigurationError):
    """The inputs cannot be used."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The paths of the inputs, and how they are read.

    - ``config``: a Prometheus configuration, or a file with both sections;
    - ``leader_configs``: files, or folders of files, with the leader's overrides, which may be
      missing; None if ``config`` has both sections;
    - ``output_folder``: relative paths in an input from another folder are made absolute;
    - ``environ``: the variables that references are replaced with; None to replace nothing;
    - ``allow_unset``: references to unset variables stay, and are no problem;
    - ``are_files_here``: the files that the configuration names are at the same paths here as for
      Prometheus, so that they can be checked;
    - ``gate``: the gate that the leader's remote_write goes through; None without a gate;
    - ``config_flag``: the flag that names ``config``.
    """

    config: Path
    leader_configs: tuple[Path, ...] | None = None
    output_folder: Path = Path()
    environ: Mapping[bytes, bytes] | None = None
    allow_unset: bool = False
    are_files_here: bool = False
    gate: GateSettings | None = None
    config_flag: str = "--config"

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths as configured: files, and folders of files."""
        return (self.config, *(self.leader_configs or ()))

    def flag_of(self, path: Path) -> str:
        """Return the flag that names an input, or the folder that it is in."""
        return self.config_flag if path == self.config else "--leader-config"


class Inputs:
    """The inputs as they were last read, so that only changes are rendered and reported.

    ``judge`` returns the reasons why new renderings must not be used, one line each. ``is_refused``
    is set if it refused the last inputs, or if a file that they need is missing. The cause may then
    be in another file, such as a rule file, so unchanged inputs are checked again.
    """

    def __init__(
        self, sources: Sources, judge: Callable[[Renderings], tuple[str, ...]] | None = None
    ) -> None:
        self.sources = sources
        self.is_refused = False
        self.missing: tuple[str, ...] = ()  # missing files that the leader's remote_write needs
        self.notes: tuple[str, ...] = ()  # on settings that defeat the gate
        self.receiver_notes: tuple[ReceiverNote, ...] = ()  # on receivers that may refuse samples
        self._judge = judge
        self._contents: tuple[Source, ...] | str | None = None
        self._one_file, self._whole_file = OneFile(sources.gate), WholeFile(sources.gate)

    def read(self, *, is_start: bool = False) -> Renderings:
        """Read and render the inputs; raise BadInputs.

        At a start, the files that only the leader needs may be missing.
        """
        contents = self._read_together()
        self._contents = contents
        return self._render(contents, is_start=is_start)

    def changed(self) -> ConfigurationRead | ConfigurationRejected | None:
        """Read again, and return the result; None if nothing has changed since the last reading.

        Inputs that were refused (``is_refused``) are checked again even if they have not changed.
        """
        contents = self._look()
        if contents == self._contents and not self.is_refused:
            return None
        self._contents, self.is_refused = contents, False
        if isinstance(contents, str):
            return ConfigurationRejected(contents)
        try:
            return ConfigurationRead(self._render(contents))
        except BadInputs as error:
            return ConfigurationRejected(str(error))

    def changed_contents(self) -> object | None:
        """Return the inputs as they are now if they have changed since the last reading, else None.

        The result is only for comparing it with another one.
        """
        contents = self._look()
        return None if contents == self._contents else contents

    def absent(self) -> tuple[Path, ...]:
        """Return the paths of overrides at which there is no file."""
        return tuple(path for path in self.sources.leader_configs or () if not files.listed(path))

    def ignored_parts(self) -> tuple[str, ...]:
        """Return a line with the place of each part of the last inputs that is not used."""
        lines = ((each.name, further_document(each.content)) for each in self._sources_read())
        return tuple(f"{name}:{line}: {_LEFT_OUT}" for name, line in lines if line)

    def relabeling_notes(self) -> tuple[str, ...]:
        """Return a line with the place of each rule in the last inputs that changes other rules."""
        return tuple(line for source in self.texts() for line in relabeling_notes(source))

    def _look(self) -> tuple[Source, ...] | str:
        try:
            return self._read_together()
        except BadInputs as error:
            return str(error)

    def reads(self, path: Path) -> bool:
        """Return whether a path is that of an input, or would be if it existed."""
        may_be_listed = files.is_fragment(path.name)
        return any(_is_same(path, named) for named in self.sources.paths) or any(
            may_be_listed and _is_same(path.parent, folder)
            for folder in self.sources.leader_configs or ()
        )

    # --- reading ---

    def _read_together(self) -> tuple[Source, ...]:
        """Return all inputs as of one moment, unless they change during each attempt."""
        for _ in range(_READS - 1):
            before = self._identities()
            try:
                contents = self._read_files()
            except BadInputs:
                if self._identities() == before:
                    raise
                continue
            if self._identities() == before:
                return contents
        return self._read_files()

    def _identities(self) -> tuple[object, ...]:
        return tuple((path, files.identity(path)) for path in self._files())

    def _files(self) -> list[Path]:
        """Return the files to read, in order; raise BadInputs."""
        folders = self.sources.leader_configs or ()
        try:
            return [self.sources.config, *(file for path in folders for file in files.listed(path))]
        except files.InputError as error:
            raise BadInputs((f"--leader-config: {error}",)) from error

    def _read_files(self) -> tuple[Source, ...]:
        """Read all files; raise BadInputs with those that cannot be read."""
        found, problems = [], []
        left = LARGEST_INPUT
        for path in self._files():
            try:
                found.append(self._read_file(path))
                left -= len(found[-1].content)
                if left < 0:
                    problems.append(_too_large(found.pop(), f"{LARGEST_INPUT} bytes"))
            except files.InputError as error:
                problems.append(f"{self.sources.flag_of(path)}: {error}")
        if problems:
            raise BadInputs(tuple(problems))
        return tuple(found)

    def _read_file(self, path: Path) -> Source:
        content = files.read_input(path, LARGEST_INPUT)
        folder = path.parent.absolute()
        is_at_home = folder == self.sources.output_folder.absolute()
        return Source(str(path), content, "" if is_at_home else str(folder))

    # --- rendering ---

    def texts(self) -> list[Source]:
        """Return the last inputs with variables replaced, or as written if that is too large."""
        try:
            return self._all_substituted(self._sources_read(), Problems())
        except BadInputs:
            return list(self._sources_read())

    def variables(self) -> dict[str, str]:
        """Return the variables that were replaced in the last inputs, with their values."""
        environ = self.sources.environ or {}
        names = {
            name for each in self._sources_read() for name in envsubst.referenced(each.content)
        }
        return {
            name.decode(): environ[name].decode(errors="replace")
            for name in sorted(names & environ.keys())
        }

    def _sources_read(self) -> tuple[Source, ...]:
        return self._contents if isinstance(self._contents, tuple) else ()

    def _render(self, contents: tuple[Source, ...], *, is_start: bool = False) -> Renderings:
        unset = Problems()
        sources = self._all_substituted(contents, unset)
        _check_values(sources)
        try:
            rendered = self._rendered(sources)
        except ConfigurationError as error:
            raise BadInputs((*unset.lines, *error.problems)) from error
        if unset or rendered.likely_mistakes:
            raise BadInputs((*unset.lines, *rendered.likely_mistakes))
        self.notes, self.receiver_notes = rendered.notes, rendered.receiver_notes
        self._look_at_files(rendered, is_start=is_start)
        self._ask_judge(rendered.renderings)
        return rendered.renderings

    def _look_at_files(self, rendered: Rendered, *, is_start: bool) -> None:
        """Refuse a remote_write whose TLS files are missing, until they exist (``is_refused``).

        Prometheus would refuse it too, but only after it has begun to change its queues. The next
        reload can then end the process (2.42 and 3.16). At a start there are no queues yet, so only
        the follower's files are required. The gate cannot send without its files.
        """
        if not self.sources.are_files_here:
            return
        folder = str(self.sources.output_folder.absolute())
        missing = (
            *problems_of_needed(rendered.leader_files, folder),
            *problems_of_needed(rendered.gate_files, folder, by=GATE),
        )
        refused = missing
        if is_start:
            refused = tuple(problems_of_needed(rendered.follower_files, folder))
        self.is_refused = bool(refused)
        self.missing = missing
        if refused:
            raise BadInputs(refused)

    def _ask_judge(self, renderings: Renderings) -> None:
        """Ask the judge about the renderings; raise BadInputs with its reasons."""
        refusals = self._judge(renderings) if self._judge is not None else ()
        self.is_refused = bool(refusals)
        if refusals:
            raise BadInputs(refusals)

    def _all_substituted(self, contents: Sequence[Source], unset: Problems) -> list[Source]:
        """Return all with references to variables replaced; raise BadInputs if it is too large."""
        environ = self.sources.environ
        if environ is None:
            return list(contents)
        left = LARGEST_INPUT
        for source in contents:
            if not self.sources.allow_unset:
                envsubst.note_unset(source.content, source.name, environ, unset)
            left -= envsubst.size_after(source.content, environ)
            if left < 0:
                raise BadInputs((_too_large(source, f"{LARGEST_INPUT} bytes"),))
        return [
            replace(each, content=envsubst.substitute(each.content, environ)) for each in contents
        ]

    def _rendered(self, sources: list[Source]) -> Rendered:
        if self.sources.leader_configs is None:
            return self._one_file.render(sources[0])
        return self._whole_file.render(sources[0], sources[1:])


def _check_values(sources: Sequence[Source]) -> None:
    """Raise BadInputs if the inputs may have more than ``MOST_VALUES`` values."""
    left = MOST_VALUES
    if sum(len(source.content) for source in sources) <= left:
        return  # each value has at least one byte, so nothing has to be counted
    for source in sources:
        left -= sum(map(source.content.count, _VALUE_MARKS))
        if left < 0:
            raise BadInputs((_too_large(source, f"{MOST_VALUES} values"),))


def _too_large(source: Source, limit: str) -> str:
    return (
        f"{source.name}: with this file, the inputs have more than {limit}, after variables"
        " are replaced; check that it is the right file, or move long lists of targets to "
        "file_sd_configs"
    )


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are the same; a symbolic link differs from its target."""
    return files.resolve_folder(one.absolute()) == files.resolve_folder(other.absolute())
