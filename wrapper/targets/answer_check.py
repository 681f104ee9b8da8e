"""Checks whether an answer may become a file of targets or of rules; pure.

Guarantee: only a well-formed answer is accepted. Its bytes are not changed, except that the groups
of other shards are removed.

An answer that would take long to parse is refused without parsing. While Python parses, other
threads cannot run, including those that fence. The slowest accepted answers that were measured took
0.7 s (targets) and 1.1 s (rules) on two busy cores; 20,000 groups took 0.1 s.

Limitation: it is not checked whether targets can be scraped, or a rule's expression is valid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.base.json_values import MARKS, MOST_VALUES
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.yaml_inspection import Inspection
from wrapper.documents.yaml_nodes import UnusableError, compose, entries, explained, is_null
from wrapper.model.fetched_file import FileKind

SHARD = "__shard"  # Promgen's label for the group of servers that scrape a target
_LABEL_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")  # what every version of Prometheus accepts
EMPTY_SHARE = 0.5  # part of the interval, after which a still empty answer is accepted
_MOST_PROBLEMS = 3
LARGEST_RULES = 4 << 20
_RULE_MARKS = (*MARKS, b":", b"-", b"?", b"\n")  # each YAML node needs one of these
_MOST_RULE_MARKS = 400_000


class FeedError(Exception):
    """A file could not be updated. ``reason`` is one word for metrics."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Unacceptable(FeedError):
    """An answer is refused."""


@dataclass(frozen=True, slots=True)
class Content:
    """The new content of a file.

    - ``data``: its bytes;
    - ``groups``, ``targets``: the number of groups, and of targets or rules;
    - ``others``: if no group has the configured shard, the shards that the groups have; "" means
      groups without that label.
    """

    data: bytes = field(repr=False)
    groups: int
    targets: int
    others: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to scrape, or to evaluate."""
        return self.targets == 0


def read_answer(kind: FileKind, body: bytes, shard: str = "") -> Content:
    """Return the content of a body, only of ``shard`` if one is given; raise Unacceptable."""
    if not body.strip():
        raise Unacceptable("shape", "the answer is empty")
    _check_cost(kind, body)
    return _read_rules(body) if kind is FileKind.RULES else _read_targets(body, shard)


def _check_cost(kind: FileKind, body: bytes) -> None:
    """Raise Unacceptable if the body would take long to parse."""
    is_rules = kind is FileKind.RULES
    if is_rules and len(body) > LARGEST_RULES:
        raise Unacceptable("too_large", f"more than {LARGEST_RULES} bytes, the most for rules")
    marks, most = (_RULE_MARKS, _MOST_RULE_MARKS) if is_rules else (MARKS, MOST_VALUES)
    if sum(map(body.count, marks)) > most:
        text = (
            f"more than {most} of the characters {' '.join(repr(each.decode()) for each in marks)}"
        )
        raise Unacceptable("too_large", text)


def may_replace(content: Content, before: Content | None, *, is_confirmed: bool) -> bool:
    """Return whether the content may replace the content ``before``.

    A list that is suddenly empty is more often a mistake than true.
    """
    loses_all = content.is_empty and before is not None and not before.is_empty
    return is_confirmed or not loses_all


# --- targets: a list of groups, as file_sd reads it ----------------------------------------------


def _read_targets(body: bytes, shard: str) -> Content:
    groups = _loaded(body)
    if not isinstance(groups, list):
        raise Unacceptable("shape", "not a list of target groups")
    for number, group in enumerate(groups, 1):
        if wrong := _wrong_with(group):
            raise Unacceptable("shape", f"target group {number} of {len(groups)}: {wrong}")
    others: tuple[str, ...] = ()
    if shard:
        own = [group for group in groups if _shard_of(group) == shard]
        others = () if own else tuple(sorted(set(map(_shard_of, groups))))
        groups, body = own, json.dumps(own, indent=2).encode() + b"\n"
    return Content(body, len(groups), sum(len(group["targets"] or ()) for group in groups), others)


def _shard_of(group: Any) -> str:
    shard: str = (group.get("labels") or {}).get(SHARD, "")
    return shard


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Unacceptable("shape", f"not text in UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise Unacceptable("shape", f"{_page(body)}not JSON: {error.msg}, {where}") from error
    except RecursionError as error:
        raise Unacceptable("shape", "not a list of target groups: nested too deeply") from error
    except ValueError as error:  # Python's limit: a number has more than 4,300 digits
        raise Unacceptable("shape", "not a list of target groups: a number is too long") from error


def _refuse_constant(name: str) -> NoReturn:
    raise Unacceptable("shape", f"not JSON: {name} is not a JSON value")


def _page(body: bytes) -> str:
    """Return "a web page, " if the body looks like one."""
    return "a web page (of an error, or to log in), " if body.lstrip().startswith(b"<") else ""


def _wrong_with(group: Any) -> str:
    """Return why Prometheus would refuse a group; "" if it would accept it.

    null stands for an empty list or object, as servers in Go send it.
    """
    if not isinstance(group, dict):
        return "not an object"
    if unknown := group.keys() - {"targets", "labels"}:
        return f"unknown field {quoted(min(unknown))}; a group has targets and labels"
    targets, labels = group.get("targets", ""), group.get("labels")
    targets, labels = [] if targets is None else targets, {} if labels is None else labels
    if not isinstance(targets, list) or not all(each and isinstance(each, str) for each in targets):
        return "targets is not a list of addresses"
    if not isinstance(labels, dict) or not all(isinstance(each, str) for each in labels.values()):
        return "labels is not an object of strings"
    bad = next((name for name in labels if not _LABEL_NAME.fullmatch(name)), None)
    return (
        "" if bad is None else f"label {quoted(bad)}: some versions of Prometheus refuse that name"
    )


# --- rules: a file with groups -------------------------------------------------------------------


def _read_rules(body: bytes) -> Content:
    problems = Problems()
    groups = _groups(body, problems)
    rules = 0
    names: set[str] = set()
    for group in groups:
        rules += _check_group(group, names, problems)
    if problems:
        found = [line.removeprefix(":") for line in problems.lines[:_MOST_PROBLEMS]]
        raise Unacceptable("shape", f"{_page(body)}not a file of rules: {'; '.join(found)}")
    return Content(body, len(groups), rules)


def _groups(body: bytes, problems: Problems) -> list[Node]:
    """Return the nodes of the groups; none if there are problems."""
    try:
        root = compose(body, "")
        if isinstance(root, MappingNode | SequenceNode):
            Inspection(problems).visit(root)
    except (yaml.YAMLError, UnusableError, RecursionError) as error:
        problems.note(explained(error, body, ""))
        return []
    groups = entries(root).get("groups") if isinstance(root, MappingNode) else None
    if groups is None or not isinstance(groups[1], SequenceNode):
        problems.add("", 1, 1, "groups is missing, or not a list")
        return []
    return list(groups[1].value)


def _check_group(group: Node, names: set[str], problems: Problems) -> int:
    """Add the problems of a group; return the number of its rules."""
    if not isinstance(group, MappingNode):
        problems.at(group, "a group has to be a mapping")
        return 0
    fields = entries(group)
    name = _text(fields, "name")
    if not name or name in names:
        problems.at(group, "a group needs a name that no other group has")
    names.add(name)
    rules = fields["rules"][1] if "rules" in fields else None
    if rules is None or is_null(rules):
        return 0
    if not isinstance(rules, SequenceNode):
        problems.at(rules, "rules has to be a list")
        return 0
    for rule, wrong in _wrong_rules(rules):
        problems.at(rule, wrong)
    return len(rules.value)


def _wrong_rules(rules: SequenceNode) -> Iterator[tuple[Node, str]]:
    for rule in rules.value:
        fields = entries(rule) if isinstance(rule, MappingNode) else {}
        if bool(_text(fields, "alert")) == bool(_text(fields, "record")):
            yield rule, "a rule needs either alert or record"
        elif not _text(fields, "expr"):
            yield rule, "a rule needs an expr"


def _text(fields: Any, name: str) -> str:
    node = fields[name][1] if name in fields else None
    return node.value if isinstance(node, ScalarNode) and not is_null(node) else ""
