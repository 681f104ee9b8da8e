"""YAML of any kind: from a grammar with all constructs of YAML, and damaged.

Most examples are nearly valid: others would be refused at their first byte.
"""

from __future__ import annotations

import textwrap
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

NAMES = ("a", "b", "url", "name", "job_name", "remote_write", "ca_file", "labels", "1.10", "n")
ODD = (
    *("", "~", "null", "true", "no", "1.10", "010", "0x1f", "1_000", "1:30", "2024-01-01", ".nan"),
    *("=", "<<", "- ", "? ", "! ", "!!int x", "!!timestamp x", "!own {}", "&a x", "*a", "*b", "%a"),
    *("'it''s'", '"\\0"', '"\\ud800"', '"\\x85"', '"a\\\n  b"', "'open", '"open', "[", "{", "}"),
    *("|\n  x\n", ">-\n   x\n\n", "|2+\n  x\n", "\t", "\r", "\u2028", "\ufeff", "é😀", "\x00"),
    *("$(A)", "$$(A)", "$(UNSET)", "http://r:x/", "http://u:p@h/api?x=1", "\ud800", "9" * 30),
    *("{<<: *a, b: 1}", "{<<: [*a, *b]}", "{$patch: delete, name: a}", "{$patch: replace}"),
)
MEANT = (  # valid YAML values that other parsers may read differently
    *("~", "null", "true", "no", "1.10", "010", "0x1f", "1_000", "1:30", "2024-01-01", ".nan", "="),
    *("'it''s'", '"\\0"', '"\\x85"', "''", "é😀", "$(A)", "$$(A)", "http://u:p@h/api?x=1", "a b"),
    *("[]", "{}", "[a, b]", "{name: a}", "{$patch: delete, name: a}", "{$patch: replace}"),
    *("|\n   x\n    y\n", ">-\n   x\n\n   y\n", "|+\n   x\n\n", "1e3", "0o17", "+1", "-.inf", "y"),
)
ANCHORS = ("", "", "", "", "", "&a ", "&b ", "!t ", "!!str ")
STRANGE = "ab:-#,[]{}&*!|>'\"%@`~ \t\\\x85\u2028é😀"


class Writer:
    """Writes one random document."""

    def __init__(self, chance: Random, names: tuple[str, ...] = NAMES) -> None:
        self._chance = chance
        self._names = names
        self._anchors: list[str] = []
        self._later: list[str] = []  # anchors of values that are not complete
        self._oddness = chance.choice([0.0, 0.0, 0.02, 0.2])

    def document(self) -> str:
        """Return a mapping, in nearly all cases."""
        if self._chance.random() < self._oddness:
            return self._word() + "\n"
        return self._mapping(depth=3)

    def below(self) -> str:
        """Return what may follow a key."""
        return " " + self._value(2)

    def flow(self) -> str:
        """Return a mapping in braces."""
        names = self._chance.sample(self._names, 4)
        return "{" + ", ".join(f"{name}: {self._flow(1)}" for name in names) + "}"

    def _mapping(self, depth: int) -> str:
        names = self._chance.sample(self._names, self._chance.randint(1, 4))
        self._anchors += self._later
        self._later = []
        if self._chance.random() < 0.1:
            names.append(self._word())
        return "".join(f"{name}: {self._value(depth)}\n" for name in names)

    def _list(self, depth: int) -> str:
        count = self._chance.randint(1, 4)
        return "".join(self._item(self._value(depth)) for _ in range(count))

    def _item(self, value: str) -> str:
        """Return an item, whose mapping or list begins on its own line or the next."""
        if value.startswith("\n") and self._chance.random() < 0.8:
            return "- " + indented(textwrap.dedent(value[1:]), 2)[2:] + "\n"
        return f"- {value}\n"

    def _value(self, depth: int) -> str:
        """Return a value that may follow a key."""
        if self._anchors and self._chance.random() < 0.1:
            return f"*{self._chance.choice(self._anchors)}"
        anchor = self._chance.choice(ANCHORS) if self._chance.random() < 0.2 else ""
        if anchor.startswith("&"):
            self._later.append(anchor[1:-1])
        if depth and self._chance.random() < 0.5:
            make = self._chance.choice([self._mapping, self._list])
            return f"{anchor}\n{indented(make(depth - 1), self._chance.choice([1, 2, 2, 2, 4]))}"
        if self._chance.random() < 0.3:
            return anchor + self._flow(2)
        return anchor + self._word()

    def _flow(self, depth: int) -> str:
        """Return a value in brackets or braces."""
        if not depth or self._chance.random() < 0.3:
            word = self._word()
            return word if "\n" not in word or self._oddness else "a"
        items = [self._flow(depth - 1) for _ in range(self._chance.randint(0, 4))]
        if self._chance.random() < 0.5:
            return f"[{', '.join(items)}]"
        names = self._chance.sample(self._names, len(items))
        return "{" + ", ".join(map("{}: {}".format, names, items)) + "}"

    def _word(self) -> str:
        if self._chance.random() >= self._oddness:
            return self._chance.choice(self._names if self._chance.random() < 0.5 else MEANT)
        if self._chance.random() < 0.7:
            return self._chance.choice(ODD)
        return "".join(self._chance.choices(STRANGE, k=self._chance.randint(1, 8)))


def indented(text: str, step: int) -> str:
    """Return a text indented by some columns."""
    return "".join(" " * step + line for line in text.splitlines(keepends=True))


def damaged(text: str, chance: Random) -> bytes:
    """Return a text as bytes, sometimes with a few changed bytes."""
    data = text.encode(errors="surrogatepass")
    for _ in range(chance.choice([0, 0, 0, 0, 0, 1, 3])):
        at = chance.randint(0, len(data))
        data = chance.choice(
            [
                data[:at] + chance.randbytes(2) + data[at:],
                data[:at] + data[at + 1 :],
                data[:at],
                data[at:] + data[:at],
                data[:at] + data[at // 2 : at] + data[at:],
                data + b"\n---\n" + data,
            ]
        )
    return data


def of_one(seed: int) -> bytes:
    """Return a configuration, or the leader's overrides."""
    chance = Random(seed)
    return damaged(Writer(chance).document(), chance)


def of_both(seed: int) -> bytes:
    """Return a file with both parts."""
    chance = Random(seed)
    writer = Writer(chance)
    parts = [(name, writer.document()) for name in ("follower", "leader")]
    return damaged("".join(f"{name}:\n{indented(text, 2)}" for name, text in parts), chance)


class Pair(NamedTuple):
    """The follower's configuration and the leader's overrides, undamaged and without ``$patch``."""

    follower: bytes
    leader: bytes

    @property
    def in_one_file(self) -> bytes:
        """Both as parts of one file."""
        parts = (("follower", self.follower), ("leader", self.leader))
        return "".join(f"{name}:\n{indented(part.decode(), 2)}" for name, part in parts).encode()


def pair_of(seed: int) -> Pair:
    """Return a follower's configuration and overrides that nearly always fit together."""
    writer = Writer(Random(seed))
    texts = (writer.document().replace("$patch", "patch") for _ in range(2))
    # Go's library reads a quoted null as null; only a tag, which is not written, prevents that.
    return Pair(*(text.replace("!!str ", "").encode(errors="replace") for text in texts))


seeds = st.integers(0, 1 << 60)
pairs = seeds.map(pair_of)
files = seeds.map(of_one)
either = seeds.map(of_both)


def plain(depth: int = 3) -> st.SearchStrategy[Any]:
    """Draw any JSON value."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.sampled_from(["", "\x00", "\ud800", "a" * 600, "2026-01-02T03:04:05.000006Z"])
    )
    return st.recursive(
        scalars,
        lambda below: (
            st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3)
        ),
        max_leaves=2**depth,
    )
