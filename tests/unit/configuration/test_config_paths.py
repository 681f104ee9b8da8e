"""Relative paths keep their meaning in another folder, in the places of Prometheus' schema only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from yaml.nodes import MappingNode

from tests.unit.given_documents import compose
from wrapper.configuration.config_paths import (
    ANY_KEY,
    PATH,
    PLACES,
    Places,
    may_name_a_file,
    resolve_paths,
)


def resolved(content: str, folder: str = "/etc/prometheus") -> Any:
    """Return a configuration with resolved paths, as values."""
    root = compose(content)
    assert isinstance(root, MappingNode)
    node = resolve_paths(root, folder)
    assert yaml.safe_load(yaml.serialize(root, Dumper=yaml.CSafeDumper)) == yaml.safe_load(content)
    return yaml.safe_load(yaml.serialize(node, Dumper=yaml.CSafeDumper))


def trails(places: Places) -> Iterator[tuple[str, ...]]:
    """Yield the trail to each path in the table; a list is "[]"."""
    if isinstance(places, str):
        yield ()
    elif isinstance(places, list):
        yield from (("[]", *rest) for rest in trails(places[0]))
    else:
        yield from ((key, *rest) for key, below in places.items() for rest in trails(below))


def nested(trail: tuple[str, ...], path: str) -> Any:
    """Return a configuration with a path at the end of a trail."""
    if not trail:
        return path
    inner = nested(trail[1:], path)
    return [inner] if trail[0] == "[]" else {trail[0].replace(ANY_KEY, "X-Any"): inner}


@pytest.mark.parametrize("trail", list(trails(PLACES)), ids="/".join)
def test_path_is_resolved_at_each_place_of_the_table(trail: tuple[str, ...]) -> None:
    """At each place, a relative path is resolved; an absolute and an empty one are unchanged."""
    for path, expected in (("a/b", "/etc/prometheus/a/b"), ("/a", "/a"), ("", "")):
        assert resolved(yaml.safe_dump(nested(trail, path))) == nested(trail, expected)


@pytest.mark.parametrize("letter", ["e", "\\x65", "\\u0065", "\\U00000065"])
def test_each_mapping_that_names_a_file_is_recognised(letter: str) -> None:
    """A key that names a file is found in the text, also with a letter written as an escape."""
    below = [trail[2:] if trail[1:2] == ("[]",) else trail[1:] for trail in trails(PLACES)]
    for trail in filter(None, below):  # otherwise it is a list of paths, and not a mapping
        text = json.dumps(nested(trail, "a")).replace("file", f"fil{letter}")
        assert yaml.safe_load(text) == nested(trail, "a")
        assert may_name_a_file(text.encode())


def test_text_without_a_file_is_recognised() -> None:
    """A backslash before a line break may hide a file's key; other backslashes do not."""
    assert may_name_a_file(b'? "fil\\\n  e"\n: a\n')
    assert not may_name_a_file(b'job_name: x\nregex: (.+):\\d+\nlabels: {a: "\\t\\n"}\n')


def test_table_has_the_usual_places() -> None:
    """The table has a hand-written sample of the places in Prometheus' documentation."""
    known = {"/".join(trail) for trail in trails(PLACES)}
    assert known >= {
        "rule_files/[]",
        "scrape_config_files/[]",
        "global/query_log_file",
        "scrape_configs/[]/file_sd_configs/[]/files/[]",
        "scrape_configs/[]/bearer_token_file",
        "scrape_configs/[]/authorization/credentials_file",
        "scrape_configs/[]/basic_auth/password_file",
        "scrape_configs/[]/tls_config/ca_file",
        "scrape_configs/[]/http_headers/*/files/[]",
        "scrape_configs/[]/kubernetes_sd_configs/[]/kubeconfig_file",
        "scrape_configs/[]/consul_sd_configs/[]/tls_config/key_file",
        "alerting/alertmanagers/[]/file_sd_configs/[]/files/[]",
        "alerting/alertmanagers/[]/tls_config/cert_file",
        "remote_write/[]/oauth2/client_secret_file",
        "remote_write/[]/oauth2/tls_config/ca_file",
        "remote_read/[]/basic_auth/username_file",
        "tracing/tls_config/ca_file",
    }


@pytest.mark.parametrize(
    "content",
    [
        "global: {external_labels: {x_file: a, rule_files: b}}",
        "scrape_configs: [{static_configs: [{labels: {ca_file: a}}], params: {files: [a]}}]",
        "scrape_configs: [{static_configs: [{labels: {__unix_socket__: a.sock}}]}]",
        "scrape_configs: [{metrics_path: a, azure_sd_configs: [{tls_config: {ca_file: a}}]}]",
        "remote_write: [{headers: {ca_file: a}, url: a, azuread: {certificate: {a_file: b}}}]",
        "ca_file: a",
        "rule_files: a",
        "rule_files: {a: b}",
        "rule_files: [[a], {a: b}, ]",
        "scrape_configs: {tls_config: {ca_file: a}}",
        "scrape_configs: [[{bearer_token_file: a}], x]",
        "scrape_configs: [{bearer_token_file: }]",
    ],
)
def test_value_that_is_no_path_stays(content: str) -> None:
    """A label or parameter with a path's name, or a value of another shape, is not a path.

    The path of a socket is below the working directory (Prometheus 3.16), not below the
    configuration's folder.
    """
    root = compose(content)
    assert isinstance(root, MappingNode)
    assert resolve_paths(root, "/etc") is root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("./a.yml", "/etc/prometheus/a.yml"),
        ("../a.yml", "/etc/a.yml"),
        ("rules/*.yml", "/etc/prometheus/rules/*.yml"),
        ("a//b/", "/etc/prometheus/a/b"),
        ("1:30", "/etc/prometheus/1:30"),
        ("~", "/etc/prometheus/~"),
        ("é #x", "/etc/prometheus/é #x"),
    ],
)
def test_paths_are_joined_as_in_prometheus(path: str, expected: str) -> None:
    """Paths are joined and cleaned as by Go's ``filepath.Join``, also with globs."""
    assert resolved(f"rule_files: ['{path}']") == {"rule_files": [expected]}


def test_path_that_yaml_reads_as_a_number_is_resolved() -> None:
    """A plain scalar like ``010`` or ``1:30`` is a file name."""
    assert resolved("rule_files: [010, 1:30, 1.10]", "/e") == {
        "rule_files": ["/e/010", "/e/1:30", "/e/1.10"]
    }


def test_paths_from_merge_keys_are_resolved() -> None:
    """Paths from merge keys are resolved; what is shared stays shared, and unchanged elsewhere."""
    content = (
        "x: &t {ca_file: a}\ny: &u {bearer_token_file: b}\n"
        "scrape_configs:\n- tls_config: {<<: *t, key_file: k}\n- {<<: [*u, {tls_config: *t}]}\n"
        "- tls_config: *t\n"
    )
    assert resolved(content, "/e") == {
        "x": {"ca_file": "a"},
        "y": {"bearer_token_file": "b"},
        "scrape_configs": [
            {"tls_config": {"ca_file": "/e/a", "key_file": "/e/k"}},
            {"tls_config": {"ca_file": "/e/a"}, "bearer_token_file": "/e/b"},
            {"tls_config": {"ca_file": "/e/a"}},
        ],
    }


def test_scalar_that_is_a_path_and_a_label() -> None:
    """A scalar that an alias uses twice is resolved only where it is a path."""
    content = "global: {external_labels: {a: &a x.yml}}\nrule_files: [*a]\n"
    assert resolved(content, "/e") == {
        "global": {"external_labels": {"a": "x.yml"}},
        "rule_files": ["/e/x.yml"],
    }


def test_nested_aliases_are_walked_once() -> None:
    """A few lines that would expand to a billion items are walked once."""
    lines = ["x0: &x0 {ca_file: a}"]
    lines += [f"x{i}: &x{i} {{<<: [*x{i - 1}, *x{i - 1}]}}" for i in range(1, 25)]
    root = compose("\n".join([*lines, "scrape_configs: [{tls_config: *x24}]\n"]))
    assert isinstance(root, MappingNode)
    assert resolve_paths(root, "/e") is not root


def test_table_has_only_places() -> None:
    """Each leaf of the table is a path, and each list has one kind of item."""

    def check(places: Places) -> None:
        if isinstance(places, dict):
            for below in places.values():
                check(below)
        elif isinstance(places, list):
            (below,) = places
            check(below)
        else:
            assert places == PATH

    check(PLACES)
