"""Parses Prometheus' own arguments, as far as this program needs them; pure.

They are parsed as by Prometheus (kingpin): two dashes, ``--flag=value`` or ``--flag value``, a
boolean alone or as ``--no-flag``. All words after the first are parsed, so another command may
precede Prometheus: ``env A=b prometheus …``, ``tini -- prometheus …``, or a script that passes
``"$@"`` on.

Limitation: arguments that such a script adds are not known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote, urlsplit

CONFIG_FILE = "config.file"
LISTEN_ADDRESS = "web.listen-address"
FLUSH_DEADLINE = "storage.remote.flush-deadline"
LOG_LEVEL = "log.level"
LOG_FORMAT = "log.format"

# The flags that this program needs, with Prometheus' own defaults.
_DEFAULTS = {
    CONFIG_FILE: "prometheus.yml",
    LISTEN_ADDRESS: "0.0.0.0:9090",
    "web.route-prefix": "",
    "web.external-url": "",
    "web.config.file": "",
    "storage.tsdb.path": "data/",
    "storage.agent.path": "data-agent/",
    FLUSH_DEADLINE: "",
    "enable-feature": "",
    LOG_LEVEL: "info",
    LOG_FORMAT: "logfmt",
}
_BOOLEANS = frozenset({"agent", "web.enable-lifecycle", "config.auto-reload"})
_REPEATABLE = frozenset({"enable-feature", LISTEN_ADDRESS})  # the second since 3.0
_NEVER_EMPTY = (CONFIG_FILE, LISTEN_ADDRESS, "storage.tsdb.path", "storage.agent.path")
_ALL_ADDRESSES = frozenset({"", "0.0.0.0", "::"})
_LAST_PORT = 65535


@dataclass(slots=True)
class _Words:
    """The parsed words: texts by flag, in order, and problems. A boolean is "true" or "false"."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def note(self, name: str, text: str) -> None:
        self.texts.setdefault(name, []).append(text)

    def first(self, name: str) -> str:
        return self.texts.get(name, [_DEFAULTS[name]])[0]

    def is_on(self, name: str) -> bool:
        return self.texts.get(name, ["false"])[-1] == "true"

    @property
    def features(self) -> set[str]:
        return {name for text in self.texts.get("enable-feature", ()) for name in text.split(",")}


@dataclass(frozen=True, slots=True)
class ChildArguments:
    """The arguments of Prometheus. Paths are as written there.

    - ``names_config_file``: ``--config.file`` is given;
    - ``base_url``: its URL on this machine, with the route prefix and without a slash at the end;
      always http, because ``web_config_file`` is not read here;
    - ``has_agent_flag``, ``has_agent_feature``: agent mode, by ``--agent`` or by a feature;
    - ``features``: the values of ``--enable-feature``;
    - ``has_lifecycle``: ``--web.enable-lifecycle`` is given;
    - ``flush_deadline``: None if it is not given;
    - ``problems``: lines for people; if there are any, do not rely on the other fields;
    - ``auto_reload_problems``: those of the problems that are about reloads by Prometheus itself.
    """

    config_file: str
    names_config_file: bool
    base_url: str
    storage_path: str
    has_agent_flag: bool
    has_agent_feature: bool
    features: tuple[str, ...]
    has_lifecycle: bool
    flush_deadline: str | None
    web_config_file: str
    log_level: str
    log_format: str
    auto_reload_problems: tuple[str, ...]
    problems: tuple[str, ...]

    @classmethod
    def parse(cls, command: Sequence[str]) -> Self:
        """Parse a command: a program and its arguments."""
        words = _read(command)
        has_flag, has_feature = words.is_on("agent"), "agent" in words.features
        storage = "storage.agent.path" if has_flag or has_feature else "storage.tsdb.path"
        return cls(
            config_file=words.first(CONFIG_FILE),
            names_config_file=CONFIG_FILE in words.texts,
            base_url=_base_url(words),
            storage_path=words.first(storage),
            has_agent_flag=has_flag,
            has_agent_feature=has_feature,
            features=tuple(sorted(words.features - {""})),
            has_lifecycle=words.is_on("web.enable-lifecycle"),
            flush_deadline=words.first(FLUSH_DEADLINE) or None,
            web_config_file=words.first("web.config.file"),
            log_level=words.first(LOG_LEVEL),
            log_format=words.first(LOG_FORMAT),
            auto_reload_problems=tuple(_auto_reload_problems(words)),
            problems=(*words.problems, *_problems(words)),
        )

    @property
    def is_agent(self) -> bool:
        """Whether agent mode is requested, by the flag or by the feature of Prometheus 2."""
        return self.has_agent_flag or self.has_agent_feature

    def over_tls(self) -> Self:
        """Return the same arguments with an https URL."""
        return replace(self, base_url=self.base_url.replace("http://", "https://", 1))


def with_argument(command: Sequence[str], name: str, value: str) -> tuple[str, ...]:
    """Return the command with an additional flag at its end; ``name`` has no dashes."""
    return (*command, f"--{name}={value}")


def with_config_file(command: Sequence[str], path: str) -> tuple[str, ...]:
    """Return the command with another configuration file, in the old one's place if any."""
    words = list(command)
    for at, word in enumerate(words[1:], 1):
        if word.startswith(f"--{CONFIG_FILE}="):
            words[at] = f"--{CONFIG_FILE}={path}"
            return tuple(words)
        if word == f"--{CONFIG_FILE}" and at + 1 < len(words):
            words[at + 1] = path
            return tuple(words)
    return with_argument(words, CONFIG_FILE, path)


def with_flags(
    command: Sequence[str], flags: Mapping[str, str], without: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the command with these flags instead of those with their names or in ``without``."""
    words = deque(command[1:])
    kept = [command[0]]
    while words:
        word = words.popleft()
        name, equals, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in {*flags, *without}:
            kept.append(word)
        elif not equals and words:
            words.popleft()
    return (*kept, *(f"--{name}={value}" for name, value in flags.items()))


# --- reading the words ---------------------------------------------------------------------------


def _read(command: Sequence[str]) -> _Words:
    """Read all words after the program's name."""
    words = _Words()
    rest = deque(command[1:])
    while rest:
        word = rest.popleft()
        if word == "--":
            words.problems.extend(_separator_problems(rest))
        elif word.startswith("--"):
            _read_flag(word[2:], rest, words)
        else:
            words.problems.extend(_plain_word_problems(word))
    return words


def _read_flag(word: str, rest: deque[str], words: _Words) -> None:
    """Record a flag (without its dashes) and its value, if this program needs it."""
    name, equals, text = word.partition("=")
    if name in _DEFAULTS:
        if not equals and (not rest or rest[0].startswith(("-", "@"))):
            words.problems.append(f"--{name}: its value is missing; write --{name}=VALUE")
            return
        words.note(name, text if equals else rest.popleft())
    elif (positive := name.removeprefix("no-")) in _BOOLEANS:
        if equals:
            cure = f"write --{positive} or --no-{positive}"
            words.problems.append(f"--{word}: Prometheus takes no value for it; {cure}")
        words.note(positive, str(positive == name).lower())


def _separator_problems(rest: deque[str]) -> Iterator[str]:
    """Check a ``--``: it may precede a command (``tini -- prometheus``), but must not end flags."""
    if not rest or rest[0].startswith("-"):
        yield "--: Prometheus reads no flags after it; remove it"


def _plain_word_problems(word: str) -> Iterator[str]:
    """Check a word that is no flag: flags may be hidden in it."""
    if word.startswith("@"):
        yield (
            f"{word}: Prometheus reads arguments from this file, but this program does not; write "
            "them in the command itself"
        )
    elif word.partition("=")[0].removeprefix("-") in _DEFAULTS and word.startswith("-"):
        yield f"{word}: Prometheus' flags have two dashes; write -{word}"
    elif f"--{CONFIG_FILE}" in word:
        yield (
            f"{word!r}: Prometheus' flags are hidden in one word (a shell command?); write each as "
            "a word of its own: -- prometheus --config.file=…"
        )


# --- what is wrong with them ---------------------------------------------------------------------


def _problems(words: _Words) -> Iterator[str]:
    """Yield a line for each argument that this program cannot work with."""
    for name, texts in words.texts.items():
        if len(texts) > 1 and name not in _REPEATABLE:
            given = ", ".join(texts)
            yield f"--{name}: given {len(texts)} times ({given}); Prometheus refuses that: keep one"
    for name in _NEVER_EMPTY:
        if words.first(name) == "":
            yield f"--{name}: its value is empty; write --{name}={_DEFAULTS[name]}, or remove it"
    yield from _auto_reload_problems(words)
    yield from _web_problems(words)


def _auto_reload_problems(words: _Words) -> Iterator[str]:
    """Refuse reloads by Prometheus itself: their failure would look like that of our reload."""
    cure = (
        "only this program may reload Prometheus; remove the flag, and after a change of rule "
        "files send SIGHUP to this program"
    )
    if words.is_on("config.auto-reload"):
        yield f"--config.auto-reload: {cure}"
    if "auto-reload-config" in words.features:
        yield f"--enable-feature=auto-reload-config: {cure}"


def _web_problems(words: _Words) -> Iterator[str]:
    """Refuse a listen address without a usable port."""
    address = words.first(LISTEN_ADDRESS)
    port = _host_and_port(address)[1]
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT
    if address and is_port and not _is_url(_base_url(words)):
        yield (
            f"--{LISTEN_ADDRESS}={address}: this is no host; write HOST:PORT, for example "
            "0.0.0.0:9090"
        )
    elif address and not is_port:
        yield (
            f"--{LISTEN_ADDRESS}={address}: the port is missing or invalid; write HOST:PORT, with "
            f"a port from 1 to {_LAST_PORT}, for example 0.0.0.0:9090"
        )


# --- where Prometheus answers --------------------------------------------------------------------


def _base_url(words: _Words) -> str:
    """Return the URL of Prometheus on this machine."""
    host, port = _host_and_port(words.first(LISTEN_ADDRESS))
    host = "127.0.0.1" if host in _ALL_ADDRESSES else host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{_prefix(words)}"


def _is_url(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:  # a bracket inside a host, for example
        return False
    return True


def _host_and_port(address: str) -> tuple[str, str]:
    """Return the host, without brackets of IPv6, and the port of an address."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port


def _prefix(words: _Words) -> str:
    """Return the prefix of Prometheus' paths: "", or with a leading and no trailing slash.

    As in Prometheus' main.go: the route prefix, otherwise the path of the external URL.
    """
    path = words.first("web.route-prefix") or _url_path(words.first("web.external-url"))
    path = path.strip("/")
    return f"/{quote(path, errors='surrogateescape')}" if path else ""


def _url_path(url: str) -> str:
    """Return a URL's decoded path, "" if Go finds no host in it (``host:9090/x``)."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an unbalanced bracket, which Prometheus refuses
        return ""
    is_opaque = bool(parts.scheme) and not parts.netloc
    return "" if is_opaque else unquote(parts.path)
