"""Parses a flag's text into its value; pure. Raises ValueError with the cause and the cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from wrapper.base.durations import parse_duration
from wrapper.base.url_encoding import to_uri
from wrapper.model.fetched_file import Feed, has_known_ending
from wrapper.options.flag import Flag, FlagKind

_LAST_PORT = 65535
_BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "True", "TRUE"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "False", "FALSE"), False
)  # the words of Go's strconv.ParseBool


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on. ``host`` "" means all addresses; IPv6 has no brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a Kubernetes object."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


Value = str | bool | int | float | Address | Label | Feed | tuple[str, ...] | None


def is_boolean(text: str) -> bool:
    """Return whether Go's strconv.ParseBool accepts this word."""
    return text in _BOOLEANS


def boolean(text: str) -> bool:
    """Return the boolean that a word means; raise KeyError for any other word."""
    return _BOOLEANS[text]


def read_value(flag: Flag, text: str) -> Value:
    """Return the flag's value for this text; raise ValueError."""
    return _READERS[flag.kind](flag, text)


def _read_text(_flag: Flag, text: str) -> str:
    if "\0" in text or "\n" in text:
        raise ValueError("it holds a line break or a NUL; write one plain line")
    return text


def _read_boolean(flag: Flag, text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError(f"not a boolean; write --{flag.name}=true or --{flag.name}=false")
    return _BOOLEANS[text]


def _read_count(_flag: Flag, text: str) -> int:
    if not re.fullmatch(r"\+?[1-9][0-9]{0,8}", text):
        raise ValueError("not a whole number from 1 up; write one, for example 3")
    return int(text)


def _read_port(_flag: Flag, text: str) -> int:
    port = _port(text)
    if not port:
        raise ValueError(f"not a port; write a number from 1 to {_LAST_PORT}, for example 9090")
    return port


def _read_duration(flag: Flag, text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 0 or (seconds == 0 and not flag.may_be_zero):
        wanted = "below zero" if flag.may_be_zero else "not above zero"
        raise ValueError(f"{wanted}; write a longer one, for example {flag.default}")
    return seconds


def _read_address(_flag: Flag, text: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]*)):([0-9]+)", text)
    port = _port(match[3]) if match else None
    if match is None or port is None:
        raise ValueError(
            "not an address; write HOST:PORT, for example 127.0.0.1:9095 or [::1]:9095"
        )
    return Address(match[1] or match[2], port)


def _read_url(flag: Flag, text: str) -> str:
    try:
        return to_uri(text) if text else ""
    except ValueError as error:
        cure = f"write it whole, for example {_URL_EXAMPLES[flag.name]}"
        raise ValueError(f"{error}; {cure}") from error


def _read_choice(flag: Flag, text: str) -> str:
    if text not in flag.choices:
        raise ValueError(f"unknown; write one of {', '.join(flag.choices)}")
    return text


def _read_lock(_flag: Flag, text: str) -> str:
    if text in ("auto", "kubernetes", "none"):
        return text
    kind, _, path = text.partition(":")
    if kind not in ("auto", "file"):
        raise ValueError("unknown; write auto, auto:PATH, kubernetes, file:PATH or none")
    if not path:
        raise ValueError(f"it names no file; write {kind}:/run/prometheus-elector/election.lock")
    if not path.startswith("/"):
        raise ValueError(
            "a relative path depends on each replica's working folder, but all must use one file; "
            f"write an absolute path, for example {kind}:/run/prometheus-elector/election.lock"
        )
    return _read_text(_flag, text)


def _read_label(_flag: Flag, text: str) -> Label | None:
    """Return a label, by the rules of Kubernetes' API; None for an empty text."""
    if not text:
        return None
    key, separator, value = text.partition("=")
    prefix, slash, name = key.rpartition("/")
    if not separator:
        raise ValueError(f"not a label; write KEY=VALUE, for example {_LABEL_EXAMPLE}")
    if slash and not (len(prefix) <= _LONGEST_PREFIX and re.fullmatch(_LABEL_PREFIX, prefix)):
        raise ValueError(
            "the part before the slash is not a DNS name (lower-case letters, digits, - and ., at "
            f"most {_LONGEST_PREFIX}); write for example {_LABEL_EXAMPLE}"
        )
    if not re.fullmatch(_LABEL_NAME, name) or not re.fullmatch(f"(?:{_LABEL_NAME})?", value):
        raise ValueError(
            "the key's name and the value have 63 characters at most, letters, digits, -, _ and ., "
            f"and begin and end with a letter or a digit; write for example {_LABEL_EXAMPLE}"
        )
    return Label(key, value)


def _read_feed(_flag: Flag, text: str) -> Feed:
    """Return a URL and a file, which the last ``=`` separates."""
    written, _, path = text.rpartition("=")
    try:
        url = to_uri(written)
    except ValueError as error:
        cure = f"write for example {_FEED_EXAMPLE}, and %20 for a space"
        raise ValueError(f"not URL=FILE: {error}; {cure}") from error
    if not path.startswith("/"):
        raise ValueError(f"the file's path is not absolute; write for example {_FEED_EXAMPLE}")
    if not has_known_ending(path):
        raise ValueError(
            "the file's ending does not say what it holds; use .json for targets, .yml for rules"
        )
    return Feed(url, path)


def _read_broker(_flag: Flag, text: str) -> str:
    scheme, is_url, _ = text.partition("://")
    if is_url and scheme.isalnum() and scheme not in _BROKERS:
        raise ValueError(
            f"{scheme} is not a supported kind of broker; use one of {', '.join(_BROKERS)}"
        )
    if text and not _is_broker_url(text):
        raise ValueError(
            "not a broker's URL; write amqp://USER:PASSWORD@HOST/ or redis://HOST/0, "
            "and in a password %2F for /, %23 for #, %3F for ? and %40 for @"
        )
    return text


def _read_size(_flag: Flag, text: str) -> int:
    """Return a number of bytes; 0 for an empty text."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})(B|[KMGT]i?B)?", text)
    if not match and text:
        raise ValueError("not a size above zero; write for example 10MB, 64MiB or 1048576")
    return int(match[1]) * _UNITS[(match[2] or "B").replace("i", "")] if match else 0


def _read_mode(_flag: Flag, text: str) -> int:
    """Return permission bits; 0 for an empty text."""
    if not text:
        return 0
    if not re.fullmatch(r"(?:0o?)?[0-7]{3}", text):
        raise ValueError("not permissions in octal; write for example 0600 or 0644")
    if not int(text, 8) & 0o400:
        raise ValueError("the owner could not read the file; write for example 0600 or 0644")
    return int(text, 8)


def _read_peers(_flag: Flag, text: str) -> tuple[str, ...]:
    """Return URLs and DNS names, without slashes at the end of a URL."""
    if "@" in text:
        raise ValueError(
            "must not contain a user or password: requests to peers use the credentials of "
            f"the client's request; write for example {_PEERS_EXAMPLE}"
        )
    peers = tuple(each.strip().rstrip("/") for each in text.split(",") if each.strip())
    for each in peers:
        name, _, port = each.partition(":")
        is_name = re.fullmatch(r"[A-Za-z0-9._-]+", name) and (_port(port) or each == name)
        if not is_name and not re.fullmatch("https?://[^/?#]+", each):
            raise _no_peer(each)
    return tuple(_peer(each) if "://" in each else each for each in peers)


def _peer(url: str) -> str:
    try:
        return to_uri(url)
    except ValueError as error:
        raise _no_peer(url) from error


def _no_peer(text: str) -> ValueError:
    return ValueError(
        f"{text!r} is neither a name nor a URL without a path; write for example {_PEERS_EXAMPLE}"
    )


def _port(text: str) -> int | None:
    """Return the port's number; None if the text is no port."""
    return int(text) if re.fullmatch("[0-9]{1,5}", text) and int(text) <= _LAST_PORT else None


def _is_broker_url(text: str) -> bool:
    """Return whether a URL has a host, and no unescaped character that splits it wrongly."""
    try:
        parts = urlsplit(text)
        is_port_valid = parts.port != 0  # reading it raises ValueError if it is no port
    except ValueError:
        return False
    is_parted = text.count("@") == parts.netloc.count("@") <= 1
    is_plain = is_parted and not parts.fragment and not re.search(r"[\s\0]", text)
    return parts.scheme in _BROKERS and bool(parts.hostname) and is_port_valid and is_plain


_LABEL_EXAMPLE = "prometheus-elector/role=leader"
_PEERS_EXAMPLE = "http://prometheus-0.prometheus:9095,http://prometheus-1.prometheus:9095"
_LABEL_NAME = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_PREFIX = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_LONGEST_PREFIX = 253
_FEED_EXAMPLE = "http://promgen/api/v1/targets=/etc/prometheus/promgen.json"
_BROKERS = ("amqp", "amqps", "redis", "rediss")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}  # as in Prometheus

_URL_EXAMPLES = {
    "readiness-http-url": "http://127.0.0.1:9090/-/ready",
    "healthcheck-http-url": "http://127.0.0.1:9090/-/healthy",
    "notify-http-url": "http://127.0.0.1:9090/-/reload",
    "from": "http://promgen/api/v1/targets",
}

_READERS: dict[FlagKind, Callable[[Flag, str], Value]] = {
    FlagKind.FILE: _read_text,
    FlagKind.FILE_OR_FOLDER: _read_text,
    FlagKind.PROGRAM: _read_text,
    FlagKind.NAME: _read_text,
    FlagKind.BOOLEAN: _read_boolean,
    FlagKind.COUNT: _read_count,
    FlagKind.PORT: _read_port,
    FlagKind.DURATION: _read_duration,
    FlagKind.ADDRESS: _read_address,
    FlagKind.URL: _read_url,
    FlagKind.CHOICE: _read_choice,
    FlagKind.LOCK: _read_lock,
    FlagKind.LABEL: _read_label,
    FlagKind.MODE: _read_mode,
    FlagKind.SIZE: _read_size,
    FlagKind.PEERS: _read_peers,
    FlagKind.FEED: _read_feed,
    FlagKind.BROKER: _read_broker,
}
