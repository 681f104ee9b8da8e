"""Parses the command line and the environment into the text and source of each flag; pure.

Flags are parsed as by Go's ``flag`` package: one dash or two, ``-flag value`` or ``-flag=value``, a
boolean alone or with ``=``. If a flag is repeated, the last one counts. There is one difference: a
word that is itself a flag is not taken as the value of the flag before it.

``flag_values`` parses the texts into values.
"""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wrapper.options.flag import Flag, FlagKind
from wrapper.options.flag_values import is_boolean
from wrapper.options.flags import BY_NAME, FLAGS

CHILD = "--"  # the name, beside those of flags, for the command after --
CHECK = "check"  # as the first word: the command that checks the configuration
TARGETS = "targets"  # as the first word: the command that fetches one file
_FLAG_WORD = re.compile(r"--?([^-=][^=]*)(?:=(.*))?", re.DOTALL)
_OF_SERVICE = re.compile(r"(ELECTOR\w*?)_(?:SERVICE_(?:HOST|PORT)|PORT)(?:_\w+)?")
_HELP = frozenset({"-h", "--h", "-help", "--help"})
_VERSION = frozenset({"-version", "--version"})


@dataclass(frozen=True, slots=True)
class FlagText:
    """A flag's text, its source (flag or variable), and its earlier texts if it was repeated."""

    text: str
    source: str
    earlier: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts of a flag that may be repeated, in order."""
        return (*self.earlier, self.text)


@dataclass(slots=True)
class CommandLine:
    """A parsed command line.

    - ``child``: the command after ``--``;
    - ``is_check``, ``is_targets``: the command ``check``, or ``targets``, is given;
    - ``file``: the file that ``targets`` fetches;
    - ``given``: the given flags, by name;
    - ``problems``: a line for each problem;
    - ``broken``: the flags with a problem, for which no further problem is to be reported.
    """

    child: tuple[str, ...] = ()
    is_check: bool = False
    is_targets: bool = False
    file: str = ""
    given: dict[str, FlagText] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def refuse(self, problem: str, *names: str) -> None:
        """Add a problem with these flags."""
        self.problems.append(problem)
        self.broken.update(names)


def help_or_version(argv: Sequence[str]) -> Literal["help", "version"] | None:
    """Return which of the help text and the version the words before ``--`` request, if any."""
    own = set(_split(argv)[0])
    if own & _HELP:
        return "help"
    return "version" if own & _VERSION else None


def parse_command_line(argv: Sequence[str]) -> CommandLine:
    """Parse all words, and collect all problems."""
    own, child = _split(argv)
    line = CommandLine(
        tuple(child or ()), is_check=own[:1] == [CHECK], is_targets=own[:1] == [TARGETS]
    )
    if child == []:
        line.refuse(
            "--: no command follows it; write Prometheus' own command there, for example "
            "-- prometheus --config.file=/etc/prometheus/prometheus.yml",
            CHILD,
        )
    words = deque(own[line.is_check or line.is_targets :])
    while words:
        _read_word(words, line)
    return line


def parse_environment(environ: Mapping[str, str]) -> dict[str, FlagText]:
    """Return the flags' texts from the environment; an empty variable does not count."""
    return {
        flag.name: FlagText(environ[name], name)
        for flag in FLAGS
        for name in reversed((flag.env, *flag.also_env))  # the flag's own variable has precedence
        if environ.get(name)
    }


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that look like a flag's but are unknown, each with a similar one.

    The variables that Kubernetes sets for Services named elector or elector-… are ignored.
    """
    known = {name for flag in FLAGS for name in (flag.env, *flag.also_env)}
    told = []
    for name in sorted(environ.keys() - known):
        if name.startswith("ELECTOR_") and not _is_of_service(name, environ):
            near = difflib.get_close_matches(name, known, 1, cutoff=0.8)
            told.append(f"{name}, did you mean {near[0]}?" if near else name)
    return tuple(told)


def _is_of_service(name: str, environ: Mapping[str, str]) -> bool:
    match = _OF_SERVICE.fullmatch(name)
    return match is not None and (match[1] == "ELECTOR" or f"{match[1]}_SERVICE_HOST" in environ)


def complain(given: FlagText, wrong: str) -> str:
    """Return the error line for a value, without any part that may be a password."""
    text = re.sub(r"^(.*?//)?.*@", r"\1…@", given.text, flags=re.DOTALL)
    return f"{given.source}={text!r}: {wrong}"


def _split(argv: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Return the words before ``--``, and those after it; None if there is no ``--``."""
    words = list(argv)
    if CHILD not in words:
        return words, None
    at = words.index(CHILD)
    return words[:at], words[at + 1 :]


def _read_word(words: deque[str], line: CommandLine) -> None:
    """Take the next flag and its value from the words, and add them, or a problem."""
    word = words.popleft()
    match = _FLAG_WORD.fullmatch(word)
    if match is None and word.startswith("-"):
        line.refuse(f"{word}: not a flag; write --NAME=VALUE, --help lists all")
    elif match is None and line.is_targets:
        _note_file(word, line)
    elif match is None:
        _refuse_plain_word(word, words, line)
    elif flag := BY_NAME.get(match[1]):
        _note(flag, match[2], words, line)
    else:
        _refuse_unknown(match[1], match[2], words, line)


def _note_file(word: str, line: CommandLine) -> None:
    if line.file:
        line.refuse(f"{word!r}: targets fetches one FILE; run it once for each")
    line.file = line.file or word


def _note(flag: Flag, text: str | None, words: deque[str], line: CommandLine) -> None:
    """Add a flag's text: the text after its ``=``, or the next word."""
    if text is None and flag.kind is FlagKind.BOOLEAN:
        text = "true"
    if text is None and words and not _is_flag(words[0]):
        text = words.popleft()
    if text is None:
        cure = f"write --{flag.name}={flag.default or flag.placeholder}"
        line.refuse(f"--{flag.name}: its value is missing; {cure}", flag.name)
    else:
        before = line.given.get(flag.name)
        earlier = before.texts if before is not None else ()
        line.given[flag.name] = FlagText(text, f"--{flag.name}", earlier)


def _is_flag(word: str) -> bool:
    """Return whether a word is a flag; a value may begin with one dash too."""
    match = _FLAG_WORD.fullmatch(word)
    return word.startswith("--") or (match is not None and match[1] in BY_NAME)


def _refuse_unknown(name: str, text: str | None, words: deque[str], line: CommandLine) -> None:
    """Add a problem for an unknown flag, with a similar known one."""
    near = difflib.get_close_matches(name, BY_NAME, 1)
    line.refuse(f"--{name}: unknown flag; {'; '.join(_cures(name, near))}", *near)
    if text is None and words and not words[0].startswith("-"):
        words.popleft()  # most likely its value


def _cures(name: str, near: list[str]) -> Iterator[str]:
    """Yield the cures for an unknown flag."""
    if near:
        yield f"did you mean --{near[0]}?"
    if "." in name:
        yield "flags of Prometheus belong after --"
    if not near and "." not in name:
        yield "--help lists all"


def _refuse_plain_word(word: str, words: deque[str], line: CommandLine) -> None:
    """Add a problem for a word that is no flag; skip all words after it unless it is a boolean."""
    if is_boolean(word):
        line.refuse(f"{word!r}: not the value of any flag; write a boolean as --init={word}")
        return
    if word in {CHECK, TARGETS}:
        line.refuse(f"{word}: not the first word; write prometheus-elector {word} [flags]")
        return
    words.clear()
    line.refuse(
        f"{word!r}: neither a flag nor a value; Prometheus' command belongs after --, for example "
        "-- prometheus --config.file=/etc/prometheus/prometheus.yml",
        CHILD,
        *(BY_NAME.keys() - line.given),  # these flags may be among the skipped words
    )
